// SPDX-License-Identifier: MIT
// What a trim did to a tensor, and how sure a difference of scores is.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>

#include <ristretto/any_format.hpp>

namespace ristretto {

/// The difference between a tensor and its trimmed copy. Values that are NaN in either count in `nan` and nowhere else;
/// infinities that the format kept count in `count` alone.
struct Measurement {
  std::uint64_t count = 0;      ///< of values
  std::uint64_t nan = 0;        ///< NaN in the tensor or in its copy
  std::uint64_t saturated = 0;  ///< values beyond the ends of the format
  std::uint64_t flushed = 0;    ///< values other than 0 that became 0
  double largest_error = 0;     ///< max |trimmed - x|; infinite when an infinity saturated
  double signal = 0;            ///< sum of x^2
  double noise = 0;             ///< sum of (trimmed - x)^2

  /// Signal-to-quantization-noise ratio, 10 log10(signal / noise) in dB; infinite without noise. NaN when an infinity
  /// saturated, minus infinity when a finite value became infinite.
  double sqnr_db() const noexcept {
    return noise > 0 ? 10 * std::log10(signal / noise) : std::numeric_limits<double>::infinity();
  }
  double mean_squared_error() const noexcept { return count > nan ? noise / static_cast<double>(count - nan) : 0; }
  double saturated_share() const noexcept {
    return count > 0 ? static_cast<double>(saturated) / static_cast<double>(count) : 0;
  }

  /// Adds a value and its trimmed copy; outside [low, high] it counts as saturated.
  RISTRETTO_HOST_DEVICE constexpr void observe(float x, float trimmed, float low, float high) noexcept {
    ++count;
    if (x != x || trimmed != trimmed) {
      ++nan;
      return;
    }
    if (Ops<float>::abs(x) == Ops<float>::infinity && x == trimmed) return;
    const double before = static_cast<double>(x);
    const double after = static_cast<double>(trimmed);
    const double error = Ops<double>::abs(after - before);
    if (x < low || x > high) ++saturated;
    if (trimmed == 0 && x != 0) ++flushed;
    largest_error = Ops<double>::max(largest_error, error);
    signal += before * before;
    noise += error * error;
  }
  /// Adds what was measured of another piece of the tensor.
  RISTRETTO_HOST_DEVICE constexpr void merge(const Measurement& other) noexcept {
    count += other.count;
    nan += other.nan;
    saturated += other.saturated;
    flushed += other.flushed;
    largest_error = Ops<double>::max(largest_error, other.largest_error);
    signal += other.signal;
    noise += other.noise;
  }
};

namespace detail {

inline void check_compared(std::size_t x, std::size_t trimmed) {
  if (x != trimmed) {
    detail::raise<std::invalid_argument>("ristretto::measure: the tensor has " + std::to_string(x) +
                                         " elements and its trimmed copy " + std::to_string(trimmed) +
                                         "; give them equal sizes");
  }
}

/// Compares x with its trimmed copy; values outside [low, high] count as saturated.
inline Measurement measure(std::span<const float> x, std::span<const float> trimmed, float low, float high) {
  check_compared(x.size(), trimmed.size());
  Measurement m;
  for (std::size_t k = 0; k < x.size(); ++k) m.observe(x[k], trimmed[k], low, high);
  return m;
}

}  // namespace detail

/// Compares x with its trimmed copy; `format` says where the grid ends. The sums are in double, in the order of x.
/// Throws std::invalid_argument when the sizes differ.
inline Measurement measure(std::span<const float> x, std::span<const float> trimmed, const AnyFormat& format) {
  return detail::measure(x, trimmed, format.lowest(), format.largest());
}
/// Compares any two tensors; nothing counts as saturated.
inline Measurement measure(std::span<const float> x, std::span<const float> other) {
  return detail::measure(x, other, -Ops<float>::infinity, Ops<float>::infinity);
}

/// A mean difference between two scores of the same items, and how sure it is.
struct PairedDifference {
  double value = 0;           ///< the mean of a - b
  double standard_error = 0;  ///< of that mean; it is smaller than that of two separate samples
};

/// The mean of a[i] - b[i] and its standard error, for instance of which pictures two nets get right: ranges of bool or
/// of numbers. Zeros for empty ones. Throws std::invalid_argument when the sizes differ.
template <std::ranges::sized_range A, std::ranges::sized_range B>
PairedDifference paired_difference(const A& a, const B& b) {
  if (std::ranges::size(a) != std::ranges::size(b)) {
    detail::raise<std::invalid_argument>("ristretto::paired_difference: there are " +
                                         std::to_string(std::ranges::size(a)) + " scores and " +
                                         std::to_string(std::ranges::size(b)) + "; give it two for each item");
  }
  double sum = 0, squares = 0;
  auto other = std::ranges::begin(b);
  for (const auto score : a) {
    const double difference = static_cast<double>(score) - static_cast<double>(*other);
    sum += difference;
    squares += difference * difference;
    ++other;
  }
  const auto n = static_cast<double>(std::max<std::size_t>(std::ranges::size(a), 1));
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / n)};
}

}  // namespace ristretto
