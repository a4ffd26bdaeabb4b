// SPDX-License-Identifier: MIT
// Observes tensors as they stream by, and chooses a format of a given bit width for them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/span.hpp>

namespace ristretto {

/// The smallest and the largest of some values.
struct MinMax {
  float min;
  float max;

  /// The largest magnitude.
  [[gnu::always_inline]] float max_abs() const noexcept { return std::max(std::abs(min), std::abs(max)); }
  friend constexpr bool operator==(const MinMax&, const MinMax&) = default;
};

namespace detail {

/// Lanes of MinMax: from +inf and -inf on, while nothing finite was seen.
template <class T>
struct MinMaxLanes {
  static constexpr float none = Ops<float>::infinity;
  T low = T(none);
  T high = T(-none);

  RISTRETTO_HOST_DEVICE void observe(T x) noexcept {
    const auto finite = Ops<T>::abs(x) < T(none);  // not NaN either
    low = Ops<T>::min(low, Ops<T>::select(finite, x, T(none)));
    high = Ops<T>::max(high, Ops<T>::select(finite, x, T(-none)));
  }
};

/// The ends of the finite values; min > max when there is none.
template <class Arch>
MinMax finite_ends(std::span<const float> x) noexcept {
  MinMaxLanes<float> ends;
#if !defined(RISTRETTO_NO_SIMD)
  using Batch = xsimd::batch<float, Arch>;
  constexpr std::size_t chains = 4;  // a batch does not wait for the one before
  MinMaxLanes<Batch> lanes[chains];
  for (; x.size() >= chains * Batch::size; x = x.subspan(chains * Batch::size)) {
#pragma GCC unroll 4
    for (std::size_t c = 0; c < chains; ++c) lanes[c].observe(Batch::load_unaligned(x.data() + c * Batch::size));
  }
  for (const auto& chain : lanes) {
    float ends_of_lanes[2 * Batch::size];
    chain.low.store_unaligned(ends_of_lanes);
    chain.high.store_unaligned(ends_of_lanes + Batch::size);
    for (const float end : ends_of_lanes) ends.observe(end);
  }
#endif
  for (const float value : x) ends.observe(value);
  return {ends.low, ends.high};
}

[[gnu::always_inline]] inline MinMax ends_or_zeros(const MinMax& ends) noexcept {
  return ends.min <= ends.max ? MinMax{ends.min + 0.0f, ends.max + 0.0f} : MinMax{0, 0};  // + 0: no -0
}

}  // namespace detail

/// The ends of the finite values of x; zeros when there is none. NaN and infinities do not count. Never -0.
template <class Arch = DefaultArch>
MinMax min_max(std::span<const float> x) noexcept {
  return detail::ends_or_zeros(detail::finite_ends<Arch>(x));
}
/// The largest magnitude of the finite values of x; 0 when there is none.
template <class Arch = DefaultArch>
float max_abs(std::span<const float> x) noexcept {
  return min_max<Arch>(x).max_abs();
}

/// What was seen of a tensor: counts, ends and a histogram, in at most 512 KiB however long the stream is. The result
/// does not depend on the order of the values, nor on how they were split among ranges that are merged later.
class Range {
 public:
  /// Bins of the histogram: bin b holds the finite values whose upper 16 bits (sign, exponent, 7 fraction bits) are b.
  static constexpr std::size_t bins = 1 << 16;

  /// Adds the values of x. NaN and infinities are only counted.
  void observe(std::span<const float> x) {
    if (histogram_.empty()) histogram_.resize(bins);
    float low = min_;
    float high = max_;
    for (const float value : x) {
      const std::uint32_t bits = Ops<float>::bits(value);
      ++histogram_[bits >> 16];
      const bool finite = (bits & Ops<float>::exponent_mask) != Ops<float>::exponent_mask;
      low = finite && value < low ? value : low;
      high = finite && value > high ? value : high;
    }
    min_ = low;
    max_ = high;
  }
  /// Adds what another range has seen.
  void merge(const Range& other) {
    if (other.histogram_.empty()) return;
    add(std::span<const std::uint64_t, bins>(other.histogram_), {other.min_, other.max_});
  }
  /// Adds what was counted elsewhere: so many values in each of the bins, and the smallest and the largest finite one
  /// (+inf and -inf when there is none).
  void add(std::span<const std::uint64_t, bins> counts, const MinMax& ends) {
    if (histogram_.empty()) histogram_.resize(bins);
    for (std::size_t b = 0; b < bins; ++b) histogram_[b] += counts[b];
    min_ = std::min(min_, ends.min);
    max_ = std::max(max_, ends.max);
  }

  /// Number of finite values.
  std::uint64_t count() const {
    return count_if([](std::uint32_t exponent, bool) { return exponent != 0x7F80; });
  }
  std::uint64_t infinite_count() const {
    return count_if([](std::uint32_t exponent, bool fraction) { return exponent == 0x7F80 && !fraction; });
  }
  /// Number of NaN. (One whose payload lies in its low 16 bits counts as infinite.)
  std::uint64_t nan_count() const {
    return count_if([](std::uint32_t exponent, bool fraction) { return exponent == 0x7F80 && fraction; });
  }
  /// The smallest and the largest finite value; 0 when there is none.
  float min() const noexcept { return detail::ends_or_zeros({min_, max_}).min; }
  float max() const noexcept { return detail::ends_or_zeros({min_, max_}).max; }
  float max_abs() const noexcept { return detail::ends_or_zeros({min_, max_}).max_abs(); }
  /// Number of values in each bin; empty before the first value.
  std::span<const std::uint64_t> histogram() const noexcept { return histogram_; }

  /// The share of the finite values that lie outside [low, high]; exact to the bins that hold the ends.
  double share_beyond(float low, float high) const {
    const auto total = static_cast<double>(count());
    std::uint64_t beyond = 0;
    for (std::uint32_t b = 0; b < histogram_.size(); ++b) {
      const float nearest_zero = Ops<float>::from_bits(b << 16);
      if ((b & 0x7F80) != 0x7F80 && (nearest_zero < low || nearest_zero > high)) beyond += histogram_[b];
    }
    return total > 0 ? static_cast<double>(beyond) / total : 0;
  }
  /// The least magnitude that `share` of the finite values do not exceed, share in [0, 1]; exact to a bin (1 in 128).
  float magnitude_quantile(double share) const {
    const double wanted = share * static_cast<double>(count());
    double seen = 0;
    for (std::uint32_t b = 0; b < 0x7F80 && !histogram_.empty(); ++b) {
      seen += static_cast<double>(histogram_[b] + histogram_[b | 0x8000]);
      if (seen >= wanted && seen > 0) return std::min(max_abs(), Ops<float>::from_bits(b << 16 | 0xFFFF));
    }
    return max_abs();
  }

 private:
  template <class Predicate>
  std::uint64_t count_if(Predicate predicate) const {
    std::uint64_t sum = 0;
    for (std::uint32_t b = 0; b < histogram_.size(); ++b) {
      if (predicate(b & 0x7F80, (b & 0x7F) != 0)) sum += histogram_[b];
    }
    return sum;
  }

  std::vector<std::uint64_t> histogram_;
  float min_ = Ops<float>::infinity;
  float max_ = -Ops<float>::infinity;
};

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
      throw std::invalid_argument("ristretto::choose: the rule ristretto2016 gives Minifloat " + std::to_string(e) +
                                  " exponent bits, which do not go with " + std::to_string(bits) +
                                  " bits; choose another width or rule");
    }
    return *found;
  }
};

template <class F, bool Zero>
struct PowersOfTwoFamily {
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

/// The finest of the formats that cover [low, high] and zero, or the last one. Finest: with the least quantum at the
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
  return std::min(finest, formats.size() - 1);
}

/// Values that stand for those of a range: its ends, and a few of every bin in use, weighted by what the bin holds.
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
      s.add((b & 0x7FFF) == 0 ? 0.0f : std::clamp(inside, range.min(), range.max()),
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

inline void check_share(const std::string& function, const Choice& choice) {
  if (choice.share > 0 && choice.share <= 1) return;
  throw std::invalid_argument(function + ": the share of values to cover is " + std::to_string(choice.share) +
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
/// observed, or when the family has no format of that width.
template <class F, class Arch = DefaultArch>
F choose(int bits, const Range& range, const Choice& choice = {}) {
  static_assert(
      requires { detail::Family<F>::name; },
      "ristretto::choose<F>: F is a format with parameters given at run time, such as DynamicFixedPoint<>");
  using Family = detail::Family<F>;
  const std::string name = Family::name;
  const std::string at_width = name + " with " + std::to_string(bits) + " bits";
  if (range.nan_count() + range.infinite_count() > 0) {
    throw std::invalid_argument("ristretto::choose: the range of " + at_width + " holds " +
                                std::to_string(range.nan_count()) + " NaN and " +
                                std::to_string(range.infinite_count()) + " infinities; observe finite values only");
  }
  if (range.count() == 0) {
    throw std::invalid_argument("ristretto::choose: the range for " + at_width + " is empty; observe values first");
  }
  detail::check_share("ristretto::choose", choice);
  const std::vector<F> formats = Family::of_width(bits);
  if (formats.empty())
    throw std::invalid_argument("ristretto::choose: there is no " + at_width + "; choose another width");
  if (range.max_abs() == 0) return formats[detail::finest_that_covers(formats, -1.0f, 1.0f)];
  if (choice.rule == RangeRule::ristretto2016) return Family::original(bits, range, choice.role);

  const MinMax ends = detail::ends_to_cover(range, choice);
  const std::size_t covering = detail::finest_that_covers(formats, ends.min, ends.max);
  return choice.rule == RangeRule::min_mse ? detail::least_squares<Arch>(formats, covering, range) : formats[covering];
}

namespace detail {

/// A format's scale, and the sum of the squared errors of the sample with it.
struct Scale {
  int exponent = 0;
  double error = std::numeric_limits<double>::infinity();
};

/// Whether the format covers the ends; one without negative numbers need not cover the lower.
inline bool covers_ends(const AnyFormat& format, const MinMax& ends) {
  return format.visit([&](const auto& f) { return covers(f, ends.max) && (f.lowest() == 0 || covers(f, ends.min)); });
}

/// Of the format times any power of two the one with the least error (min_mse), or the finest that covers the ends.
/// Where no such power gives a format, the nearest that does.
template <class Arch>
Scale best_scale(const AnyFormat& format, const Sample& sample, const MinMax& ends, RangeRule rule) {
  constexpr int reach = 14;  // octaves from the widest on; no good grid is narrower
  if (ends.max_abs() == 0) return {0, 0};
  int widest = ceil_log2(ends.max_abs()) - ceil_log2(format.largest()) + 1;
  while (!format.can_scale(widest)) widest -= widest > 0 ? 1 : -1;  // it can at 0
  Scale best;
  std::vector<float> scratch;
  for (int e = widest; e > widest - reach && format.can_scale(e); --e) {
    const AnyFormat scaled = format.scaled(e);
    if (rule != RangeRule::min_mse && e < widest && !covers_ends(scaled, ends)) break;
    const double error = scaled.visit([&](const auto& f) { return squared_error<Arch>(sample, f, scratch); });
    if (rule != RangeRule::min_mse || error < best.error * (1 - 1e-9)) best = {e, error};
  }
  return best;
}

}  // namespace detail

/// Formats for the rows of a matrix: row r has `format` times 2^shifts[r].
struct RowFormats {
  AnyFormat format;
  std::vector<int> shifts;  ///< one for each row
};

namespace detail {

/// Formats that rows of numbers are tried with, each row with a scale of its own.
template <class Arch>
class ScaledShapes {
 public:
  ScaledShapes(const char* name, std::span<const AnyFormat> shapes, const Choice& choice)
      : rule_(choice.rule), errors_(shapes.size()) {
    const std::string function = std::string("ristretto::") + name;
    if (shapes.empty()) throw std::invalid_argument(function + ": there is no format to scale; give at least one");
    if (choice.rule == RangeRule::ristretto2016) {
      throw std::invalid_argument(function + ": the rule ristretto2016 scales no formats; choose another");
    }
    check_share(function, choice);
    for (const AnyFormat& shape : shapes) tried_.push_back({shape, {}});
  }

  void add_row(const Sample& sample, const MinMax& ends) {
    for (std::size_t i = 0; i < tried_.size(); ++i) {
      const Scale found = best_scale<Arch>(tried_[i].format, sample, ends, rule_);
      tried_[i].shifts.push_back(found.exponent);
      errors_[i] += found.error;
    }
  }

  /// The first of those with the least error.
  RowFormats best() && {
    std::size_t best = 0;
    for (std::size_t i = 1; i < tried_.size(); ++i) {
      if (errors_[i] < errors_[best] * (1 - 1e-9)) best = i;
    }
    return std::move(tried_[best]);
  }

 private:
  RangeRule rule_;
  std::vector<double> errors_;
  std::vector<RowFormats> tried_{};
};

template <class Arch>
MinMax ends_to_cover(std::span<const float> row, const Choice& choice) {
  const MinMax ends = min_max<Arch>(row);
  if (choice.rule != RangeRule::percentile) return ends;
  std::vector<float> sizes(row.size());
  std::transform(row.begin(), row.end(), sizes.begin(), [](float value) { return std::abs(value); });
  const auto last =
      sizes.begin() + static_cast<std::ptrdiff_t>(std::ceil(choice.share * static_cast<double>(row.size()))) - 1;
  std::nth_element(sizes.begin(), last, sizes.end());
  return clipped(ends, *last);
}

}  // namespace detail

/// Of these formats times any power of two the one that suits the range; of several the one with the least squared
/// error. So a minifloat gets the bias it needs. Throws std::invalid_argument without formats, for the rule
/// ristretto2016, for a share outside (0, 1], and when nothing or something not finite was observed.
template <class Arch = DefaultArch>
AnyFormat choose_scaled(std::span<const AnyFormat> shapes, const Range& range, const Choice& choice = {}) {
  detail::ScaledShapes<Arch> scaled("choose_scaled", shapes, choice);
  if (range.count() == 0 || range.nan_count() + range.infinite_count() > 0) {
    throw std::invalid_argument(
        "ristretto::choose_scaled: " + std::to_string(range.count()) + " finite values were observed, and " +
        std::to_string(range.nan_count() + range.infinite_count()) + " others; observe finite values only, and some");
  }
  scaled.add_row(detail::sample(range), detail::ends_to_cover(range, choice));
  const RowFormats best = std::move(scaled).best();
  return best.format.scaled(best.shifts.front());
}

/// The same for each of the rows of x, which have one length and lie one after the other: its own scale, but one format
/// for all, that with the least squared error. Throws std::invalid_argument where x has no such rows or is not finite,
/// without formats, for the rule ristretto2016 and for a share outside (0, 1].
template <class Arch = DefaultArch>
RowFormats choose_rows(std::span<const AnyFormat> shapes, std::span<const float> x, std::size_t rows,
                       const Choice& choice = {}) {
  detail::ScaledShapes<Arch> scaled("choose_rows", shapes, choice);
  if (rows == 0 || x.empty() || x.size() % rows != 0) {
    throw std::invalid_argument("ristretto::choose_rows: " + std::to_string(x.size()) + " numbers are no " +
                                std::to_string(rows) + " rows; give it rows of one length");
  }
  if (!std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); })) {
    throw std::invalid_argument("ristretto::choose_rows: the rows hold NaN or infinities; give it finite numbers");
  }
  const std::size_t length = x.size() / rows;
  for (std::size_t k = 0; k < x.size(); k += length) {
    const std::span<const float> row = x.subspan(k, length);
    detail::Sample sample;
    for (const float value : row) sample.add(value, 1);
    scaled.add_row(sample, detail::ends_to_cover<Arch>(row, choice));
  }
  return std::move(scaled).best();
}

}  // namespace ristretto
