// SPDX-License-Identifier: MIT
// Parameter: a trained tensor, its gradient, and the trimmed copy that a quantized layer computes with.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <ristretto/any_format.hpp>
#include <ristretto/random.hpp>

#include "cnn/tensor.hpp"

namespace cnn {

/// How a forward pass is meant. Inference trims parameters to nearest. Training trims them stochastically (unless their
/// layer says otherwise) with stream = tensor * 2^32 + step, so a step can be replayed from (seed, step) alone.
struct Phase {
  bool training = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  bool trim_activations = true;  ///< false leaves inputs and outputs of layers in float
};

/// How parameters are rounded in training; in inference it is always to nearest.
enum class Rounding { nearest, stochastic };

/// Where numbers midway between two of a format go, when they are rounded to nearest.
enum class Ties { to_even, away_from_zero };

/// The formats of one layer; what is absent stays float. Each trims a copy, never the tensor itself.
struct Formats {
  std::optional<ristretto::AnyFormat> input{}, weight{}, bias{}, output{};
  Rounding rounding = Rounding::stochastic;
  Ties ties = Ties::to_even;
  std::vector<int>
      weight_shifts{};  // where not empty, output channel k has the weight's format times 2^weight_shifts[k]

  friend bool operator==(const Formats&, const Formats&) = default;
};

/// The format times 2^shift for each of the shifts.
std::vector<ristretto::AnyFormat> scaled(const ristretto::AnyFormat& format, std::span<const int> shifts);

class Parameter {
 public:
  Tensor gradient{};         ///< d loss / d value of the last backward pass; straight through the trim
  float rate = 1;            ///< multiplies the solver's learning rate
  float decay = 1;           ///< multiplies the solver's weight decay
  std::uint32_t number = 0;  ///< running number in its net: addresses the random numbers of stochastic trimming

  /// The full-precision value: the shadow weights while a quantized net is fine-tuned.
  const Tensor& value() const noexcept { return value_; }
  /// The same, to be changed; a trimmed copy made before is out of date.
  Tensor& edit() noexcept {
    trimmed_to_.reset();
    return value_;
  }

  /// Makes the copy that in_use() returns: once per value and format, but at each call when it is rounded
  /// stochastically, in training. With shifts, each of so many rows has the format times 2^shift.
  void prepare(const std::optional<ristretto::AnyFormat>& format, const Phase& phase,
               Rounding in_training = Rounding::stochastic, Ties ties = Ties::to_even,
               std::span<const int> shifts = {});
  /// What the layer computes with since the last prepare(): the trimmed copy, or value() without a format.
  const Tensor& in_use() const noexcept { return uses_copy_ ? trimmed_ : value_; }

 private:
  Tensor value_{};
  Tensor trimmed_{};
  std::optional<ristretto::AnyFormat> trimmed_to_{};  // absent: the copy is out of date, or stochastic
  std::vector<int> shifts_{};                         // of that copy
  Ties ties_ = Ties::to_even;                         // of that copy
  bool uses_copy_ = false;
};

/// Fills with uniform values in [-s, s], s = sqrt(3 / fan_in). Source: Caffe's "xavier" filler.
void fill_xavier(Tensor& weight, ristretto::RandomStream random);
/// Fills with normally distributed values of mean 0.
void fill_gaussian(Tensor& weight, float standard_deviation, ristretto::RandomStream random);

}  // namespace cnn
