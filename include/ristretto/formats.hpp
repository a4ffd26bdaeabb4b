// SPDX-License-Identifier: MIT
// Number formats. A format is a grid: where does it end, how fine is it here.
#pragma once

#include <concepts>
#include <limits>
#include <stdexcept>
#include <string>

#include <ristretto/ops.hpp>

namespace ristretto {

/// A set of representable numbers. `saturate` moves x to the nearer end of the grid when it lies beyond (NaN stays
/// NaN), `quantum` is the spacing of the grid at a saturated y, a power of two, `bits` the bit width of a stored
/// number.
template <class F>
concept Format = requires(const F format, float x) {
  { format.saturate(x) } -> std::same_as<float>;
  { format.quantum(x) } -> std::same_as<float>;
  { format.bits() } -> std::same_as<int>;
};

/// The exponents of the least and the greatest quantum of a format that float lanes meet.
struct QuantumExponents {
  int least;
  int greatest;
};

/// As a template argument: the parameter is given at run time and stored.
inline constexpr int runtime = std::numeric_limits<int>::min();

namespace detail {

/// A parameter of a format: fixed in the type when V is a number, stored when V is `runtime`.
template <int V>
struct Param {
  constexpr Param() = default;
  constexpr Param(int v) {
    if (v != V) {
      throw std::invalid_argument("ristretto: a format parameter is fixed as " + std::to_string(V) +
                                  " in its type but given as " + std::to_string(v) + "; leave it out or use `runtime`");
    }
  }
  RISTRETTO_HOST_DEVICE constexpr int get() const noexcept { return V; }
  friend constexpr bool operator==(const Param&, const Param&) = default;
};

template <>
struct Param<runtime> {
  constexpr Param(int v) : value(v) {}
  RISTRETTO_HOST_DEVICE constexpr int get() const noexcept { return value; }
  friend constexpr bool operator==(const Param&, const Param&) = default;

  int value;
};

[[noreturn]] inline void throw_bad_parameter(const char* format, const char* parameter, int value, const char* remedy) {
  throw std::invalid_argument(std::string("ristretto: ") + format + ": " + parameter + " is " + std::to_string(value) +
                              "; choose " + remedy);
}

constexpr bool within(int value, int low, int high) { return low <= value && value <= high; }
constexpr bool width_fits(int il, int fl) { return within(il, 1 - fl, 32 - fl); }
constexpr bool width_fits_if_known(int il, int fl) { return il == runtime || fl == runtime || width_fits(il, fl); }

// What a format is for lanes of type T: its numbers worked out once, and the arithmetic with them. A format computes
// with its grid<T>(); a kernel keeps that for a whole span, and may use that the quantum is leading(y) * per_leading.

template <class T, bool Signed>
struct FixedPointGrid {
  static constexpr bool signed_zero = Signed;

  T lowest;
  T largest;
  T per_leading;  ///< the quantum, of 1

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept { return Ops<T>::clamp(x, lowest, largest); }
  RISTRETTO_HOST_DEVICE constexpr T leading(T) const noexcept { return T(1); }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T) const noexcept { return per_leading; }
};

/// k * 2^-FL: what both fixed-point formats share.
template <int IL, int FL, bool Signed>
class FixedPoint {
  static_assert(FL == runtime || within(FL, -96, 126), "fixed point: the fractional length FL must be in [-96, 126]");
  static_assert(width_fits_if_known(IL, FL), "fixed point: the bit width IL + FL must be in [1, 32]");

 public:
  static constexpr bool signed_zero = Signed;
  static constexpr bool fixed_in_type = IL != runtime && FL != runtime;

  constexpr FixedPoint()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument when IL + FL is outside [1, 32] or FL outside [-96, 126].
  constexpr FixedPoint(Param<IL> il, Param<FL> fl) : il_(il), fl_(fl) {
    constexpr const char* name = Signed ? "DynamicFixedPoint" : "UnsignedFixedPoint";
    if (!within(fl_.get(), -96, 126)) {
      throw_bad_parameter(name, "the fractional length FL", fl_.get(), "FL in [-96, 126]");
    }
    if (!width_fits(il_.get(), fl_.get())) {
      throw_bad_parameter(name, "the integer length IL", il_.get(), "IL such that the bit width IL + FL is in [1, 32]");
    }
  }

  RISTRETTO_HOST_DEVICE constexpr int integer_length() const noexcept { return il_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int fractional_length() const noexcept { return fl_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept { return il_.get() + fl_.get(); }

  /// The upper end: the largest S on the grid.
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    constexpr int held = Ops<S>::fraction_bits + 1;
    const int digits = Signed ? bits() - 1 : bits();
    const int dropped = digits > held ? digits - held : 0;  // low digits that an S cannot hold
    const auto k = (std::uint64_t{1} << (digits - dropped)) - 1;
    return static_cast<S>(k) * power_of_two<S>(dropped - fl_.get());
  }
  /// The lower end: -2^(IL-1), or 0 without a sign.
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return Signed ? -power_of_two<S>(il_.get() - 1) : S(0);
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr FixedPointGrid<T, Signed> grid() const noexcept {
    using S = LaneScalar<T>;
    return {T(lowest<S>()), T(largest<S>()), T(power_of_two<S>(-fl_.get()))};
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return grid<T>().saturate(x);
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept {
    return grid<T>().quantum(y);
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    return {-fl_.get(), -fl_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return bits() - (Signed ? 1 : 0); }

  friend constexpr bool operator==(const FixedPoint&, const FixedPoint&) = default;

 private:
  Param<IL> il_;
  Param<FL> fl_;
};

}  // namespace detail

/// Two's-complement fixed point: IL integer bits (sign included) and FL fractional bits, either may be negative.
/// Values: k * 2^-FL for k in [-2^(B-1), 2^(B-1) - 1], B = IL + FL in [1, 32]; FL in [-96, 126].
/// Source: Gysel, "Ristretto: hardware-oriented approximation of convolutional neural networks", arXiv:1605.06402.
template <int IL = runtime, int FL = runtime>
struct DynamicFixedPoint : detail::FixedPoint<IL, FL, true> {
  using detail::FixedPoint<IL, FL, true>::FixedPoint;
};
DynamicFixedPoint(int, int) -> DynamicFixedPoint<>;

/// Fixed point without a sign, for what follows a ReLU: k * 2^-FL for k in [0, 2^B - 1], B = IL + FL in [1, 32];
/// FL in [-96, 126]. Its one zero is +0.
template <int IL = runtime, int FL = runtime>
struct UnsignedFixedPoint : detail::FixedPoint<IL, FL, false> {
  using detail::FixedPoint<IL, FL, false>::FixedPoint;
};
UnsignedFixedPoint(int, int) -> UnsignedFixedPoint<>;

/// What the codes of a minifloat mean beyond sign, exponent and mantissa.
enum class Encoding {
  ieee,           ///< subnormals; the top exponent is kept for infinities and NaN
  finite_nan,     ///< subnormals; only the all-ones code is NaN (OCP E4M3)
  finite,         ///< subnormals; every code is a number (OCP FP6 and FP4)
  fnuz,           ///< subnormals; one zero, one NaN in the place of -0, bias 2^(E-1)
  ristretto2016,  ///< no subnormals, every code a number; what is too small becomes +0 before any rounding
};

/// What becomes of values beyond the largest finite number of a minifloat.
enum class Overflow {
  saturate,     ///< they become the largest finite number
  to_infinity,  ///< they are rounded as if the exponent had no upper end; what lands beyond becomes infinite (ieee
                ///< only)
};

namespace detail {

/// The bias of so many exponent bits; 0 for a number of them that there is not.
RISTRETTO_HOST_DEVICE constexpr int usual_bias(Encoding encoding, int e) noexcept {
  return e >= 1 && e <= 8 ? (1 << (e - 1)) - (encoding == Encoding::fnuz ? 0 : 1) : 0;
}

template <class T, Encoding encoding, Overflow overflow_policy>
struct MinifloatGrid {
  static constexpr bool signed_zero = encoding != Encoding::fnuz && encoding != Encoding::ristretto2016;

  T largest;          ///< finite number
  T end;              ///< what numbers saturate to: the largest, or to_infinity the first power of two beyond
  T smallest_normal;  ///< its leading power of two
  T per_leading;      ///< 2^-M: quanta are that many of the leading power of two

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    const T y = Ops<T>::clamp(x, -end, end);
    return encoding == Encoding::ristretto2016 ? flush(y, Ops<T>::abs(y)) : y;
  }
  /// The same for x >= 0 or NaN.
  RISTRETTO_HOST_DEVICE constexpr T saturate_magnitude(T x) const noexcept {
    const T a = Ops<T>::min(x, end);
    return encoding == Encoding::ristretto2016 ? flush(a, a) : a;
  }
  /// The leading power of two of y, but at least that of the smallest normal number.
  RISTRETTO_HOST_DEVICE constexpr T leading(T y) const noexcept {
    return Ops<T>::max(Ops<T>::binade(y), smallest_normal);
  }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept { return leading(y) * per_leading; }
  /// Infinity where x, or its rounded value r, lies beyond the largest finite number.
  RISTRETTO_HOST_DEVICE constexpr T overflow(T r, T x) const noexcept
    requires(overflow_policy == Overflow::to_infinity)
  {
    const T infinity = T(Ops<LaneScalar<T>>::infinity);
    return Ops<T>::select(Ops<T>::either(Ops<T>::abs(r) > largest, Ops<T>::abs(x) == infinity), infinity, r);
  }

 private:
  RISTRETTO_HOST_DEVICE constexpr T flush(T y, T magnitude) const noexcept {
    return Ops<T>::select(magnitude < smallest_normal, T(0), y);
  }
};

}  // namespace detail

/// Floating point with a sign, E exponent bits and M mantissa bits: ±m * 2^e; the bias is 2^(E-1) - 1, or given at run
/// time. M in [0, 23], E in [1, 8]. An end beyond the lane type is the largest grid point that is a value of that type.
/// Sources: IEEE 754-2019; OCP 8-bit Floating Point Specification 1.0; OCP Microscaling Formats 1.0.
template <int M = runtime, int E = runtime, Encoding encoding = Encoding::ieee,
          Overflow overflow_policy = Overflow::saturate>
class Minifloat {
  static_assert(M == runtime || detail::within(M, 0, 23), "Minifloat<M, E>: the mantissa bits M must be in [0, 23]");
  static_assert(E == runtime || detail::within(E, 1, 8), "Minifloat<M, E>: the exponent bits E must be in [1, 8]");
  static_assert(E == runtime || encoding != Encoding::ieee || E >= 2,
                "Minifloat<M, E>: the ieee encoding needs E >= 2; use Encoding::finite for one exponent bit");
  static_assert(M == runtime || encoding != Encoding::finite_nan || M >= 1,
                "Minifloat<M, E>: the finite_nan encoding needs M >= 1; use Encoding::finite without mantissa bits");
  static_assert(overflow_policy == Overflow::saturate || encoding == Encoding::ieee,
                "Minifloat<M, E>: only the ieee encoding has infinities; use Overflow::saturate");

 public:
  static constexpr bool signed_zero = detail::MinifloatGrid<float, encoding, overflow_policy>::signed_zero;
  static constexpr bool fixed_in_type = M != runtime && E != runtime;

  constexpr Minifloat()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument when M is outside [0, 23], E outside [1, 8], or the encoding needs more bits.
  constexpr Minifloat(detail::Param<M> m, detail::Param<E> e)
      : m_(m), e_(e), bias_(detail::usual_bias(encoding, e.get())) {
    if (!detail::within(m_.get(), 0, 23)) {
      detail::throw_bad_parameter("Minifloat", "the number of mantissa bits M", m_.get(), "M in [0, 23]");
    }
    if (!detail::within(e_.get(), 1, 8)) {
      detail::throw_bad_parameter("Minifloat", "the number of exponent bits E", e_.get(), "E in [1, 8]");
    }
    if (encoding == Encoding::ieee && e_.get() < 2) {
      detail::throw_bad_parameter("Minifloat with the ieee encoding", "the number of exponent bits E", e_.get(),
                                  "E >= 2, or Encoding::finite");
    }
    if (encoding == Encoding::finite_nan && m_.get() < 1) {
      detail::throw_bad_parameter("Minifloat with the finite_nan encoding", "the number of mantissa bits M", m_.get(),
                                  "M >= 1, or Encoding::finite");
    }
  }
  /// With a bias other than the usual one, such that the grid lies among the normal floats: its largest exponent is at
  /// most 127, its least quantum at least 2^-126. Throws std::invalid_argument for another.
  constexpr Minifloat(detail::Param<M> m, int e, int bias)
    requires(E == runtime)
      : Minifloat(m, e) {
    if (!can_have_bias(bias)) {
      // With bias b the largest exponent is max_exponent() + bias() - b, the exponent of the quantum as much larger.
      const int low = max_exponent() + bias_.get() - 127, high = min_exponent() - m_.get() + bias_.get() + 126;
      throw std::invalid_argument(
          "ristretto: Minifloat: the bias is " + std::to_string(bias) + "; choose " + std::to_string(bias_.get()) +
          (low <= high ? ", or one in [" + std::to_string(low) + ", " + std::to_string(high) + "]" : std::string()));
    }
    bias_ = bias;
  }

  RISTRETTO_HOST_DEVICE constexpr int mantissa_bits() const noexcept { return m_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int exponent_bits() const noexcept { return e_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept { return 1 + m_.get() + e_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int bias() const noexcept { return bias_.get(); }
  RISTRETTO_HOST_DEVICE constexpr bool has_usual_bias() const noexcept {
    return bias() == detail::usual_bias(encoding, e_.get());
  }
  /// Whether the constructor takes this bias.
  RISTRETTO_HOST_DEVICE constexpr bool can_have_bias(int bias) const noexcept {
    const int usual = detail::usual_bias(encoding, e_.get());
    const std::int64_t more = std::int64_t{bias_.get()} - bias;  // so much larger is every exponent
    return bias == usual || (max_exponent() + more <= 127 && min_exponent() - m_.get() + more >= -126);
  }
  /// Exponent of the largest numbers.
  RISTRETTO_HOST_DEVICE constexpr int max_exponent() const noexcept {
    return (1 << e_.get()) - (encoding == Encoding::ieee ? 2 : 1) - bias();
  }
  /// Exponent of the smallest normal numbers.
  RISTRETTO_HOST_DEVICE constexpr int min_exponent() const noexcept {
    return (encoding == Encoding::ristretto2016 ? 0 : 1) - bias();
  }

  /// The upper end: the largest finite number that is an S.
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    if (max_exponent() > Ops<S>::max_exponent) {
      return (S(2) - power_of_two<S>(-m_.get())) * power_of_two<S>(Ops<S>::max_exponent);
    }
    constexpr int codes_lost = encoding == Encoding::finite_nan ? 2 : 1;  // the last mantissa is NaN there
    return (S(2) - codes_lost * power_of_two<S>(-m_.get())) * power_of_two<S>(max_exponent());
  }
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return -largest<S>();
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr detail::MinifloatGrid<T, encoding, overflow_policy> grid() const noexcept {
    using S = LaneScalar<T>;
    const S end = overflow_policy == Overflow::to_infinity ? beyond<S>() : largest<S>();
    return {T(largest<S>()), T(end), T(smallest_normal<S>()), T(power_of_two<S>(-m_.get()))};
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return grid<T>().saturate(x);
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept {
    return grid<T>().quantum(y);
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    const int greatest = max_exponent() + (overflow_policy == Overflow::to_infinity ? 1 : 0);
    return {least_quantum_exponent<float>(),
            (greatest < Ops<float>::max_exponent ? greatest : Ops<float>::max_exponent) - m_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return m_.get() + 1; }
  /// d, where between the ends the grid is all floats whose d lowest fraction bits are zero; 0 where it is another.
  RISTRETTO_HOST_DEVICE constexpr int low_bits() const noexcept {
    return e_.get() == 8 && encoding != Encoding::fnuz ? Ops<float>::fraction_bits - m_.get() : 0;
  }
  friend constexpr bool operator==(const Minifloat&, const Minifloat&) = default;

 private:
  /// The first number past the upper end if the exponent had no end: 2^(max_exponent + 1), or infinity beyond S.
  template <class S>
  RISTRETTO_HOST_DEVICE constexpr S beyond() const noexcept {
    return max_exponent() < Ops<S>::max_exponent ? power_of_two<S>(max_exponent() + 1) : Ops<S>::infinity;
  }
  /// Where the grid ends near zero with a quantum that an S can hold; ristretto2016 has nothing smaller, and never a
  /// subnormal float.
  template <class S>
  RISTRETTO_HOST_DEVICE constexpr S smallest_normal() const noexcept {
    if (encoding == Encoding::ristretto2016 && min_exponent() < Ops<float>::min_exponent) {
      return power_of_two<S>(Ops<float>::min_exponent);
    }
    return power_of_two<S>(least_quantum_exponent<S>() + m_.get());
  }
  template <class S>
  RISTRETTO_HOST_DEVICE constexpr int least_quantum_exponent() const noexcept {
    const int least = min_exponent() - m_.get();
    constexpr int held = Ops<S>::min_exponent - Ops<S>::fraction_bits;  // a grid finer than S is as fine as S
    return least > held ? least : held;
  }

  detail::Param<M> m_;
  detail::Param<E> e_;
  detail::Param<E == runtime ? runtime : detail::usual_bias(encoding, E)> bias_;
};
Minifloat(int, int) -> Minifloat<>;
Minifloat(int, int, int) -> Minifloat<>;

using Half = Minifloat<10, 5>;                               ///< IEEE 754 binary16
using BFloat16 = Minifloat<7, 8>;                            ///< the upper half of a float
using TF32 = Minifloat<10, 8>;                               ///< what tensor cores read of a float
using Float8E5M2 = Minifloat<2, 5>;                          ///< OCP FP8
using Float8E4M3FN = Minifloat<3, 4, Encoding::finite_nan>;  ///< OCP FP8, largest 448
using Float8E5M2FNUZ = Minifloat<2, 5, Encoding::fnuz>;      ///< Noune et al., arXiv:2206.02915
using Float8E4M3FNUZ = Minifloat<3, 4, Encoding::fnuz>;      ///< Noune et al., arXiv:2206.02915
using Float6E3M2FN = Minifloat<2, 3, Encoding::finite>;      ///< OCP MX, largest 28
using Float6E2M3FN = Minifloat<3, 2, Encoding::finite>;      ///< OCP MX, largest 7.5
using Float4E2M1FN = Minifloat<1, 2, Encoding::finite>;      ///< OCP MX, largest 6

namespace detail {

template <class T, bool Zero>
struct PowersOfTwoGrid {
  static constexpr bool has_zero = Zero;

  T smallest;
  T largest;
  T per_leading;  ///< 1: the quantum is the leading power of two

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return Ops<T>::copysign(saturate_magnitude(Ops<T>::abs(x)), x);
  }
  /// The same for x >= 0 or NaN.
  RISTRETTO_HOST_DEVICE constexpr T saturate_magnitude(T x) const noexcept {
    return Zero ? Ops<T>::min(x, largest) : Ops<T>::clamp(x, smallest, largest);
  }
  RISTRETTO_HOST_DEVICE constexpr T leading(T y) const noexcept {
    return Zero ? quantum(y) : Ops<T>::binade(y);  // without a zero, nothing saturated is below 2^Min
  }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept { return Ops<T>::max(Ops<T>::binade(y), smallest); }
};

/// ±2^e, with or without a zero: what both power-of-two formats share.
template <int Min, int Max, bool Zero>
class PowersOfTwo {
  static_assert(Min == runtime || within(Min, -126, 127),
                "power of two: the least exponent Min must be in [-126, 127]");
  static_assert(Max == runtime || within(Max, Min == runtime ? -126 : Min, 127),
                "power of two: the greatest exponent Max must be in [Min, 127]");

 public:
  static constexpr bool has_zero = Zero;
  static constexpr bool fixed_in_type = Min != runtime && Max != runtime;

  constexpr PowersOfTwo()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument unless -126 <= Min <= Max <= 127.
  constexpr PowersOfTwo(Param<Min> min, Param<Max> max) : min_(min), max_(max) {
    constexpr const char* name = Zero ? "PowerOfTwoOrZero" : "PowerOfTwo";
    if (!within(min_.get(), -126, 127)) {
      throw_bad_parameter(name, "the least exponent Min", min_.get(), "Min in [-126, 127]");
    }
    if (!within(max_.get(), min_.get(), 127)) {
      throw_bad_parameter(name, "the greatest exponent Max", max_.get(), "Max in [Min, 127]");
    }
  }

  RISTRETTO_HOST_DEVICE constexpr int min_exponent() const noexcept { return min_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int max_exponent() const noexcept { return max_.get(); }
  /// A sign, and enough bits to number the exponents (and the zero).
  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept {
    const int codes = max_.get() - min_.get() + (Zero ? 2 : 1);
    int bits = 1;
    while (1 << (bits - 1) < codes) ++bits;
    return bits;
  }

  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    return power_of_two<S>(max_.get());
  }
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return -largest<S>();
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr PowersOfTwoGrid<T, Zero> grid() const noexcept {
    using S = LaneScalar<T>;
    return {T(power_of_two<S>(min_.get())), T(largest<S>()), T(1)};
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return grid<T>().saturate(x);
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept {
    return grid<T>().quantum(y);
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    return {min_.get(), max_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return 1; }
  /// d, where between the ends the grid is all floats whose d lowest fraction bits are zero; 0 where it is another.
  RISTRETTO_HOST_DEVICE constexpr int low_bits() const noexcept { return Zero ? 0 : Ops<float>::fraction_bits; }

  friend constexpr bool operator==(const PowersOfTwo&, const PowersOfTwo&) = default;

 private:
  Param<Min> min_;
  Param<Max> max_;
};

}  // namespace detail

/// Powers of two, for multiplications that are shifts: ±2^e for e in [Min, Max], -126 <= Min <= Max <= 127. There is no
/// zero: ±0 becomes ±2^Min. Source: Gysel, arXiv:1605.06402, "multiplier-free arithmetic".
template <int Min = runtime, int Max = runtime>
struct PowerOfTwo : detail::PowersOfTwo<Min, Max, false> {
  using detail::PowersOfTwo<Min, Max, false>::PowersOfTwo;
};
PowerOfTwo(int, int) -> PowerOfTwo<>;

/// Powers of two and zero: ±0 and ±2^e for e in [Min, Max], -126 <= Min <= Max <= 127.
template <int Min = runtime, int Max = runtime>
struct PowerOfTwoOrZero : detail::PowersOfTwo<Min, Max, true> {
  using detail::PowersOfTwo<Min, Max, true>::PowersOfTwo;
};
PowerOfTwoOrZero(int, int) -> PowerOfTwoOrZero<>;

}  // namespace ristretto
