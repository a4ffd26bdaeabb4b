// SPDX-License-Identifier: MIT
// Chooses a format of a given bit width for what was observed.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/range.hpp>
#include <ristretto/span.hpp>

namespace ristretto {

/// How the parameters of a format are chosen for a width.
enum class RangeRule {
  max_abs,        ///< the finest grid that covers every value (to half a quantum beyond its ends)
  percentile,     ///< the finest grid that covers the given share of the values
  min_mse,        ///< the grid with the least mean squared error
  ristretto2016,  ///< the rule of the original tool
};

/// What a tensor is in a network; the original's rule treats the two differently.
enum class Role { activations, parameters };

/// How to choose a format.
struct Choice {
  RangeRule rule = RangeRule::min_mse;
  Role role = Role::activations;
  double share = 0.9999;  ///< for percentile: of the values that the grid covers, in (0, 1]
};

namespace detail {

/// Formats of the family of F with a width, each covering more than the one before. size() == 0: there is none.
/// may_saturate: whether min_mse may take one that does not cover. Only numbers near the largest float lie beyond all
/// fixed-point formats and powers of two, but minifloats have one scale only.
template <class F>
struct Family;

template <class F, class Make>
std::vector<F> candidates(int from, int to, Make make) {
  std::vector<F> all;
  for (int parameter = from; parameter <= to; ++parameter) all.push_back(make(parameter));
  return all;
}

/// ceil(log2 x) for finite x > 0. Exact, where std::log2 of a float rounds down to 10 just above 1024.
inline int ceil_log2(float x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5f ? exponent - 1 : exponent;
}

template <class F>
struct FixedPointFamily {
  static constexpr bool may_saturate = false;
  static constexpr const char* remedy = "choose more bits, or scale the values";
  static std::vector<F> of_width(int bits) {
    if (!within(bits, 1, 32)) return {};
    return candidates<F>(-126, 96, [bits](int negative_fl) { return F(bits + negative_fl, -negative_fl); });
  }
  /// "No saturation" for parameters; large activations saturate on purpose: no integer bit for the sign.
  static F original(int bits, const Range& range, Role role) {
    const int il = ceil_log2(range.max_abs()) + (role == Role::parameters ? 1 : 0);
    const int fl = std::clamp(bits - il, -96, 126);
    return F(bits - fl, fl);
  }
};
template <>
struct Family<DynamicFixedPoint<>> : FixedPointFamily<DynamicFixedPoint<>> {
  static constexpr const char* name = "DynamicFixedPoint";
};
template <>
struct Family<UnsignedFixedPoint<>> : FixedPointFamily<UnsignedFixedPoint<>> {
  static constexpr const char* name = "UnsignedFixedPoint";
};

template <Encoding encoding, Overflow overflow>
struct Family<Minifloat<runtime, runtime, encoding, overflow>> {
  using F = Minifloat<runtime, runtime, encoding, overflow>;
  static constexpr const char* name = "Minifloat";
  static constexpr bool may_saturate = overflow == Overflow::saturate;
  static constexpr const char* remedy = "choose more bits, or scale the values, or the format by choose_scaled";

  static std::vector<F> of_width(int bits) {
    const int most = bits - 1 - (encoding == Encoding::finite_nan ? 1 : 0);
    const int least = std::max(encoding == Encoding::ieee ? 2 : 1, bits - 1 - 23);
    return candidates<F>(least, std::min(8, most), [bits](int e) { return F(bits - 1 - e, e); });
  }
  /// Exponent bits for the largest activation of the net, and at least 4; hand it the merged range of all of them.
  static F original(int bits, const Range& range, Role) {
    int e = 4;  // ceil(log2(log2(max) - 1) + 1), exactly: the least e with max <= 2^(2^(e-1) + 1)
    while (e < 8 && range.max_abs() > power_of_two<float>((1 << (e - 1)) + 1)) ++e;
    const auto formats = of_width(bits);
    const auto found = std::find_if(formats.begin(), formats.end(), [e](F f) { return f.exponent_bits() == e; });
    if (found == formats.end()) {
      detail::raise<std::invalid_argument>("ristretto::choose: the rule ristretto2016 gives Minifloat " +
                                           std::to_string(e) + " exponent bits, which do not go with " +
                                           std::to_string(bits) + " bits; choose another width or rule");
    }
    return *found;
  }
};

template <class F, bool Zero>
struct PowersOfTwoFamily {
  static constexpr bool may_saturate = false;
  static constexpr const char* remedy = "choose more bits, or scale the values";
  static std::vector<F> of_width(int bits) {
    if (!within(bits, Zero ? 2 : 1, 8)) return {};
    return candidates<F>(-126 + span(bits), 127, [bits](int max) { return F(max - span(bits), max); });
  }
  /// Exponents -8 to -1 with 4 bits and no zero, whatever the range.
  static F original(int bits, const Range&, Role) { return F(std::max(-1 - span(bits), -126), -1); }
  /// Max - Min of the widest format with these bits.
  static constexpr int span(int bits) { return (1 << (bits - 1)) - (Zero ? 2 : 1); }
};
template <>
struct Family<PowerOfTwo<>> : PowersOfTwoFamily<PowerOfTwo<>, false> {
  static constexpr const char* name = "PowerOfTwo";
};
template <>
struct Family<PowerOfTwoOrZero<>> : PowersOfTwoFamily<PowerOfTwoOrZero<>, true> {
  static constexpr const char* name = "PowerOfTwoOrZero";
};

/// Whether x lies within the ends of the format, or beyond by at most half a quantum without becoming infinite.
template <class F>
bool covers(const F& format, float x) {
  if (format.lowest() <= x && x <= format.largest()) return true;
  const float trimmed = Trimmer{format}(x);
  return std::abs(trimmed - x) <= format.quantum(format.saturate(x)) / 2;
}

/// The finest of the formats that cover [low, high] and zero, or formats.size(). Finest: with the least quantum at the
/// ends and, among those, at zero. A format without negative numbers need not cover low.
template <class F>
std::size_t finest_that_covers(const std::vector<F>& formats, float low, float high) {
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  const float end = std::max(-low, high);
  const auto fineness = [end](const F& f) {
    return std::pair(f.quantum(f.saturate(end)), f.quantum(f.saturate(0.0f)));
  };
  std::size_t finest = formats.size();
  for (std::size_t k = 0; k < formats.size(); ++k) {
    if (!covers(formats[k], high) || (formats[k].lowest() < 0 && !covers(formats[k], low))) continue;
    if (finest == formats.size() || fineness(formats[k]) < fineness(formats[finest])) finest = k;
  }
  return finest;
}

/// Values that stand for those of a range: its ends, and a few of every bin in use, weighted by what the bin holds.
/// They have the digits of its values only, so that a format that holds all of these has no error: of whole numbers
/// from 0 to 128 the bin of 65 gives four times 65, and not 65.1 to 65.4.
struct Sample {
  std::vector<float> value;
  std::vector<double> weight;

  void add(float v, double w) {
    value.push_back(v);
    weight.push_back(w);
  }
};
inline Sample sample(const Range& range) {
  constexpr std::uint32_t log2_per_bin = 2;
  const Digits digits = range.digits();
  Sample s;
  std::vector<std::uint64_t> held(range.histogram().begin(), range.histogram().end());
  for (const float end : {range.min(), range.max()}) {  // known exactly, and what clipping costs most
    std::uint64_t& others = held[Ops<float>::bits(end) >> 16];
    if (others == 0) continue;  // min is max, or the zero is -0
    s.add(end, 1);
    --others;
  }
  for (std::uint32_t b = 0; b < Range::bins; ++b) {
    if (held[b] == 0) continue;
    for (std::uint32_t k = b << log2_per_bin; k < (b + 1) << log2_per_bin; ++k) {
      // k says which part of which bin; its multiple of the golden ratio where in that part. Evenly spaced values would
      // lie on the grids of wide formats and have no error.
      const float inside = Ops<float>::from_bits(k << (16 - log2_per_bin) | (k * 0x9E3779B9) >> (16 + log2_per_bin));
      s.add((b & 0x7FFF) == 0 ? 0.0f : std::clamp(digits.truncated(inside), range.min(), range.max()),
            static_cast<double>(held[b]) / (1 << log2_per_bin));
    }
  }
  return s;
}

template <class Arch, class F>
double squared_error(const Sample& s, const F& format, std::vector<float>& scratch) {
  scratch.resize(s.value.size());
  trim<Arch>(std::span<const float>(s.value), std::span<float>(scratch), Trimmer{format});
  double sum = 0;
  for (std::size_t k = 0; k < scratch.size(); ++k) {
    const double error = static_cast<double>(scratch[k]) - static_cast<double>(s.value[k]);
    sum += s.weight[k] * error * error;
  }
  return sum;
}

/// The format with the least error among those near `start`; another one must be truly better, by more than the
/// rounding of these sums, which differs between instruction sets.
template <class Arch, class F>
F least_squares(const std::vector<F>& formats, std::size_t start, const Range& range) {
  constexpr std::size_t reach = 12;  // octaves below the largest value; no good grid is narrower
  const Sample s = sample(range);
  std::vector<float> scratch;
  std::size_t best = start;
  double best_error = squared_error<Arch>(s, formats[start], scratch);
  const std::size_t first = start > reach ? start - reach : 0;
  const std::size_t last = std::min(formats.size() - 1, start + reach);
  for (std::size_t k = first; k <= last; ++k) {
    const double error = squared_error<Arch>(s, formats[k], scratch);
    if (error < best_error * (1 - 1e-9)) {
      best = k;
      best_error = error;
    }
  }
  return formats[best];
}

inline std::string to_text(float x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(x));
  return text;
}

inline void check_observed(const Range& range, const std::string& at_width) {
  const std::uint64_t nan = range.nan_count(), infinite = range.infinite_count();
  if (nan + infinite > 0) {
    detail::raise<std::invalid_argument>("ristretto::choose: the range of " + at_width + " holds " +
                                         std::to_string(nan) + " NaN and " + std::to_string(infinite) +
                                         " infinities; observe finite values only");
  }
  if (range.count() == 0) {
    detail::raise<std::invalid_argument>("ristretto::choose: the range for " + at_width +
                                         " is empty; observe values first");
  }
}
inline void check_share(const std::string& function, const Choice& choice) {
  if (choice.share > 0 && choice.share <= 1) return;
  detail::raise<std::invalid_argument>(function + ": the share of values to cover is " + std::to_string(choice.share) +
                                       "; choose one in (0, 1]");
}

/// The ends, as far as the largest of the values that are to be covered.
inline MinMax clipped(const MinMax& ends, float largest) {
  const float clip = largest > 0 ? largest : ends.max_abs();  // also where nearly all values are zero
  return {std::max(ends.min, -clip), std::min(ends.max, clip)};
}
inline MinMax ends_to_cover(const Range& range, const Choice& choice) {
  const bool clips = choice.rule == RangeRule::percentile;
  return clipped({range.min(), range.max()}, clips ? range.magnitude_quantile(choice.share) : range.max_abs());
}

}  // namespace detail

/// The format of family F (a run-time format such as DynamicFixedPoint<>) with `bits` bits that suits the range.
/// A range of zeros is treated as [-1, 1]. Throws std::invalid_argument when nothing or something not finite was
/// observed, when the family has no format of that width, and when none reaches what is to be covered: near the largest
/// float, or by minifloats of few exponent bits. Those of these that saturate are taken by min_mse all the same, where
/// they have the least error; choose_scaled gives them a bias.
template <class F, class Arch = DefaultArch>
F choose(int bits, const Range& range, const Choice& choice = {}) {
  static_assert(
      requires { detail::Family<F>::name; },
      "ristretto::choose<F>: F is a format with parameters given at run time, such as DynamicFixedPoint<>");
  using Family = detail::Family<F>;
  const std::string at_width = std::string(Family::name) + " with " + std::to_string(bits) + " bits";
  detail::check_observed(range, at_width);
  detail::check_share("ristretto::choose", choice);
  const std::vector<F> formats = Family::of_width(bits);
  if (formats.empty())
    detail::raise<std::invalid_argument>("ristretto::choose: there is no " + at_width + "; choose another width");
  if (range.max_abs() == 0) return formats[std::min(detail::finest_that_covers(formats, -1, 1), formats.size() - 1)];
  if (choice.rule == RangeRule::ristretto2016) return Family::original(bits, range, choice.role);

  const MinMax ends = detail::ends_to_cover(range, choice);
  const std::size_t covering = detail::finest_that_covers(formats, ends.min, ends.max);
  const bool least_error = choice.rule == RangeRule::min_mse;
  if (covering == formats.size() && !(least_error && Family::may_saturate)) {
    detail::raise<std::invalid_argument>("ristretto::choose: no " + at_width + " reaches from " +
                                         detail::to_text(ends.min) + " to " + detail::to_text(ends.max) +
                                         "; the widest ends at " + detail::to_text(formats.back().largest()) + ": " +
                                         Family::remedy);
  }
  if (!least_error) return formats[covering];
  return detail::least_squares<Arch>(formats, std::min(covering, formats.size() - 1), range);
}

}  // namespace ristretto

// What range.hpp held before it was split; here, since it needs all of the above.
#include <ristretto/rows.hpp>
