// SPDX-License-Identifier: MIT
// Routes: each gives the bits of the three lines, for floats and for batches; which one is chosen for which format.
#include <ristretto/kernel/routes.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <ristretto/any_format.hpp>
#include <ristretto/kernel/simd.hpp>
#include <ristretto/span.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using rt::AnyFormat;
using rt::Encoding;
using rt::Overflow;
using rt::detail::grid_of;

namespace {

/// How many numbers are tried; a multiple of every batch.
constexpr std::size_t size = 1 << 14;

/// Special values, any bit patterns, numbers all over the format, and halves and quarters of its quanta.
template <class F>
std::vector<float> inputs(const F& format) {
  std::vector<float> x = checks::special_floats();
  checks::Patterns patterns;
  const float end = std::fmin(format.largest(), 0x1p126f);
  while (x.size() < size) {
    const float number = (static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1.4p-23f * end;
    const float near_zero = number * checks::from_bits(patterns.next() >> 2);  // any magnitude below 2
    const float y = format.saturate(patterns.next() % 2 == 0 ? number : near_zero);
    const float q = format.quantum(y);
    const float quarters = std::floor(y / q) + static_cast<float>(patterns.next() % 4) * 0.25f;
    x.insert(x.end(), {patterns.next_float(), number, near_zero, quarters * q});
    x.push_back(std::nextafter(quarters * q, patterns.next() % 2 == 0 ? checks::inf : -checks::inf));
  }
  x.resize(size);
  return x;
}

template <class T>
constexpr std::size_t lanes = sizeof(T) / sizeof(float);
template <class T>
T load(const float* from) {
  if constexpr (std::is_same_v<T, float>) {
    return *from;
  } else {
    return T::load_unaligned(from);
  }
}
void store(float x, float* to) { *to = x; }
template <class Batch>
void store(Batch x, float* to) {
  x.store_unaligned(to);
}

/// What the lanes T must give for x, and where they do not.
struct Comparison {
  checks::Disagreements& found;
  const std::vector<float>& x;
  const std::vector<float>& expected;

  template <class T, class Route, class R>
  void trim(const std::string& title, const Route& route, const R& round) {
    run<T>(title, [&](T v, std::uint64_t i) { return route(v, round, i); });
  }
  /// With draws that are made before, times what the route asks for.
  template <class T, class Route, int Bits>
  void trim_drawn(const std::string& title, const Route& route, const rt::RoundStochastic<Bits>& round) {
    run<T>(title, [&](T v, std::uint64_t i) {
      const T draw = rt::Ops<T>::template uniform<Bits>(round.random, i);
      return route(v, rt::detail::RoundDrawn<T>{draw * T(route.draw_scale())}, i);
    });
  }

 private:
  template <class T, class Trim>
  void run(const std::string& title, Trim trim) {
    for (std::size_t k = 0; k < x.size(); k += lanes<T>) {
      float out[lanes<T>];
      store(trim(load<T>(&x[k]), k), out);
      for (std::size_t lane = 0; lane < lanes<T>; ++lane) {
        found.compare(title, x[k + lane], out[lane], expected[k + lane]);
      }
    }
  }
};

/// The chosen route; and the route by bits wherever it leads there, also where another is chosen.
template <class T, class F, class R>
void check_lanes(Comparison comparison, const std::string& title, const F& format, const R& round) {
  const std::string with_lanes = title + ", " + std::to_string(lanes<T>) + " lanes";
  rt::detail::with_route<T, R>(format, [&](const auto& route) {
    comparison.trim<T>(with_lanes, route, round);
    if constexpr (R::indexed) comparison.trim_drawn<T>(with_lanes + ", drawn before", route, round);
  });
  if constexpr (requires { format.low_bits(); }) {
    const int d = format.low_bits();
    if (d == 0 || (d == 23 && std::is_same_v<R, rt::RoundNearest>)) return;
    const rt::detail::ByBits<decltype(grid_of<T>(format))> by_bits{grid_of<T>(format), d};
    comparison.trim<T>(with_lanes + ", by bits", by_bits, round);
    if constexpr (R::indexed) comparison.trim_drawn<T>(with_lanes + ", by bits, drawn before", by_bits, round);
  }
}

template <class F, class R>
void check_rounding(checks::Disagreements& found, const std::vector<float>& x, const F& format, const char* name,
                    const R& round) {
  std::vector<float> expected;
  for (std::size_t k = 0; k < x.size(); ++k) {
    expected.push_back(rt::detail::trim_number(grid_of<float>(format), round, x[k], k));
  }
  const Comparison comparison{found, x, expected};
  const std::string title = rt::to_string(format) + " " + name;
  check_lanes<float>(comparison, title, format, round);
#if !defined(RISTRETTO_NO_SIMD)
  check_lanes<xsimd::batch<float, rt::DefaultArch>>(comparison, title, format, round);
#endif
}

template <class F>
void check_format(checks::Disagreements& found, const F& format) {
  const std::vector<float> x = inputs(format);
  check_rounding(found, x, format, "RoundNearest", rt::RoundNearest{});
  check_rounding(found, x, format, "RoundNearestAway", rt::RoundNearestAway{});
  check_rounding(found, x, format, "RoundHalfUp", rt::RoundHalfUp{});
  check_rounding(found, x, format, "RoundDown", rt::RoundDown{});
  check_rounding(found, x, format, "RoundUp", rt::RoundUp{});
  check_rounding(found, x, format, "RoundTowardZero", rt::RoundTowardZero{});
  if constexpr (requires { requires !F::has_zero; }) {
    check_rounding(found, x, format, "RoundNearestExponent", rt::RoundNearestExponent{});
  }
  check_rounding(found, x, format, "RoundStochastic<32>", rt::RoundStochastic<32>{{.seed = 1, .stream = 3}});
  check_rounding(found, x, format, "RoundStochastic<16>", rt::RoundStochastic<16>{{.seed = 2, .stream = 3}});
}

template <class F>
std::string disagreements(const F& format) {
  checks::Disagreements found;
  check_format(found, format);
  return found.report();
}

/// Every M and E at the edges of routes that the encoding has.
template <Encoding encoding, Overflow overflow = Overflow::saturate>
std::string minifloat_disagreements() {
  checks::Disagreements found;
  for (const int m : {0, 1, 7, 10, 21, 22, 23}) {
    for (int e = 1; e <= 8; ++e) {
      if ((encoding == Encoding::ieee && e < 2) || (encoding == Encoding::finite_nan && m < 1)) continue;
      check_format(found, rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow>(m, e));
    }
  }
  const rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow> usual(2, 3);
  for (const int more : {-118, -90, 5, 120}) {  // of its exponents
    if (usual.can_have_bias(usual.bias() - more)) {
      check_format(found, rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow>(2, 3, usual.bias() - more));
    }
  }
  return found.report();
}

template <class F>
std::string fixed_point_disagreements() {
  checks::Disagreements found;
  for (const int bits : {1, 2, 8, 23, 24, 25, 32}) {
    for (const int fl : {-96, -4, 0, 20, 100, 101, 126}) check_format(found, F(bits - fl, fl));
  }
  return found.report();
}

template <class F>
std::string powers_of_two_disagreements() {
  checks::Disagreements found;
  constexpr int ends[] = {-126, -101, -100, -8, 3, 102, 103, 104, 127};
  for (const int min : ends) {
    for (const int max : ends) {
      if (min <= max) check_format(found, F(min, max));
    }
  }
  return found.report();
}

template <class Grid>
constexpr const char* name_of(const rt::detail::ThreeLines<Grid>&) {
  return "three lines";
}
template <class Grid, class T>
constexpr const char* name_of(const rt::detail::ByAddition<Grid, T>&) {
  return "by addition";
}
template <class Grid>
constexpr const char* name_of(const rt::detail::ByBits<Grid>&) {
  return "by bits";
}

template <class R = rt::RoundNearest, class F>
std::string route_of(const F& format) {
  return rt::detail::with_route<float, R>(format, [](const auto& route) { return name_of(route); });
}
template <class R = rt::RoundNearest>
std::string route_of(const char* text) {
  return AnyFormat::parse(text).visit([](const auto& format) { return route_of<R>(format); });
}

/// A format and a rounding as users may write them: nothing but what the concepts ask for.
struct Halves {
  template <class T>
  constexpr T saturate(T x) const {
    return rt::Ops<T>::clamp(x, T(-100), T(100));
  }
  template <class T>
  constexpr T quantum(T) const {
    return T(0.5f);
  }
  constexpr int bits() const { return 9; }
};
struct RoundToInteger {
  static constexpr bool indexed = false;
  template <class T>
  constexpr T operator()(T v, std::uint64_t = 0) const {
    return rt::Ops<T>::rint(v);
  }
};
static_assert(rt::Format<Halves> && rt::Rounding<RoundToInteger> && !RoundToInteger::indexed);

}  // namespace

TEST_CASE("routes give the bits of the three lines: fixed point") {
  CHECK(fixed_point_disagreements<rt::DynamicFixedPoint<>>() == "");
  CHECK(fixed_point_disagreements<rt::UnsignedFixedPoint<>>() == "");
}

TEST_CASE("routes give the bits of the three lines: minifloats") {
  CHECK(minifloat_disagreements<Encoding::ieee>() == "");
  CHECK(minifloat_disagreements<Encoding::ieee, Overflow::to_infinity>() == "");
  CHECK(minifloat_disagreements<Encoding::finite_nan>() == "");
  CHECK(minifloat_disagreements<Encoding::finite>() == "");
  CHECK(minifloat_disagreements<Encoding::fnuz>() == "");
  CHECK(minifloat_disagreements<Encoding::ristretto2016>() == "");
}

TEST_CASE("routes give the bits of the three lines: powers of two") {
  CHECK(powers_of_two_disagreements<rt::PowerOfTwo<>>() == "");
  CHECK(powers_of_two_disagreements<rt::PowerOfTwoOrZero<>>() == "");
}

TEMPLATE_TEST_CASE("routes give the bits of the three lines: formats fixed in the type", "",
                   (rt::DynamicFixedPoint<4, 20>), (rt::UnsignedFixedPoint<0, 8>), rt::Half, rt::BFloat16,
                   (rt::Minifloat<22, 7>), rt::Float8E4M3FN, (rt::Minifloat<0, 1, Encoding::finite>),
                   rt::Float8E4M3FNUZ, (rt::Minifloat<3, 4, Encoding::ristretto2016>),
                   (rt::Minifloat<7, 8, Encoding::ristretto2016>),
                   (rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity>),
                   (rt::Minifloat<7, 8, Encoding::ieee, Overflow::to_infinity>), (rt::PowerOfTwo<-8, 104>),
                   (rt::PowerOfTwoOrZero<-8, 3>)) {
  CHECK(disagreements(TestType{}) == "");
}

TEST_CASE("a route is constexpr") {
  constexpr auto trim = [](auto format, auto round, float x) {
    return rt::detail::with_route<float, decltype(round)>(format, [=](auto route) { return route(x, round, 0); });
  };
  static_assert(trim(rt::DynamicFixedPoint<2, 6>{}, rt::RoundNearest{}, 0.30f) == 0.296875f);
  static_assert(trim(rt::DynamicFixedPoint<2, 6>{}, rt::RoundUp{}, 0.30f) == 0.3125f);
  static_assert(trim(rt::BFloat16{}, rt::RoundNearest{}, 0.30f) == 0.30078125f);
  static_assert(trim(rt::BFloat16{}, rt::RoundDown{}, -0.30f) == -0.30078125f);
  static_assert(trim(rt::PowerOfTwo<-8, 127>{}, rt::RoundNearest{}, 0.30f) == 0.25f);
  CHECK(trim(rt::Half{}, rt::RoundNearest{}, 2049.0f) == 2048);
}

TEST_CASE("routes by addition: no more than 23 digits, and quanta in the middle of the exponents") {
  using Down = rt::RoundDown;
  for (const char* text : {"fixed:2,6", "fixed:4,20", "ufixed:3,20", "fixed:104,-96", "fixed:-92,100", "half", "e4m3fn",
                           "e2m1fn", "e4m3fnuz", "minifloat:22,7", "minifloat:22,7,fnuz", "minifloat:3,4,ristretto2016",
                           "minifloat:10,5,to_infinity", "pow2:-8,3", "pow2:-100,103", "pow2z:-100,103"}) {
    CAPTURE(text);
    CHECK(route_of(text) == "by addition");
    CHECK(route_of<Down>(text) == "by addition");
    CHECK(route_of<rt::RoundStochastic<16>>(text) == "by addition");
  }
  for (const char* text : {"fixed:4,21", "ufixed:4,20", "fixed:-93,101", "minifloat:23,7", "minifloat:23,8",
                           "minifloat:7,8,fnuz", "pow2z:-101,3", "pow2z:-8,104"}) {
    CAPTURE(text);
    CHECK(route_of(text) == "three lines");
    CHECK(route_of<Down>(text) == "three lines");
    CHECK(route_of<rt::RoundStochastic<16>>(text) == "three lines");
  }
}

TEST_CASE("routes by bits: the exponents of floats; ties to even also need a fraction bit") {
  for (const char* text : {"bfloat16", "tf32", "minifloat:22,8", "minifloat:1,8", "minifloat:3,8,finite_nan",
                           "minifloat:7,8,finite", "minifloat:7,8,to_infinity", "minifloat:7,8,ristretto2016"}) {
    CAPTURE(text);
    CHECK(route_of(text) == "by bits");
    CHECK(route_of<rt::RoundHalfUp>(text) == "by bits");
    CHECK(route_of<rt::RoundStochastic<32>>(text) == "by bits");
  }
  for (const char* text : {"minifloat:0,8", "pow2:-8,104", "pow2:-101,3"}) {
    CAPTURE(text);
    CHECK(route_of(text) == "three lines");
    CHECK(route_of<rt::RoundNearestAway>(text) == "by bits");
    CHECK(route_of<rt::RoundNearestExponent>(text) == "by bits");
    CHECK(route_of<rt::RoundStochastic<32>>(text) == "by bits");
  }
}

TEST_CASE("what a user wrote goes by the three lines") {
  CHECK(route_of(Halves{}) == "three lines");
  CHECK(route_of<RoundToInteger>("half") == "three lines");
  CHECK(route_of<RoundToInteger>("bfloat16") == "three lines");

  // And so it compiles and trims, however the format is given.
  const std::vector<float> x(100, -0.7f);
  const std::vector<float> eighths(x.size(), -0.75f);
  std::vector<float> out(x.size());
  rt::trim(x, out, rt::Trimmer{rt::DynamicFixedPoint<2, 3>{}, RoundToInteger{}});
  CHECK(out == eighths);
  rt::trim(x, out, rt::Trimmer{rt::DynamicFixedPoint{2, 3}, RoundToInteger{}});
  CHECK(out == eighths);
  rt::trim(x, out, rt::Trimmer{AnyFormat(rt::DynamicFixedPoint{2, 3}), RoundToInteger{}});
  CHECK(out == eighths);
  rt::trim(x, out, rt::Trimmer{Halves{}});
  CHECK(out == std::vector<float>(x.size(), -0.5f));
}
