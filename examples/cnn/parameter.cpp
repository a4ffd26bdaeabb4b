// SPDX-License-Identifier: MIT
// Trimmed copies of parameters, and their first values.
#include "cnn/parameter.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ristretto/rows.hpp>
#include <ristretto/shadow.hpp>

#include "cnn/trim.hpp"

namespace cnn {
namespace {

/// Element i of a stream, uniform in (0, 1), never an end.
float uniform(const ristretto::RandomStream& random, Index i) { return random.uniform(static_cast<std::uint64_t>(i)); }

}  // namespace

void Parameter::prepare(const std::optional<ristretto::AnyFormat>& format, const Formats& of_layer, const Phase& phase,
                        std::span<const int> shifts) {
  uses_copy_ = format.has_value();
  if (!format) return;
  const auto stream = ristretto::shadow_stream(phase.seed, number, phase.step);
  const ristretto::AnyRounding rounding =
      (phase.training ? of_layer.training_rounding.value_or(of_layer.rounding) : of_layer.rounding).with(stream);
  if (trimmed_to_ == format && rounding_ == rounding && std::ranges::equal(shifts_, shifts)) return;
  if (shifts.empty()) {
    trim(value_, trimmed_, *format, rounding);
  } else {
    trim_rows(value_, trimmed_, ristretto::row_formats(*format, shifts), rounding);
  }
  trimmed_to_ = format;
  rounding_ = rounding;
  shifts_.assign(shifts.begin(), shifts.end());
}

void fill_xavier(Tensor& weight, ristretto::RandomStream random) {
  const float s = std::sqrt(3.0f / static_cast<float>(weight.shape().image()));
  for (Index i = 0; i < weight.size(); ++i) {
    weight[i] = s * (2 * uniform(random, i) - 1);
  }
}

void fill_gaussian(Tensor& weight, float standard_deviation, ristretto::RandomStream random) {
  for (Index i = 0; i < weight.size(); ++i) {
    const float radius = std::sqrt(-2 * std::log(uniform(random, 2 * i)));  // Box and Muller
    weight[i] = standard_deviation * radius * std::cos(2 * std::numbers::pi_v<float> * uniform(random, 2 * i + 1));
  }
}

}  // namespace cnn
