// SPDX-License-Identifier: MIT
// The small formats of the OCP specifications and their fnuz relatives: every code, the constants of the
// specifications.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <ristretto/formats.hpp>
#include <ristretto/trimmer.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

/// What a specification says of a format.
struct Specification {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  int numbers;  ///< codes that are finite numbers, both zeros counted
  double largest;
  double smallest_normal;
  double smallest_subnormal;
};

// OCP 8-bit Floating Point Specification 1.0, table 1.
constexpr Specification e4m3{4, 3, 7, 254, 448, 0x1p-6, 0x1p-9};
constexpr Specification e5m2{5, 2, 15, 248, 57344, 0x1p-14, 0x1p-16};
// OCP Microscaling Formats 1.0, tables 4 and 5.
constexpr Specification e3m2{3, 2, 3, 64, 28, 0.25, 0.0625};
constexpr Specification e2m3{2, 3, 1, 64, 7.5, 1, 0.125};
constexpr Specification e2m1{2, 1, 1, 16, 6, 1, 0.5};
// Noune et al., arXiv:2206.02915: one zero, the code of -0 is NaN.
constexpr Specification e4m3fnuz{4, 3, 8, 255, 240, 0x1p-7, 0x1p-10};
constexpr Specification e5m2fnuz{5, 2, 16, 255, 57344, 0x1p-15, 0x1p-17};

/// The number of a code that is neither infinite nor NaN: (-1)^s * 2^(e - bias) * (1 + m / 2^M), and
/// (-1)^s * 2^(1 - bias) * m / 2^M where e is 0.
double decode(const Specification& s, int code) {
  const int mantissas = 1 << s.mantissa_bits;
  const int mantissa = code & (mantissas - 1);
  const int exponent = code >> s.mantissa_bits & ((1 << s.exponent_bits) - 1);
  const bool negative = (code >> (s.mantissa_bits + s.exponent_bits) & 1) != 0;
  const double fraction = static_cast<double>(mantissa) / mantissas;
  const double magnitude =
      exponent == 0 ? std::pow(2.0, 1 - s.bias) * fraction : std::pow(2.0, exponent - s.bias) * (1 + fraction);
  return negative ? -magnitude : magnitude;
}

/// All finite numbers in ascending order; is_number tells which codes are.
template <class IsNumber>
std::vector<double> numbers(const Specification& s, IsNumber is_number) {
  std::vector<double> all;
  for (int code = 0; code < 1 << (1 + s.exponent_bits + s.mantissa_bits); ++code) {
    if (is_number(code)) all.push_back(decode(s, code));
  }
  CHECK(all.size() == static_cast<std::size_t>(s.numbers));
  std::sort(all.begin(), all.end());
  return all;
}

template <class F, class IsNumber>
void check(F format, const Specification& s, IsNumber is_number) {
  const std::vector<double> all = numbers(s, is_number);
  CHECK(format.bits() == 1 + s.exponent_bits + s.mantissa_bits);
  CHECK(all.back() == s.largest);
  CHECK(all.front() == -s.largest);
  CHECK(static_cast<double>(format.largest()) == s.largest);
  CHECK(*std::upper_bound(all.begin(), all.end(), 0.0) == s.smallest_subnormal);
  CHECK(std::ldexp(1.0, format.min_exponent()) == s.smallest_normal);
  CHECK(static_cast<double>(format.quantum(0.0f)) == s.smallest_subnormal);

  const rt::Trimmer nearest{format};
  const rt::Trimmer down{format, rt::RoundDown{}};
  const rt::Trimmer up{format, rt::RoundUp{}};
  checks::Disagreements found;
  for (std::size_t k = 0; k < all.size(); ++k) {
    const auto value = static_cast<float>(all[k]);
    found.compare("a value", value, nearest(value), F::signed_zero ? value : value + 0.0f);
    if (k == 0 || all[k - 1] == all[k]) continue;
    const auto before = static_cast<float>(all[k - 1]);
    const float middle = (before + value) / 2;
    const float quanta = (value - before);
    const bool before_even = std::fmod(before / quanta, 2.0f) == 0;
    const auto expect = [&](const char* name, float trimmed, float expected) {
      const float signed_zero = F::signed_zero ? std::copysign(0.0f, middle) : 0.0f;
      found.compare(name, middle, trimmed, expected == 0 ? signed_zero : expected);
    };
    expect("a midpoint", nearest(middle), before_even ? before : value);
    expect("just below", nearest(std::nextafter(middle, before)), before);
    expect("just above", nearest(std::nextafter(middle, value)), value);
    expect("down", down(middle), before);
    expect("up", up(middle), value);
  }
  for (const float beyond : {1.01f, 1.5f, 100.0f, checks::inf}) {
    const auto largest = static_cast<float>(s.largest);
    found.compare("beyond", beyond, nearest(largest * beyond), largest);
    found.compare("beyond", beyond, nearest(-largest * beyond), -largest);
  }
  CHECK(found.report() == "");
  CHECK(std::isnan(nearest(checks::quiet_nan)));
}

bool every_code(int) { return true; }

}  // namespace

TEST_CASE("OCP FP8 E4M3: all-ones is NaN, there is no infinity") {
  check(rt::Float8E4M3FN{}, e4m3, [](int code) { return (code & 0x7F) != 0x7F; });
}
TEST_CASE("OCP FP8 E5M2: the top exponent is for infinities and NaN") {
  check(rt::Float8E5M2{}, e5m2, [](int code) { return (code & 0x7F) < 0x7C; });
}
TEST_CASE("OCP MX FP6 E3M2: every code is a number") { check(rt::Float6E3M2FN{}, e3m2, every_code); }
TEST_CASE("OCP MX FP6 E2M3: every code is a number") { check(rt::Float6E2M3FN{}, e2m3, every_code); }
TEST_CASE("OCP MX FP4 E2M1: every code is a number") {
  check(rt::Float4E2M1FN{}, e2m1, every_code);
  CHECK(numbers(e2m1, every_code) ==
        std::vector<double>{-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0, 0.5, 1, 1.5, 2, 3, 4, 6});
}
TEST_CASE("E4M3FNUZ: NaN where -0 would be") {
  check(rt::Float8E4M3FNUZ{}, e4m3fnuz, [](int code) { return code != 0x80; });
}
TEST_CASE("E5M2FNUZ: NaN where -0 would be") {
  check(rt::Float8E5M2FNUZ{}, e5m2fnuz, [](int code) { return code != 0x80; });
}
