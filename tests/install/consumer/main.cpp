// SPDX-License-Identifier: MIT
// A user's first program: trims three numbers.
#include <cstdio>
#include <ristretto/span.hpp>
#include <vector>

int main() {
  std::vector<float> weights{0.3f, -0.7f, 9.0f};
  ristretto::trim(std::span(weights), ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}});
  std::printf("%g %g %g, version %d.%d.%d\n", weights[0], weights[1], weights[2], RISTRETTO_VERSION_MAJOR,
              RISTRETTO_VERSION_MINOR, RISTRETTO_VERSION_PATCH);
  return weights == std::vector{0.296875f, -0.703125f, 1.984375f} ? 0 : 1;
}
