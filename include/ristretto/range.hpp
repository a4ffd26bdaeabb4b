// SPDX-License-Identifier: MIT
// Observes tensors as they stream by.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <ristretto/min_max.hpp>

namespace ristretto {

/// Which binary digits some values have, and so a grid that holds all of them. Zeros, NaN and infinities have none.
struct Digits {
  static constexpr std::uint32_t none = 512;

  std::uint32_t fraction = 0;   ///< of the 23 fraction bits of a float those that any value has set
  std::uint32_t lowest = none;  ///< n, where all values are whole multiples of 2^(n - 149), and not of more

  /// What is known of values that nobody has looked at: they may have any digit.
  static constexpr Digits unknown() noexcept { return {0x7FFFFF, 0}; }

  /// Adds those of x.
  RISTRETTO_HOST_DEVICE void observe(float x) noexcept {
    const std::uint32_t magnitude = Ops<float>::bits(x) & ~Ops<float>::sign_mask;
    if (magnitude == 0 || magnitude >= Ops<float>::exponent_mask) return;
    const std::uint32_t exponent = magnitude >> 23;
    const std::uint32_t bits = magnitude & 0x7FFFFF;
    // The last fraction bit is worth 2^(exponent - 150), of a subnormal 2^-149: 0.75f, 1.5 * 2^-1, has n = 125 + 22.
    merge({bits, (exponent > 0 ? exponent - 1 : 0) + trailing_zeros(bits | 0x800000)});
  }
  /// Adds those of other values.
  RISTRETTO_HOST_DEVICE void merge(const Digits& other) noexcept {
    fraction |= other.fraction;
    lowest = other.lowest < lowest ? other.lowest : lowest;
  }
  /// x without the digits below the last that the values have: x itself, or the next such number toward zero.
  float truncated(float x) const noexcept {
    const std::uint32_t exponent = (Ops<float>::bits(x) & ~Ops<float>::sign_mask) >> 23;
    const std::uint32_t last = exponent > 0 ? exponent - 1 : 0;
    const std::uint32_t below = lowest > last ? std::min(lowest - last, 23u) : 0;
    const std::uint32_t dropped = std::max(below, trailing_zeros(fraction | 0x800000));
    return Ops<float>::from_bits(Ops<float>::bits(x) >> dropped << dropped);
  }

  friend constexpr bool operator==(const Digits&, const Digits&) = default;

 private:
  RISTRETTO_HOST_DEVICE static std::uint32_t trailing_zeros(std::uint32_t x) noexcept {
#if defined(__CUDA_ARCH__)
    return static_cast<std::uint32_t>(__ffs(static_cast<int>(x)) - 1);
#else
    return static_cast<std::uint32_t>(std::countr_zero(x));
#endif
  }
};

/// What was seen of a tensor: counts, ends, digits and a histogram, in at most 640 KiB however long the stream is. The
/// result does not depend on the order of the values, nor on how they were split among ranges that are merged later.
class Range {
 public:
  /// Bins of the histogram: bin b holds the finite values whose upper 16 bits (sign, exponent, 7 fraction bits) are b.
  static constexpr std::size_t bins = 1 << 16;

  /// Adds the values of x. NaN and infinities are only counted.
  void observe(std::span<const float> x) {
    make_bins();
    float low = min_;
    float high = max_;
    for (const float value : x) {
      const std::uint32_t bits = Ops<float>::bits(value);
      ++histogram_[bits >> 16];
      low_bits_[bits >> 16] |= static_cast<std::uint16_t>(bits);
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
    add(std::span<const std::uint64_t, bins>(other.histogram_), {other.min_, other.max_}, other.digits_);
    for (std::size_t b = 0; b < bins; ++b) low_bits_[b] |= other.low_bits_[b];
  }
  /// Adds what was counted elsewhere: so many values in each of the bins, the smallest and the largest finite one (+inf
  /// and -inf when there is none), and their digits.
  void add(std::span<const std::uint64_t, bins> counts, const MinMax& ends, const Digits& digits = Digits::unknown()) {
    make_bins();
    for (std::size_t b = 0; b < bins; ++b) histogram_[b] += counts[b];
    min_ = std::min(min_, ends.min);
    max_ = std::max(max_, ends.max);
    digits_.merge(digits);
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
  /// The digits of the finite values.
  Digits digits() const noexcept {
    Digits all = digits_;
    for (std::uint32_t b = 0; b < histogram_.size(); ++b) {
      if (histogram_[b] > 0) all.observe(Ops<float>::from_bits(b << 16 | low_bits_[b]));
    }
    return all;
  }
  /// What a ReLU leaves of the values: those below zero become zero.
  Range positive_part() const {
    Range positive = *this;
    if (histogram_.empty()) return positive;
    positive.min_ = std::max(min(), 0.0f);
    positive.max_ = std::max(max(), 0.0f);
    for (std::size_t b = bins / 2; b < histogram_.size(); ++b) {
      positive.histogram_[0] += std::exchange(positive.histogram_[b], 0);
      positive.low_bits_[b] = 0;
    }
    return positive;
  }
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
  void make_bins() {
    histogram_.resize(bins);
    low_bits_.resize(bins);
  }
  template <class Predicate>
  std::uint64_t count_if(Predicate predicate) const {
    std::uint64_t sum = 0;
    for (std::uint32_t b = 0; b < histogram_.size(); ++b) {
      if (predicate(b & 0x7F80, (b & 0x7F) != 0)) sum += histogram_[b];
    }
    return sum;
  }

  std::vector<std::uint64_t> histogram_;
  std::vector<std::uint16_t> low_bits_;  // of each bin: bits that any of its values has set
  float min_ = Ops<float>::infinity;
  float max_ = -Ops<float>::infinity;
  Digits digits_{};  // of values that were counted elsewhere
};

}  // namespace ristretto

// What this header held before it was split.
#include <ristretto/choose.hpp>
