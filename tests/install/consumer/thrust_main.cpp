// SPDX-License-Identifier: MIT
// A user's first program with Thrust: trims three numbers where Thrust keeps its vectors.
#include <ristretto/thrust.hpp>

#include <thrust/device_vector.h>

#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> weights{0.3f, -0.7f, 9.0f};
  thrust::device_vector<float> x(weights.begin(), weights.end());
  ristretto::trim(thrust::device, x, ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}});
  const float trimmed[] = {x[0], x[1], x[2]};
  std::printf("%g %g %g\n", trimmed[0], trimmed[1], trimmed[2]);
  return trimmed[0] == 0.296875f && trimmed[1] == -0.703125f && trimmed[2] == 1.984375f ? 0 : 1;
}
