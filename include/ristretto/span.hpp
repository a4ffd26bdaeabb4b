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
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R> trimmer, std::uint64_t first,
                 Stores) noexcept {
  for (std::size_t k = 0; k < n; ++k) out[k] = trimmer(in[k], first + k);
}

#else

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
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    trim(in, out, i, std::make_index_sequence<batches>());
  }

 private:
  template <std::size_t... b>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i,
                                  std::index_sequence<b...>) const noexcept {
    const Batch x[] = {Batch::load_unaligned(in + b * Batch::size)...};
    (route(x[b], round, i + b * Batch::size).store_unaligned(out + b * Batch::size), ...);
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

  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, std::uint64_t i) const noexcept {
    trim(in, out, Draws(round.random, i, route.draw_scale()), std::make_index_sequence<Draws::batches>());
  }

 private:
  template <std::size_t... b>
  RISTRETTO_HOST_DEVICE void trim(const float* in, float* out, const Draws& draws,
                                  std::index_sequence<b...>) const noexcept {
    (route(Batch::load_unaligned(in + b * Batch::size), RoundDrawn<Batch>{draws.draw[b]}, 0)
         .store_unaligned(out + b * Batch::size),
     ...);
  }
};
#endif

/// out[k] = in[k] trimmed for k < n, all within one group: in[0] is number `offset` of the group whose index is i.
template <class G>
void trim_part(G groups, const float* in, float* out, std::size_t n, std::size_t offset, std::uint64_t i) noexcept {
  float group[G::size] = {};
  std::copy(in, in + n, group + offset);
  groups.trim(group, group, i);
  std::copy(group + offset, group + offset + n, out);
}

/// out[k] = trimmer(in[k], first + k) for k < n; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R> trimmer, std::uint64_t first,
                 Stores) noexcept {
  with_route<xsimd::batch<float, Arch>, R>(trimmer.format, [=](auto route) {
    using G = Groups<Arch, decltype(route), R>;
    const G groups{route, trimmer.round};
    std::size_t k = 0;
    if constexpr (R::indexed) {
      if (const std::size_t offset = first % G::size) {
        k = std::min(n, G::size - offset);
        trim_part(groups, in, out, k, offset, first - offset);
      }
    }
    for (; n - k >= G::size; k += G::size) groups.trim(in + k, out + k, first + k);
    if (k < n) trim_part(groups, in + k, out + k, n - k, 0, first + k);
  });
}

#endif

template <class In, class Out>
void check_sizes(std::span<In> in, std::span<Out> out) {
  if (in.size() != out.size()) {
    throw std::invalid_argument("ristretto::trim: the input has " + std::to_string(in.size()) +
                                " elements and the output " + std::to_string(out.size()) + "; give them equal sizes");
  }
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
  detail::trim_floats<Arch>(in.data(), out.data(), in.size(), trimmer, first, stores);
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
