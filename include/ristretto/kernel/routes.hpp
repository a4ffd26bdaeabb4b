// SPDX-License-Identifier: MIT
// Faster routes to the bits of the three lines. Each says when it leads there; tests compare them over all floats.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <type_traits>

#include <ristretto/trimmer.hpp>

namespace ristretto::detail {

// A route is a struct with `T operator()(T x, round, i)` for lanes of floats, made once for a span: it holds the grid
// of its format, and what else does not depend on x.

// `fast` routes are worth large groups of batches; the others only take the compiler's time with them.
// RoundDrawn brings draws that are multiplied by the route's draw_scale(), so that `whole` can be what is at hand.

/// RoundStochastic for elements whose draws are at hand, already times a part of `whole`.
template <class T>
struct RoundDrawn {
  T draw;

  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return draw * whole < part;
  }
};

template <class R>
inline constexpr bool is_stochastic = false;
template <int Bits>
inline constexpr bool is_stochastic<RoundStochastic<Bits>> = true;

template <class R>
inline constexpr bool is_drawn = false;
template <class T>
inline constexpr bool is_drawn<RoundDrawn<T>> = true;

/// The three lines themselves.
template <class Grid>
struct ThreeLines {
  static constexpr bool fast = false;
  Grid grid;

  RISTRETTO_HOST_DEVICE static constexpr float draw_scale() noexcept { return 1; }

  template <class T, class R>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, const R& round, std::uint64_t i) const noexcept {
    return trim_number(grid, round, x, i);
  }
};

/// No division: |y| is rounded where its sum with 2^23 q ends, to nearest or down. Where |y| <= 2^23 q, so that the
/// last place of the sum is q. Products are exact, fused or not. 0.3 with q = 2^-6:
///   |y|               0.3       = 0x3E99999A    0 01111101 00110011001100110011010
///   2^23 q            131072    = 0x48000000    0 10010000 00000000000000000000000   its last place is 2^-6
///   their sum         131072.296875  0x48000013 0 10010000 00000000000000000010011   19.2 last places became 19
///   less 2^23 q       0.296875  = 0x3E980000    0 01111101 00110000000000000000000   exact
template <class Grid, class T>
struct ByAddition {
  static constexpr bool fast = true;
  Grid grid;
  float scale;                               ///< grid.per_leading
  T factor = T(0x1p23f) * grid.per_leading;  ///< 2^23 q is so many times the leading power of two

  RISTRETTO_HOST_DEVICE constexpr float draw_scale() const noexcept { return scale; }

  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, RoundNearest, std::uint64_t) const noexcept {
    const T a = saturated_magnitude(x);
    const T leading = grid.leading(a);
    const T sum = Ops<T>::add_product(a, leading, factor);  // ties to even, as q is the last place
    return finish_magnitude(grid, Ops<T>::add_product(sum, leading, -factor), x);
  }
  template <class R>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, const R& round, std::uint64_t i) const noexcept {
    const T a = saturated_magnitude(x);
    const T leading = grid.leading(a);
    const T below = Ops<T>::add_product(Ops<T>::add_product_down(a, leading, factor), leading, -factor);
    const T above = Ops<T>::add_product(below, leading, grid.per_leading);
    const T whole = is_drawn<R> ? leading : leading * grid.per_leading;
    return finish_magnitude(grid, Ops<T>::select(round.up(a - below, whole, x, i), above, below), x);
  }

 private:
  RISTRETTO_HOST_DEVICE constexpr T saturated_magnitude(T x) const noexcept {
    if constexpr (requires { grid.saturate_magnitude(x); }) {
      return grid.saturate_magnitude(Ops<T>::abs(x));
    } else {
      return Ops<T>::abs(grid.saturate(x));
    }
  }
};

/// On the bits of y, where the grid is all floats whose d lowest fraction bits are zero. Keeps signs, also of zero. 0.3
/// to bfloat16, d = 16, to nearest with ties to even: the last bit kept is L, so 2^15 - 1 + L is added, then cut.
///   y                 0x3E99999A    0 01111101 0011001 1001100110011010      the bit before the blank is L = 1
///   + 0x7FFF + L      0x3E9A199A    0 01111101 0011010 0001100110011010      the carry went into what is kept
///   cut               0x3E9A0000    0 01111101 0011010 0000000000000000      0.30078125
template <class Grid>
struct ByBits {
  static constexpr bool fast = true;
  Grid grid;
  int d;

  RISTRETTO_HOST_DEVICE constexpr float draw_scale() const noexcept { return power_of_two<float>(d); }

  template <class T, class R>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, const R& round, std::uint64_t i) const noexcept {
    const T r = rounded(grid.saturate(x), round, i);
    if constexpr (requires { grid.overflow(r, x); } || !keeps_sign_of_zero<Grid>) return finish(grid, r, x);
    return r;
  }

 private:
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T rounded(T y, RoundNearest, std::uint64_t) const noexcept {
    return Ops<T>::round_low_bits(y, d);
  }
  template <class T, class R>
  RISTRETTO_HOST_DEVICE constexpr T rounded(T y, const R& round, std::uint64_t i) const noexcept {
    const T whole = is_drawn<R> ? T(1) : T(power_of_two<float>(d));
    return Ops<T>::step_low_bits(Ops<T>::clear_low_bits(y, d), round.up(Ops<T>::low_part(y, d), whole, y, i), d);
  }
};

template <class R>
inline constexpr bool is_nearest = std::is_same_v<R, RoundNearest>;
/// Whether the fast routes know a rounding; one that does not decide takes the three lines.
template <class R>
inline constexpr bool takes_routes = is_nearest<R> || Deciding<R, float>;

// Which routes there may be for a format and a rounding, and whether they lead there.
template <class R, class F>
inline constexpr bool may_go_by_addition = takes_routes<R> && requires(const F& format) { format.quantum_exponents(); };
template <class R, class F>
inline constexpr bool may_go_by_bits = takes_routes<R> && requires(const F& format) { format.low_bits(); };

/// With room for 2^24 q, and for products of quanta and draws.
template <class R, class F>
[[gnu::always_inline]] constexpr bool goes_by_addition(const F& format) noexcept {
  if constexpr (may_go_by_addition<R, F>) {
    const auto [least, greatest] = format.quantum_exponents();
    return format.digits() <= 23 && greatest + 24 <= Ops<float>::max_exponent && least >= -100;
  }
  return false;
}

/// Where no fraction bit is left, ties to even would look at the exponent.
template <class R, class F>
[[gnu::always_inline]] constexpr bool goes_by_bits(const F& format) noexcept {
  if constexpr (may_go_by_bits<R, F>) {
    return format.low_bits() > 0 && (format.low_bits() < Ops<float>::fraction_bits || !is_nearest<R>);
  }
  return false;
}

/// use(route) with the fastest route of this format and rounding for lanes T of floats. For a format fixed in its type,
/// `use` is compiled for that route alone.
template <class T, class R, class F, class Use>
[[gnu::always_inline]] constexpr decltype(auto) with_route(const F& format, Use&& use) {
  const auto grid = grid_of<T>(format);
  using Grid = std::remove_const_t<decltype(grid)>;
  const auto by_addition = [&](const auto& f) { return ByAddition<Grid, T>{grid, grid_of<float>(f).per_leading}; };
  const auto by_bits = [&](const auto& f) { return ByBits<Grid>{grid, f.low_bits()}; };
  if constexpr (requires { requires F::fixed_in_type; }) {
    if constexpr (goes_by_addition<R>(F{})) {
      return use(by_addition(format));
    } else if constexpr (goes_by_bits<R>(F{})) {
      return use(by_bits(format));
    } else {
      return use(ThreeLines<Grid>{grid});
    }
  } else {
    if constexpr (may_go_by_addition<R, F>) {
      if (goes_by_addition<R>(format)) return use(by_addition(format));
    }
    if constexpr (may_go_by_bits<R, F>) {
      if (goes_by_bits<R>(format)) return use(by_bits(format));
    }
    return use(ThreeLines<Grid>{grid});
  }
}

}  // namespace ristretto::detail
