// SPDX-License-Identifier: MIT
// The choice of formats: every rule against a brute-force search, and the original's numbers.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <ristretto/choose.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "ranges.hpp"

namespace rt = ristretto;

namespace {

using checks::Data;
using checks::range_of;
using checks::real_looking_data;
using checks::squared_error;

using Fixed = rt::DynamicFixedPoint<>;
using Unsigned = rt::UnsignedFixedPoint<>;
using Ieee = rt::Minifloat<>;
using ToInfinity = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ieee, rt::Overflow::to_infinity>;
using FiniteNan = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::finite_nan>;
using Finite = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::finite>;
using Fnuz = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::fnuz>;
using Original = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ristretto2016>;
using Pow2 = rt::PowerOfTwo<>;
using Pow2z = rt::PowerOfTwoOrZero<>;

/// All formats of a family with a width, made from their parameters and not by the code under test.
template <class F>
std::vector<F> all_of_width(int bits) {
  std::vector<F> all;
  if constexpr (std::is_same_v<F, Fixed> || std::is_same_v<F, Unsigned>) {
    for (int fl = -96; fl <= 126; ++fl) all.push_back(F(bits - fl, fl));
  } else if constexpr (std::is_same_v<F, Pow2> || std::is_same_v<F, Pow2z>) {
    for (int min = -126; min <= 127; ++min) {
      for (int max = min; max <= 127; ++max) {
        const int codes = max - min + 1 + (std::is_same_v<F, Pow2z> ? 1 : 0);
        if (codes == 1 << (bits - 1)) all.push_back(F(min, max));
      }
    }
  } else {
    for (int e = 1; e <= 8; ++e) {
      const int m = bits - 1 - e;
      if (m < (std::is_same_v<F, FiniteNan> ? 1 : 0) || m > 23) continue;
      if (e < 2 && (std::is_same_v<F, Ieee> || std::is_same_v<F, ToInfinity>)) continue;
      all.push_back(F(m, e));
    }
  }
  return all;
}

/// The formats whose grid holds every x within its ends, or half a quantum beyond, without an infinity.
template <class F>
std::vector<F> covering(const std::vector<F>& formats, std::span<const float> x) {
  std::vector<F> found;
  for (const F& f : formats) {
    const bool is_unsigned = f.lowest() == 0;
    const bool all = std::ranges::all_of(x, [&](float v) {
      if ((v >= f.lowest() && v <= f.largest()) || (v < 0 && is_unsigned)) return true;
      const double end = static_cast<double>(v > 0 ? f.largest() : f.lowest());
      const double half = static_cast<double>(f.quantum(static_cast<float>(end))) / 2;
      return std::abs(static_cast<double>(v) - end) <= half && !std::isinf(rt::Trimmer{f}(v));
    });
    if (all) found.push_back(f);
  }
  return found;
}

/// Whether no format that covers is finer than the chosen one at the ends, nor as fine there and finer at zero.
template <class F>
bool is_finest(const std::vector<F>& covers, const F& chosen, float end) {
  const auto at = [](const F& f, float x) { return f.quantum(f.saturate(x)); };
  return std::ranges::all_of(covers, [&](const F& f) {
    return at(f, end) > at(chosen, end) || (at(f, end) == at(chosen, end) && at(f, 0.0f) >= at(chosen, 0.0f));
  });
}

template <class F = Fixed>
std::string refusal(int bits, const rt::Range& range, const rt::Choice& choice = {}) {
  return checks::message_of<std::invalid_argument>([&] { rt::choose<F>(bits, range, choice); });
}

template <class F>
std::string max_abs_against_brute_force(int first, int last) {
  for (int bits = first; bits <= last; ++bits) {
    for (const double scale : {0.003, 1.0, 50.0}) {
      for (const Data& data : real_looking_data(scale, 500)) {
        const rt::Range range = range_of(data.x);
        const rt::Choice rule{.rule = rt::RangeRule::max_abs};
        const auto covers = covering(all_of_width<F>(bits), data.x);
        std::string which = data.name + " * " + std::to_string(scale) + " at " + std::to_string(bits) + " bits: ";
        if (covers.empty()) {
          if (!checks::contains(refusal<F>(bits, range, rule), " reaches from ")) return which + "none reaches it";
          continue;
        }
        const F chosen = rt::choose<F>(bits, range, rule);
        which += rt::to_string(chosen);
        if (chosen.bits() != bits) return which + " has another width";
        if (std::ranges::find(covers, chosen) == covers.end()) return which + " does not cover";
        if (!is_finest(covers, chosen, range.max_abs())) return which + " is not the finest";
      }
    }
  }
  return "";
}

template <class F>
std::string min_mse_against_brute_force(int first, int last) {
  for (int bits = first; bits <= last; ++bits) {
    for (const double scale : {0.02, 1.0, 37.0}) {
      for (const Data& data : real_looking_data(scale)) {
        double best = HUGE_VAL;
        for (const F& f : all_of_width<F>(bits)) best = std::min(best, squared_error(data.x, f));
        if (std::isinf(best)) {
          if (!checks::contains(refusal<F>(bits, range_of(data.x)), " reaches from ")) return "an infinite error";
          continue;
        }
        const F chosen = rt::choose<F>(bits, range_of(data.x));
        const double error = squared_error(data.x, chosen);
        if (!(error <= 1.02 * best)) {
          return data.name + " * " + std::to_string(scale) + ": " + rt::to_string(chosen) + " has " +
                 std::to_string(error / best) + " times the least error";
        }
      }
    }
  }
  return "";
}

/// Numbers of a format: some at its ends, or near zero, or all over it.
template <class F>
std::vector<float> numbers_of(const F& format, checks::Patterns& patterns) {
  std::vector<float> x(1 + patterns.next() % 300);
  const int low = std::ilogb(format.quantum(format.saturate(0.0f)));
  const float largest = format.largest() > 0 ? format.largest() : -format.lowest();  // of one bit and a sign
  const auto octaves = static_cast<std::uint32_t>(std::ilogb(largest) - low + 2);
  const bool is_even = patterns.next() % 2 == 0;
  const float share = std::ldexp(1.0f, -static_cast<int>(patterns.next() % 4));
  for (float& value : x) {
    const float part = static_cast<float>(patterns.next()) * 0x1p-32f;
    const float end = patterns.next() % 2 == 0 ? format.lowest() : format.largest();
    const float octave = std::ldexp(1 + part, low + static_cast<int>(patterns.next() % octaves));
    const float near = is_even ? end * part * share : std::copysign(octave, end);
    value = rt::Trimmer{format}(std::clamp(near, format.lowest(), format.largest()));
  }
  return x;
}

/// Numbers of formats of each width that get another format, with an error.
template <class F>
std::string grids_that_are_lost(int first, int last) {
  checks::Patterns patterns;
  for (int bits = first; bits <= last; ++bits) {
    const std::vector<F> formats = all_of_width<F>(bits);
    for (int repeat = 0; repeat < 100; ++repeat) {
      const F format = formats[patterns.next() % formats.size()];
      const std::vector<float> x = numbers_of(format, patterns);
      const F chosen = rt::choose<F>(bits, range_of(x));
      if (squared_error(x, chosen) != 0) {
        return std::to_string(x.size()) + " numbers of " + rt::to_string(format) + " get " + rt::to_string(chosen);
      }
    }
  }
  return "";
}

template <class F>
F original(int bits, float max_abs, rt::Role role = rt::Role::activations) {
  return rt::choose<F>(bits, range_of({max_abs}), {.rule = rt::RangeRule::ristretto2016, .role = role});
}
int original_integer_length(float max_abs, rt::Role role) { return original<Fixed>(8, max_abs, role).integer_length(); }

}  // namespace

TEST_CASE("max_abs is the finest grid that covers, to half a quantum beyond its ends") {
  CHECK(max_abs_against_brute_force<Fixed>(1, 16) == "");
  CHECK(max_abs_against_brute_force<Unsigned>(1, 16) == "");
  CHECK(max_abs_against_brute_force<Ieee>(3, 16) == "");
  CHECK(max_abs_against_brute_force<ToInfinity>(3, 16) == "");
  CHECK(max_abs_against_brute_force<FiniteNan>(3, 16) == "");
  CHECK(max_abs_against_brute_force<Finite>(2, 16) == "");
  CHECK(max_abs_against_brute_force<Fnuz>(2, 16) == "");
  CHECK(max_abs_against_brute_force<Original>(2, 16) == "");
  CHECK(max_abs_against_brute_force<Pow2>(1, 8) == "");
  CHECK(max_abs_against_brute_force<Pow2z>(2, 8) == "");
}

TEST_CASE("max_abs at the ends of grids") {
  const rt::Choice rule{.rule = rt::RangeRule::max_abs};
  CHECK(rt::choose<Fixed>(8, range_of({127.0f}), rule) == Fixed(8, 0));
  CHECK(rt::choose<Fixed>(8, range_of({127.5f}), rule) == Fixed(8, 0));  // half a quantum beyond
  CHECK(rt::choose<Fixed>(8, range_of({std::nextafter(127.5f, 128.0f)}), rule) == Fixed(9, -1));
  CHECK(rt::choose<Fixed>(8, range_of({-128.5f}), rule) == Fixed(8, 0));
  CHECK(rt::choose<Fixed>(8, range_of({std::nextafter(-128.5f, -129.0f)}), rule) == Fixed(9, -1));
  CHECK(rt::choose<Unsigned>(8, range_of({255.5f}), rule) == Unsigned(8, 0));
  CHECK(rt::choose<Unsigned>(8, range_of({-100.0f, 1.0f}), rule) == Unsigned(1, 7));  // -100 becomes 0 in any case
  CHECK(rt::choose<Ieee>(16, range_of({65504.0f}), rule) == Ieee(10, 5));
  CHECK(rt::choose<Ieee>(16, range_of({65520.0f}), rule) == Ieee(10, 5));
  CHECK(rt::choose<ToInfinity>(16, range_of({65519.0f}), rule) == ToInfinity(10, 5));
  CHECK(rt::choose<ToInfinity>(16, range_of({65520.0f}), rule) == ToInfinity(9, 6));  // would round to infinity
  CHECK(rt::choose<Ieee>(8, range_of({0.02f}), rule) == Ieee(3, 4));  // fewer exponent bits would trim it to 0
  CHECK(rt::choose<Pow2>(4, range_of({1.0f, 1e-6f}), rule) == Pow2(-7, 0));
  CHECK(rt::choose<Fixed>(8, range_of({checks::smallest_float}), rule) == Fixed(-118, 126));
}

TEST_CASE("what no format of a width reaches is refused: near the largest float, and by narrow minifloats") {
  using enum rt::RangeRule;
  for (const auto rule : {max_abs, percentile, min_mse}) {
    const rt::Choice choice{.rule = rule, .share = 1};
    CHECK(refusal(8, range_of({-1, 3e38f}), choice) ==
          "ristretto::choose: no DynamicFixedPoint with 8 bits reaches from -1 to 3e+38; the widest ends at "
          "1.0062e+31: choose more bits, or scale the values");
    CHECK(checks::contains(refusal(8, range_of({-3e38f, 1}), choice), "reaches from -3e+38 to 1"));
    CHECK(checks::contains(refusal<Unsigned>(8, range_of({3e38f}), choice), "no UnsignedFixedPoint with 8 bits"));
    CHECK(rt::choose<Unsigned>(8, range_of({-3e38f, 1}), choice) == Unsigned(1, 7));  // negative numbers become 0
    CHECK(rt::choose<Fixed>(32, range_of({1.25f * 0x1p126f}), choice) == Fixed(128, -96));
    CHECK(rt::choose<Fixed>(8, range_of({0x1.fep102f}), choice) == Fixed(104, -96));
    // The end of Fixed(104, -96) is 127 * 2^96; half a quantum beyond it is covered.
    const float end = 127.5f * 0x1p96f;
    CHECK(rt::choose<Fixed>(8, range_of({end}), choice) == Fixed(104, -96));
    CHECK(checks::contains(refusal(8, range_of({std::nextafter(end, checks::inf)}), choice), "no DynamicFixedPoint"));
    CHECK(rt::choose<Pow2>(4, range_of({0x1.8p127f}), choice) == Pow2(120, 127));
    CHECK(checks::contains(refusal<Pow2z>(4, range_of({checks::largest_float}), choice), "no PowerOfTwoOrZero"));
    if (rule != min_mse) {
      CHECK(refusal<Finite>(4, range_of({-30, 1}), choice) ==
            "ristretto::choose: no Minifloat with 4 bits reaches from -30 to 1; the widest ends at 16: choose more "
            "bits, or scale the values, or the format by choose_scaled");
    }
  }
  CHECK(rt::choose<Finite>(4, range_of({-30, 1})).largest() == 16);  // the least squared error that there is
  CHECK(rt::choose<Fixed>(8, range_of({3e38f}), {.rule = ristretto2016}) == Fixed(104, -96));
  std::vector<float> few_large(1000, 1.0f);
  few_large.push_back(3e38f);
  CHECK(rt::choose<Fixed>(8, range_of(few_large), {.rule = percentile, .share = 0.99}) == Fixed(2, 6));
}

TEST_CASE("a range of zeros is treated as [-1, 1]") {
  for (const auto rule :
       {rt::RangeRule::max_abs, rt::RangeRule::percentile, rt::RangeRule::min_mse, rt::RangeRule::ristretto2016}) {
    const rt::Choice choice{.rule = rule};
    CHECK(rt::choose<Fixed>(8, range_of({0.0f, -0.0f}), choice) == Fixed(2, 6));
    CHECK(rt::choose<Pow2>(4, range_of({0.0f}), choice) == Pow2(-7, 0));
    CHECK(rt::choose<Ieee>(8, range_of({0.0f}), choice).largest() >= 1);
  }
}

TEST_CASE("percentile covers the given share and no more than that needs") {
  std::vector<float> x;
  for (int k = 1; k <= 1000; ++k) x.push_back(static_cast<float>(k % 2 == 0 ? k : -k) / 1000);
  x.push_back(100.0f);
  const auto chosen = [&](double share) {
    return rt::choose<Fixed>(8, range_of(x), {.rule = rt::RangeRule::percentile, .share = share});
  };
  CHECK(chosen(1.0) == Fixed(8, 0));
  CHECK(chosen(0.999) == Fixed(2, 6));  // 1000 of the 1001 values; the one beyond 1 - 2^-7 is 1
  CHECK(chosen(0.9) == Fixed(1, 7));
  CHECK(chosen(0.49) == Fixed(0, 8));
  CHECK(rt::choose<Fixed>(8, range_of(x), {.rule = rt::RangeRule::max_abs}) == chosen(1.0));
  CHECK(rt::choose<Pow2>(4, range_of(x), {.rule = rt::RangeRule::percentile, .share = 0.9}) == Pow2(-7, 0));
}

TEST_CASE("min_mse is within 2 % of the least squared error: fixed point") {
  CHECK(min_mse_against_brute_force<Fixed>(2, 16) == "");
}
TEST_CASE("min_mse is within 2 % of the least squared error: unsigned fixed point") {
  CHECK(min_mse_against_brute_force<Unsigned>(2, 16) == "");
}
TEST_CASE("min_mse is within 2 % of the least squared error: minifloat") {
  CHECK(min_mse_against_brute_force<Ieee>(3, 16) == "");
  CHECK(min_mse_against_brute_force<ToInfinity>(3, 16) == "");
  CHECK(min_mse_against_brute_force<FiniteNan>(3, 16) == "");
  CHECK(min_mse_against_brute_force<Finite>(2, 16) == "");
  CHECK(min_mse_against_brute_force<Fnuz>(2, 16) == "");
  CHECK(min_mse_against_brute_force<Original>(2, 16) == "");
}
TEST_CASE("min_mse is within 2 % of the least squared error: power of two") {
  CHECK(min_mse_against_brute_force<Pow2>(2, 8) == "");
  CHECK(min_mse_against_brute_force<Pow2z>(2, 8) == "");
}

TEST_CASE("min_mse leaves numbers on the grid that they have") {
  std::vector<float> x;
  for (int k = 0; k <= 128; ++k) x.push_back(static_cast<float>(k));
  CHECK(rt::choose<Unsigned>(8, range_of(x)) == Unsigned(8, 0));  // Unsigned(7, 1) would only lose the 128
  CHECK(rt::choose<Fixed>(9, range_of(x)) == Fixed(9, 0));
  for (float& value : x) value *= -0x1p-20f;
  CHECK(rt::choose<Fixed>(8, range_of(x)) == Fixed(-12, 20));
  rt::Range pieces = range_of(std::span(x).first(100));
  pieces.merge(range_of(std::span(x).subspan(100)));
  CHECK(rt::choose<Fixed>(8, pieces) == Fixed(-12, 20));

  CHECK(grids_that_are_lost<Fixed>(1, 32) == "");
  CHECK(grids_that_are_lost<Unsigned>(1, 32) == "");
  CHECK(grids_that_are_lost<Ieee>(3, 32) == "");
  CHECK(grids_that_are_lost<ToInfinity>(3, 32) == "");
  CHECK(grids_that_are_lost<FiniteNan>(3, 32) == "");
  CHECK(grids_that_are_lost<Finite>(2, 32) == "");
  CHECK(grids_that_are_lost<Fnuz>(2, 32) == "");
  CHECK(grids_that_are_lost<Original>(2, 32) == "");
  CHECK(grids_that_are_lost<Pow2>(1, 8) == "");
  CHECK(grids_that_are_lost<Pow2z>(2, 8) == "");
}

TEST_CASE("min_mse finds a grid twelve octaves below the largest value") {
  // Numbers all over (-0.89, 0.89), and one far beyond that is not worth the grid which covers it.
  std::vector<float> x;
  for (int k = -511; k <= 511; k += 2) x.push_back(static_cast<float>(k) * 0.00173f);
  for (int octaves = 0; octaves <= 12; ++octaves) {
    rt::Range range = range_of(x);
    double times = 1;
    for (; times < 100 * std::ldexp(1.0, 2 * octaves); times *= 2) range.merge(range);
    const float far = std::ldexp(0.9f, octaves);
    range.observe({&far, 1});
    const Fixed near = rt::choose<Fixed>(4, range_of(x)), chosen = rt::choose<Fixed>(4, range);
    const Fixed covering = rt::choose<Fixed>(4, range, {.rule = rt::RangeRule::max_abs});
    CAPTURE(octaves, rt::to_string(chosen));
    CHECK(covering.fractional_length() == 3 - octaves);
    CHECK(chosen == near);
    double least = HUGE_VAL;
    const auto error = [&](const Fixed& f) { return times * squared_error(x, f) + squared_error({&far, 1}, f); };
    for (const Fixed& f : all_of_width<Fixed>(4)) least = std::min(least, error(f));
    CHECK(error(chosen) == least);
  }
}

TEST_CASE("min_mse knows the ends of the range exactly") {
  auto x = real_looking_data(1.0, 100'000)[2].x;
  for (const float end : {4.001f, 4.01f, 4.02f, 4.03f, -4.03f}) {
    x.back() = end;
    const double error = squared_error(x, rt::choose<Fixed>(16, range_of(x)));
    CHECK(error <= 1.02 * squared_error(x, Fixed(3, 13)));
    CHECK(error <= 1.02 * squared_error(x, Fixed(4, 12)));
  }
}

TEST_CASE("min_mse clips an outlier where that pays") {
  auto x = real_looking_data(1.0)[0].x;
  x.push_back(20.0f);
  const Fixed fixed = rt::choose<Fixed>(4, range_of(x));
  CHECK(fixed.largest() < 20);
  CHECK(squared_error(x, fixed) <
        squared_error(x, rt::choose<Fixed>(4, range_of(x), {.rule = rt::RangeRule::max_abs})));
}

TEST_CASE("the original's integer length is the logarithm of the maximum, rounded up; one more for parameters") {
  using enum rt::Role;
  CHECK(original<Fixed>(8, 3.0f) == Fixed(2, 6));
  CHECK(original<Fixed>(8, 3.0f, parameters) == Fixed(3, 5));
  CHECK(original<Fixed>(8, 0.3f) == Fixed(-1, 9));
  CHECK(original<Fixed>(4, 1000.0f) == Fixed(10, -6));
  for (int e = -100; e <= 90; ++e) {
    const float power = std::ldexp(1.0f, e);
    CHECK(original_integer_length(power, activations) == e);
    CHECK(original_integer_length(std::nextafter(power, checks::inf), activations) == e + 1);
    CHECK(original_integer_length(std::nextafter(power, 0.0f), activations) == e);
    CHECK(original_integer_length(-power, parameters) == e + 1);
  }
  CHECK(original<Fixed>(8, checks::largest_float) == Fixed(104, -96));  // the formats have ends, too
  CHECK(original<Fixed>(8, checks::smallest_float) == Fixed(-118, 126));
}

TEST_CASE("the original's exponent bits are ceil(log2(log2 max - 1) + 1), at least 4") {
  CHECK(original<Ieee>(8, 1.0f) == Ieee(3, 4));
  CHECK(original<Ieee>(8, 2.0f) == Ieee(3, 4));
  CHECK(original<Ieee>(16, 0.001f) == Ieee(11, 4));
  CHECK(original<Ieee>(16, 512.0f) == Ieee(11, 4));
  CHECK(original<Ieee>(16, std::nextafter(512.0f, 513.0f)) == Ieee(10, 5));
  CHECK(original<Ieee>(16, 0x1p17f) == Ieee(10, 5));
  CHECK(original<Ieee>(16, 0x1.000002p17f) == Ieee(9, 6));
  CHECK(original<Original>(16, checks::largest_float) == Original(7, 8));
  for (int exponent = 2; exponent < 128; ++exponent) {
    for (const double x : {std::ldexp(1.0, exponent), std::ldexp(1.3, exponent), std::ldexp(1.99, exponent)}) {
      const int formula = static_cast<int>(std::ceil(std::log2(std::log2(x) - 1) + 1));
      CHECK(original<Original>(16, static_cast<float>(x)).exponent_bits() == std::max(4, formula));
    }
  }
}

TEST_CASE("the original's powers of two with 4 bits are those from 2^-8 to 2^-1") {
  CHECK(original<Pow2>(4, 0.25f) == Pow2(-8, -1));
  CHECK(original<Pow2>(4, 1000.0f) == Pow2(-8, -1));
  CHECK(original<Pow2>(1, 1.0f) == Pow2(-1, -1));
  for (int bits = 1; bits <= 8; ++bits) CHECK(original<Pow2>(bits, 1.0f).bits() == bits);
  for (int bits = 2; bits <= 8; ++bits) CHECK(original<Pow2z>(bits, 1.0f).bits() == bits);
}

// The formats that the original tool wrote for LeNet (MNIST), from the largest magnitudes of its layers: fl_layer_in,
// fl_layer_out and fl_params of lenet_quantized_dynamic_fixed_point.prototxt in the repository jazzseow/caffe,
// commit aaf2a6d3; the magnitudes are those of the first 640 training images and of lenet_iter_10000.caffemodel.
TEST_CASE("the original's rule gives the formats that the original tool wrote for LeNet") {
  struct Layer {
    const char* name;
    float in, out, parameters;
    int bits_in, bits_out, bits_parameters;
    int fl_in, fl_out, fl_parameters;
  };
  const auto layer = GENERATE(Layer{"conv1", 0.99609375f, 3.44131422f, 0.532716513f, 4, 4, 2, 4, 2, 1},
                              Layer{"conv2", 3.44131422f, 14.1433773f, 0.219388187f, 4, 4, 2, 2, 0, 3},
                              Layer{"ip1", 11.696249f, 13.7407856f, 0.102874152f, 4, 4, 4, 0, 0, 6},
                              Layer{"ip2", 13.6332827f, 30.0222168f, 0.265515715f, 4, 4, 4, 0, -1, 4});
  INFO(layer.name);
  const auto fl = [](int bits, float max_abs, rt::Role role) {
    const Fixed f = original<Fixed>(bits, max_abs, role);
    CHECK(f.bits() == bits);
    return f.fractional_length();
  };
  CHECK(fl(layer.bits_in, layer.in, rt::Role::activations) == layer.fl_in);
  CHECK(fl(layer.bits_out, layer.out, rt::Role::activations) == layer.fl_out);
  CHECK(fl(layer.bits_parameters, layer.parameters, rt::Role::parameters) == layer.fl_parameters);
}

TEST_CASE("what cannot be chosen is refused with the thing, the value and the remedy") {
  const rt::Range good = range_of({1.0f});
  CHECK(refusal(8, rt::Range{}) ==
        "ristretto::choose: the range for DynamicFixedPoint with 8 bits is empty; observe values first");
  rt::Range empty_tensor;
  empty_tensor.observe({});
  CHECK(checks::contains(refusal(8, empty_tensor), "is empty; observe values first"));
  CHECK(refusal(8, range_of({1.0f, checks::quiet_nan, checks::inf, -checks::inf})) ==
        "ristretto::choose: the range of DynamicFixedPoint with 8 bits holds 1 NaN and 2 infinities; observe finite "
        "values only");
  CHECK(refusal(0, good) == "ristretto::choose: there is no DynamicFixedPoint with 0 bits; choose another width");
  CHECK(checks::contains(refusal(-5, good), "-5 bits"));
  CHECK(checks::contains(refusal(33, good), "33 bits"));
  CHECK(checks::contains(refusal<Unsigned>(33, good), "there is no UnsignedFixedPoint with 33 bits"));
  CHECK(checks::contains(refusal<Ieee>(2, good), "there is no Minifloat with 2 bits"));
  CHECK(checks::contains(refusal<Ieee>(33, good), "there is no Minifloat with 33 bits"));
  CHECK(checks::contains(refusal<FiniteNan>(2, good), "there is no Minifloat with 2 bits"));
  CHECK(checks::contains(refusal<Pow2>(9, good), "there is no PowerOfTwo with 9 bits"));
  CHECK(checks::contains(refusal<Pow2z>(1, good), "there is no PowerOfTwoOrZero with 1 bits"));
  for (const double share : {0.0, -0.5, 1.5, std::nan("")}) {
    const std::string message = refusal(8, good, {.rule = rt::RangeRule::percentile, .share = share});
    CHECK(checks::contains(message, "the share of values to cover is " + std::to_string(share)));
    CHECK(checks::contains(message, "choose one in (0, 1]"));
  }
  const std::string too_narrow = refusal<Ieee>(4, good, {.rule = rt::RangeRule::ristretto2016});
  CHECK(
      too_narrow ==
      "ristretto::choose: the rule ristretto2016 gives Minifloat 4 exponent bits, which do not go with 4 bits; choose "
      "another width or rule");
}
