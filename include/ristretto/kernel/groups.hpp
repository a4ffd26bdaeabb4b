// SPDX-License-Identifier: MIT
// Trims contiguous floats: groups of batches on the fastest route.
#pragma once

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
  streaming,  ///< past the caches, which saves reading the output's old contents; slow for small outputs
};

/// From this size on (32 MiB) outputs are streamed: they and their input no longer fit the caches of usual machines.
inline constexpr std::size_t streaming_floats = std::size_t{1} << 23;

namespace detail {

#if defined(RISTRETTO_NO_SIMD)

/// out[k] = trimmer(in[k], first + k) for k < n; in and out are the same array or do not overlap.
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

/// Trims groups of batches. The draws of a group are made together, so groups of indexed roundings start at multiples
/// of their size.
template <class Arch, class Route, class R, std::size_t batches = 4>
struct Groups {
  using Batch = xsimd::batch<float, Arch>;
  using Smallest = Groups<Arch, Route, R, 1>;
  static constexpr std::size_t size = batches * Batch::size;

  Route route;
  R round;

  /// One group, whose first element has the index i.
  template <bool streaming>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    trim<streaming>(in, out, i, std::make_index_sequence<batches>());
  }

 private:
  template <bool streaming, std::size_t... b>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i,
                                  std::index_sequence<b...>) const noexcept {
    const Batch x[] = {Batch::load_unaligned(in + b * Batch::size)...};
    (store<streaming, Arch>(route(x[b], round, i + b * Batch::size), out + b * Batch::size), ...);
  }
};

/// With draws made for a group at once.
template <class Arch, class Route, class R, std::size_t chains = sizeof(xsimd::batch<float, Arch>) == 64 ? 8 : 4>
struct DrawnGroups;
template <class Arch, class Route, int Bits, int Rounds, std::size_t chains>
struct DrawnGroups<Arch, Route, RoundStochastic<Bits, Rounds>, chains> {
  using Batch = xsimd::batch<float, Arch>;
  using Draws = DrawGroup<Bits, Rounds, Arch, chains>;
  using Smallest = DrawnGroups<Arch, Route, RoundStochastic<Bits, Rounds>, 1>;
  static constexpr std::size_t size = Draws::size;

  Route route;
  RoundStochastic<Bits, Rounds> round;

  template <bool streaming>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    const Draws draws(round.random, i, route.draw_scale());
    trim<streaming>(in, out, draws, std::make_index_sequence<Draws::batches>());
  }

 private:
  template <bool streaming, std::size_t... b>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, const Draws& draws,
                                  std::index_sequence<b...>) const noexcept {
    (store<streaming, Arch>(route(Batch::load_unaligned(in + b * Batch::size), RoundDrawn<Batch>{draws.draw[b]}, 0),
                            out + b * Batch::size),
     ...);
  }
};

/// How many floats lie between p and the next cache line.
RISTRETTO_HOST_DEVICE std::size_t floats_to_line(const float* p) noexcept {
  return (0 - reinterpret_cast<std::uintptr_t>(p)) % 64 / sizeof(float);
}

/// out[k] = in[k] trimmed for k < n, all within one group: in[0] is number `offset` of the group whose index is i.
template <class G>
void trim_part(const G& groups, const float* in, float* out, std::size_t n, std::size_t offset,
               std::uint64_t i) noexcept {
  float group[G::size] = {};
  std::copy(in, in + n, group + offset);
  groups.template trim<false>(group, group, i);
  std::copy(group + offset, group + offset + n, out);
}

template <bool streaming, bool indexed, class G>
RISTRETTO_HOST_DEVICE void trim_groups(const G& groups, const float* in, float* out, std::size_t n,
                                       std::uint64_t first) noexcept;

/// The n elements before or after whole groups, n < G::size.
template <bool indexed, class G>
void trim_rest(const G& groups, const float* in, float* out, std::size_t n, std::uint64_t first) noexcept {
  if constexpr (std::is_same_v<G, typename G::Smallest>) {
    const std::size_t offset = indexed ? first % G::size : 0;
    trim_part(groups, in, out, n, offset, first - offset);
  } else {
    trim_groups<false, indexed>(typename G::Smallest{groups.route, groups.round}, in, out, n, first);
  }
}

/// out[k] = in[k] trimmed as element first + k, for k < n. Groups of indexed roundings start at multiples of their
/// size, others at cache lines of the output where that pays.
template <bool streaming, bool indexed, class G>
RISTRETTO_HOST_DEVICE void trim_groups(const G& groups, const float* in, float* out, std::size_t n,
                                       std::uint64_t first) noexcept {
  constexpr std::size_t worth_aligning = 1024;
  // Less than a group: to a line, or where groups are smaller than lines, to where stores are aligned.
  const std::size_t to_line = streaming || n >= worth_aligning ? floats_to_line(out) % G::size : 0;
  std::size_t k = indexed ? (0 - first) % G::size : to_line;
  k = std::min(n, k);
  if (k > 0) trim_rest<indexed>(groups, in, out, k, first);
  const G local = groups;  // whose address nobody knows, so that it stays in registers
  for (; n - k >= G::size; k += G::size) local.template trim<streaming>(in + k, out + k, first + k);
  if (k < n) trim_rest<indexed>(groups, in + k, out + k, n - k, first + k);
}

template <class Arch, bool streaming, class F, class R>
void trim_on_route(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                   std::uint64_t first) noexcept {
  with_route<xsimd::batch<float, Arch>, R>(trimmer.format, [&](auto route) {
    using Route = decltype(route);
    if constexpr (is_stochastic<R> && has_draw_groups<Arch>) {
      using Large = DrawnGroups<Arch, Route, R>;
      using G = std::conditional_t<Route::fast, Large, typename Large::Smallest>;
      trim_groups<streaming, true>(G{route, trimmer.round}, in, out, n, first);
    } else {
      using Large = Groups<Arch, Route, R>;
      using G = std::conditional_t<Route::fast, Large, typename Large::Smallest>;
      trim_groups<streaming, false>(G{route, trimmer.round}, in, out, n, first);
    }
  });
}

/// Past the caches with groups of draws, which seldom start at cache lines of the output: piece by piece into a buffer,
/// from there whole lines.
template <class Arch, class F, class R>
void trim_through_buffer(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                         std::uint64_t first) noexcept {
  constexpr std::size_t line = 16;
  constexpr std::size_t piece = 1024;
  using Batch = xsimd::batch<float, Arch>;
  std::size_t k = std::min(n, floats_to_line(out));
  trim_on_route<Arch, false>(in, out, k, trimmer, first);
  alignas(64) float buffer[line + piece];
  std::size_t held = 0;  // trimmed and not yet written: the start of a line
  while (k < n) {
    const std::size_t count = std::min(n - k, piece - static_cast<std::size_t>((first + k) % piece));  // pieces end where groups of draws do
    trim_on_route<Arch, false>(in + k, buffer + held, count, trimmer, first + k);
    float* const to = out + k - held;
    const std::size_t whole = (held + count) / line * line;
    for (std::size_t j = 0; j < whole; j += Batch::size) {
      store<true, Arch>(Batch::load_aligned(buffer + j), to + j);
    }
    k += count;
    held = held + count - whole;
    if (whole > 0) std::copy(buffer + whole, buffer + whole + held, buffer);
  }
  std::copy(buffer, buffer + held, out + n - held);
}

/// out[k] = trimmer(in[k], first + k) for k < n; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer, std::uint64_t first,
                 Stores stores) noexcept {
  if (stores != Stores::streaming) return trim_on_route<Arch, false>(in, out, n, trimmer, first);
  if constexpr (is_stochastic<R> && has_draw_groups<Arch>) {
    trim_through_buffer<Arch>(in, out, n, trimmer, first);
  } else {
    trim_on_route<Arch, true>(in, out, n, trimmer, first);
  }
#if defined(__SSE__)
  _mm_sfence();  // whoever is told that this is done finds it written
#endif
}

#endif

}  // namespace detail

}  // namespace ristretto
