// SPDX-License-Identifier: MIT
// Trimmed copies of parameters, and their first values.
#include "cnn/parameter.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include <ristretto/shadow.hpp>

#include "cnn/parallel_trim.hpp"

namespace cnn {
namespace {

/// Element i of a stream, uniform in (0, 1), never an end.
float uniform(const ristretto::RandomStream& random, Index i) {
  return ristretto::Ops<float>::uniform<32, 10>(random, static_cast<std::uint64_t>(i));
}

}  // namespace

void Parameter::prepare(const std::optional<ristretto::AnyFormat>& format, const Phase& phase, Rounding in_training,
                        Ties ties, std::span<const int> shifts) {
  const bool stochastic = phase.training && in_training == Rounding::stochastic;
  uses_copy_ = format.has_value();
  if (!format) return;
  const bool same = trimmed_to_ == format && ties_ == ties && std::ranges::equal(shifts_, shifts);
  if (!stochastic && same) return;
  const auto trim = [&](const auto& round) {
    if (shifts.empty()) return parallel_trim(value_, trimmed_, *format, round);
    trimmed_.resize(value_.shape());
    const std::span<const float> values = std::as_const(value_).values();
    ristretto::trim_rows(values, trimmed_.values(), scaled(*format, shifts), round);
  };
  if (stochastic) {
    trim(ristretto::RoundStochastic<>{ristretto::shadow_stream(phase.seed, number, phase.step)});
    trimmed_to_.reset();
    return;
  }
  to_nearest(ties, trim);
  trimmed_to_ = format;
  shifts_.assign(shifts.begin(), shifts.end());
  ties_ = ties;
}

std::vector<ristretto::AnyFormat> scaled(const ristretto::AnyFormat& format, std::span<const int> shifts) {
  std::vector<ristretto::AnyFormat> all;
  for (const int shift : shifts) all.push_back(format.scaled(shift));
  return all;
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
