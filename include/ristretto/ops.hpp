// SPDX-License-Identifier: MIT
// The few operations that formats and roundings need beside + - *, for scalar lanes.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>

#include <ristretto/random.hpp>

namespace ristretto {

/// The operations on lane type T. Formats and roundings are written once over T; float, double and SIMD batches
/// each specialize Ops, and no format arithmetic stands anywhere else.
template <class T>
struct Ops;

/// The scalar type of the lanes of T: float for float and for a batch of floats.
template <class T>
using LaneScalar = typename Ops<T>::Scalar;

/// The draw in (0, 1) of an element from its block of random words: ((word >> 9) + 0.5) * 2^-23 for the four elements
/// of a block with 32 bits, (half + 0.5) * 2^-16 for its eight elements with 16 bits. Exact as floats.
template <class S, int Bits>
RISTRETTO_HOST_DEVICE constexpr S uniform_draw(const Words4& block, std::uint64_t element) noexcept {
  if constexpr (Bits == 32) {
    return (static_cast<S>(block.word[element] >> 9) + S(0.5)) * S(0x1p-23);
  } else {
    return (static_cast<S>(block.half(element)) + S(0.5)) * S(0x1p-16);
  }
}

namespace detail {

/// Ops of an IEEE 754 scalar S with the bits of U and F fraction bits; max_exponent is that of the largest finite S.
template <class S, class U, int F, int MaxExponent>
struct ScalarOps {
  using Scalar = S;
  using Mask = bool;

  static constexpr int fraction_bits = F;
  static constexpr int max_exponent = MaxExponent;
  static constexpr int min_exponent = 1 - MaxExponent;  ///< of the smallest normal number

  static constexpr U exponent_mask = U{2 * MaxExponent + 1} << F;
  static constexpr U sign_mask = U{1} << (sizeof(U) * 8 - 1);
  static constexpr S infinity = __builtin_bit_cast(S, exponent_mask);

  RISTRETTO_HOST_DEVICE static constexpr U bits(S x) noexcept { return __builtin_bit_cast(U, x); }
  RISTRETTO_HOST_DEVICE static constexpr S from_bits(U u) noexcept { return __builtin_bit_cast(S, u); }

  RISTRETTO_HOST_DEVICE static constexpr Mask both(Mask a, Mask b) noexcept { return a && b; }
  RISTRETTO_HOST_DEVICE static constexpr Mask either(Mask a, Mask b) noexcept { return a || b; }
  /// a where the mask is set, else b.
  RISTRETTO_HOST_DEVICE static constexpr S select(Mask mask, S a, S b) noexcept { return mask ? a : b; }
  RISTRETTO_HOST_DEVICE static constexpr S abs(S x) noexcept { return from_bits(bits(x) & ~sign_mask); }
  /// The magnitude of m with the sign bit of s.
  RISTRETTO_HOST_DEVICE static constexpr S copysign(S m, S s) noexcept {
    return from_bits((bits(m) & ~sign_mask) | (bits(s) & sign_mask));
  }
  /// The same for m >= +0 or NaN.
  RISTRETTO_HOST_DEVICE static constexpr S with_sign(S m, S s) noexcept {
    return from_bits(bits(m) | (bits(s) & sign_mask));
  }
  /// x, with +0 in the place of -0.
  RISTRETTO_HOST_DEVICE static constexpr S positive_zero(S x) noexcept {
    return from_bits(bits(x) == sign_mask ? U{0} : bits(x));
  }
  /// a / b, rounded to nearest.
  RISTRETTO_HOST_DEVICE static constexpr S divide(S a, S b) noexcept { return a / b; }
  /// x limited to [lo, hi]; NaN stays NaN.
  RISTRETTO_HOST_DEVICE static constexpr S clamp(S x, S lo, S hi) noexcept { return x > hi ? hi : x < lo ? lo : x; }
  /// The larger and the smaller of two numbers (neither NaN, or a NaN in a, which stays).
  RISTRETTO_HOST_DEVICE static constexpr S max(S a, S b) noexcept { return a < b ? b : a; }
  RISTRETTO_HOST_DEVICE static constexpr S min(S a, S b) noexcept { return b < a ? b : a; }
  /// x + a * b for an exact product, so that it does not matter whether the two are fused.
  RISTRETTO_HOST_DEVICE static constexpr S add_product(S x, S a, S b) noexcept { return x + a * b; }
  /// x + a * b rounded toward zero, for a * b >= x >= 0 (or a NaN in x).
  RISTRETTO_HOST_DEVICE static constexpr S add_product_down(S x, S a, S b) noexcept {
    const S sum = add_product(x, a, b);
    return sum - a * b > x ? from_bits(bits(sum) - 1) : sum;  // the difference is exact
  }
  /// 2^floor(log2 |x|): |x| without its fraction bits. 0 for zero and subnormals, inf for inf and NaN.
  RISTRETTO_HOST_DEVICE static constexpr S binade(S x) noexcept { return from_bits(bits(x) & exponent_mask); }
  /// The nearest integer, ties to even.
  RISTRETTO_HOST_DEVICE static constexpr S rint(S x) noexcept {
    const S a = abs(x);
    return a < integers ? copysign((a + integers) - integers, x) : x;  // the sum rounds at the unit
  }
  /// The largest integer not above a, for a >= 0 or NaN.
  RISTRETTO_HOST_DEVICE static constexpr S floor(S a) noexcept {
    const S r = rint(a);
    return r > a ? r - 1 : r;
  }

  // On the d lowest fraction bits, d in [1, fraction_bits]. All keep the sign, and all but the step keep NaN. NaN is
  // told by its bits: g++ 12 drops the mask from x == x ? from_bits(bits(x) & 0xFFFF0000) : x.

  /// x with these bits rounded to zero, to nearest and ties to even. The largest numbers may become infinite.
  RISTRETTO_HOST_DEVICE static constexpr S round_low_bits(S x, int d) noexcept {
    const U u = bits(x);
    return from_bits(is_nan(u) ? u : (u + low_bits(d - 1) + (u >> d & 1)) & ~low_bits(d));
  }
  /// x with these bits zero.
  RISTRETTO_HOST_DEVICE static constexpr S clear_low_bits(S x, int d) noexcept {
    const U u = bits(x);
    return from_bits(is_nan(u) ? u : u & ~low_bits(d));
  }
  /// These bits of x as a number, in [0, 2^d); 0 for NaN.
  RISTRETTO_HOST_DEVICE static constexpr S low_part(S x, int d) noexcept {
    const U u = bits(x);
    return is_nan(u) ? S(0) : static_cast<S>(u & low_bits(d));
  }
  /// x with 2^d added to its bits where up is set: the next magnitude without the d lowest fraction bits.
  RISTRETTO_HOST_DEVICE static constexpr S step_low_bits(S x, Mask up, int d) noexcept {
    return from_bits(bits(x) + (static_cast<U>(up) << d));
  }

  /// The draw of element i.
  template <int Bits>
  RISTRETTO_HOST_DEVICE static constexpr S uniform(const RandomStream& stream, std::uint64_t i) noexcept {
    constexpr std::uint64_t per_block = 128 / Bits;
    return uniform_draw<S, Bits>(stream.block(i / per_block), i % per_block);
  }

 private:
  RISTRETTO_HOST_DEVICE static constexpr U low_bits(int d) noexcept { return (U{1} << d) - 1; }
  RISTRETTO_HOST_DEVICE static constexpr bool is_nan(U u) noexcept { return (u & ~sign_mask) > exponent_mask; }

  static constexpr S integers = S(U{1} << F);  // from here on, every S is an integer
};

}  // namespace detail

template <>
struct Ops<float> : detail::ScalarOps<float, std::uint32_t, 23, 127> {};
template <>
struct Ops<double> : detail::ScalarOps<double, std::uint64_t, 52, 1023> {};

/// 2^e as an S: exact down to the smallest subnormal, e in [min_exponent - fraction_bits, max_exponent].
template <class S>
RISTRETTO_HOST_DEVICE constexpr S power_of_two(int e) noexcept {
  using O = Ops<S>;
  using U = decltype(O::bits(S{}));
  return e >= O::min_exponent ? O::from_bits(static_cast<U>(e + O::max_exponent) << O::fraction_bits)
                              : O::from_bits(U{1} << (e - O::min_exponent + O::fraction_bits));
}

}  // namespace ristretto
