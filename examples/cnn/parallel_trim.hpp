// SPDX-License-Identifier: MIT
// Trims a tensor into another one with OpenMP's threads.
#pragma once

#include <ristretto/span.hpp>

#include "parallel.hpp"
#include "parameter.hpp"

namespace cnn {

/// f(round) with the library's rounding.
template <class F>
void to_nearest(Ties ties, F&& f) {
  if (ties == Ties::away_from_zero) return f(ristretto::RoundNearestAway{});
  f(ristretto::RoundNearest{});
}

/// to = from, trimmed, in its shape. Each thread gives its pieces their place in the tensor, so the bits do not depend
/// on their number. Below 2^16 floats, where threads cost more than they gain, the caller works alone.
template <class R>
void parallel_trim(const Tensor& from, Tensor& to, const ristretto::AnyFormat& format, const R& round) {
  constexpr Index worth_threads = Index{1} << 16;
  to.resize(from.shape());
  const auto trim = [&](Index first, Index count) {
    const auto n = static_cast<std::size_t>(count);
    ristretto::trim(std::span(from.data() + first, n), std::span(to.data() + first, n),
                    ristretto::Trimmer{format, round}, static_cast<std::uint64_t>(first));
  };
  if (from.size() < worth_threads) return trim(0, from.size());
  parallel_blocks(from.size(), trim);
}

}  // namespace cnn
