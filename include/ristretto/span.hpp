// SPDX-License-Identifier: MIT
// Trims contiguous floats and doubles on the host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <ristretto/any_format.hpp>
#include <ristretto/draws.hpp>
#include <ristretto/routes.hpp>

namespace ristretto {

/// How results reach memory.
enum class Stores {
  by_size,    ///< streaming for outputs of `streaming_floats` or more that are not the input, else cached
  cached,     ///< as usual: what is written stays in the caches as far as it fits
  streaming,  ///< past the caches, which saves reading the output's old contents; slow for small outputs
};

/// From this size on (32 MiB), outputs no longer fit the caches that usual machines have for one thread.
inline constexpr std::size_t streaming_floats = std::size_t{1} << 23;

namespace detail {

#if defined(XSIMD_NO_SUPPORTED_ARCHITECTURE)

/// out[k] = trimmer(in[k], first + k) for k < n; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                 std::uint64_t first) noexcept {
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
template <class Arch, class Route, class R>
struct Groups {
  using Batch = xsimd::batch<float, Arch>;
  static constexpr std::size_t batches = 4;
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

#if defined(__SSE2__)
template <class Arch, class Route, int Bits, int Rounds>
struct Groups<Arch, Route, RoundStochastic<Bits, Rounds>> {
  using Batch = xsimd::batch<float, Arch>;
  using Draws = DrawGroup<Bits, Rounds, Arch>;
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
#endif

/// out[k] = in[k] trimmed for k < n, all within one group: in[0] is number `offset` of the group whose index is i.
template <class G>
void trim_part(G groups, const float* in, float* out, std::size_t n, std::size_t offset, std::uint64_t i) noexcept {
  float group[G::size] = {};
  std::copy(in, in + n, group + offset);
  groups.template trim<false>(group, group, i);
  std::copy(group + offset, group + offset + n, out);
}

/// How many floats lie between p and the next cache line.
inline std::size_t floats_to_line(const float* p) noexcept {
  return (0 - reinterpret_cast<std::uintptr_t>(p)) % 64 / sizeof(float);
}

/// out[k] = in[k] trimmed as element first + k, for k < n.
template <bool streaming, bool indexed, class G>
void trim_groups(G groups, const float* in, float* out, std::size_t n, std::uint64_t first) noexcept {
  std::size_t k = 0;
  // Groups of indexed roundings start where groups of draws do, others where cache lines of the output do.
  const std::size_t offset = indexed ? first % G::size : (G::size - floats_to_line(out)) % G::size;
  if (offset > 0) {
    k = std::min(n, G::size - offset);
    trim_part(groups, in, out, k, offset, first - offset);
  }
  for (; n - k >= G::size; k += G::size) groups.template trim<streaming>(in + k, out + k, first + k);
  if (k < n) trim_part(groups, in + k, out + k, n - k, 0, first + k);
}

/// out[k] = trimmer(in[k], first + k) for k < n; in and out are the same array or do not overlap.
template <class Arch, bool streaming, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                 std::uint64_t first) noexcept {
  with_route<xsimd::batch<float, Arch>, R>(trimmer.format, [&](auto route) {
    const Groups<Arch, decltype(route), R> groups{route, trimmer.round};
    trim_groups<streaming, R::indexed>(groups, in, out, n, first);
  });
}

/// trim_floats past the caches, for groups of draws that do not start at cache lines of the output: piece by piece into
/// a buffer, from there whole lines.
template <class Arch, class F, class R>
void trim_through_buffer(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                         std::uint64_t first) noexcept {
  constexpr std::size_t line = 16;
  constexpr std::size_t piece = 1024;
  using Batch = xsimd::batch<float, Arch>;
  std::size_t k = std::min(n, floats_to_line(out));
  trim_floats<Arch, false>(in, out, k, trimmer, first);
  alignas(64) float buffer[line + piece];
  std::size_t held = 0;  // trimmed and not yet written: the start of a line
  while (k < n) {
    const std::size_t count = std::min(n - k, piece - (first + k) % piece);  // pieces end where groups of draws do
    trim_floats<Arch, false>(in + k, buffer + held, count, trimmer, first + k);
    float* to = out + k - held;
    const std::size_t whole = (held + count) / line * line;
    for (std::size_t j = 0; j < whole; j += Batch::size) {
      store<true, Arch>(Batch::load_aligned(buffer + j), to + j);
    }
    k += count;
    held = held + count - whole;
    std::copy(buffer + whole, buffer + whole + held, buffer);
  }
  std::copy(buffer, buffer + held, out + n - held);
}

/// trim_floats past the caches.
template <class Arch, class F, class R>
void stream_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R>& trimmer,
                   std::uint64_t first) noexcept {
  if (!R::indexed || floats_to_line(out) == (0 - first) % 16) {
    trim_floats<Arch, true>(in, out, n, trimmer, first);
  } else {
    trim_through_buffer<Arch>(in, out, n, trimmer, first);
  }
#if defined(__SSE__)
  _mm_sfence();  // what others are told after this, they find written
#endif
}

#endif

template <class In, class Out>
void check_sizes(std::span<In> in, std::span<Out> out) {
  if (in.size() != out.size()) {
    throw std::invalid_argument("ristretto::trim: the input has " + std::to_string(in.size()) +
                                " elements and the output " + std::to_string(out.size()) + "; give them equal sizes");
  }
}

inline Stores chosen_stores(std::span<const float> in, std::span<float> out, Stores stores) noexcept {
  if (stores != Stores::by_size) return stores;
  return in.data() != out.data() && out.size() >= streaming_floats ? Stores::streaming : Stores::cached;
}

}  // namespace detail

// Every trim takes `first`, the index of the first element in its tensor: a tensor may be split anywhere, and each
// piece gives the bits of the whole when it is given its place. Roundings without randomness do not look at it.

/// out[k] = in[k] trimmed as element first + k. The spans are the same or do not overlap.
/// Throws std::invalid_argument when the sizes differ.
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<const float> in, std::span<float> out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0,
          Stores stores = Stores::by_size) {
  detail::check_sizes(in, out);
  if (detail::chosen_stores(in, out, stores) == Stores::streaming) {
    detail::stream_floats<Arch>(in.data(), out.data(), in.size(), trimmer, first);
  } else {
    detail::trim_floats<Arch, false>(in.data(), out.data(), in.size(), trimmer, first);
  }
}
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<const double> in, std::span<double> out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::check_sizes(in, out);
  for (std::size_t k = 0; k < in.size(); ++k) out[k] = trimmer(in[k], first + k);
}

/// Trims x in place, x[k] as element first + k.
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<float> x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  trim<Arch>(x, x, trimmer, first);
}
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<double> x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  trim<Arch>(x, x, trimmer, first);
}

namespace detail {

/// f(trimmer) with the concrete format. RoundNearestExponent goes with powers of two only, so other formats throw.
template <Rounding R, class Function>
void visit_trimmer(const AnyFormat& format, const R& round, Function f) {
  format.visit([&](const auto& concrete) {
    if constexpr (std::is_same_v<R, RoundNearestExponent> &&
                  !std::is_same_v<std::remove_cvref_t<decltype(concrete)>, PowerOfTwo<>>) {
      throw std::invalid_argument("ristretto::trim: RoundNearestExponent does not go with " + to_string(format) +
                                  "; use it with pow2:Min,Max or choose another rounding");
    } else {
      f(Trimmer{concrete, round});
    }
  });
}

}  // namespace detail

/// The same with a format chosen at run time: visited once, then as fast as a format known at compile time.
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim(std::span<const float> in, std::span<float> out, const AnyFormat& format, const R& round = {},
          std::uint64_t first = 0) {
  detail::visit_trimmer(format, round, [&](const auto& trimmer) { trim<Arch>(in, out, trimmer, first); });
}
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim(std::span<const double> in, std::span<double> out, const AnyFormat& format, const R& round = {},
          std::uint64_t first = 0) {
  detail::visit_trimmer(format, round, [&](const auto& trimmer) { trim<Arch>(in, out, trimmer, first); });
}
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim(std::span<float> x, const AnyFormat& format, const R& round = {}, std::uint64_t first = 0) {
  trim<Arch>(x, x, format, round, first);
}
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim(std::span<double> x, const AnyFormat& format, const R& round = {}, std::uint64_t first = 0) {
  trim<Arch>(x, x, format, round, first);
}

}  // namespace ristretto
