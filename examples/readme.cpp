// SPDX-License-Identifier: MIT
// The program that README.md shows.
#include <cstdio>
#include <vector>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;

void print(const std::vector<float>& x) {
  for (const float value : x) std::printf("%10g", static_cast<double>(value));
  std::printf("\n");
}

int main() {
  // README begins
  std::vector<float> weights{0.30f, -1.07f, 0.004f, 3.9f};
  rt::trim(weights, rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}});  // 8 bits, 6 of them fractional; round to nearest
  print(weights);
  std::vector<float> step(4, 0.30f);
  rt::trim(step, rt::Trimmer{rt::Float8E5M2{}, rt::RoundStochastic<>{{.seed = 1, .stream = 3}}});
  print(step);                                                       // the same bits at every run, split and machine
  static_assert(rt::Trimmer{rt::Float8E4M3FN{}}(0.30f) == 0.3125f);  // and the same arithmetic at compile time
  // README ends
}
