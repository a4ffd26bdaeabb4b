// SPDX-License-Identifier: MIT
// Ranges and the choice of formats: streams, quantiles, every rule against a brute-force search, the original's
// numbers.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/range.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

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

rt::Range range_of(std::span<const float> x) {
  rt::Range range;
  range.observe(x);
  return range;
}
rt::Range range_of(std::initializer_list<float> x) { return range_of(std::span<const float>(x.begin(), x.size())); }

bool equal(const rt::Range& a, const rt::Range& b) {
  return checks::same(a.min(), b.min()) && checks::same(a.max(), b.max()) &&
         std::ranges::equal(a.histogram(), b.histogram());
}

/// A tensor such as networks have them.
struct Data {
  std::string name;
  std::vector<float> x;
};

std::vector<Data> real_looking_data(double scale, std::size_t n = 4096) {
  std::mt19937 bits(7);
  const auto uniform = [&] { return (static_cast<double>(bits()) + 0.5) * 0x1p-32; };
  const auto normal = [&] { return std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()); };
  const auto laplace = [&] { return std::log(uniform()) * (uniform() < 0.5 ? 1 : -1); };
  std::vector<Data> all = {{"normal", {}}, {"Laplace", {}}, {"uniform", {}}, {"after a ReLU", {}}};
  for (std::size_t k = 0; k < n; ++k) {
    all[0].x.push_back(static_cast<float>(scale * normal()));
    all[1].x.push_back(static_cast<float>(scale * laplace()));
    all[2].x.push_back(static_cast<float>(scale * (2 * uniform() - 1)));
    all[3].x.push_back(static_cast<float>(scale * std::max(0.0, normal())));
  }
  return all;
}

template <class F>
double squared_error(std::span<const float> x, const F& format) {
  std::vector<float> trimmed(x.size());
  rt::trim(x, std::span<float>(trimmed), rt::Trimmer{format});
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double error = static_cast<double>(trimmed[k]) - static_cast<double>(x[k]);
    sum += error * error;
  }
  return sum;
}

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

template <class F>
std::string max_abs_against_brute_force(int first, int last) {
  for (int bits = first; bits <= last; ++bits) {
    for (const double scale : {0.003, 1.0, 50.0}) {
      for (const Data& data : real_looking_data(scale, 500)) {
        const F chosen = rt::choose<F>(bits, range_of(data.x), {.rule = rt::RangeRule::max_abs});
        const auto covers = covering(all_of_width<F>(bits), data.x);
        const std::string which = data.name + " * " + std::to_string(scale) + ": " + rt::to_string(chosen);
        if (chosen.bits() != bits) return which + " has another width than " + std::to_string(bits);
        if (covers.empty()) {
          const auto all = all_of_width<F>(bits);
          const float most = std::ranges::max(all, {}, [](const F& f) { return f.largest(); }).largest();
          if (chosen.largest() != most) return which + " does not cover, and others cover more";
        } else {
          if (std::ranges::find(covers, chosen) == covers.end()) return which + " does not cover";
          if (!is_finest(covers, chosen, range_of(data.x).max_abs())) return which + " is not the finest";
        }
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
        const F chosen = rt::choose<F>(bits, range_of(data.x));
        double best = HUGE_VAL;
        for (const F& f : all_of_width<F>(bits)) best = std::min(best, squared_error(data.x, f));
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

template <class F>
F original(int bits, float max_abs, rt::Role role = rt::Role::activations) {
  return rt::choose<F>(bits, range_of({max_abs}), {.rule = rt::RangeRule::ristretto2016, .role = role});
}
int original_integer_length(float max_abs, rt::Role role) { return original<Fixed>(8, max_abs, role).integer_length(); }

template <class F = Fixed>
std::string refusal(int bits, const rt::Range& range, const rt::Choice& choice = {}) {
  return checks::message_of<std::invalid_argument>([&] { rt::choose<F>(bits, range, choice); });
}

}  // namespace

TEST_CASE("a stream of pieces gives the range of the whole") {
  const auto x = checks::special_floats();
  const rt::Range whole = range_of(x);
  for (const std::size_t piece : {1u, 3u, 17u, 1000u}) {
    rt::Range streamed;
    for (std::size_t k = 0; k < x.size(); k += piece) {
      streamed.observe(std::span(x).subspan(k, std::min(piece, x.size() - k)));
    }
    CHECK(equal(streamed, whole));
  }
}

TEST_CASE("the order of values, pieces and merges does not matter") {
  auto x = checks::special_floats();
  const rt::Range whole = range_of(x);
  std::mt19937 bits(1);
  for (int repeat = 0; repeat < 10; ++repeat) {
    std::shuffle(x.begin(), x.end(), bits);
    std::vector<rt::Range> pieces(5);
    for (std::size_t k = 0; k < x.size(); ++k) pieces[bits() % 4].observe(std::span(x).subspan(k, 1));
    std::shuffle(pieces.begin(), pieces.end(), bits);  // the fifth is empty
    rt::Range merged;
    for (const auto& piece : pieces) merged.merge(piece);
    CHECK(equal(merged, whole));
  }
  CHECK(checks::same(range_of({0.0f, -0.0f}).min(), range_of({-0.0f, 0.0f}).min()));
  CHECK(checks::same(range_of({-0.0f}).max_abs(), 0.0f));
  rt::Range twice = range_of({1.0f, -2.0f});
  twice.merge(twice);
  CHECK(twice.count() == 4);
}

TEST_CASE("a range counts values, NaN and infinities, and keeps its ends from them") {
  const rt::Range r = range_of(
      {1.0f, checks::quiet_nan, -3.5f, checks::inf, -checks::inf, checks::quiet_nan, -checks::quiet_nan, 0.0f});
  CHECK(r.count() == 3);
  CHECK(r.nan_count() == 3);
  CHECK(r.infinite_count() == 2);
  CHECK(r.min() == -3.5f);
  CHECK(r.max() == 1.0f);
  CHECK(r.max_abs() == 3.5f);

  const rt::Range nothing;
  CHECK(nothing.count() == 0);
  CHECK(nothing.min() == 0);
  CHECK(nothing.max() == 0);
  CHECK(nothing.magnitude_quantile(0.5) == 0);
  CHECK(nothing.share_beyond(-1, 1) == 0);
  CHECK(range_of({checks::quiet_nan, -checks::inf}).max_abs() == 0);
  CHECK(range_of({checks::largest_float, -checks::largest_float}).max_abs() == checks::largest_float);
  CHECK(range_of({checks::smallest_float}).max() == checks::smallest_float);
}

namespace {

/// Whether the ends and the largest magnitude of x are these, to the bit.
bool has_ends(std::span<const float> x, float min, float max) {
  const rt::MinMax ends = rt::min_max(x);
  return checks::same(ends.min, min) && checks::same(ends.max, max) &&
         checks::same(rt::max_abs(x), std::max(std::abs(min), std::abs(max)));
}
bool has_ends(std::initializer_list<float> x, float min, float max) {
  return has_ends(std::span<const float>(x.begin(), x.size()), min, max);
}

/// Repeats a value so often that every lane sees it.
bool has_ends_repeated(float x, float min, float max) {
  bool all = true;
  for (std::size_t length = 1; length <= 300; ++length) {
    all = all && has_ends(std::vector<float>(length, x), min, max);
  }
  return all;
}

}  // namespace

TEST_CASE("min_max and max_abs are of the finite values; zeros when there is none") {
  CHECK(has_ends({}, 0, 0));
  CHECK(has_ends({checks::quiet_nan, checks::inf, -checks::inf}, 0, 0));
  CHECK(has_ends({checks::quiet_nan, 3.5f, checks::inf}, 3.5f, 3.5f));
  CHECK(has_ends({checks::quiet_nan, -3.5f, -checks::inf}, -3.5f, -3.5f));
  CHECK(has_ends({-2.0f, -3.5f, -2.5f}, -3.5f, -2));
  CHECK(has_ends({2.0f, 3.5f, 2.5f}, 2, 3.5f));
  CHECK(has_ends({-0.0f, 1.0f}, 0, 1));
  CHECK(has_ends({-1.0f, -0.0f}, -1, 0));
  CHECK(has_ends({0.0f, -0.0f, 0.0f}, 0, 0));
  CHECK(has_ends({-checks::largest_float, checks::smallest_float}, -checks::largest_float, checks::smallest_float));
  CHECK(has_ends_repeated(-0.0f, 0, 0));
  CHECK(has_ends_repeated(checks::quiet_nan, 0, 0));
  CHECK(has_ends_repeated(checks::inf, 0, 0));
  CHECK(has_ends_repeated(-checks::inf, 0, 0));
  CHECK(has_ends_repeated(0.75f, 0.75f, 0.75f));
  CHECK(has_ends_repeated(-checks::smallest_float, -checks::smallest_float, -checks::smallest_float));
  CHECK(has_ends_repeated(-checks::largest_float, -checks::largest_float, -checks::largest_float));
}

TEST_CASE("min_max finds the ends at every place of every length, beside NaN and infinities") {
  constexpr float others[] = {0.5f, checks::quiet_nan, -0.25f, checks::inf, -0.0f, -checks::inf, -checks::quiet_nan};
  bool all_found = true;
  for (std::size_t length = 2; length <= 300; ++length) {
    std::vector<float> x;
    for (std::size_t k = 0; k < length; ++k) x.push_back(others[k % std::size(others)]);
    for (std::size_t place = 0; place < length; ++place) {
      const std::size_t other_place = (place + 1 + place % (length - 1)) % length;
      const float before = std::exchange(x[place], -7.0f);
      const float other_before = std::exchange(x[other_place], 5.0f);
      all_found = all_found && has_ends(x, -7, 5);
      std::swap(x[place], x[other_place]);
      all_found = all_found && has_ends(x, -7, 5);
      x[place] = before;
      x[other_place] = other_before;
    }
  }
  CHECK(all_found);
}

TEST_CASE("min_max and max_abs are what a range has seen") {
  checks::Patterns patterns;
  checks::Disagreements found;
  for (std::size_t length = 0; length <= 2000; length += 1 + length / 40) {
    std::vector<float> x(length);
    for (float& value : x)
      value = length % 2 == 0 ? patterns.next_float() : 0x1p-32f * static_cast<float>(patterns.next()) - 0.5f;
    const rt::Range range = range_of(x);
    found.compare("min", static_cast<float>(length), rt::min_max(x).min, range.min());
    found.compare("max", static_cast<float>(length), rt::min_max(x).max, range.max());
    found.compare("max_abs", static_cast<float>(length), rt::max_abs(x), range.max_abs());
  }
  const std::vector<float> special = checks::special_floats();
  found.compare("max_abs of special values", 0.0f, rt::max_abs(special), range_of(special).max_abs());
  CHECK(found.report() == "");
}

TEST_CASE("the memory of a range is bounded") {
  rt::Range r;
  checks::Patterns patterns;
  std::vector<float> x(1 << 12);
  for (int repeat = 0; repeat < 20; ++repeat) {
    for (float& value : x) value = patterns.next_float();
    r.observe(x);
  }
  CHECK(r.histogram().size_bytes() == 512 << 10);
  CHECK(r.count() + r.nan_count() + r.infinite_count() == 20 * x.size());
}

TEST_CASE("quantiles are those of the sorted magnitudes, to a bin") {
  for (const Data& data : real_looking_data(3.0)) {
    const rt::Range r = range_of(data.x);
    auto sorted = data.x;
    for (float& value : sorted) value = std::abs(value);
    std::ranges::sort(sorted);
    for (const double share : {0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
      const float exact = sorted[std::max<std::size_t>(rank, 1) - 1];
      CHECK(r.magnitude_quantile(share) >= exact);
      CHECK(r.magnitude_quantile(share) <= exact * (1 + 1.0f / 128) + 1e-30f);
    }
    CHECK(r.magnitude_quantile(1) == r.max_abs());
  }
  CHECK(range_of({-4.0f}).magnitude_quantile(0) == 4);
}

TEST_CASE("the share beyond an interval is that of the values outside, to a bin") {
  const rt::Range r = range_of({-3.0f, -1.0f, 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, checks::quiet_nan, checks::inf});
  CHECK(r.share_beyond(-1, 1) == 3.0 / 7);
  CHECK(r.share_beyond(-3, 2) == 0);
  CHECK(r.share_beyond(-0.5f, 0.25f) == 6.0 / 7);
}

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
  CHECK(rt::choose<Fixed>(8, range_of({checks::largest_float}), rule) == Fixed(104, -96));
  CHECK(rt::choose<Fixed>(8, range_of({checks::smallest_float}), rule) == Fixed(-118, 126));
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

TEST_CASE("a scaled format is that of least error among all scales and shapes") {
  const std::vector<rt::AnyFormat> fixed{rt::DynamicFixedPoint{1, 3}};
  const std::vector<rt::AnyFormat> powers{rt::PowerOfTwoOrZero{-6, 0}};
  std::vector<rt::AnyFormat> minifloats;
  for (int e = 1; e <= 4; ++e) minifloats.push_back(Finite(5 - e, e));
  for (const double scale : {1e-6, 1.0, 3000.0}) {
    for (const Data& data : real_looking_data(scale)) {
      CAPTURE(data.name, scale);
      for (const auto& shapes : {fixed, powers, minifloats}) {
        const rt::AnyFormat chosen = rt::choose_scaled(shapes, range_of(data.x));
        double least = std::numeric_limits<double>::infinity();
        for (const rt::AnyFormat& shape : shapes) {
          for (int e = -40; e <= 30; ++e) {
            least = std::min(least, shape.scaled(e).visit([&](const auto& f) { return squared_error(data.x, f); }));
          }
        }
        const double error = chosen.visit([&](const auto& f) { return squared_error(data.x, f); });
        CHECK(error <= least * 1.02);  // the range is a histogram

        const rt::RowFormats rows = rt::choose_rows(shapes, data.x, 1);  // exact
        const rt::AnyFormat row = rows.format.scaled(rows.shifts.at(0));
        CHECK(row.visit([&](const auto& f) { return squared_error(data.x, f); }) <= least * (1 + 1e-9));
      }
    }
  }
}

TEST_CASE("rows get scales of their own, and one shape") {
  std::vector<float> x;
  for (int r = 0; r < 4; ++r) {
    for (int k = 0; k < 50; ++k) x.push_back(std::ldexp(static_cast<float>(k - 25) / 26, 3 * r));
  }
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 4}};
  for (const auto rule : {rt::RangeRule::min_mse, rt::RangeRule::max_abs, rt::RangeRule::percentile}) {
    const rt::RowFormats rows = rt::choose_rows(shapes, x, 4, {.rule = rule, .share = 1});
    CHECK(rows.format == shapes[0]);
    CHECK(rows.shifts == std::vector<int>{0, 3, 6, 9});
  }
  const rt::RowFormats clipped = rt::choose_rows(shapes, x, 4, {.rule = rt::RangeRule::percentile, .share = 0.4});
  CHECK(clipped.shifts == std::vector<int>{-1, 2, 5, 8});
  CHECK(rt::choose_rows(shapes, std::vector<float>(6), 2).shifts == std::vector<int>{0, 0});  // zeros

  CHECK(rt::choose_scaled(shapes, range_of({-0.9f, 0.9f}), {.rule = rt::RangeRule::max_abs}) == shapes[0]);
  CHECK(rt::choose_scaled(shapes, range_of({-7.9f, 0.9f}), {.rule = rt::RangeRule::max_abs}) == shapes[0].scaled(3));
}

TEST_CASE("where no scale suits, the nearest that there is does") {
  // Smaller than any scale goes, larger than it goes, and formats with one scale only.
  const std::vector<float> x{0.5f, 0.25f, 1e-40f, 2e-40f, 3e38f, 1e38f};
  for (const rt::AnyFormat shape : {rt::AnyFormat(rt::DynamicFixedPoint{1, 3}), rt::AnyFormat(rt::BFloat16{}),
                                    rt::AnyFormat(rt::Minifloat{3, 7}), rt::AnyFormat(rt::PowerOfTwoOrZero{-126, 0})}) {
    for (const auto rule : {rt::RangeRule::min_mse, rt::RangeRule::max_abs, rt::RangeRule::percentile}) {
      CAPTURE(to_string(shape), static_cast<int>(rule));
      const rt::RowFormats rows = rt::choose_rows(std::span(&shape, 1), x, 3, {.rule = rule});
      REQUIRE(rows.shifts.size() == 3);
      for (const int shift : rows.shifts) CHECK(shape.can_scale(shift));
    }
  }
  const rt::AnyFormat fixed = rt::DynamicFixedPoint{1, 3};
  CHECK(rt::choose_rows(std::span(&fixed, 1), x, 3).shifts == std::vector<int>{0, -123, 99});
  // A format that cannot be scaled competes as it is.
  const std::vector<rt::AnyFormat> both{fixed, rt::BFloat16{}};
  CHECK(rt::choose_scaled(both, range_of({0.5f, 1.015625f, 2, 3})) == both[1]);
}

TEST_CASE("what has no scale is refused") {
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 4}};
  const auto refusal = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  CHECK(checks::contains(refusal([&] { rt::choose_scaled({}, range_of({1.0f})); }), "no format"));
  CHECK(checks::contains(refusal([&] { rt::choose_scaled(shapes, {}); }), "0 finite values"));
  CHECK(checks::contains(refusal([&] { rt::choose_scaled(shapes, range_of({1.0f, checks::inf})); }), "1 others"));
  CHECK(checks::contains(
      refusal([&] { rt::choose_scaled(shapes, range_of({1.0f}), {.rule = rt::RangeRule::ristretto2016}); }),
      "ristretto2016"));
  const std::vector<float> five(5, 1.0f), bad{1.0f, checks::quiet_nan};
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 2); }), "5 numbers are no 2 rows"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 0); }), "no 0 rows"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, bad, 1); }), "NaN"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 1, {.share = 0}); }), "share"));
}
