// SPDX-License-Identifier: MIT
// Repairs of trimmed layers beside compensated rounding: bias correction behind the activation, and cross-layer
// equalization, which evens out the scales of channels between layers.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <ristretto/compensate.hpp>

namespace ristretto {

namespace detail {

inline constexpr int largest_equalizing_exponent = 60;  // what is beyond is no scale, but nearly zero

inline void check_exponents(const char* name, std::span<const int> exponents) {
  for (std::size_t c = 0; c < exponents.size(); ++c) {
    if (exponents[c] >= -126 && exponents[c] <= 126) continue;
    detail::raise<std::invalid_argument>(std::string(name) + ": the exponent of channel " + std::to_string(c) + " is " +
                                         std::to_string(exponents[c]) + "; choose one within +-126");
  }
}

}  // namespace detail

/// Bias correction of one channel, such that what comes out of its activation is close to what is wanted:
/// x above 0, x * negative_slope below (0: ReLU, 1: no activation). Made in two passes over the same positions; the
/// second sees whether it helps. Bringing only the means before a ReLU together moves many values that it hides.
/// Both passes throw std::invalid_argument unless there are as many numbers as are wanted.
class BiasCorrection {
 public:
  explicit BiasCorrection(float negative_slope = 0) : slope_(negative_slope) {}

  /// First pass: numbers before the activation, and what is wanted behind it.
  void propose(std::span<const float> before, std::span<const float> wanted) {
    check(before, wanted);
    for (std::size_t k = 0; k < before.size(); ++k) {
      const double slope = before[k] > 0 ? 1.0 : static_cast<double>(slope_);
      pull_ += slope * (static_cast<double>(wanted[k]) - slope * static_cast<double>(before[k]));
      weight_ += slope * slope;
    }
  }
  /// Second pass.
  void judge(std::span<const float> before, std::span<const float> wanted) {
    check(before, wanted);
    for (std::size_t c = 0; c < std::size(shares); ++c) {
      const double more = shares[c] * step();
      double sum = 0;
      for (std::size_t k = 0; k < before.size(); ++k) {
        const double x = static_cast<double>(before[k]) + more;
        const double error = (x > 0 ? x : x * static_cast<double>(slope_)) - static_cast<double>(wanted[k]);
        sum += error * error;
      }
      errors_[c] += sum;
    }
  }
  /// What to add to the bias: of the proposed correction, half of it, and nothing, what leaves the least error; nothing
  /// where not all numbers were finite.
  float result() const {
    if (!std::isfinite(step()) ||
        !std::all_of(errors_, errors_ + std::size(shares), [](double e) { return std::isfinite(e); })) {
      return 0;
    }
    const auto best = static_cast<std::size_t>(std::min_element(errors_, errors_ + std::size(shares)) - errors_);
    return static_cast<float>(shares[best] * step());
  }

 private:
  static constexpr double shares[] = {0, 0.5, 1};

  static void check(std::span<const float> before, std::span<const float> wanted) {
    if (before.size() != wanted.size()) {
      detail::raise<std::invalid_argument>("ristretto::BiasCorrection: " + std::to_string(before.size()) +
                                           " numbers and " + std::to_string(wanted.size()) +
                                           " that are wanted; give it equal sizes");
    }
  }
  /// Newton's, with the same numbers above 0 as now.
  double step() const { return weight_ > 0 ? pull_ / weight_ : 0; }

  float slope_;
  double pull_ = 0, weight_ = 0;
  double errors_[std::size(shares)] = {};
};

/// Cross-layer equalization by powers of two. Exponents that even out the channels between two layers with a ReLU, or
/// nothing, between them: channel c of the first layer times 2^e[c], what reads it in the second times 2^-e[c]. `read`:
/// how large the weights are that read each channel. Without `made` these become alike, to a factor of 2, as suits a
/// first layer whose channels have scales of their own: sizes 1, 2, 4 give -1, 0, 1. With the sizes of the first
/// layer's channels both become as large as each other. Powers of two change no other bit, save of subnormal numbers.
/// Channels stay where a size is not positive and normal, or where the exponent would be beyond +-60. Throws
/// std::invalid_argument when the sizes differ in number. Source of the idea: Nagel et al., arXiv:1906.04721.
inline std::vector<int> equalizing_exponents(std::span<const float> read, std::span<const float> made = {}) {
  if (!made.empty() && made.size() != read.size()) {
    detail::raise<std::invalid_argument>("ristretto::equalizing_exponents: " + std::to_string(made.size()) +
                                         " channels made and " + std::to_string(read.size()) +
                                         " read; give it equal sizes");
  }
  const auto used = [&](std::size_t c) {
    return read[c] > 0 && std::isnormal(read[c]) && (made.empty() || (made[c] > 0 && std::isnormal(made[c])));
  };
  const auto exponent = [&](std::size_t c) {
    const double size = std::log2(static_cast<double>(read[c]));
    return made.empty() ? size : 0.5 * (size - std::log2(static_cast<double>(made[c])));
  };
  double mean = 0, count = 0;
  for (std::size_t c = 0; c < read.size(); ++c) {
    if (!used(c)) continue;
    mean += exponent(c);
    ++count;
  }
  mean = made.empty() && count > 0 ? std::round(mean / count) : 0;  // the second layer keeps its size
  std::vector<int> exponents(read.size());
  for (std::size_t c = 0; c < read.size(); ++c) {
    if (!used(c)) continue;
    const int e = static_cast<int>(std::lround(exponent(c) - mean));
    if (std::abs(e) <= detail::largest_equalizing_exponent) exponents[c] = e;
  }
  return exponents;
}

/// Row c of the weights, and c of the bias where there is one, times 2^exponents[c]. Throws std::invalid_argument
/// unless there is an exponent for each row, within +-126.
inline void scale_rows(Eigen::Ref<WeightRows> weights, std::span<float> bias, std::span<const int> exponents) {
  if (static_cast<std::size_t>(weights.rows()) != exponents.size() ||
      (!bias.empty() && bias.size() != exponents.size())) {
    detail::raise<std::invalid_argument>("ristretto::scale_rows: " + std::to_string(weights.rows()) + " rows, " +
                                         std::to_string(bias.size()) + " biases and " +
                                         std::to_string(exponents.size()) + " exponents; give it one for each row");
  }
  detail::check_exponents("ristretto::scale_rows", exponents);
  for (std::size_t c = 0; c < exponents.size(); ++c) {
    const float factor = std::ldexp(1.0f, exponents[c]);
    weights.row(static_cast<Eigen::Index>(c)) *= factor;
    if (!bias.empty()) bias[c] *= factor;
  }
}

/// The columns that read channel c, as many for each channel, times 2^-exponents[c]. Throws std::invalid_argument
/// unless there are such columns for each exponent, and these are within +-126.
inline void scale_columns(Eigen::Ref<WeightRows> weights, std::span<const int> exponents) {
  const auto columns = static_cast<std::size_t>(weights.cols());
  if (exponents.empty() || columns % exponents.size() != 0) {
    detail::raise<std::invalid_argument>("ristretto::scale_columns: " + std::to_string(columns) + " columns and " +
                                         std::to_string(exponents.size()) +
                                         " exponents; give it one for each channel, with as many columns for each");
  }
  detail::check_exponents("ristretto::scale_columns", exponents);
  const auto each = static_cast<Eigen::Index>(columns / exponents.size());
  for (std::size_t c = 0; c < exponents.size(); ++c) {
    weights.middleCols(static_cast<Eigen::Index>(c) * each, each) *= std::ldexp(1.0f, -exponents[c]);
  }
}

}  // namespace ristretto
