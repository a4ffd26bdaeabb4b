// SPDX-License-Identifier: MIT
// The Trimmer: tables that the compiler checks, the corners of the semantics, fixed point wider than float, doubles.
#include <ristretto/trimmer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using checks::inf;
using checks::same;
using rt::Encoding;
using rt::Overflow;

namespace {

struct Row {
  float x;
  float expected;
};
template <class F, class R, std::size_t N>
constexpr bool trims(rt::Trimmer<F, R> trimmer, const Row (&rows)[N]) {
  for (const Row& row : rows) {
    if (!same(trimmer(row.x), row.expected)) return false;
    if (!same(trimmer(row.expected), row.expected)) return false;  // idempotent
  }
  return true;
}

// Fixed point with steps of 1/64 from -2 to 1.984375.
constexpr rt::DynamicFixedPoint<2, 6> q2_6{};
static_assert(trims(rt::Trimmer{q2_6}, {{0.30f, 0.296875f},
                                        {-0.30f, -0.296875f},
                                        {0.0f, 0.0f},
                                        {-0.0f, -0.0f},
                                        {0.0078125f, 0.0f},
                                        {0.0234375f, 0.03125f},
                                        {-0.0234375f, -0.03125f},
                                        {-0.0078125f, -0.0f},
                                        {1.984375f, 1.984375f},
                                        {1.99f, 1.984375f},
                                        {-2.5f, -2.0f},
                                        {inf, 1.984375f},
                                        {-inf, -2.0f},
                                        {0x1p-149f, 0.0f},
                                        {-0x1p-149f, -0.0f}}));
static_assert(trims(rt::Trimmer{q2_6, rt::RoundNearestAway{}}, {{0.0078125f, 0.015625f},
                                                                {-0.0078125f, -0.015625f},
                                                                {0.0234375f, 0.03125f},
                                                                {0.3f, 0.296875f},
                                                                {0x1.fffffep-8f, 0.0f},
                                                                {-0x1.fffffep-8f, -0.0f},
                                                                {5.0f, 1.984375f}}));
static_assert(trims(rt::Trimmer{q2_6, rt::RoundHalfUp{}}, {{0.0078125f, 0.015625f},
                                                           {-0.0078125f, -0.0f},
                                                           {-0.0234375f, -0.015625f},
                                                           {0.0234375f, 0.03125f},
                                                           {-0x1.000002p-7f, -0.015625f},
                                                           {-5.0f, -2.0f}}));
static_assert(trims(rt::Trimmer{q2_6, rt::RoundDown{}}, {{0.30f, 0.296875f},
                                                         {-0.30f, -0.3125f},
                                                         {0x1p-149f, 0.0f},
                                                         {-0x1p-149f, -0.015625f},
                                                         {-0.0f, -0.0f},
                                                         {1.99f, 1.984375f},
                                                         {-inf, -2.0f}}));
static_assert(trims(rt::Trimmer{q2_6, rt::RoundUp{}}, {{0.30f, 0.3125f},
                                                       {-0.30f, -0.296875f},
                                                       {0x1p-149f, 0.015625f},
                                                       {-0x1p-149f, -0.0f},
                                                       {1.99f, 1.984375f},
                                                       {1.97f, 1.984375f},
                                                       {inf, 1.984375f}}));
static_assert(
    trims(rt::Trimmer{q2_6, rt::RoundTowardZero{}},
          {{0.30f, 0.296875f}, {-0.30f, -0.296875f}, {-0.0156f, -0.0f}, {1.999f, 1.984375f}, {-1.999f, -1.984375f}}));

// Negative fractional length: steps of 16; one bit: -1 and 0 only; more integer bits than bits.
static_assert(trims(rt::Trimmer{rt::DynamicFixedPoint<12, -4>{}}, {{7.9f, 0.0f},
                                                                   {8.0f, 0.0f},
                                                                   {8.1f, 16.0f},
                                                                   {24.0f, 32.0f},
                                                                   {-24.0f, -32.0f},
                                                                   {2040.0f, 2032.0f},
                                                                   {-1e30f, -2048.0f},
                                                                   {0x1p-149f, 0.0f}}));
static_assert(trims(rt::Trimmer{rt::DynamicFixedPoint<1, 0>{}},
                    {{3.0f, 0.0f}, {-0.5f, -0.0f}, {-0.6f, -1.0f}, {-7.0f, -1.0f}, {-inf, -1.0f}}));
// y / q underflows here (q = 2^96): directed roundings still see a number that is not zero.
static_assert(trims(rt::Trimmer{rt::DynamicFixedPoint<104, -96>{}, rt::RoundUp{}},
                    {{0x1p-149f, 0x1p96f}, {-0x1p-149f, -0.0f}, {0.0f, 0.0f}, {0x1p-53f, 0x1p96f}, {-0.0f, -0.0f}}));
static_assert(trims(rt::Trimmer{rt::DynamicFixedPoint<104, -96>{}, rt::RoundDown{}},
                    {{0x1p-149f, 0.0f}, {-0x1p-149f, -0x1p96f}, {-0x1.8p96f, -0x1p97f}, {inf, 127 * 0x1p96f}}));
static_assert(trims(rt::Trimmer{rt::UnsignedFixedPoint<104, -96>{}, rt::RoundUp{}},
                    {{0x1p-149f, 0x1p96f}, {-0x1p-149f, 0.0f}, {-0.0f, 0.0f}, {0.0f, 0.0f}}));
static_assert(
    trims(rt::Trimmer{rt::DynamicFixedPoint<-118, 126>{}},
          {{0x1p-127f, 0.0f}, {0x1.8p-126f, 0x1p-125f}, {-0x1.00002p-127f, -0x1p-126f}, {1.0f, 127 * 0x1p-126f}}));

// Unsigned: one zero, which is +0.
static_assert(trims(rt::Trimmer{rt::UnsignedFixedPoint<4, 4>{}}, {{-0.0f, 0.0f},
                                                                  {-3.0f, 0.0f},
                                                                  {-inf, 0.0f},
                                                                  {-0x1p-149f, 0.0f},
                                                                  {0.03125f, 0.0f},
                                                                  {0.09375f, 0.125f},
                                                                  {15.9f, 15.875f},
                                                                  {16.0f, 15.9375f},
                                                                  {inf, 15.9375f}}));

// Half: subnormals, the last tie before the end, saturation.
static_assert(trims(rt::Trimmer{rt::Half{}}, {{1.0f, 1.0f},
                                              {0.1f, 0x1.998p-4f},
                                              {1.00048828125f, 1.0f},
                                              {1.00146484375f, 1.001953125f},
                                              {-2049.0f, -2048.0f},
                                              {2051.0f, 2052.0f},
                                              {0x1p-25f, 0.0f},
                                              {0x1.000002p-25f, 0x1p-24f},
                                              {-0x1.8p-24f, -0x1p-23f},
                                              {-0x1p-26f, -0.0f},
                                              {65519.0f, 65504.0f},
                                              {1e30f, 65504.0f},
                                              {-inf, -65504.0f}}));
constexpr rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity> infinite_half{};
static_assert(trims(rt::Trimmer{infinite_half}, {{65504.0f, 65504.0f},
                                                 {65519.996f, 65504.0f},
                                                 {65520.0f, inf},
                                                 {-65520.0f, -inf},
                                                 {1e30f, inf},
                                                 {inf, inf},
                                                 {-inf, -inf},
                                                 {-0.0f, -0.0f},
                                                 {0.1f, 0x1.998p-4f}}));
static_assert(trims(rt::Trimmer{infinite_half, rt::RoundUp{}},
                    {{65504.1f, inf}, {-65504.1f, -65504.0f}, {1e-30f, 0x1p-24f}, {-inf, -inf}}));
static_assert(trims(rt::Trimmer{infinite_half, rt::RoundTowardZero{}}, {{65535.9f, 65504.0f}, {65536.0f, inf}}));

// bfloat16: the upper half of a float, subnormals included.
static_assert(trims(rt::Trimmer{rt::BFloat16{}}, {{1.00390625f, 1.0f},
                                                  {1.01171875f, 1.015625f},
                                                  {0x1p-133f, 0x1p-133f},
                                                  {0x1p-134f, 0.0f},
                                                  {0x1.8p-133f, 0x1p-132f},
                                                  {-0x1.02p-134f, -0x1p-133f},
                                                  {0x0.fffp-126f, 0x1p-126f},
                                                  {checks::largest_float, 0x1.fep127f},
                                                  {-inf, -0x1.fep127f}}));
static_assert(trims(rt::Trimmer{rt::Minifloat<23, 8>{}}, {{0x1p-149f, 0x1p-149f},
                                                          {checks::largest_float, checks::largest_float},
                                                          {0.1f, 0.1f},
                                                          {inf, checks::largest_float}}));

// The encodings of eight bits and fewer.
static_assert(trims(rt::Trimmer{rt::Float8E4M3FN{}}, {{448.0f, 448.0f},
                                                      {464.0f, 448.0f},
                                                      {465.0f, 448.0f},
                                                      {inf, 448.0f},
                                                      {0.3f, 0.3125f},
                                                      {17.0f, 16.0f},
                                                      {19.0f, 20.0f},
                                                      {0x1p-10f, 0.0f},
                                                      {0x1.8p-9f, 0x1p-8f},
                                                      {-0x1p-10f, -0.0f}}));
static_assert(trims(
    rt::Trimmer{rt::Float8E4M3FNUZ{}},
    {{240.0f, 240.0f}, {1e9f, 240.0f}, {-0.0f, 0.0f}, {-0x1p-11f, 0.0f}, {-0x1.1p-11f, -0x1p-10f}, {-inf, -240.0f}}));
static_assert(trims(rt::Trimmer{rt::Float8E4M3FNUZ{}, rt::RoundUp{}}, {{-0x1p-149f, 0.0f}, {0x1p-149f, 0x1p-10f}}));
static_assert(trims(rt::Trimmer{rt::Float4E2M1FN{}}, {{0.25f, 0.0f},
                                                      {0.75f, 1.0f},
                                                      {1.25f, 1.0f},
                                                      {1.75f, 2.0f},
                                                      {2.5f, 2.0f},
                                                      {3.5f, 4.0f},
                                                      {5.0f, 4.0f},
                                                      {-5.1f, -6.0f},
                                                      {1e30f, 6.0f}}));
static_assert(trims(rt::Trimmer{rt::Minifloat<0, 2, Encoding::finite>{}},
                    {{0.5f, 0.0f}, {1.5f, 2.0f}, {3.0f, 4.0f}, {2.9f, 2.0f}, {9.0f, 4.0f}}));

// The original's minifloat: nothing below 2^-7 but zero, whatever the rounding.
constexpr rt::Minifloat<3, 4, Encoding::ristretto2016> original{};
static_assert(trims(rt::Trimmer{original, rt::RoundNearestAway{}}, {{0x1.fffffep-8f, 0.0f},
                                                                    {-0x1.fffffep-8f, 0.0f},
                                                                    {0x1p-7f, 0x1p-7f},
                                                                    {1.0625f, 1.125f},
                                                                    {-1.0625f, -1.125f},
                                                                    {500.0f, 480.0f},
                                                                    {-inf, -480.0f}}));
static_assert(trims(rt::Trimmer{original, rt::RoundUp{}}, {{0x1.fffffep-8f, 0.0f}, {0x1.000002p-7f, 0x1.2p-7f}}));
static_assert(trims(rt::Trimmer{rt::Minifloat<7, 8, Encoding::ristretto2016>{}},
                    {{0x1.fffffcp-127f, 0.0f}, {0x1p-126f, 0x1p-126f}, {inf, 0x1.fep127f}}));

// Powers of two.
constexpr rt::PowerOfTwo<-8, -1> powers{};
static_assert(trims(rt::Trimmer{powers}, {{0.0f, 0x1p-8f},
                                          {-0.0f, -0x1p-8f},
                                          {1e-30f, 0x1p-8f},
                                          {0.3f, 0.25f},
                                          {0.375f, 0.5f},
                                          {-0.374f, -0.25f},
                                          {7.0f, 0.5f},
                                          {-inf, -0.5f}}));
static_assert(trims(
    rt::Trimmer{powers, rt::RoundNearestExponent{}},
    {{0x1.6a09e6p-3f, 0.125f}, {0x1.6a09e8p-3f, 0.25f}, {-0x1.6a09e8p-3f, -0.25f}, {0.0f, 0x1p-8f}, {100.0f, 0.5f}}));
static_assert(trims(rt::Trimmer{powers, rt::RoundDown{}}, {{0.49f, 0.25f}, {-0.26f, -0.5f}, {-1e-9f, -0x1p-8f}}));
static_assert(trims(rt::Trimmer{rt::PowerOfTwoOrZero<-8, -1>{}}, {{0.0f, 0.0f},
                                                                  {-0.0f, -0.0f},
                                                                  {0x1p-9f, 0.0f},
                                                                  {0x1.000002p-9f, 0x1p-8f},
                                                                  {-0x1p-10f, -0.0f},
                                                                  {0.375f, 0.5f},
                                                                  {1.0f, 0.5f}}));
static_assert(trims(rt::Trimmer{rt::PowerOfTwoOrZero<100, 120>{}, rt::RoundUp{}},
                    {{0x1p-149f, 0x1p100f}, {-0x1p-149f, -0.0f}, {0x1.1p100f, 0x1p101f}}));

// Deduction, equality, and what goes with what.
static_assert(std::is_same_v<decltype(rt::Trimmer{q2_6}), rt::Trimmer<rt::DynamicFixedPoint<2, 6>, rt::RoundNearest>>);
static_assert(rt::Trimmer{q2_6} == rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}});
static_assert(rt::Trimmer{rt::DynamicFixedPoint{2, 6}} != rt::Trimmer{rt::DynamicFixedPoint{3, 6}});
static_assert(rt::Trimmer{q2_6, rt::RoundStochastic<>{{.seed = 1}}}(0.5f, 12345) == 0.5f);
static_assert(noexcept(rt::Trimmer{q2_6}(0.5f)) && noexcept(rt::Trimmer{q2_6}(0.5f, 3)));
static_assert(rt::Trimmer{q2_6}(0.30) == 0.296875 && rt::Trimmer{q2_6}(0.30f, 99) == 0.296875f);

}  // namespace

TEST_CASE("where the largest exponent of the format is that of float, infinity comes by rounding") {
  const rt::Trimmer trimmer{rt::Minifloat<7, 8, Encoding::ieee, Overflow::to_infinity>{}};
  CHECK(
      trims(trimmer, {{checks::largest_float, inf}, {0x1.fefffep127f, 0x1.fep127f}, {-inf, -inf}, {0x1.ffp127f, inf}}));
}

TEST_CASE("a Trimmer works with standard algorithms") {
  std::vector<float> x = {0.30f, -0.30f, 5.0f};
  std::transform(x.begin(), x.end(), x.begin(), rt::Trimmer{rt::DynamicFixedPoint{2, 6}});
  CHECK(x == std::vector<float>{0.296875f, -0.296875f, 1.984375f});
}

TEST_CASE("a format fixed in the type gives the bits of the same format at run time") {
  checks::Disagreements found;
  checks::Patterns patterns;
  const rt::Minifloat<> half{10, 5};
  const rt::Minifloat<rt::runtime, rt::runtime, Encoding::fnuz> fnuz{3, 4};
  const rt::DynamicFixedPoint<> fixed{2, 6};
  const rt::PowerOfTwo<> power{-8, -1};
  for (int n = 0; n < 1'000'000; ++n) {
    const float x = n % 2 == 0 ? patterns.next_float() : static_cast<float>(patterns.next()) * 0x1p-31f - 1;
    found.compare("half", x, rt::Trimmer{half}(x), rt::Trimmer{rt::Half{}}(x));
    found.compare("fnuz", x, rt::Trimmer{fnuz}(x), rt::Trimmer{rt::Float8E4M3FNUZ{}}(x));
    found.compare("fixed", x, rt::Trimmer{fixed}(x), rt::Trimmer{q2_6}(x));
    found.compare("power", x, rt::Trimmer{power}(x), rt::Trimmer{powers}(x));
  }
  CHECK(found.report() == "");
}

namespace {

/// Trims to fixed point by integers alone: x = m * 2^e, so x / q = m * 2^(e + FL) is split with shifts.
double fixed_by_integers(double x, int fl, __int128 lowest, __int128 largest) {
  if (x == 0) return x;
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  auto m = static_cast<__int128>(std::ldexp(fraction, 53));  // |m| < 2^53
  const int shift = exponent - 53 + fl;                      // x / q = m * 2^shift
  if (shift > 60) return std::ldexp(static_cast<double>(x > 0 ? largest : lowest), -fl);
  if (shift >= 0) {
    m <<= shift;
  } else if (shift < -60) {
    m = 0;
  } else {
    const __int128 unit = __int128{1} << -shift;
    const __int128 floor = m >> -shift;
    const __int128 rest = 2 * (m - floor * unit);
    m = floor + (rest > unit || (rest == unit && floor % 2 != 0) ? 1 : 0);
  }
  const __int128 k = std::clamp(m, lowest, largest);
  return k == 0 ? std::copysign(0.0, x) : std::ldexp(static_cast<double>(k), -fl);
}

}  // namespace

TEST_CASE("doubles: fixed point is exact to 32 bits") {
  checks::Disagreements found;
  checks::Patterns patterns;
  for (const int bits : {1, 2, 8, 24, 25, 31, 32}) {
    for (const int fl : {-96, -4, 0, 6, 24, 31, 126}) {
      const rt::Trimmer trimmer{rt::DynamicFixedPoint<>{bits - fl, fl}};
      const __int128 end = __int128{1} << (bits - 1);
      const auto compare = [&](double x) {
        found.compare(bits * 1000 + fl, x, trimmer(x), fixed_by_integers(x, fl, -end, end - 1));
      };
      for (int n = 0; n < 40'000; ++n) {
        const std::uint64_t word = std::uint64_t{patterns.next()} << 32 | patterns.next();
        const double k = static_cast<double>(static_cast<std::int64_t>(word)) * 0x1p-63 * static_cast<double>(end);
        compare(std::ldexp(k, -fl));
        compare(std::ldexp(std::nearbyint(k), -fl));
        compare(std::ldexp(std::floor(k) + 0.5, -fl));
        compare(std::nextafter(std::ldexp(std::floor(k) + 0.5, -fl), 0.0));
        const double any = std::bit_cast<double>(word);
        if (std::isfinite(any)) compare(any);
      }
      compare(0.0);
      compare(-0.0);
    }
  }
  CHECK(found.report() == "");
  CHECK(rt::Trimmer{rt::DynamicFixedPoint<8, 24>{}}(1e9) == 128 - 0x1p-24);
  CHECK(rt::Trimmer{rt::DynamicFixedPoint<8, 24>{}}(1 + 0x1.8p-24) == 1 + 0x1p-23);
  CHECK(rt::Trimmer{rt::UnsignedFixedPoint<32, 0>{}}(1e300) == 4294967295.0);
  CHECK(rt::Trimmer{rt::UnsignedFixedPoint<32, 0>{}}(4294967294.5) == 4294967294.0);
}

TEST_CASE("doubles: minifloats and powers of two agree with ldexp and frexp") {
  checks::Disagreements found;
  checks::Patterns patterns;
  const auto rounded_to = [](double x, int digits, int lowest_quantum, double largest) {
    if (!std::isfinite(x) || std::abs(x) > largest) return std::copysign(largest, x);
    const int quantum = std::max((x == 0 ? -2000 : std::ilogb(x)) + 1 - digits, lowest_quantum);
    return std::ldexp(std::nearbyint(std::ldexp(x, -quantum)), quantum);
  };
  const rt::Minifloat<23, 8, Encoding::finite> beyond_float{};
  for (int n = 0; n < 1'000'000; ++n) {
    const std::uint64_t word = std::uint64_t{patterns.next()} << 32 | patterns.next();
    const int exponent = static_cast<int>(word % 320) - 160;
    const double x = n % 4 == 0 ? std::bit_cast<double>(word)
                                : std::ldexp(static_cast<double>(static_cast<std::int64_t>(word)), exponent - 63);
    if (x != x) continue;
    found.compare("half", x, rt::Trimmer{rt::Half{}}(x), rounded_to(x, 11, -24, 65504));
    found.compare("bfloat16", x, rt::Trimmer{rt::BFloat16{}}(x), rounded_to(x, 8, -133, 0x1.fep127));
    found.compare("float", x, rt::Trimmer{rt::Minifloat<23, 8>{}}(x), rounded_to(x, 24, -149, 0x1.fffffep127));
    found.compare("beyond", x, rt::Trimmer{beyond_float}(x), rounded_to(x, 24, -149, 0x1.fffffep128));
    found.compare("pow2z", x, rt::Trimmer{rt::PowerOfTwoOrZero<-9, 9>{}}(x), rounded_to(x, 1, -9, 512));
    const float narrow = static_cast<float>(x);
    if (static_cast<double>(narrow) != x && std::isfinite(narrow)) {
      const double widened = narrow;  // what is exact in both types agrees in both
      found.compare("same", narrow, rt::Trimmer{rt::Half{}}(narrow),
                    static_cast<float>(rt::Trimmer{rt::Half{}}(widened)));
    }
  }
  CHECK(found.report() == "");
  CHECK(std::isnan(rt::Trimmer{rt::Half{}}(std::numeric_limits<double>::quiet_NaN())));
}

TEST_CASE("trimming is monotone and idempotent, and its results have the sign of x") {
  std::vector<float> x = checks::special_floats();
  checks::Patterns patterns;
  for (int n = 0; n < 50'000; ++n) x.push_back(patterns.next_float());
  for (int n = 0; n < 50'000; ++n) x.push_back(static_cast<float>(patterns.next()) * 0x1p-29f - 4);
  std::erase_if(x, [](float value) { return value != value; });
  const auto below = [](float a, float b) { return a < b || (a == b && std::signbit(a) && !std::signbit(b)); };
  std::sort(x.begin(), x.end(), below);  // -0 before +0: they differ where there is no zero
  const auto check = [&x](auto format, auto round) {
    const rt::Trimmer trimmer{format, round};
    bool monotone = true, idempotent = true, signs = true;
    float before = -inf;
    CHECK(std::isnan(trimmer(checks::quiet_nan)));
    CHECK(std::isnan(trimmer(-checks::quiet_nan)));
    for (const float value : x) {
      const float r = trimmer(value);
      monotone = monotone && before <= r;
      idempotent = idempotent && same(trimmer(r), r);
      if constexpr (!requires { requires !decltype(format)::signed_zero; }) {
        signs = signs && std::signbit(r) == std::signbit(value);
      } else {
        signs = signs && !same(r, -0.0f);
      }
      before = r;
    }
    CHECK(monotone);
    CHECK(idempotent);
    CHECK(signs);
  };
  const auto check_all = [&check](auto format) {
    check(format, rt::RoundNearest{});
    check(format, rt::RoundNearestAway{});
    check(format, rt::RoundHalfUp{});
    check(format, rt::RoundDown{});
    check(format, rt::RoundUp{});
    check(format, rt::RoundTowardZero{});
  };
  check_all(rt::DynamicFixedPoint<3, 29>{});
  check_all(rt::DynamicFixedPoint<1, 0>{});
  check_all(rt::UnsignedFixedPoint<0, 8>{});
  check_all(rt::BFloat16{});
  check_all(infinite_half);
  check_all(original);
  check_all(rt::Float8E5M2FNUZ{});
  check_all(rt::PowerOfTwo<-8, 2>{});
  check_all(rt::PowerOfTwoOrZero<-8, 2>{});
  check(rt::PowerOfTwo<-126, 127>{}, rt::RoundNearestExponent{});
}

TEST_CASE("minifloats as wide as float are floats") {
  checks::Disagreements found;
  checks::Patterns patterns;
  for (int n = 0; n < 1'000'000; ++n) {
    const float x = patterns.next_float();
    if (!std::isfinite(x)) continue;
    found.compare("ieee", x, rt::Trimmer{rt::Minifloat<23, 8>{}}(x), x);
    found.compare("finite", x, rt::Trimmer{rt::Minifloat<23, 8, Encoding::finite>{}}(x), x);
    found.compare("fnuz", x, rt::Trimmer{rt::Minifloat<23, 8, Encoding::fnuz>{}}(x), x + 0.0f);
    found.compare("up", x, rt::Trimmer{rt::Minifloat<23, 8, Encoding::fnuz>{}, rt::RoundUp{}}(x), x + 0.0f);
  }
  CHECK(found.report() == "");
}
