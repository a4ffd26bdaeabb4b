// SPDX-License-Identifier: MIT
// The operations of formats and roundings on xsimd batches.
#pragma once

#include <ristretto/config.hpp>

#if !defined(__CUDACC__)  // there xsimd after 13.0 does not compile
#include <xsimd/xsimd.hpp>
#endif

#include <ristretto/ops.hpp>

// NEON of 32-bit ARM takes subnormal numbers for zero.
#if defined(__CUDACC__) || defined(XSIMD_NO_SUPPORTED_ARCHITECTURE) || (defined(__ARM_NEON) && !defined(__aarch64__))
#define RISTRETTO_NO_SIMD
#endif

namespace ristretto {

#if defined(RISTRETTO_NO_SIMD)
/// Stands for the architecture where xsimd knows none: kernels then work one float at a time.
struct ScalarArch {};
using DefaultArch = ScalarArch;
#else
using DefaultArch = xsimd::default_arch;

template <class Arch>
struct Ops<xsimd::batch<float, Arch> > {
  using Scalar = float;
  using Batch = xsimd::batch<float, Arch>;
  using Mask = xsimd::batch_bool<float, Arch>;

  RISTRETTO_HOST_DEVICE static Mask both(Mask a, Mask b) noexcept { return a & b; }
  RISTRETTO_HOST_DEVICE static Mask either(Mask a, Mask b) noexcept { return a | b; }
  RISTRETTO_HOST_DEVICE static Batch select(Mask mask, Batch a, Batch b) noexcept { return xsimd::select(mask, a, b); }
  RISTRETTO_HOST_DEVICE static Batch abs(Batch x) noexcept { return xsimd::abs(x); }
  RISTRETTO_HOST_DEVICE static Batch copysign(Batch m, Batch s) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) {
      constexpr int bits_of_second_where_third = 0xD8;
      return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(m), _mm512_castps_si512(s),
                                                           _mm512_set1_epi32(INT32_MIN), bits_of_second_where_third));
    }
#endif
    return xsimd::abs(m) | (s & Batch(-0.0f));
  }
  RISTRETTO_HOST_DEVICE static Batch with_sign(Batch m, Batch s) noexcept {
    if constexpr (Batch::size == 16) return copysign(m, s);  // one instruction
    return m | (s & Batch(-0.0f));
  }
  RISTRETTO_HOST_DEVICE static Batch positive_zero(Batch x) noexcept {
    if constexpr (Batch::size == 16) {  // xsimd 8 cannot compare its integers
#if defined(__AVX512F__)
      const __m512i u = _mm512_castps_si512(x);
      const __mmask16 kept = _mm512_cmpneq_epi32_mask(u, _mm512_set1_epi32(INT32_MIN));
      return _mm512_castsi512_ps(_mm512_maskz_mov_epi32(kept, u));
#endif
    } else {
      const Unsigned u = bits(x);
      return from_bits(xsimd::select(u == Unsigned(0x80000000u), Unsigned(0u), u));
    }
  }
  RISTRETTO_HOST_DEVICE static Batch divide(Batch a, Batch b) noexcept {
#if defined(__aarch64__)
    if constexpr (Batch::size == 4) return vdivq_f32(a, b);  // xsimd 8 multiplies by an estimate of 1 / b
#endif
    return a / b;
  }
  RISTRETTO_HOST_DEVICE static Batch clamp(Batch x, Batch lo, Batch hi) noexcept { return lesser(hi, greater(lo, x)); }
  RISTRETTO_HOST_DEVICE static Batch max(Batch a, Batch b) noexcept { return greater(b, a); }
  RISTRETTO_HOST_DEVICE static Batch min(Batch a, Batch b) noexcept { return lesser(b, a); }
  RISTRETTO_HOST_DEVICE static Batch add_product(Batch x, Batch a, Batch b) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_fmadd_ps(a, b, x);
#endif
#if defined(__FMA__)
    if constexpr (Batch::size == 8) return _mm256_fmadd_ps(a, b, x);
#endif
#if defined(__aarch64__)
    if constexpr (Batch::size == 4) return vfmaq_f32(x, a, b);
#endif
    return x + a * b;
  }
  RISTRETTO_HOST_DEVICE static Batch add_product_down(Batch x, Batch a, Batch b) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_fmadd_round_ps(a, b, x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
#endif
    const Batch sum = add_product(x, a, b);
    const Mask too_large = add_product(sum, a, -b) > x;  // the difference is exact
#if defined(__SSE2__)
    if constexpr (Batch::size < 16) return from_bits(bits(sum) + bits(Batch(too_large.data)));  // a set mask is -1
#endif
    return select(too_large, from_bits(bits(sum) - Unsigned(1u)), sum);
  }
  RISTRETTO_HOST_DEVICE static Batch binade(Batch x) noexcept { return x & Batch(Ops<float>::infinity); }
  RISTRETTO_HOST_DEVICE static Batch rint(Batch x) noexcept {
#if defined(__AVX512F__)
    // The intrinsic that xsimd calls makes g++ 12 warn of its undefined pass-through operand; this form has none.
    if constexpr (Batch::size == 16) return _mm512_maskz_roundscale_ps(0xFFFF, x, _MM_FROUND_TO_NEAREST_INT);
#endif
#if defined(__aarch64__)
    if constexpr (Batch::size == 4) return vrndnq_f32(x);
#endif
    return xsimd::nearbyint(x);
  }
  RISTRETTO_HOST_DEVICE static Batch floor(Batch a) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_maskz_roundscale_ps(0xFFFF, a, _MM_FROUND_TO_NEG_INF);
#endif
#if defined(__aarch64__)
    if constexpr (Batch::size == 4) return vrndmq_f32(a);
#endif
    return xsimd::floor(a);
  }

  RISTRETTO_HOST_DEVICE static Batch round_low_bits(Batch x, int d) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) {  // masks spare the selection, and adding a bit that is not set
      const __m512i u = _mm512_castps_si512(x);
      const __mmask16 odd = _mm512_test_epi32_mask(u, _mm512_set1_epi32(1 << d));
      __m512i sum = _mm512_add_epi32(u, _mm512_set1_epi32((1 << (d - 1)) - 1));
      sum = _mm512_mask_add_epi32(sum, odd, sum, _mm512_set1_epi32(1));
      return _mm512_castsi512_ps(_mm512_mask_and_epi32(u, x == x, sum, _mm512_set1_epi32(-(1 << d))));
    }
#endif
    const Unsigned u = bits(x);
    const Unsigned sum = u + low_bits(d - 1) + ((u >> d) & Unsigned(1u));
    return select(x == x, from_bits(sum & ~low_bits(d)), x);
  }
  RISTRETTO_HOST_DEVICE static Batch clear_low_bits(Batch x, int d) noexcept {
    return select(x == x, from_bits(bits(x) & ~low_bits(d)), x);
  }
  RISTRETTO_HOST_DEVICE static Batch low_part(Batch x, int d) noexcept {
    const Unsigned low = bits(select(x == x, from_bits(bits(x) & low_bits(d)), Batch(0.0f)));
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_maskz_cvtepi32_ps(0xFFFF, low);
#endif
    return xsimd::to_float(bit_cast<std::int32_t>(low));
  }
  RISTRETTO_HOST_DEVICE static Batch step_low_bits(Batch x, Mask up, int d) noexcept {
    const Batch step = from_bits(Unsigned(1u << d));
    return from_bits(bits(x) + bits(select(up, step, Batch(0.0f))));
  }

  template <int Bits>
  RISTRETTO_HOST_DEVICE static Batch uniform(const RandomStream& stream, std::uint64_t i) noexcept {
    constexpr std::size_t per_block = 128 / Bits;
    float draws[Batch::size + 2 * per_block];  // whole blocks: those that hold elements i to i + size - 1
    const std::size_t skipped = i % per_block;
    for (std::size_t k = 0; k < skipped + Batch::size; k += per_block) {
      const Words4 block = stream.block((i - skipped + k) / per_block);
      for (std::size_t element = 0; element < per_block; ++element) {
        draws[k + element] = uniform_draw<float, Bits>(block, element);
      }
    }
    return Batch::load_unaligned(draws + skipped);
  }

 private:
  using Unsigned = xsimd::batch<std::uint32_t, Arch>;

  template <class To, class From>
  RISTRETTO_HOST_DEVICE static xsimd::batch<To, Arch> bit_cast(xsimd::batch<From, Arch> x) noexcept {
#if XSIMD_VERSION_MAJOR >= 11
    return xsimd::bitwise_cast<To>(x);
#else
    return xsimd::bitwise_cast<xsimd::batch<To, Arch> >(x);
#endif
  }
  RISTRETTO_HOST_DEVICE static Unsigned bits(Batch x) noexcept { return bit_cast<std::uint32_t>(x); }
  RISTRETTO_HOST_DEVICE static Batch from_bits(Unsigned u) noexcept { return bit_cast<float>(u); }
  RISTRETTO_HOST_DEVICE static Unsigned low_bits(int d) noexcept { return Unsigned((1u << d) - 1); }

  // The lesser and the greater of two, b where either is NaN. That is what the instructions of x86 give; those of
  // others differ, so there comparisons decide.
  RISTRETTO_HOST_DEVICE static Batch lesser(Batch a, Batch b) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_maskz_min_ps(0xFFFF, a, b);
#endif
#if defined(__AVX__)
    if constexpr (Batch::size == 8) return _mm256_min_ps(a, b);
#endif
#if defined(__SSE__)
    if constexpr (Batch::size == 4) return _mm_min_ps(a, b);
#endif
    return select(a < b, a, b);
  }
  RISTRETTO_HOST_DEVICE static Batch greater(Batch a, Batch b) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_maskz_max_ps(0xFFFF, a, b);
#endif
#if defined(__AVX__)
    if constexpr (Batch::size == 8) return _mm256_max_ps(a, b);
#endif
#if defined(__SSE__)
    if constexpr (Batch::size == 4) return _mm_max_ps(a, b);
#endif
    return select(a > b, a, b);
  }
};
#endif

}  // namespace ristretto
