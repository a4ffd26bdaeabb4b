// SPDX-License-Identifier: MIT
// The ends of the values of a tensor.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include <ristretto/kernel/simd.hpp>

namespace ristretto {

/// The smallest and the largest of some values.
struct MinMax {
  float min;
  float max;

  /// The largest magnitude.
  [[gnu::always_inline]] float max_abs() const noexcept { return std::max(std::abs(min), std::abs(max)); }
  friend constexpr bool operator==(const MinMax&, const MinMax&) = default;
};

namespace detail {

/// Lanes of MinMax: from +inf and -inf on, while nothing finite was seen.
template <class T>
struct MinMaxLanes {
  static constexpr float none = Ops<float>::infinity;
  T low = T(none);
  T high = T(-none);

  RISTRETTO_HOST_DEVICE void observe(T x) noexcept {
    const auto finite = Ops<T>::abs(x) < T(none);  // not NaN either
    low = Ops<T>::min(low, Ops<T>::select(finite, x, T(none)));
    high = Ops<T>::max(high, Ops<T>::select(finite, x, T(-none)));
  }
};

/// The ends of the finite values; min > max when there is none.
template <class Arch>
MinMax finite_ends(std::span<const float> x) noexcept {
  MinMaxLanes<float> ends;
#if !defined(RISTRETTO_NO_SIMD)
  using Batch = xsimd::batch<float, Arch>;
  constexpr std::size_t chains = 4;  // a batch does not wait for the one before
  MinMaxLanes<Batch> lanes[chains];
  for (; x.size() >= chains * Batch::size; x = x.subspan(chains * Batch::size)) {
#pragma GCC unroll 4
    for (std::size_t c = 0; c < chains; ++c) lanes[c].observe(Batch::load_unaligned(x.data() + c * Batch::size));
  }
  for (const auto& chain : lanes) {
    float ends_of_lanes[2 * Batch::size];
    chain.low.store_unaligned(ends_of_lanes);
    chain.high.store_unaligned(ends_of_lanes + Batch::size);
    for (const float end : ends_of_lanes) ends.observe(end);
  }
#endif
  for (const float value : x) ends.observe(value);
  return {ends.low, ends.high};
}

[[gnu::always_inline]] inline MinMax ends_or_zeros(const MinMax& ends) noexcept {
  if (!(ends.min <= ends.max)) return {0, 0};
  return {Ops<float>::positive_zero(ends.min), Ops<float>::positive_zero(ends.max)};
}

}  // namespace detail

/// The ends of the finite values of x; zeros when there is none. NaN and infinities do not count. Never -0.
template <class Arch = DefaultArch>
MinMax min_max(std::span<const float> x) noexcept {
  return detail::ends_or_zeros(detail::finite_ends<Arch>(x));
}
/// The largest magnitude of the finite values of x; 0 when there is none.
template <class Arch = DefaultArch>
float max_abs(std::span<const float> x) noexcept {
  return min_max<Arch>(x).max_abs();
}

}  // namespace ristretto
