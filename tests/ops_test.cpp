// SPDX-License-Identifier: MIT
// Ops<float> and Ops<double> against <cmath>, powers of two, and the draws.
#include <ristretto/ops.hpp>

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using F = rt::Ops<float>;
using D = rt::Ops<double>;

static_assert(std::is_same_v<rt::LaneScalar<float>, float> && std::is_same_v<rt::LaneScalar<double>, double>);
static_assert(F::fraction_bits == 23 && F::max_exponent == 127 && F::min_exponent == -126);
static_assert(D::fraction_bits == 52 && D::max_exponent == 1023 && D::min_exponent == -1022);
static_assert(F::infinity == checks::inf && D::infinity == std::numeric_limits<double>::infinity());

static_assert(F::rint(0.5f) == 0 && F::rint(1.5f) == 2 && F::rint(-2.5f) == -2 && D::rint(2.5) == 2);
static_assert(checks::same(F::rint(-0.25f), -0.0f) && checks::same(D::rint(-0.25), -0.0));
static_assert(F::floor(1.75f) == 1 && F::floor(2.0f) == 2 && F::floor(0x1.fffffep-1f) == 0 && D::floor(2.5) == 2);
static_assert(F::binade(1.0f) == 1 && F::binade(-1.75f) == 1 && F::binade(0.3f) == 0.25f && F::binade(3.0f) == 2);
static_assert(F::binade(0.0f) == 0 && F::binade(0x1p-127f) == 0 && F::binade(checks::inf) == checks::inf);
static_assert(F::binade(checks::quiet_nan) == checks::inf && D::binade(0.3) == 0.25);
static_assert(F::clamp(2, -1, 1) == 1 && F::clamp(-2, -1, 1) == -1 && F::clamp(0.5f, -1, 1) == 0.5f);
static_assert(checks::same(F::clamp(-0.0f, 0, 1), -0.0f) && F::clamp(checks::quiet_nan, -1, 1) != F::clamp(0, -1, 1));
static_assert(checks::same(F::clamp(checks::quiet_nan, -1, 1), checks::quiet_nan) &&
              F::clamp(-checks::inf, -1, 1) == -1);
static_assert(F::max(1, 2) == 2 && F::max(2, 1) == 2);
static_assert(F::min(1, 2) == 1 && F::min(2, 1) == 1 && D::min(-2, 1) == -2);
static_assert(checks::same(F::min(checks::quiet_nan, 1), checks::quiet_nan));
static_assert(checks::same(F::max(checks::quiet_nan, 1), checks::quiet_nan));
static_assert(checks::same(F::copysign(1.5f, -0.0f), -1.5f) && checks::same(F::copysign(-0.0f, 1.0f), 0.0f));
static_assert(checks::same(F::with_sign(1.5f, -0.0f), -1.5f) && checks::same(F::with_sign(0.0f, -2.0f), -0.0f));
static_assert(checks::same(F::with_sign(2.0f, 1.0f), 2.0f) && checks::same(D::with_sign(0.5, -1.0), -0.5));
static_assert(checks::same(F::positive_zero(-0.0f), 0.0f) && checks::same(D::positive_zero(-0.0), 0.0));
static_assert(checks::same(F::positive_zero(-checks::smallest_float), -checks::smallest_float));
static_assert(F::divide(1, 4) == 0.25f && F::divide(0x1p-149f, 0x1p-149f) == 1 && D::divide(1, -2) == -0.5);
static_assert(checks::same(F::abs(-0.0f), 0.0f) && F::abs(-checks::inf) == checks::inf && D::abs(-2.0) == 2);
static_assert(F::select(true, 1, 2) == 1 && F::select(false, 1, 2) == 2);
static_assert(F::both(true, true) && !F::both(true, false) && F::either(true, false) && !F::either(false, false));

static_assert(rt::power_of_two<float>(0) == 1 && rt::power_of_two<float>(-3) == 0.125f);
static_assert(rt::power_of_two<float>(127) == 0x1p127f && rt::power_of_two<float>(-126) == 0x1p-126f);
static_assert(rt::power_of_two<float>(-127) == 0x1p-127f && rt::power_of_two<float>(-149) == 0x1p-149f);
static_assert(rt::power_of_two<double>(1023) == 0x1p1023 && rt::power_of_two<double>(-1074) == 0x1p-1074);

// The sum rounds at the unit: 2^23 + 2.5 is a tie, and above 2.5 is 2^23 + 3.
static_assert(F::add_product(2.5f, 1, 0x1p23f) == 0x1p23f + 2 && F::add_product(3.5f, 2, 0x1p22f) == 0x1p23f + 4);
static_assert(F::add_product_down(2.75f, 1, 0x1p23f) == 0x1p23f + 2 &&
              F::add_product(2.75f, 1, 0x1p23f) == 0x1p23f + 3);
static_assert(F::add_product_down(3.0f, 1, 0x1p23f) == 0x1p23f + 3);
static_assert(F::add_product_down(0x1.fffffep22f, 1, 0x1p23f) == 0x1.fffffep23f);  // the nearest is 2^24

// 1 + 2^-21 + 2^-22 + 2^-23 is binary 1.0...0111.
static_assert(F::round_low_bits(1 + 0x1.cp-21f, 1) == 1 + 0x1p-20f &&
              F::round_low_bits(1 + 0x1.cp-21f, 3) == 1 + 0x1p-20f);
static_assert(F::round_low_bits(1.25f, 22) == 1 && F::round_low_bits(1.75f, 22) == 2);  // ties
static_assert(F::clear_low_bits(1 + 0x1.cp-21f, 2) == 1 + 0x1p-21f && F::clear_low_bits(-1.75f, 23) == -1);
static_assert(F::low_part(1 + 0x1.cp-21f, 2) == 3 && F::low_part(-1.5f, 23) == 0x1p22f);
static_assert(F::step_low_bits(1.0f, true, 23) == 2 && F::step_low_bits(1.0f, false, 23) == 1);
static_assert(F::step_low_bits(-1.5f, true, 22) == -2 && F::step_low_bits(0.0f, true, 1) == 0x1p-148f);

constexpr rt::Words4 ends{{0, 0xFFFFFFFF, 0x80000000, 0x1FF}};
static_assert(rt::uniform_draw<float, 32>(ends, 0) == 0x1p-24f);
static_assert(rt::uniform_draw<float, 32>(ends, 1) == 1 - 0x1p-24f);
static_assert(rt::uniform_draw<float, 32>(ends, 2) == 0.5f + 0x1p-24f);
static_assert(rt::uniform_draw<float, 32>(ends, 3) == 0x1p-24f);  // the low nine bits are not used
static_assert(rt::uniform_draw<float, 16>(ends, 0) == 0x1p-17f);
static_assert(rt::uniform_draw<float, 16>(ends, 2) == 1 - 0x1p-17f);
static_assert(rt::uniform_draw<float, 16>(ends, 4) == 0x1p-17f);
static_assert(rt::uniform_draw<float, 16>(ends, 5) == 0.5f + 0x1p-17f);
static_assert(rt::uniform_draw<float, 16>(ends, 6) == 511.5f * 0x1p-16f);
static_assert(rt::uniform_draw<double, 32>(ends, 1) == 1 - 0x1p-24);

TEST_CASE("powers of two are what ldexp gives, over the whole range") {
  for (int e = -149; e <= 127; ++e) CHECK(rt::power_of_two<float>(e) == std::ldexp(1.0f, e));
  for (int e = -1074; e <= 1023; ++e) CHECK(rt::power_of_two<double>(e) == std::ldexp(1.0, e));
}

TEST_CASE("operations on floats agree with <cmath>") {
  checks::Disagreements found;
  checks::Patterns patterns;
  const auto compare = [&](float x) {
    found.compare("rint", x, F::rint(x), std::nearbyint(x));
    found.compare("abs", x, F::abs(x), std::abs(x));
    found.compare("copysign", x, F::copysign(1.5f, x), std::copysign(1.5f, x));
    found.compare("clamp", x, F::clamp(x, -3, 5), x != x ? x : std::fmin(std::fmax(x, -3.0f), 5.0f));
    const float a = std::abs(x);
    found.compare("floor", a, F::floor(a), std::floor(a));
    const float binade = !std::isfinite(x) ? checks::inf : a < 0x1p-126f ? 0.0f : std::ldexp(1.0f, std::ilogb(x));
    found.compare("binade", x, F::binade(x), binade);
    found.compare("min", x, F::min(x, 3), x != x ? x : std::fmin(x, 3.0f));
    found.compare("max", x, F::max(x, 3), x != x ? x : std::fmax(x, 3.0f));
    found.compare("with_sign", x, F::with_sign(a, x), x);
    found.compare("with_sign", x, F::with_sign(1.5f, x), std::copysign(1.5f, x));
    const double d = static_cast<double>(x) * 1.000000000123;
    found.compare("rint of doubles", d, D::rint(d), std::nearbyint(d));
    found.compare("floor of doubles", d, D::floor(std::abs(d)), std::floor(std::abs(d)));
  };
  for (const float x : checks::special_floats()) compare(x);
  for (int n = 0; n < 1'000'000; ++n) compare(patterns.next_float());
  CHECK(found.report() == "");
}

namespace {

/// The largest float that is not above a positive s.
float not_above(double s) {
  const auto r = static_cast<float>(s);
  return static_cast<double>(r) > s ? std::nextafter(r, 0.0f) : r;
}

/// Compares the operations on the d lowest bits of x with those on the integer that the bits of |x| are.
template <class S, class U = decltype(checks::bits(S{}))>
void compare_low_bits(checks::Disagreements& found, S x, int d) {
  using Ops = rt::Ops<S>;
  const U step = U{1} << d;
  const U magnitude = checks::bits(std::abs(x));
  const U low = magnitude % step;
  const U below = magnitude - low;
  const bool odd = below / step % 2 == 1;
  const bool up = low > step / 2 || (low == step / 2 && odd);
  const auto signed_number = [&](U u) { return x != x ? x : std::copysign(__builtin_bit_cast(S, u), x); };
  found.compare("round_low_bits", x, Ops::round_low_bits(x, d), signed_number(up ? below + step : below));
  found.compare("clear_low_bits", x, Ops::clear_low_bits(x, d), signed_number(below));
  found.compare("low_part", x, Ops::low_part(x, d), x != x ? S(0) : static_cast<S>(low));
  found.compare("step_low_bits, not up", x, Ops::step_low_bits(x, false, d), x);
  if (std::isfinite(x)) {
    found.compare("step_low_bits", x, Ops::step_low_bits(x, true, d), signed_number(magnitude + step));
  }
}

/// 0, but the compiler does not know it.
volatile int hidden_zero = 0;

/// Compares with a d that the compiler knows, as it does where the format is fixed in the type.
template <class S, int d>
[[gnu::noinline]] S cleared(S x) {
  return rt::Ops<S>::clear_low_bits(x, d);
}
template <class S, int d>
[[gnu::noinline]] S rounded(S x) {
  return rt::Ops<S>::round_low_bits(x, d);
}
template <class S, int... below>
void compare_known_low_bits(checks::Disagreements& found, S x, std::integer_sequence<int, below...>) {
  (found.compare(below + 1, x, cleared<S, below + 1>(x), rt::Ops<S>::clear_low_bits(x, below + 1 + hidden_zero)), ...);
  (found.compare(below + 1, x, rounded<S, below + 1>(x), rt::Ops<S>::round_low_bits(x, below + 1 + hidden_zero)), ...);
}

}  // namespace

TEST_CASE("sums with a product are the floats next to the exact sum") {
  checks::Disagreements found;
  checks::Patterns patterns;
  for (int n = 0; n < 1'000'000; ++n) {
    const float a = std::ldexp(1.0f, static_cast<int>(patterns.next() % 201) - 100);
    const float b = std::ldexp(1.0f, static_cast<int>(patterns.next() % 27) - 3);
    const double product = static_cast<double>(a) * static_cast<double>(b);
    // In [2^-27, 1] of the product, so that a double holds the sum; where it is near 1, many sums are ties.
    const double share = std::ldexp(static_cast<double>(0x800000 + patterns.next() % 0x800000), -24 - n % 27);
    const float x = static_cast<float>((n % 64 == 0 ? 1 : share) * product);
    const double sum = static_cast<double>(x) + product;
    found.compare("add_product", x, F::add_product(x, a, b), static_cast<float>(sum));
    found.compare("add_product_down", x, F::add_product_down(x, a, b), not_above(sum));
    const auto nearest = static_cast<float>(sum);
    found.compare("difference", nearest, F::add_product(nearest, a, -b),
                  static_cast<float>(static_cast<double>(nearest) - product));
  }
  for (const float x : {0.0f, checks::smallest_float, 0x1p-126f, 0x1p-30f}) {  // far below the last place of the sum
    found.compare("add_product", x, F::add_product(x, 0.5f, 0x1p23f), 0x1p22f);
    found.compare("add_product_down", x, F::add_product_down(x, 0.5f, 0x1p23f), 0x1p22f);
  }
  found.compare("add_product", 0.0f, F::add_product(checks::quiet_nan, 0.5f, 0x1p23f), checks::quiet_nan);
  found.compare("add_product_down", 0.0f, F::add_product_down(checks::quiet_nan, 0.5f, 0x1p23f), checks::quiet_nan);
  CHECK(found.report() == "");
}

TEST_CASE("operations on the lowest bits are those on integers") {
  checks::Disagreements found;
  checks::Patterns patterns;
  for (int d = 1; d <= F::fraction_bits; ++d) {
    for (const float x : checks::special_floats()) compare_low_bits(found, x, d);
    for (int n = 0; n < 20'000; ++n) compare_low_bits(found, patterns.next_float(), d);
    for (std::uint32_t k = 0; k < 256; ++k) {  // multiples of a quarter of 2^d: ties, and what lies between
      compare_low_bits(found, checks::from_bits(0x3F800000 + (k << d) / 4), d);
      compare_low_bits(found, checks::from_bits(0xBF800000 + (k << d) / 4), d);
    }
  }
  for (int d = 1; d <= D::fraction_bits; ++d) {
    for (const float x : checks::special_floats()) compare_low_bits(found, static_cast<double>(x), d);
    for (std::uint64_t k = 0; k < 1000; ++k) {
      compare_low_bits(found, __builtin_bit_cast(double, 0x3FF0'0000'0000'0000 + k * 0x9E37'79B9'7F4A'7C15), d);
    }
  }
  CHECK(found.report() == "");
}

TEST_CASE("it does not matter whether the compiler knows how many bits are the lowest") {
  checks::Disagreements found;
  for (const float x : checks::special_floats()) {
    compare_known_low_bits(found, x, std::make_integer_sequence<int, F::fraction_bits>());
    compare_known_low_bits(found, static_cast<double>(x) / 3, std::make_integer_sequence<int, D::fraction_bits>());
  }
  CHECK(found.report() == "");
}

TEST_CASE("the draw of an element is that of its word or half, as a float and as a double") {
  constexpr rt::RandomStream stream{.seed = 42, .stream = 7};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double word = (static_cast<double>(stream.word(i) >> 9) + 0.5) / 8388608;
    const double half = (static_cast<double>(stream.half(i)) + 0.5) / 65536;
    CHECK(static_cast<double>(F::uniform<32>(stream, i)) == word);
    CHECK(static_cast<double>(F::uniform<16>(stream, i)) == half);
    CHECK(D::uniform<32>(stream, i) == word);
    CHECK(D::uniform<16>(stream, i) == half);
  }
}
