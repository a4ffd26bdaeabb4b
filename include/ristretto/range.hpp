// SPDX-License-Identifier: MIT
// Observes tensors as they stream by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <ristretto/min_max.hpp>

namespace ristretto {

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

}  // namespace ristretto

// What this header held before it was split.
#include <ristretto/choose.hpp>
