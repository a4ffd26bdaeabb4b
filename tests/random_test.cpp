// SPDX-License-Identifier: MIT
// Philox against published and independently computed words; words and halves of a stream and their addresses.
#include <ristretto/random.hpp>

#include <cstdint>
#include <cstdlib>

#include "catch.hpp"

namespace rt = ristretto;
using rt::Words4;

// Known answers of Random123 for seven rounds; those for ten stand beside the generator.
static_assert(rt::philox4x32<7>({{0, 0, 0, 0}}, 0, 0) == Words4{{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}});
static_assert(rt::philox4x32<7>({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff) ==
              Words4{{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}});
static_assert(rt::philox4x32<7>({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0) ==
              Words4{{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}});

namespace {

constexpr rt::RandomStream stream{.seed = 1, .stream = 3};

constexpr std::uint32_t golden_words[16] = {0x89e3af3f, 0xdce68da6, 0xecdcb84f, 0x021d8df2, 0x57dd12f7, 0xba17170b,
                                            0x77c0b89e, 0x91f23e31, 0xf045e74a, 0x517630e6, 0x1d8af405, 0xb5e59a96,
                                            0x05545ceb, 0x72471b77, 0x10946eac, 0x24a7850c};
constexpr std::uint32_t golden_halves[16] = {0xaf3f, 0x89e3, 0x8da6, 0xdce6, 0xb84f, 0xecdc, 0x8df2, 0x021d,
                                             0x12f7, 0x57dd, 0x170b, 0xba17, 0xb89e, 0x77c0, 0x3e31, 0x91f2};

constexpr bool golden() {
  for (std::uint64_t i = 0; i < 16; ++i) {
    if (stream.word(i) != golden_words[i]) return false;
    if (stream.half(i) != golden_halves[i]) return false;
    if (stream.block(i / 4).word[i % 4] != golden_words[i]) return false;
  }
  return true;
}
static_assert(golden());

// All 64 bits of seed, stream and index count: block 2^32 + 1.
constexpr rt::RandomStream wide{.seed = 0x123456789abcdef0, .stream = 0xfedcba9876543210};
static_assert(rt::philox4x32<7>({{5, 0, 3, 0}}, 1, 0) == Words4{{0x795f3ac6, 0x441eee10, 0x8dd436f3, 0xbe51bfc9}});
static_assert(wide.block(0x1'0000'0001) == Words4{{0xe5548a70, 0xd4c8e935, 0x1186def6, 0xfd9b4916}});
static_assert(wide.word(0x4'0000'0006) == wide.block(0x1'0000'0001).word[2]);
static_assert(wide.half(0x8'0000'000D) == wide.block(0x1'0000'0001).word[2] >> 16);
static_assert(stream.uniform(6) == static_cast<float>(stream.word(6) >> 9) * 0x1p-23f + 0x1p-24f);

static_assert(Words4{{0x00020001, 0x00040003, 0x00060005, 0x00080007}}.half(0) == 1);
static_assert(Words4{{0x00020001, 0x00040003, 0x00060005, 0x00080007}}.half(1) == 2);
static_assert(Words4{{0x00020001, 0x00040003, 0x00060005, 0x00080007}}.half(6) == 7);
static_assert(Words4{{0x00020001, 0x00040003, 0x00060005, 0x00080007}}.half(7) == 8);

}  // namespace

TEST_CASE("the words at run time are those at compile time") {
  volatile std::uint64_t seed = 1;
  const rt::RandomStream asked{.seed = seed, .stream = 3};
  for (std::uint64_t i = 0; i < 16; ++i) {
    CHECK(asked.word(i) == golden_words[i]);
    CHECK(asked.half(i) == golden_halves[i]);
  }
}

TEST_CASE("streams are equal when seed and stream are") {
  CHECK(stream == rt::RandomStream{.seed = 1, .stream = 3});
  CHECK(stream != rt::RandomStream{.seed = 1, .stream = 4});
  CHECK(stream != rt::RandomStream{.seed = 2, .stream = 3});
  CHECK(rt::RandomStream{} == rt::RandomStream{.seed = 0, .stream = 0});
}

TEST_CASE("every bit of a stream is set half of the time") {
  constexpr int draws = 1 << 16;
  int set[32] = {};
  for (std::uint64_t i = 0; i < draws; ++i) {
    const std::uint32_t word = stream.word(i);
    for (int bit = 0; bit < 32; ++bit) set[bit] += static_cast<int>(word >> bit & 1);
  }
  for (const int count : set) CHECK(std::abs(count - draws / 2) < 5 * 128);  // a standard deviation is 128
}
