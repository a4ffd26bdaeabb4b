// SPDX-License-Identifier: MIT
// Ops<float> and Ops<double> against <cmath>, powers of two, and the draws.
#include <ristretto/ops.hpp>

#include <cmath>
#include <cstdint>
#include <type_traits>

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
static_assert(checks::same(F::copysign(1.5f, -0.0f), -1.5f) && checks::same(F::copysign(-0.0f, 1.0f), 0.0f));
static_assert(checks::same(F::abs(-0.0f), 0.0f) && F::abs(-checks::inf) == checks::inf && D::abs(-2.0) == 2);
static_assert(F::select(true, 1, 2) == 1 && F::select(false, 1, 2) == 2);
static_assert(F::both(true, true) && !F::both(true, false) && F::either(true, false) && !F::either(false, false));

static_assert(rt::power_of_two<float>(0) == 1 && rt::power_of_two<float>(-3) == 0.125f);
static_assert(rt::power_of_two<float>(127) == 0x1p127f && rt::power_of_two<float>(-126) == 0x1p-126f);
static_assert(rt::power_of_two<float>(-127) == 0x1p-127f && rt::power_of_two<float>(-149) == 0x1p-149f);
static_assert(rt::power_of_two<double>(1023) == 0x1p1023 && rt::power_of_two<double>(-1074) == 0x1p-1074);

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
    const double d = static_cast<double>(x) * 1.000000000123;
    found.compare("rint of doubles", d, D::rint(d), std::nearbyint(d));
    found.compare("floor of doubles", d, D::floor(std::abs(d)), std::floor(std::abs(d)));
  };
  for (const float x : checks::special_floats()) compare(x);
  for (int n = 0; n < 1'000'000; ++n) compare(patterns.next_float());
  CHECK(found.report() == "");
}

TEST_CASE("the draw of an element is that of its word or half, as a float and as a double") {
  constexpr rt::RandomStream stream{.seed = 42, .stream = 7};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double word = (static_cast<double>(stream.word(i) >> 9) + 0.5) / 8388608;
    const double half = (static_cast<double>(stream.half(i)) + 0.5) / 65536;
    CHECK(static_cast<double>(F::uniform<32, 10>(stream, i)) == word);
    CHECK(static_cast<double>(F::uniform<16, 10>(stream, i)) == half);
    CHECK(D::uniform<32, 10>(stream, i) == word);
    CHECK(D::uniform<16, 10>(stream, i) == half);
  }
}
