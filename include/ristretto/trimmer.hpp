// SPDX-License-Identifier: MIT
// The Trimmer: a format and a rounding, applied to one number. Here, and nowhere else, a number is rounded.
#pragma once

#include <cstdint>
#include <type_traits>

#include <ristretto/formats.hpp>
#include <ristretto/rounding.hpp>

namespace ristretto {

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
    const T y = format.saturate(x);
    const T q = format.quantum(y);
    return finish(round(quanta(y, q), i) * q, x);  // both scalings are exact: q is a power of two
  }

  /// x trimmed, for roundings without randomness; so a Trimmer works in `unaryExpr` and std::transform.
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x) const noexcept {
    static_assert(!R::indexed,
                  "a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first) "
                  "or trimmer(x, i)");
    return (*this)(x, 0);
  }

  friend constexpr bool operator==(const Trimmer&, const Trimmer&) = default;

 private:
  /// y / q; where it would underflow it stays a small number with the sign of y, so that RoundUp and RoundDown still
  /// move.
  template <class T>
  RISTRETTO_HOST_DEVICE static constexpr T quanta(T y, T q) noexcept {
    const T tiny = T(power_of_two<LaneScalar<T>>(Ops<LaneScalar<T>>::min_exponent));
    const T v = y / q;
    return Ops<T>::select(Ops<T>::both(v == T(0), y != T(0)), Ops<T>::copysign(tiny, y), v);
  }

  /// What the three lines leave open: infinities, and the sign of zero.
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T finish(T r, T x) const noexcept {
    if constexpr (requires { format.overflow(r, x); }) r = format.overflow(r, x);
    if constexpr (requires { requires !F::signed_zero; }) {
      return r + T(0);  // -0 + 0 is +0
    } else {
      return Ops<T>::copysign(r, x);  // no other result changes sign
    }
  }
};
template <Format F>
Trimmer(F) -> Trimmer<F>;
template <Format F, Rounding R>
Trimmer(F, R) -> Trimmer<F, R>;

}  // namespace ristretto
