// SPDX-License-Identifier: MIT
// Roundings: each takes v, a number of quanta, to a neighbouring integer.
#pragma once

#include <concepts>
#include <cstdint>

#include <ristretto/ops.hpp>

namespace ristretto {

// A rounding is a struct with `T operator()(T v, std::uint64_t i) const noexcept`, where i is the index in its tensor
// of v, or of lane 0 when T is a batch. Integers and NaN stay as they are. `indexed` says whether i matters. All but
// RoundNearest look at the magnitude |v| = f + t, f = floor |v| and t in [0, 1) exact, and decide with
// `up(part, whole, v, i)`, where t = part / whole, whether it goes up to f + 1 or stays at f; nothing is ever added to
// v, so no tie is missed and small values do not drift.

/// A rule that takes a number of quanta to a neighbouring integer.
template <class R>
concept Rounding = requires(const R round, float v, std::uint64_t i) {
  { round(v, i) } -> std::same_as<float>;
  { R::indexed } -> std::convertible_to<bool>;
};

/// Round to nearest, ties to even. Also called convergent; AP_RND_CONV in HLS, roundTiesToEven in IEEE 754.
struct RoundNearest {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t = 0) const noexcept {
    return Ops<T>::rint(v);
  }
  friend constexpr bool operator==(const RoundNearest&, const RoundNearest&) = default;
};

namespace detail {

/// |v| = f + t with f = floor |v| and t in [0, 1), both exact.
template <class T>
struct Magnitude {
  T f;
  T t;
};

template <class T>
RISTRETTO_HOST_DEVICE constexpr Magnitude<T> magnitude(T v) noexcept {
  const T a = Ops<T>::abs(v);
  const T f = Ops<T>::floor(a);
  return {f, a - f};  // exact: both are multiples of the last place of a
}

/// The magnitude of v as `round` decides: floor |v| or one more.
template <class R, class T>
RISTRETTO_HOST_DEVICE constexpr T decided_magnitude(const R& round, T v, std::uint64_t i) noexcept {
  const auto [f, t] = magnitude(v);
  return Ops<T>::select(round.up(t, T(1), v, i), f + T(1), f);
}

template <class R, class T>
RISTRETTO_HOST_DEVICE constexpr T decide(const R& round, T v, std::uint64_t i) noexcept {
  return Ops<T>::copysign(decided_magnitude(round, v, i), v);
}

}  // namespace detail

/// A rounding that decides between the two neighbours in magnitude.
template <class R, class T>
concept Deciding = requires(const R round, T t, std::uint64_t i) { round.up(t, t, t, i); };

/// Round to nearest, ties away from zero. AP_RND_INF in HLS, roundTiesToAway in IEEE 754; the original's CPU rule.
struct RoundNearestAway {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return part >= T(0.5f) * whole;
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundNearestAway&, const RoundNearestAway&) = default;
};

/// Round to nearest, ties toward plus infinity: floor(v + 1/2) in exact arithmetic. AP_RND in HLS.
struct RoundHalfUp {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T v, std::uint64_t) const noexcept {
    const T half = T(0.5f) * whole;
    return Ops<T>::either(part > half, Ops<T>::both(part == half, v > T(0)));
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundHalfUp&, const RoundHalfUp&) = default;
};

/// Round toward minus infinity. AP_TRN in HLS, roundTowardNegative in IEEE 754.
struct RoundDown {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T v, std::uint64_t) const noexcept {
    return Ops<T>::both(part > T(0), v < T(0));
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundDown&, const RoundDown&) = default;
};

/// Round toward plus infinity. roundTowardPositive in IEEE 754.
struct RoundUp {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T v, std::uint64_t) const noexcept {
    return Ops<T>::both(part > T(0), v > T(0));
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundUp&, const RoundUp&) = default;
};

/// Round toward zero (truncate). AP_TRN_ZERO in HLS, roundTowardZero in IEEE 754.
struct RoundTowardZero {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T, std::uint64_t) const noexcept {
    return part < T(0);  // never
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundTowardZero&, const RoundTowardZero&) = default;
};

/// The power of two whose exponent is nearest to log2 |v|, for |v| in [1, 2): 2 iff |v| >= sqrt 2. With PowerOfTwo
/// only. What the original tool computed for power-of-two weights.
struct RoundNearestExponent {
  static constexpr bool indexed = false;

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return part >= T(LaneScalar<T>(0x1.6a09e8p+0) - 1) * whole;  // float 0x3FB504F4, the first above sqrt 2
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i = 0) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundNearestExponent&, const RoundNearestExponent&) = default;
};

/// Stochastic rounding: up in magnitude with probability |v| - floor |v|, so that the mean of many draws is v.
/// Element i of a stream has the same draw everywhere, and trim(-x) = -trim(x). Bits per draw: 32 (23 are used) or 16.
/// Source: Gupta et al., "Deep learning with limited numerical precision", ICML 2015.
template <int Bits = 32, int Rounds = 10>
struct RoundStochastic {
  static_assert(Bits == 32 || Bits == 16, "RoundStochastic draws 32 or 16 random bits an element");
  static_assert(Rounds >= 7, "Philox4x32 needs at least 7 rounds to be random enough (Salmon et al. 2011)");
  static constexpr bool indexed = true;

  RandomStream random{};

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t i) const noexcept {
    return Ops<T>::template uniform<Bits, Rounds>(random, i) * whole < part;
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i) const noexcept {
    return detail::decide(*this, v, i);
  }
  friend constexpr bool operator==(const RoundStochastic&, const RoundStochastic&) = default;
};

namespace detail {

/// RoundStochastic for elements whose draws are at hand, already times a part of `whole`: see routes.hpp.
template <class T>
struct RoundDrawn {
  T draw;

  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return draw * whole < part;
  }
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t i) const noexcept { return decide(*this, v, i); }
};

}  // namespace detail

}  // namespace ristretto
