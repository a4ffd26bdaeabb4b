// SPDX-License-Identifier: MIT
// The operations of formats and roundings on xsimd batches.
#pragma once

#include <xsimd/xsimd.hpp>

#include <ristretto/ops.hpp>

namespace ristretto {

#if defined(XSIMD_NO_SUPPORTED_ARCHITECTURE)
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
  RISTRETTO_HOST_DEVICE static Batch copysign(Batch m, Batch s) noexcept { return xsimd::abs(m) | (s & Batch(-0.0f)); }
  // Comparisons, not min and max: those differ between instruction sets when an operand is NaN.
  RISTRETTO_HOST_DEVICE static Batch clamp(Batch x, Batch lo, Batch hi) noexcept {
    return select(x > hi, hi, select(x < lo, lo, x));
  }
  RISTRETTO_HOST_DEVICE static Batch max(Batch a, Batch b) noexcept { return select(a < b, b, a); }
  RISTRETTO_HOST_DEVICE static Batch binade(Batch x) noexcept { return x & Batch(Ops<float>::infinity); }
  RISTRETTO_HOST_DEVICE static Batch rint(Batch x) noexcept {
#if defined(__AVX512F__)
    // The intrinsic that xsimd calls makes g++ 12 warn of its undefined pass-through operand; this form has none.
    if constexpr (Batch::size == 16) return _mm512_maskz_roundscale_ps(0xFFFF, x, _MM_FROUND_TO_NEAREST_INT);
#endif
    return xsimd::nearbyint(x);
  }
  RISTRETTO_HOST_DEVICE static Batch floor(Batch a) noexcept {
#if defined(__AVX512F__)
    if constexpr (Batch::size == 16) return _mm512_maskz_roundscale_ps(0xFFFF, a, _MM_FROUND_TO_NEG_INF);
#endif
    return xsimd::floor(a);
  }
  template <int Bits, int Rounds>
  RISTRETTO_HOST_DEVICE static Batch uniform(const RandomStream& stream, std::uint64_t i) noexcept {
    constexpr std::size_t per_block = 128 / Bits;
    float draws[Batch::size + 2 * per_block];  // whole blocks: those that hold elements i to i + size - 1
    const std::size_t skipped = i % per_block;
    for (std::size_t k = 0; k < skipped + Batch::size; k += per_block) {
      const Words4 block = stream.block<Rounds>((i - skipped + k) / per_block);
      for (std::size_t element = 0; element < per_block; ++element) {
        draws[k + element] = uniform_draw<float, Bits>(block, element);
      }
    }
    return Batch::load_unaligned(draws + skipped);
  }
};
#endif

}  // namespace ristretto
