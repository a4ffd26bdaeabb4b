// SPDX-License-Identifier: MIT
// Everything, where exceptions are off: a wrong value ends the program with the text that it has elsewhere.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;

int main() {
  std::vector<float> weights{0.30f, -1.07f, 0.004f, 3.9f};
  rt::trim(weights, rt::Trimmer{rt::AnyFormat::parse("fixed:2,6")});
  if (weights != std::vector<float>{0.296875f, -1.0625f, 0.0f, 1.984375f}) return 1;
  std::set_terminate([] { std::_Exit(0); });
  std::printf("%d bits\n", rt::DynamicFixedPoint{40, 6}.bits());
  return 1;
}
