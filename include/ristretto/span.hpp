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
#include <ristretto/kernel/groups.hpp>

namespace ristretto {

namespace detail {

inline void check_sizes(std::size_t in, std::size_t out) {
  if (in != out) {
    throw std::invalid_argument("ristretto::trim: the input has " + std::to_string(in) + " elements and the output " +
                                std::to_string(out) + "; give them equal sizes");
  }
}

/// What by_size means for a rounding; stochastic ones wait for their draws, not for memory.
template <class R>
[[gnu::always_inline]] inline Stores chosen_stores(std::span<const float> in, std::span<float> out,
                                                   Stores stores) noexcept {
  if (stores != Stores::by_size) return stores;
  const bool large = out.size() >= streaming_floats && in.data() != out.data();
  return large && !R::indexed ? Stores::streaming : Stores::cached;
}

}  // namespace detail

// Every trim takes `first`, the index of the first element in its tensor: a tensor may be split anywhere, and each
// piece gives the bits of the whole when it is given its place. Roundings without randomness do not look at it.

/// out[k] = in[k] trimmed as element first + k. The spans are the same or do not overlap. `stores` changes no bit.
/// Throws std::invalid_argument when the sizes differ.
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<const float> in, std::span<float> out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0,
          Stores stores = Stores::by_size) {
  detail::check_sizes(in.size(), out.size());
  stores = detail::chosen_stores<R>(in, out, stores);
  detail::trim_floats<Arch>(in.data(), out.data(), in.size(), trimmer, first, stores);
}
template <class Arch = DefaultArch, class F, class R>
void trim(std::span<const double> in, std::span<double> out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::check_sizes(in.size(), out.size());
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
          std::uint64_t first = 0, Stores stores = Stores::by_size) {
  detail::visit_trimmer(format, round, [&](const auto& trimmer) { trim<Arch>(in, out, trimmer, first, stores); });
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

namespace detail {

template <class Arch, class T, class R>
void trim_rows(std::span<const T> in, std::span<T> out, std::span<const AnyFormat> formats, const R& round,
               std::uint64_t first) {
  check_sizes(in.size(), out.size());
  const std::size_t rows = formats.size();
  if (rows == 0 ? !in.empty() : in.size() % rows != 0) {
    throw std::invalid_argument("ristretto::trim_rows: " + std::to_string(in.size()) + " elements and " +
                                std::to_string(rows) + " formats; give it one format for each row");
  }
  const std::size_t length = rows == 0 ? 0 : in.size() / rows;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t k = r * length;
    trim<Arch>(in.subspan(k, length), out.subspan(k, length), formats[r], round, first + k);
  }
}

}  // namespace detail

/// Trims each row of a matrix to a format of its own: in and out hold formats.size() rows of one length, one after the
/// other, and in[k] is element first + k. Throws std::invalid_argument when the sizes differ or are no such rows.
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim_rows(std::span<const float> in, std::span<float> out, std::span<const AnyFormat> formats, const R& round = {},
               std::uint64_t first = 0) {
  detail::trim_rows<Arch>(in, out, formats, round, first);
}
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim_rows(std::span<const double> in, std::span<double> out, std::span<const AnyFormat> formats,
               const R& round = {}, std::uint64_t first = 0) {
  detail::trim_rows<Arch>(in, out, formats, round, first);
}
/// The same in place.
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim_rows(std::span<float> x, std::span<const AnyFormat> formats, const R& round = {}, std::uint64_t first = 0) {
  detail::trim_rows<Arch>(std::span<const float>(x), x, formats, round, first);
}
template <class Arch = DefaultArch, Rounding R = RoundNearest>
void trim_rows(std::span<double> x, std::span<const AnyFormat> formats, const R& round = {}, std::uint64_t first = 0) {
  detail::trim_rows<Arch>(std::span<const double>(x), x, formats, round, first);
}

}  // namespace ristretto
