// SPDX-License-Identifier: MIT
// Draws in registers: each is the draw of its element, for streams and places with all their bits.
#include <ristretto/kernel/draws.hpp>

#include <cstdint>
#include <string>
#include <type_traits>

#include "catch.hpp"
#include "checks.hpp"

#if !defined(RISTRETTO_NO_SIMD)

namespace rt = ristretto;

namespace {

constexpr std::uint64_t far = 0x1'0000'0000;

constexpr rt::RandomStream streams[] = {{.seed = 0, .stream = 0},
                                        {.seed = 1, .stream = 3},
                                        {.seed = 7 * far, .stream = 3},
                                        {.seed = 1, .stream = 9 * far},
                                        {.seed = 0x9E3779B97F4A7C15, .stream = 0xBB67AE8584CAA73B},
                                        {.seed = ~std::uint64_t{0}, .stream = ~std::uint64_t{0}}};

/// Powers of two that routes ask for, the least and the greatest among them.
constexpr float scales[] = {1, 0.125f, 0x1p16f, 0x1p22f, 0x1p-100f, 0x1p96f};

template <class Group, class Draw>
void check_group(checks::Disagreements& found, Draw draw, const rt::RandomStream& stream, std::uint64_t first,
                 float scale) {
  static_assert(1024 % Group::size == 0, "streams are cut into pieces of 1024");
  using Batch = typename Group::Batch;
  const Group group(stream, first, scale);
  float draws[Group::size];
  for (std::size_t b = 0; b < Group::batches; ++b) group.draw[b].store_unaligned(draws + b * Batch::size);
  for (std::size_t e = 0; e < Group::size; ++e) {
    found.compare(first + e, scale, draws[e], draw(stream, first + e) * scale);
  }
}

/// Groups of every stream at the start, around the places where the number of the block crosses 2^32 and its multiples,
/// and far away.
template <int Bits, class Arch, std::size_t chains>
void check_groups(checks::Disagreements& found) {
  using Group = rt::detail::DrawGroup<Bits, Arch, chains>;
  const auto draw = [](const rt::RandomStream& stream, std::uint64_t i) {
    return rt::Ops<float>::uniform<Bits>(stream, i);
  };
  constexpr std::uint64_t crossing = far * (128 / Bits);
  for (const rt::RandomStream& stream : streams) {
    for (const float scale : scales) {
      const auto check = [&](std::uint64_t first) { check_group<Group>(found, draw, stream, first, scale); };
      for (const std::uint64_t number : {0u, 1u, 2u, 1001u}) check(number * Group::size);
      for (const std::uint64_t place : {crossing, 2 * crossing, 3 * crossing, std::uint64_t{1} << 60}) {
        for (const std::uint64_t number : {0u, 1u, 2u, 3u}) check(place + number * Group::size - 2 * Group::size);
      }
      check(0 - std::uint64_t{Group::size});  // the last elements of all
    }
  }
}

template <int Bits, class Arch>
std::string disagreements() {
  checks::Disagreements found;
  check_groups<Bits, Arch, 1>(found);
  check_groups<Bits, Arch, 4>(found);
  check_groups<Bits, Arch, 8>(found);
  return found.report();
}

/// For the architecture that has batches of so many floats, where there is one with groups of draws.
template <std::size_t lanes>
void check_lanes() {
  using Batch = xsimd::make_sized_batch_t<float, lanes>;
  if constexpr (!std::is_void_v<Batch>) {
    using Arch = typename Batch::arch_type;
    if constexpr (rt::detail::has_draw_groups<Arch>) {
      CAPTURE(lanes);
      CHECK(disagreements<32, Arch>() == "");
      CHECK(disagreements<16, Arch>() == "");
    }
  }
}

}  // namespace

TEST_CASE("the draws of a group are those of its elements, times the scale") {
  check_lanes<4>();
  check_lanes<8>();
  check_lanes<16>();
}

#endif
