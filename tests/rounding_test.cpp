// SPDX-License-Identifier: MIT
// Roundings of numbers of quanta: a table that the compiler checks, then <cmath>.
#include <ristretto/rounding.hpp>

#include <cmath>
#include <cstdint>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

/// v and what each rounding makes of it.
struct Row {
  float v, nearest, away, half_up, down, up, toward_zero;
};
constexpr Row table[] = {
    {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f},
    {-0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f},
    {0.5f, 0.0f, 1.0f, 1.0f, 0.0f, 1.0f, 0.0f},
    {-0.5f, -0.0f, -1.0f, -0.0f, -1.0f, -0.0f, -0.0f},
    {1.5f, 2.0f, 2.0f, 2.0f, 1.0f, 2.0f, 1.0f},
    {-1.5f, -2.0f, -2.0f, -1.0f, -2.0f, -1.0f, -1.0f},
    {2.5f, 2.0f, 3.0f, 3.0f, 2.0f, 3.0f, 2.0f},
    {-2.5f, -2.0f, -3.0f, -2.0f, -3.0f, -2.0f, -2.0f},
    {0x1.fffffep-2f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f},  // just below 1/2: adding 1/2 would round up
    {-0x1.fffffep-2f, -0.0f, -0.0f, -0.0f, -1.0f, -0.0f, -0.0f},
    {0x1.000002p-1f, 1.0f, 1.0f, 1.0f, 0.0f, 1.0f, 0.0f},
    {-0x1.000002p-1f, -1.0f, -1.0f, -1.0f, -1.0f, -0.0f, -0.0f},
    {0.25f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f},
    {-0.75f, -1.0f, -1.0f, -1.0f, -1.0f, -0.0f, -0.0f},
    {0x1p-149f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f},
    {-0x1p-149f, -0.0f, -0.0f, -0.0f, -1.0f, -0.0f, -0.0f},
    {8388607.5f, 8388608.0f, 8388608.0f, 8388608.0f, 8388607.0f, 8388608.0f, 8388607.0f},
    {-8388606.5f, -8388606.0f, -8388607.0f, -8388606.0f, -8388607.0f, -8388606.0f, -8388606.0f},
    {8388609.0f, 8388609.0f, 8388609.0f, 8388609.0f, 8388609.0f, 8388609.0f, 8388609.0f},
    {-0x1p32f, -0x1p32f, -0x1p32f, -0x1p32f, -0x1p32f, -0x1p32f, -0x1p32f},
};

template <class R>
constexpr bool rounds(R round, float Row::* expected) {
  for (const Row& row : table) {
    if (!checks::same(rt::rounded(round, row.v), row.*expected)) return false;
    if (!checks::same(rt::rounded(round, static_cast<double>(row.v)), static_cast<double>(row.*expected))) return false;
  }
  return true;
}
static_assert(rounds(rt::RoundNearest{}, &Row::nearest));
static_assert(rounds(rt::RoundNearestAway{}, &Row::away));
static_assert(rounds(rt::RoundHalfUp{}, &Row::half_up));
static_assert(rounds(rt::RoundDown{}, &Row::down));
static_assert(rounds(rt::RoundUp{}, &Row::up));
static_assert(rounds(rt::RoundTowardZero{}, &Row::toward_zero));

constexpr float nearest_exponent(float v) { return rt::rounded(rt::RoundNearestExponent{}, v); }
static_assert(nearest_exponent(1.0f) == 1.0f && nearest_exponent(-1.0f) == -1.0f);
static_assert(nearest_exponent(1.25f) == 1.0f && nearest_exponent(-1.25f) == -1.0f);
static_assert(nearest_exponent(0x1.6a09e6p+0f) == 1.0f);  // 0x3FB504F3, the last float below sqrt 2
static_assert(nearest_exponent(0x1.6a09e8p+0f) == 2.0f);  // 0x3FB504F4, the first above
static_assert(nearest_exponent(-0x1.6a09e8p+0f) == -2.0f);
static_assert(nearest_exponent(1.5f) == 2.0f && nearest_exponent(0x1.fffffep+0f) == 2.0f);

static_assert(!rt::RoundNearest::indexed && !rt::RoundNearestAway::indexed && !rt::RoundHalfUp::indexed);
static_assert(!rt::RoundDown::indexed && !rt::RoundUp::indexed && !rt::RoundTowardZero::indexed);
static_assert(!rt::RoundNearestExponent::indexed);
static_assert(rt::RoundStochastic<>::indexed && rt::RoundStochastic<16>::indexed);
static_assert(rt::RoundNearest{} == rt::RoundNearest{});
static_assert(rt::RoundStochastic<>{{.seed = 1}} != rt::RoundStochastic<>{{.seed = 2}});

}  // namespace

TEST_CASE("NaN stays NaN in every rounding") {
  CHECK(std::isnan(rt::rounded(rt::RoundNearest{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundNearestAway{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundHalfUp{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundDown{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundUp{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundTowardZero{}, checks::quiet_nan)));
  CHECK(std::isnan(rt::rounded(rt::RoundStochastic<>{}, checks::quiet_nan, 1)));
  CHECK(std::isnan(nearest_exponent(checks::quiet_nan)));
}

TEST_CASE("roundings agree with <cmath> on millions of floats") {
  checks::Disagreements found;
  checks::Patterns patterns;
  for (int n = 0; n < 2'000'000; ++n) {
    const float v = patterns.next_float();
    if (!(std::abs(v) < 0x1p40f)) continue;
    const double d = v;
    const double truncated = std::trunc(d);
    const double t = std::abs(d - truncated);
    const double outward = truncated + std::copysign(1.0, d);
    const auto expect = [&](const char* name, float rounded, double expected) {
      found.compare(name, v, rounded, std::copysign(static_cast<float>(expected), v));
    };
    expect("RoundNearest", rt::rounded(rt::RoundNearest{}, v), std::nearbyint(d));
    expect("RoundNearestAway", rt::rounded(rt::RoundNearestAway{}, v), t >= 0.5 ? outward : truncated);
    expect("RoundHalfUp", rt::rounded(rt::RoundHalfUp{}, v), t > 0.5 || (t == 0.5 && d > 0) ? outward : truncated);
    expect("RoundDown", rt::rounded(rt::RoundDown{}, v), std::floor(d));
    expect("RoundUp", rt::rounded(rt::RoundUp{}, v), std::ceil(d));
    expect("RoundTowardZero", rt::rounded(rt::RoundTowardZero{}, v), truncated);
  }
  CHECK(found.report() == "");
}
