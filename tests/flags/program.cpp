// SPDX-License-Identifier: MIT
// The README's lines and zeros, compiled with flags that could change them. Fails unless every bit is right.
#include <cstdint>
#include <cstdio>
#include <vector>

#include <ristretto/span.hpp>

namespace rt = ristretto;

namespace {

int failures = 0;

/// Compares bits, not numbers: these flags may change what == means.
void check(const char* what, const std::vector<float>& x, const std::vector<float>& expected) {
  for (std::size_t k = 0; k < x.size(); ++k) {
    const auto bits = __builtin_bit_cast(std::uint32_t, x[k]);
    const auto right = __builtin_bit_cast(std::uint32_t, expected[k % expected.size()]);
    if (bits == right) continue;
    std::printf("%s: element %zu is %08x, expected %08x\n", what, k, bits, right);
    ++failures;
  }
}

/// Long enough for batches and a rest.
std::vector<float> repeated(const std::vector<float>& x) {
  std::vector<float> all;
  for (int n = 0; n < 9; ++n) all.insert(all.end(), x.begin(), x.end());
  return all;
}

/// As spans and one by one.
template <class Trimmer>
void check_trimmed(const char* what, const std::vector<float>& x, const Trimmer& trimmer,
                   const std::vector<float>& expected) {
  std::vector<float> all = repeated(x);
  std::vector<float> single = all;
  rt::trim(std::span<float>(all), trimmer);
  check(what, all, expected);
  for (std::size_t k = 0; k < single.size(); ++k) single[k] = trimmer(single[k], k);
  check(what, single, expected);
}

}  // namespace

int main() {
  const std::vector<float> weights{0.30f, -1.07f, 0.004f, 3.9f};
  check_trimmed("fixed:2,6", weights, rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}},
                {0.296875f, -1.0625f, 0.0f, 1.984375f});
  check_trimmed("fixed:2,6 at run time", weights, rt::Trimmer{rt::DynamicFixedPoint{2, 6}, rt::RoundDown{}},
                {0.296875f, -1.078125f, 0.0f, 1.984375f});
  check_trimmed("fixed:1,31", weights, rt::Trimmer{rt::DynamicFixedPoint<1, 31>{}, rt::RoundTowardZero{}},
                {0.30f, -1.0f, 0.004f, 0x1.fffffep-1f});
  check_trimmed("bfloat16", weights, rt::Trimmer{rt::BFloat16{}}, {0x1.34p-2f, -1.0703125f, 0x1.06p-8f, 3.90625f});
  check_trimmed("float8", weights, rt::Trimmer{rt::Float8E4M3FN{}}, {0.3125f, -1.125f, 0.00390625f, 4.0f});
  check_trimmed("subnormal quanta", {0x1.8p-133f, 0x1p-140f, -0.0f}, rt::Trimmer{rt::Minifloat<7, 8>{}},
                {0x1p-132f, 0.0f, -0.0f});
  check_trimmed("zeros that keep their sign", {-0.0f, 0.0f, -0.001f}, rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}},
                {-0.0f, 0.0f, -0.0f});
  check_trimmed("unsigned zeros", {-0.0f, 0.0f, -0.001f}, rt::Trimmer{rt::UnsignedFixedPoint<2, 6>{}},
                {0.0f, 0.0f, 0.0f});
  check_trimmed("zeros of fnuz", {-0.0f, -0x1p-20f, 0.30f}, rt::Trimmer{rt::Float8E4M3FNUZ{}}, {0.0f, 0.0f, 0.3125f});

  std::vector<float> step(4, 0.30f);
  rt::trim(std::span<float>(step), rt::Trimmer{rt::Float8E5M2{}, rt::RoundStochastic<>{{.seed = 1, .stream = 3}}});
  check("stochastic", step, {0.3125f, 0.25f, 0.25f, 0.3125f});
  std::vector<float> long_step(1000, 0.30f);
  std::vector<float> one_by_one = long_step;
  const rt::Trimmer stochastic{rt::DynamicFixedPoint<2, 6>{}, rt::RoundStochastic<16>{{.seed = 1, .stream = 3}}};
  rt::trim(std::span<float>(long_step), stochastic);
  for (std::size_t k = 0; k < one_by_one.size(); ++k) one_by_one[k] = stochastic(one_by_one[k], k);
  check("stochastic, long", long_step, one_by_one);
  return failures == 0 ? 0 : 1;
}
