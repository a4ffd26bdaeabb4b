// SPDX-License-Identifier: MIT
// Trimmed copies of parameters, and their first values.
#include "parameter.hpp"

#include <cmath>
#include <numbers>
#include <ristretto/shadow.hpp>

#include "parallel_trim.hpp"

namespace cnn {
namespace {

/// Element i of a stream, uniform in (0, 1), never an end.
float uniform(const ristretto::RandomStream& random, Index i) {
  return ristretto::Ops<float>::uniform<32, 10>(random, static_cast<std::uint64_t>(i));
}

}  // namespace

void Parameter::prepare(const std::optional<ristretto::AnyFormat>& format, const Phase& phase, Rounding in_training,
                        Ties ties) {
  const bool stochastic = phase.training && in_training == Rounding::stochastic;
  uses_copy_ = format.has_value();
  if (!format || (!stochastic && trimmed_to_ == format && ties_ == ties)) return;
  if (stochastic) {
    const auto random = ristretto::shadow_stream(phase.seed, number, phase.step);
    parallel_trim(value_, trimmed_, *format, ristretto::RoundStochastic<>{random});
    trimmed_to_.reset();
  } else {
    to_nearest(ties, [&](const auto& round) { parallel_trim(value_, trimmed_, *format, round); });
    trimmed_to_ = format;
    ties_ = ties;
  }
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
