// SPDX-License-Identifier: MIT
// The Trimmer: a format and a rounding, applied to one number. Here, and nowhere else, a number is rounded.
#pragma once

#include <cstdint>
#include <type_traits>

#include <ristretto/formats.hpp>
#include <ristretto/rounding.hpp>

namespace ristretto {

namespace detail {

/// The grid of a format for lanes of type T; of a user's format without one, the format.
template <class T, class F>
RISTRETTO_HOST_DEVICE constexpr auto grid_of(const F& format) noexcept {
  if constexpr (requires { format.template grid<T>(); }) {
    return format.template grid<T>();
  } else {
    return format;
  }
}

/// Whether zeros of the format keep the sign of x; formats that do not say otherwise do.
template <class F>
inline constexpr bool keeps_sign_of_zero = !requires { requires !F::signed_zero; };

/// v, or where y / q underflowed to 0 a small number with the sign of y, so that RoundUp and RoundDown still move.
template <class T>
RISTRETTO_HOST_DEVICE constexpr T keep_tiny(T v, T y) noexcept {
  const T tiny = T(power_of_two<LaneScalar<T>>(Ops<LaneScalar<T>>::min_exponent));
  return Ops<T>::select(Ops<T>::both(v == T(0), y != T(0)), Ops<T>::copysign(tiny, y), v);
}

/// What the three lines leave open for the result r: infinities, and the sign of zero.
template <class F, class T>
RISTRETTO_HOST_DEVICE constexpr T finish(const F& format, T r, T x) noexcept {
  if constexpr (requires { format.overflow(r, x); }) r = format.overflow(r, x);
  if constexpr (keeps_sign_of_zero<F>) {
    return Ops<T>::copysign(r, x);  // no other result changes sign
  } else {
    return Ops<T>::positive_zero(r);
  }
}

/// The same for the magnitude of the result.
template <class F, class T>
RISTRETTO_HOST_DEVICE constexpr T finish_magnitude(const F& format, T r, T x) noexcept {
  if constexpr (requires { format.overflow(r, x); }) r = format.overflow(r, x);
  r = Ops<T>::with_sign(r, x);
  return keeps_sign_of_zero<F> ? r : Ops<T>::positive_zero(r);
}

/// The three lines that define trimming.
template <class F, class R, class T>
RISTRETTO_HOST_DEVICE constexpr T trim_number(const F& format, const R& round, T x, std::uint64_t i) noexcept {
  const T y = format.saturate(x);
  const T q = format.quantum(y);
  const T v = keep_tiny(Ops<T>::divide(y, q), y);
  return finish(format, round(v, i) * q, x);  // both scalings are exact: q is a power of two
}

}  // namespace detail

/// Replaces a number by a value of the format, kept as a float (double, batch). NaN stays NaN, infinities saturate
/// unless the format keeps them, and a zero result has the sign of x unless the format has one zero only.
template <Format F, Rounding R = RoundNearest>
struct Trimmer {
  static_assert(
      !std::is_same_v<R, RoundNearestExponent> || requires { requires !F::has_zero; },
      "RoundNearestExponent rounds between neighbouring powers of two; use it with PowerOfTwo only");

  F format{};
  R round{};

  /// x trimmed; i is the index of x in its tensor (of lane 0, when T is a batch).
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, std::uint64_t i) const noexcept {
    return detail::trim_number(detail::grid_of<T>(format), round, x, i);
  }

  /// x trimmed, for roundings without randomness; so a Trimmer works in `unaryExpr` and std::transform.
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x) const noexcept {
    static_assert(!R::indexed,
                  "a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first) "
                  "or trimmer(x, i)");
    return (*this)(x, 0);
  }

  /// x trimmed lane by lane, under the name by which Eigen asks for it; eigen.hpp has it.
  template <class Packet>
  RISTRETTO_HOST_DEVICE Packet packetOp(const Packet& x) const noexcept;

  friend constexpr bool operator==(const Trimmer&, const Trimmer&) = default;
};
template <Format F>
Trimmer(F) -> Trimmer<F>;
template <Format F, Rounding R>
Trimmer(F, R) -> Trimmer<F, R>;

}  // namespace ristretto
