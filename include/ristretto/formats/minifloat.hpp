// SPDX-License-Identifier: MIT
// Minifloats: a sign, exponent bits and mantissa bits, in several encodings.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ristretto/format.hpp>

namespace ristretto {

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

/// The words behind the parameters in the text form.
constexpr std::string_view minifloat_suffix(Encoding encoding, Overflow overflow) {
  if (overflow == Overflow::to_infinity) return ",to_infinity";
  switch (encoding) {
    case Encoding::finite_nan:
      return ",finite_nan";
    case Encoding::finite:
      return ",finite";
    case Encoding::fnuz:
      return ",fnuz";
    case Encoding::ristretto2016:
      return ",ristretto2016";
    case Encoding::ieee:
      break;
  }
  return "";
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
class Minifloat : public detail::OnGrid<Minifloat<M, E, encoding, overflow_policy>> {
  static_assert(M == runtime || detail::within(M, 0, 23), "Minifloat<M, E>: the mantissa bits M must be in [0, 23]");
  static_assert(E == runtime || detail::within(E, 1, 8), "Minifloat<M, E>: the exponent bits E must be in [1, 8]");
  static_assert(E == runtime || encoding != Encoding::ieee || E >= 2,
                "Minifloat<M, E>: the ieee encoding needs E >= 2; use Encoding::finite for one exponent bit");
  static_assert(M == runtime || encoding != Encoding::finite_nan || M >= 1,
                "Minifloat<M, E>: the finite_nan encoding needs M >= 1; use Encoding::finite without mantissa bits");
  static_assert(overflow_policy == Overflow::saturate || encoding == Encoding::ieee,
                "Minifloat<M, E>: only the ieee encoding has infinities; use Overflow::saturate");

 public:
  using Runtime = Minifloat<runtime, runtime, encoding, overflow_policy>;

  static constexpr bool signed_zero = detail::MinifloatGrid<float, encoding, overflow_policy>::signed_zero;
  static constexpr bool fixed_in_type = M != runtime && E != runtime;
  static constexpr std::string_view text_name = "minifloat";
  static constexpr std::string_view text_suffix = detail::minifloat_suffix(encoding, overflow_policy);
  static constexpr std::string_view text_parameters = "M,E";

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
      detail::raise<std::invalid_argument>(
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
  RISTRETTO_HOST_DEVICE constexpr bool can_have_bias(std::int64_t bias) const noexcept {
    const int usual = detail::usual_bias(encoding, e_.get());
    const std::int64_t more = bias_.get() - bias;  // so much larger is every exponent
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

  constexpr Parameters parameters() const noexcept {
    return {m_.get(), e_.get(), has_usual_bias() ? std::nullopt : std::optional(bias())};
  }
  constexpr bool can_scale(int e) const noexcept { return e == 0 || can_have_bias(std::int64_t{bias()} - e); }
  /// This format times 2^e: with another bias. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {m_.get(), e_.get(), bias() - e}; }

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

}  // namespace ristretto
