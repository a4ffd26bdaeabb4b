// SPDX-License-Identifier: MIT
// Trims contiguous floats: groups of batches on the fastest route.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <ristretto/kernel/draws.hpp>
#include <ristretto/kernel/routes.hpp>

namespace ristretto {

/// How results reach memory.
enum class Stores {
  by_size,    ///< streaming for outputs of `streaming_floats` or more that are not the input, without random draws
  cached,     ///< as usual: what is written stays in the caches as far as it fits
  streaming,  ///< past the caches, which saves reading the output's old contents; slow for small outputs. Not with
              ///< random draws, which take longer than memory does: they store as usual
};

/// From this size on (32 MiB) outputs are streamed: they and their input no longer fit the caches of usual machines.
inline constexpr std::size_t streaming_floats = std::size_t{1} << 23;

namespace detail {

#if defined(RISTRETTO_NO_SIMD)

/// out[k] = in[k] trimmed as element first + k, for k < n; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer, std::uint64_t first,
                 Stores) noexcept {
  for (std::size_t k = 0; k < n; ++k) out[k] = trimmer(in[k], first + k);
}

#else

/// Stores a batch as usual, or past the caches: then `to` is aligned to a batch.
template <bool streaming, class Arch>
RISTRETTO_HOST_DEVICE void store(xsimd::batch<float, Arch> x, float* to) noexcept {
  if constexpr (streaming) {
#if defined(__AVX512F__)
    if constexpr (sizeof(x) == 64) return _mm512_stream_ps(to, x);
#endif
#if defined(__AVX__)
    if constexpr (sizeof(x) == 32) return _mm256_stream_ps(to, x);
#endif
#if defined(__SSE__)
    if constexpr (sizeof(x) == 16) return _mm_stream_ps(to, x);
#endif
  }
  x.store_unaligned(to);
}

/// Trims so many batches at once.
template <class Arch, class Route, class R, std::size_t batches>
struct Group {
  using Batch = xsimd::batch<float, Arch>;
  using Smallest = Group<Arch, Route, R, 1>;
  static constexpr std::size_t size = batches * Batch::size;
  static constexpr bool has_place = false;  // a group may start with any element

  Route route;
  R round;

  /// One group, whose first element has the index i.
  template <bool streaming>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    Batch x[batches];
#pragma GCC unroll 4
    for (std::size_t b = 0; b < batches; ++b) x[b] = Batch::load_unaligned(in + b * Batch::size);
#pragma GCC unroll 4
    for (std::size_t b = 0; b < batches; ++b) {
      store<streaming, Arch>(route(x[b], round, i + b * Batch::size), out + b * Batch::size);
    }
  }
};

/// The same for stochastic rounding where there are draw groups: so many chains of blocks are drawn together.
template <class Arch, class Route, class R, std::size_t chains>
struct DrawnGroup;
template <class Arch, class Route, int Bits, std::size_t chains>
struct DrawnGroup<Arch, Route, RoundStochastic<Bits>, chains> {
  using Batch = xsimd::batch<float, Arch>;
  using Draws = DrawGroup<Bits, Arch, chains>;
  using Smallest = DrawnGroup<Arch, Route, RoundStochastic<Bits>, 1>;
  static constexpr std::size_t size = Draws::size;
  static constexpr bool has_place = true;  // groups start at multiples of their size

  Route route;
  RoundStochastic<Bits> round;

  template <bool streaming>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    const Draws draws(round.random, i, route.draw_scale());
#pragma GCC unroll 32
    for (std::size_t b = 0; b < Draws::batches; ++b) {
      const Batch x = Batch::load_unaligned(in + b * Batch::size);
      store<streaming, Arch>(route(x, RoundDrawn<Batch>{draws.draw[b]}, 0), out + b * Batch::size);
    }
  }
};

/// The group for a route and a rounding. Large groups pay where the arithmetic is short.
template <class Arch, class Route, class R>
constexpr auto group_of(const Route& route, const R& round) noexcept {
  constexpr bool large = Route::fast;
  if constexpr (is_stochastic<R> && has_draw_groups<Arch>) {
    constexpr std::size_t chains = sizeof(xsimd::batch<float, Arch>) == 64 ? 8 : 4;
    return DrawnGroup<Arch, Route, R, large ? chains : 1>{route, round};
  } else {
    return Group<Arch, Route, R, large ? 4 : 1>{route, round};
  }
}

/// How many floats lie between p and the next cache line.
RISTRETTO_HOST_DEVICE std::size_t floats_to_line(const float* p) noexcept {
  return (0 - reinterpret_cast<std::uintptr_t>(p)) % 64 / sizeof(float);
}

/// The n elements before or behind whole groups: by groups of the smallest kind, a part of one through a buffer.
template <class G>
void trim_rest(const G& group, const float* in, float* out, std::size_t n, std::uint64_t first) noexcept {
  const typename G::Smallest small{group.route, group.round};
  constexpr std::size_t size = G::Smallest::size;
  std::size_t count = 0;
  for (std::size_t k = 0; k < n; k += count) {
    const std::size_t offset = G::has_place ? (first + k) % size : 0;
    count = std::min(n - k, size - offset);
    if (count == size) {
      small.template trim<false>(in + k, out + k, first + k);
      continue;
    }
    float part[size] = {};
    std::copy_n(in + k, count, part + offset);
    small.template trim<false>(part, part, first + k - offset);
    std::copy_n(part + offset, count, out + k);
  }
}

/// out[k] = in[k] trimmed as element first + k, for k < n: whole groups, from where they have their place or, where
/// that pays, from a cache line of the output on; and what is left before and behind.
template <bool streaming, class G>
void trim_groups(const G& group, const float* in, float* out, std::size_t n, std::uint64_t first) noexcept {
  constexpr std::size_t worth_aligning = 1024;
  std::size_t k = 0;
  if constexpr (G::has_place) {
    k = std::min<std::size_t>(n, (0 - first) % G::size);
  } else if (streaming || n >= worth_aligning) {
    k = std::min(n, floats_to_line(out) % G::size);  // where groups are smaller than lines, to where stores are aligned
  }
  trim_rest(group, in, out, k, first);
  const G local = group;  // whose address nobody knows, so that it stays in registers
  for (; n - k >= G::size; k += G::size) local.template trim<streaming>(in + k, out + k, first + k);
  trim_rest(group, in + k, out + k, n - k, first + k);
}

/// out[k] = in[k] trimmed as element first + k, for k < n; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer, std::uint64_t first,
                 Stores stores) noexcept {
  with_route<xsimd::batch<float, Arch>, R>(trimmer.format, [&](auto route) {
    const auto group = group_of<Arch>(route, trimmer.round);
    if constexpr (!R::indexed) {
      if (stores == Stores::streaming) {
        trim_groups<true>(group, in, out, n, first);
#if defined(__SSE__)
        _mm_sfence();  // whoever is told that this is done finds it written
#endif
        return;
      }
    }
    trim_groups<false>(group, in, out, n, first);
  });
}

#endif

}  // namespace detail

}  // namespace ristretto
