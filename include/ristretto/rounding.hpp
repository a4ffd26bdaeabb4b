// SPDX-License-Identifier: MIT
// Roundings: each takes v, a number of quanta, to a neighbouring integer.
#pragma once

#include <ristretto/config.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>

#include <ristretto/ops.hpp>

namespace ristretto {

// A rounding decides between the two neighbours of |v| = f + t, f = floor |v| and t in [0, 1) exact: it is a struct
// with `up(part, whole, v, i)`, where t = part / whole, v is the number of quanta and i the index of its element (of
// lane 0, when T is a batch); up says whether the magnitude goes up to f + 1 or stays at f. Nothing is ever added to v,
// so no tie is missed and small values do not drift. RoundNearest alone computes its result: it has `operator()(v, i)`,
// as a rounding of yours may. Integers and NaN stay as they are. Hooks:
//   indexed      whether i matters: then elements have their own random numbers
//   text_name    its name in AnyRounding's text form; only roundings that AnyRounding holds need one

/// A rounding that decides between the two neighbours in magnitude.
template <class R, class T>
concept Deciding = requires(const R round, T t, std::uint64_t i) { round.up(t, t, t, i); };

/// A rule that takes a number of quanta to a neighbouring integer.
template <class R>
concept Rounding = requires {
  { R::indexed } -> std::convertible_to<bool>;
} && (Deciding<R, float> || requires(const R round, float v, std::uint64_t i) {
                     { round(v, i) } -> std::same_as<float>;
                   });

/// Round to nearest, ties to even. Also called convergent; AP_RND_CONV in HLS, roundTiesToEven in IEEE 754.
struct RoundNearest {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "nearest";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t = 0) const noexcept {
    return Ops<T>::rint(v);
  }
  friend constexpr bool operator==(const RoundNearest&, const RoundNearest&) = default;
};

/// v, a number of quanta, as the rounding takes it to a whole number of them.
template <class R, class T>
RISTRETTO_HOST_DEVICE constexpr T rounded(const R& round, T v, std::uint64_t i = 0) noexcept {
  if constexpr (Deciding<R, T>) {
    const T a = Ops<T>::abs(v);
    const T f = Ops<T>::floor(a);
    const auto up = round.up(a - f, T(1), v, i);  // exact: both are multiples of the last place of a
    return Ops<T>::copysign(Ops<T>::select(up, f + T(1), f), v);
  } else {
    return round(v, i);
  }
}

/// Round to nearest, ties away from zero. AP_RND_INF in HLS, roundTiesToAway in IEEE 754; the original's CPU rule.
struct RoundNearestAway {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "nearest_away";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return part >= T(0.5f) * whole;
  }
  friend constexpr bool operator==(const RoundNearestAway&, const RoundNearestAway&) = default;
};

/// Round to nearest, ties toward plus infinity: floor(v + 1/2) in exact arithmetic. AP_RND in HLS.
struct RoundHalfUp {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "half_up";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T v, std::uint64_t) const noexcept {
    const T half = T(0.5f) * whole;
    return Ops<T>::either(part > half, Ops<T>::both(part == half, v > T(0)));
  }
  friend constexpr bool operator==(const RoundHalfUp&, const RoundHalfUp&) = default;
};

/// Round toward minus infinity. AP_TRN in HLS, roundTowardNegative in IEEE 754.
struct RoundDown {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "down";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T v, std::uint64_t) const noexcept {
    return Ops<T>::both(part > T(0), v < T(0));
  }
  friend constexpr bool operator==(const RoundDown&, const RoundDown&) = default;
};

/// Round toward plus infinity. roundTowardPositive in IEEE 754.
struct RoundUp {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "up";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T v, std::uint64_t) const noexcept {
    return Ops<T>::both(part > T(0), v > T(0));
  }
  friend constexpr bool operator==(const RoundUp&, const RoundUp&) = default;
};

/// Round toward zero (truncate). AP_TRN_ZERO in HLS, roundTowardZero in IEEE 754.
struct RoundTowardZero {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "toward_zero";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T, T, std::uint64_t) const noexcept {
    return part < T(0);  // never
  }
  friend constexpr bool operator==(const RoundTowardZero&, const RoundTowardZero&) = default;
};

/// The power of two whose exponent is nearest to log2 |v|, for |v| in [1, 2): 2 iff |v| >= sqrt 2. With PowerOfTwo
/// only. What the original tool computed for power-of-two weights.
struct RoundNearestExponent {
  static constexpr bool indexed = false;
  static constexpr std::string_view text_name = "nearest_exponent";

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t) const noexcept {
    return part >= T(LaneScalar<T>(0x1.6a09e8p+0) - 1) * whole;  // float 0x3FB504F4, the first above sqrt 2
  }
  friend constexpr bool operator==(const RoundNearestExponent&, const RoundNearestExponent&) = default;
};

/// Stochastic rounding: up in magnitude with probability |v| - floor |v|, so that the mean of many draws is v.
/// Element i of a stream has the same draw everywhere, and trim(-x) = -trim(x). Bits per draw: 32 (23 are used) or 16.
/// Source: Gupta et al., "Deep learning with limited numerical precision", ICML 2015.
template <int Bits = 32>
struct RoundStochastic {
  static_assert(Bits == 32 || Bits == 16, "RoundStochastic draws 32 or 16 random bits an element");
  static constexpr bool indexed = true;
  static constexpr std::string_view text_name = Bits == 32 ? "stochastic:32" : "stochastic:16";

  RandomStream random{};

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr auto up(T part, T whole, T, std::uint64_t i) const noexcept {
    return Ops<T>::template uniform<Bits>(random, i) * whole < part;
  }
  friend constexpr bool operator==(const RoundStochastic&, const RoundStochastic&) = default;
};

}  // namespace ristretto
