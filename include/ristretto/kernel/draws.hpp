// SPDX-License-Identifier: MIT
// Random draws for many elements at once: Philox4x32 on vector registers, with the words of RandomStream.
#pragma once

#include <ristretto/config.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include <ristretto/kernel/simd.hpp>

namespace ristretto::detail {

/// Whether this architecture has what DrawGroup needs; others draw an element at a time.
template <class Arch>
inline constexpr bool has_draw_groups = false;

/// Draws of consecutive elements, in registers, from so many chains of blocks.
template <int Bits, class Arch, std::size_t chains>
struct DrawGroup;

#if (defined(__SSE2__) || defined(__AARCH64EL__)) && !defined(RISTRETTO_NO_SIMD)

template <class Arch>
  requires(sizeof(xsimd::batch<float, Arch>) == 16)
inline constexpr bool has_draw_groups<Arch> = true;
#if defined(__AVX2__)
template <class Arch>
  requires(sizeof(xsimd::batch<float, Arch>) == 32)
inline constexpr bool has_draw_groups<Arch> = true;
#endif
#if defined(__AVX512BW__)
template <class Arch>
  requires(sizeof(xsimd::batch<float, Arch>) == 64)
inline constexpr bool has_draw_groups<Arch> = true;
#endif

/// Philox on a vector register. A 64-bit lane runs one block; the four words of the block are in the low halves of four
/// registers. What the high halves hold does not matter: the multiplication reads the low ones only.
template <class Arch>
struct PhiloxRegister {
  static constexpr std::size_t bytes = sizeof(xsimd::batch<float, Arch>);
  static constexpr std::size_t lanes = bytes / 8;
  using Words [[gnu::vector_size(bytes)]] = std::uint32_t;
  using Lanes [[gnu::vector_size(bytes)]] = std::uint64_t;  // g++ and clang give these + ^ | << >>

  /// Two registers that hold the words of one block a lane, two words in each.
  struct Pairs {
    Lanes words01;
    Lanes words23;
  };

  /// Chain c runs blocks first + c * lanes + order[l], round by round with the others, so that one multiplies while
  /// another waits for its products. The high word of the block number is the same for all.
  template <std::size_t chains>
  RISTRETTO_HOST_DEVICE static void blocks(const RandomStream& random, std::uint64_t first, Lanes order,
                                           Pairs (&pairs)[chains]) noexcept {
    constexpr std::uint64_t low = 0xFFFFFFFF;
    std::uint64_t key0 = random.seed & low;
    std::uint64_t key1 = random.seed >> 32;
    const auto next_keys = [&] {
      key0 = (key0 + 0x9E3779B9) & low;
      key1 = (key1 + 0xBB67AE85) & low;
    };
    Lanes words0[chains], words1[chains], words2[chains], words3[chains], product0[chains], product1[chains];
    // Only word 0 of the counter differs between blocks, so half of the first two rounds is the same for all; and its
    // product grows evenly with the number of the block.
    std::uint64_t common = factor1 * (random.stream & low);
    const std::uint64_t word1 = common & low;
    const std::uint64_t word0 = (common >> 32) ^ (first >> 32) ^ key0;
#pragma GCC unroll 8
    for (std::size_t c = 0; c < chains; ++c) {
      product0[c] = factor0 * ((first & low) + c * lanes) + factor0 * order;
      words2[c] = high(product0[c]) ^ ((random.stream >> 32) ^ key1);
    }
    next_keys();
    common = factor0 * word0;
#pragma GCC unroll 8
    for (std::size_t c = 0; c < chains; ++c) {
      product1[c] = multiply(words2[c], Lanes{} + factor1);
      words0[c] = high(product1[c]) ^ (word1 ^ key0);
      words2[c] = product0[c] ^ ((common >> 32) ^ key1);
      words1[c] = product1[c];
      words3[c] = Lanes{} + (common & low);
    }
#pragma GCC unroll 16
    for (int round = 2; round < rounds; ++round) {
      next_keys();
#pragma GCC unroll 8
      for (std::size_t c = 0; c < chains; ++c) {
        product0[c] = multiply(words0[c], Lanes{} + factor0);
        product1[c] = multiply(words2[c], Lanes{} + factor1);
      }
      if (round + 1 == rounds) break;
#pragma GCC unroll 8
      for (std::size_t c = 0; c < chains; ++c) {
        words0[c] = high(product1[c]) ^ words1[c] ^ key0;
        words2[c] = high(product0[c]) ^ words3[c] ^ key1;
        words1[c] = product1[c];
        words3[c] = product0[c];
      }
    }
#pragma GCC unroll 8
    for (std::size_t c = 0; c < chains; ++c) {
      pairs[c] = {last_words(product1[c], words1[c], key0), last_words(product0[c], words3[c], key1)};
    }
  }

  /// a0 b0 a2 b2 ... when odd is 0, a1 b1 a3 b3 ... when it is 1.
  template <std::size_t odd>
  RISTRETTO_HOST_DEVICE static Lanes interleave(Lanes a, Lanes b) noexcept {
    return interleave<odd>(a, b, std::make_index_sequence<lanes>());
  }

 private:
  static constexpr int rounds = 10;
  static constexpr std::uint64_t factor0 = 0xD2511F53;
  static constexpr std::uint64_t factor1 = 0xCD9E8D57;

  template <std::size_t odd, std::size_t... lane>
  RISTRETTO_HOST_DEVICE static Lanes interleave(Lanes a, Lanes b, std::index_sequence<lane...>) noexcept {
    return __builtin_shufflevector(a, b, (lane - lane % 2 + odd + lane % 2 * lanes)...);
  }
  /// The high halves, in both halves.
  RISTRETTO_HOST_DEVICE static Lanes high(Lanes x) noexcept { return high(x, std::make_index_sequence<2 * lanes>()); }
  template <std::size_t... half>
  RISTRETTO_HOST_DEVICE static Lanes high(Lanes x, std::index_sequence<half...>) noexcept {
    return reinterpret_cast<Lanes>(
        __builtin_shufflevector(reinterpret_cast<Words>(x), reinterpret_cast<Words>(x), (half | 1)...));
  }
  /// Two words of the last round: in the low halves high(product) ^ words ^ key, in the high halves the low product.
  RISTRETTO_HOST_DEVICE static Lanes last_words(Lanes product, Lanes words, std::uint64_t key) noexcept {
    const Lanes exchanged = exchange(product, std::make_index_sequence<2 * lanes>());
#if defined(__AVX512F__)
    if constexpr (bytes == 64) {
      constexpr __mmask16 low_halves = 0x5555;
      constexpr int xor_of_three = 0x96;
      return reinterpret_cast<Lanes>(_mm512_mask_ternarylogic_epi32(
          reinterpret_cast<__m512i>(exchanged), low_halves, reinterpret_cast<__m512i>(words),
          reinterpret_cast<__m512i>(Lanes{} + key), xor_of_three));
    }
#endif
    return exchanged ^ (words & 0xFFFFFFFF) ^ key;
  }
  template <std::size_t... half>
  RISTRETTO_HOST_DEVICE static Lanes exchange(Lanes x, std::index_sequence<half...>) noexcept {
    return reinterpret_cast<Lanes>(
        __builtin_shufflevector(reinterpret_cast<Words>(x), reinterpret_cast<Words>(x), (half ^ 1)...));
  }

  /// The products of the low halves.
  RISTRETTO_HOST_DEVICE static Lanes multiply(Lanes a, Lanes b) noexcept {
#if defined(__SSE2__)
    if constexpr (bytes == 16)
      return reinterpret_cast<Lanes>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
    if constexpr (bytes == 16)
      return reinterpret_cast<Lanes>(
          vmull_u32(vmovn_u64(reinterpret_cast<uint64x2_t>(a)), vmovn_u64(reinterpret_cast<uint64x2_t>(b))));
#endif
#if defined(__AVX2__)
    if constexpr (bytes == 32)
      return reinterpret_cast<Lanes>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#endif
#if defined(__AVX512F__)
    if constexpr (bytes == 64)
      return reinterpret_cast<Lanes>(
          _mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#endif
  }
};

template <int Bits, class Arch, std::size_t chains>
struct DrawGroup {
  using Batch = xsimd::batch<float, Arch>;
  using Register = PhiloxRegister<Arch>;
  using Lanes = typename Register::Lanes;

  static constexpr std::size_t batches_per_chain = 64 / Bits;
  static constexpr std::size_t batches = chains * batches_per_chain;
  static constexpr std::size_t size = batches * Batch::size;

  Batch draw[batches];

  /// Of elements first to first + size - 1, times `scale`, a power of two; first is a multiple of size.
  RISTRETTO_HOST_DEVICE DrawGroup(const RandomStream& random, std::uint64_t first, float scale) noexcept {
    const std::uint64_t block = first / (128 / Bits);
    typename Register::Pairs all[chains];
    Register::blocks(random, block, order(), all);
#pragma GCC unroll 8
    for (std::size_t chain = 0; chain < chains; ++chain) {
      const auto& pairs = all[chain];
      Batch* const to = draw + chain * batches_per_chain;
      if constexpr (Bits == 32) {
        to[0] = from_words(Register::template interleave<0>(pairs.words01, pairs.words23), scale);
        to[1] = from_words(Register::template interleave<1>(pairs.words01, pairs.words23), scale);
      } else {
        from_halves(pairs, to, scale);
      }
    }
  }

 private:
  using Words [[gnu::vector_size(Register::bytes)]] = std::uint32_t;

  /// The block of each lane, such that the draws come to lie in the order of their elements.
  RISTRETTO_HOST_DEVICE static Lanes order() noexcept { return order(std::make_index_sequence<Register::lanes>()); }
  template <std::size_t... lane>
  RISTRETTO_HOST_DEVICE static Lanes order(std::index_sequence<lane...>) noexcept {
    constexpr bool in_turn = Bits == 16 && Register::bytes == 32;
    return Lanes{(in_turn ? lane : lane % 2 * (Register::lanes / 2) + lane / 2)...};
  }

  // Draws start as the bits of a number whose last place is that of the draw: less half a place, 1 or 128 is taken off.

  RISTRETTO_HOST_DEVICE static Batch from_words(Lanes words, float scale) noexcept {
    return to_batch(reinterpret_cast<Words>(words) >> 9 | Ops<float>::bits(scale)) - Batch((1 - 0x1p-24f) * scale);
  }
  RISTRETTO_HOST_DEVICE static Batch from_padded_halves(Words padded, float scale) noexcept {
    return to_batch(padded) - Batch((128 - 0x1p-17f) * scale);
  }

  /// The four batches of one register's blocks.
  RISTRETTO_HOST_DEVICE static void from_halves(const typename Register::Pairs& pairs, Batch* to,
                                                float scale) noexcept {
    const auto pad = static_cast<short>(Ops<float>::bits(128 * scale) >> 16);  // the lower half is 0
    if constexpr (Register::bytes == 16) {
      using Halves [[gnu::vector_size(16)]] = std::uint16_t;
      const Halves padding = Halves{} + static_cast<std::uint16_t>(pad);
      const Lanes words[] = {Register::template interleave<0>(pairs.words01, pairs.words23),
                             Register::template interleave<1>(pairs.words01, pairs.words23)};
      for (std::size_t k = 0; k < 2; ++k) {
        const auto halves = reinterpret_cast<Halves>(words[k]);
        const Halves low = __builtin_shufflevector(halves, padding, 0, 8, 1, 9, 2, 10, 3, 11);
        const Halves high = __builtin_shufflevector(halves, padding, 4, 12, 5, 13, 6, 14, 7, 15);
        to[2 * k] = from_padded_halves(reinterpret_cast<Words>(low), scale);
        to[2 * k + 1] = from_padded_halves(reinterpret_cast<Words>(high), scale);
      }
    }
#if defined(__AVX2__)
    if constexpr (Register::bytes == 32) {
      const __m256i padding = _mm256_set1_epi16(pad);
      const __m256i a = reinterpret_cast<__m256i>(pairs.words01);
      const __m256i b = reinterpret_cast<__m256i>(pairs.words23);
      const __m256i words[] = {_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)};
      for (std::size_t k = 0; k < 2; ++k) {
        to[2 * k] = from_padded_halves(reinterpret_cast<Words>(_mm256_unpacklo_epi16(words[k], padding)), scale);
        to[2 * k + 1] = from_padded_halves(reinterpret_cast<Words>(_mm256_unpackhi_epi16(words[k], padding)), scale);
      }
    }
#endif
#if defined(__AVX512BW__)
    if constexpr (Register::bytes == 64) {
      const Lanes words[] = {Register::template interleave<0>(pairs.words01, pairs.words23),
                             Register::template interleave<1>(pairs.words01, pairs.words23)};
      using Index [[gnu::vector_size(64)]] = std::uint16_t;
      const Index first{0, 0, 1, 0, 2,  0, 3,  0, 4,  0, 5,  0, 6,  0, 7,  0,
                        8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15, 0};
      const __m512i padding = _mm512_set1_epi16(pad);
      constexpr __mmask32 low_halves = 0x55555555;
      for (std::size_t k = 0; k < 2; ++k) {
        const __m512i halves = reinterpret_cast<__m512i>(words[k]);
        const __m512i low =
            _mm512_mask_permutexvar_epi16(padding, low_halves, reinterpret_cast<__m512i>(first), halves);
        const __m512i high =
            _mm512_mask_permutexvar_epi16(padding, low_halves, reinterpret_cast<__m512i>(first + 16), halves);
        to[2 * k] = from_padded_halves(reinterpret_cast<Words>(low), scale);
        to[2 * k + 1] = from_padded_halves(reinterpret_cast<Words>(high), scale);
      }
    }
#endif
  }

  RISTRETTO_HOST_DEVICE static Batch to_batch(Words bits) noexcept {
    return Batch(reinterpret_cast<typename Batch::register_type>(bits));
  }
};

#endif

}  // namespace ristretto::detail
