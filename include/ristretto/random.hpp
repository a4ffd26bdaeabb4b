// SPDX-License-Identifier: MIT
// Random numbers that are addressed, not drawn: Philox4x32 and the stream of words it defines.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>

namespace ristretto {

/// Four 32-bit words: a Philox counter, or a block of random bits.
struct Words4 {
  std::uint32_t word[4];

  /// The block as eight 16-bit halves: the low half of each word first.
  RISTRETTO_HOST_DEVICE constexpr std::uint32_t half(std::uint64_t h) const noexcept {
    return word[h / 2] >> (h % 2 * 16) & 0xFFFF;
  }
  friend constexpr bool operator==(const Words4&, const Words4&) = default;
};

/// The Philox4x32 bijection of a counter under a 64-bit key (low word first).
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
template <int Rounds = 10>
RISTRETTO_HOST_DEVICE constexpr Words4 philox4x32(Words4 counter, std::uint32_t key0, std::uint32_t key1) noexcept {
  static_assert(Rounds >= 1, "philox4x32 needs at least one round");
  for (int round = 0; round < Rounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {
        {static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9;  // Weyl sequence of the golden ratio
    key1 += 0xBB67AE85;  // and of sqrt(3) - 1
  }
  return counter;
}

/// A replayable sequence of random words: element i has the same bits wherever and whenever it is asked for.
struct RandomStream {
  std::uint64_t seed = 0;    ///< the key
  std::uint64_t stream = 0;  ///< the upper half of the counter: one stream per tensor and step, say

  /// Block b: the words of elements 4b to 4b + 3, or the halves of elements 8b to 8b + 7.
  RISTRETTO_HOST_DEVICE constexpr Words4 block(std::uint64_t b) const noexcept {
    return philox4x32({{low(b), high(b), low(stream), high(stream)}}, low(seed), high(seed));
  }

  /// 32 random bits of element i.
  RISTRETTO_HOST_DEVICE constexpr std::uint32_t word(std::uint64_t i) const noexcept {
    return block(i / 4).word[i % 4];
  }

  /// 16 random bits of element i.
  RISTRETTO_HOST_DEVICE constexpr std::uint32_t half(std::uint64_t i) const noexcept {
    return block(i / 8).half(i % 8);
  }

  /// A number in (0, 1) of element i, the draw of stochastic rounding: ((word >> 9) + 0.5) * 2^-23. Exact.
  RISTRETTO_HOST_DEVICE constexpr float uniform(std::uint64_t i) const noexcept {
    return (static_cast<float>(word(i) >> 9) + 0.5f) * 0x1p-23f;
  }

  friend constexpr bool operator==(const RandomStream&, const RandomStream&) = default;

 private:
  RISTRETTO_HOST_DEVICE static constexpr std::uint32_t low(std::uint64_t x) noexcept {
    return static_cast<std::uint32_t>(x);
  }
  RISTRETTO_HOST_DEVICE static constexpr std::uint32_t high(std::uint64_t x) noexcept {
    return static_cast<std::uint32_t>(x >> 32);
  }
};

// Known answers published with Random123 (kat_vectors, philox4x32 10).
static_assert(philox4x32<10>({{0, 0, 0, 0}}, 0, 0) == Words4{{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
static_assert(philox4x32<10>({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff) ==
              Words4{{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
static_assert(philox4x32<10>({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0) ==
              Words4{{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});

}  // namespace ristretto
