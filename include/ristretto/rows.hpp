// SPDX-License-Identifier: MIT
// Formats times powers of two: for a range, by any loss, and one for each row of a matrix (per-channel quantization).
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/any_format.hpp>
#include <ristretto/choose.hpp>

namespace ristretto {

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

/// Of the format times any power of two the one with the least error (min_mse; of several without error the finest), or
/// the finest that covers the ends. Where no such power gives a format, the nearest that does.
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
    if (rule != RangeRule::min_mse || error < best.error * (1 - 1e-9) || error == 0) best = {e, error};
  }
  return best;
}

}  // namespace detail

/// The format times 2^shift for each of the shifts. Throws std::invalid_argument where there is no such format.
inline std::vector<AnyFormat> row_formats(const AnyFormat& format, std::span<const int> shifts) {
  std::vector<AnyFormat> formats;
  for (const int shift : shifts) formats.push_back(format.scaled(shift));
  return formats;
}

/// Formats for the rows of a matrix: row r has `format` times 2^shifts[r].
struct RowFormats {
  AnyFormat format;
  std::vector<int> shifts;  ///< one for each row

  /// The format of each row, as trim_rows and Compensation take them.
  std::vector<AnyFormat> formats() const { return row_formats(format, shifts); }
};

namespace detail {

/// Formats that rows of numbers are tried with, each row with a scale of its own.
template <class Arch>
class ScaledShapes {
 public:
  ScaledShapes(const char* name, std::span<const AnyFormat> shapes, const Choice& choice)
      : rule_(choice.rule), errors_(shapes.size()) {
    const std::string function = std::string("ristretto::") + name;
    if (shapes.empty())
      detail::raise<std::invalid_argument>(function + ": there is no format to scale; give at least one");
    if (choice.rule == RangeRule::ristretto2016) {
      detail::raise<std::invalid_argument>(function + ": the rule ristretto2016 scales no formats; choose another");
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
    detail::raise<std::invalid_argument>(
        "ristretto::choose_scaled: " + std::to_string(range.count()) + " finite values were observed, and " +
        std::to_string(range.nan_count() + range.infinite_count()) + " others; observe finite values only, and some");
  }
  scaled.add_row(detail::sample(range), detail::ends_to_cover(range, choice));
  const RowFormats best = std::move(scaled).best();
  return best.format.scaled(best.shifts.front());
}

/// The format with the least loss(format), a number: of each shape that times a power of two which choose_scaled gives,
/// and its neighbours, four powers of two down and up. `start`, by default what choose_scaled gives for all shapes,
/// stays unless another loses less by more than 1e-9 of its loss: sums of, say, exponentials differ a little between
/// machines. Throws what choose_scaled throws, and std::invalid_argument when a loss is NaN.
template <class Arch = DefaultArch, class Loss>
AnyFormat choose_by(std::span<const AnyFormat> shapes, const Range& range, Loss loss,
                    const std::optional<AnyFormat>& start = {}) {
  constexpr int reach = 4;
  const auto loss_of = [&](const AnyFormat& format) {
    const double found = loss(format);
    if (found == found) return found;
    detail::raise<std::invalid_argument>("ristretto::choose_by: the loss with " + to_string(format) +
                                         " is NaN; return a number");
  };
  AnyFormat best = start ? *start : choose_scaled<Arch>(shapes, range);
  double least = loss_of(best);
  for (const AnyFormat& shape : shapes) {
    const AnyFormat middle = choose_scaled<Arch>(std::span(&shape, 1), range);
    for (int shift = -reach; shift <= reach; ++shift) {
      if (!middle.can_scale(shift)) continue;
      const AnyFormat format = middle.scaled(shift);
      const double found = loss_of(format);
      if (found >= least - 1e-9 * std::abs(least)) continue;
      best = format;
      least = found;
    }
  }
  return best;
}

/// What choose_scaled does, for each of the rows of x, which have one length and lie one after the other: each has its
/// own scale, but all have one format, that with the least squared error. Throws std::invalid_argument where x has no
/// such rows or is not finite, without formats, for the rule ristretto2016 and for a share outside (0, 1].
template <class Arch = DefaultArch>
RowFormats choose_rows(std::span<const AnyFormat> shapes, std::span<const float> x, std::size_t rows,
                       const Choice& choice = {}) {
  detail::ScaledShapes<Arch> scaled("choose_rows", shapes, choice);
  if (rows == 0 || x.empty() || x.size() % rows != 0) {
    detail::raise<std::invalid_argument>("ristretto::choose_rows: " + std::to_string(x.size()) + " numbers are no " +
                                         std::to_string(rows) + " rows; give it rows of one length");
  }
  if (!std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); })) {
    detail::raise<std::invalid_argument>(
        "ristretto::choose_rows: the rows hold NaN or infinities; give it finite numbers");
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
