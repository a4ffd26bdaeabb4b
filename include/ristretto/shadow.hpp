// SPDX-License-Identifier: MIT
// Shadow weights: full-precision weights that training updates while the network computes with a trimmed copy.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <span>
#include <vector>

#include <ristretto/any_format.hpp>
#include <ristretto/span.hpp>

namespace ristretto {

/// The random numbers of one tensor in one training step, so that any step can be replayed from the seed alone.
constexpr RandomStream shadow_stream(std::uint64_t seed, std::uint32_t tensor, std::uint32_t step) noexcept {
  return {.seed = seed, .stream = std::uint64_t{tensor} << 32 | step};
}

/// The full-precision weights of one tensor. Each step trims them stochastically into the network; gradients with
/// respect to the trimmed copy are applied to the shadow weights as they are (straight-through), so small updates add
/// up. Sources: Courbariaux et al., "BinaryConnect", NIPS 2015; Gupta et al., ICML 2015.
class ShadowWeights {
 public:
  /// Keeps a copy of the weights. `tensor` numbers the tensor in its network.
  ShadowWeights(std::span<const float> weights, std::uint32_t tensor, std::uint64_t seed)
      : weights_(weights.begin(), weights.end()), seed_(seed), tensor_(tensor) {}

  /// The weights that the optimizer updates.
  std::span<float> weights() noexcept { return weights_; }
  std::span<const float> weights() const noexcept { return weights_; }

  /// The weights of one step, trimmed stochastically, into `out`. Throws std::invalid_argument when its size differs.
  template <class Arch = DefaultArch>
  void trim_step(std::uint32_t step, std::span<float> out, const AnyFormat& format) const {
    trim<Arch>(std::span<const float>(weights_), out,
               Trimmer{format, RoundStochastic<>{shadow_stream(seed_, tensor_, step)}});
  }
  /// The weights of the finished network, rounded to nearest, into `out`.
  template <class Arch = DefaultArch>
  void trim_final(std::span<float> out, const AnyFormat& format) const {
    trim<Arch>(std::span<const float>(weights_), out, Trimmer{format});
  }

 private:
  std::vector<float> weights_;
  std::uint64_t seed_;
  std::uint32_t tensor_;
};

}  // namespace ristretto
