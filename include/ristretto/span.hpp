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

#include <ristretto/any_format.hpp>
#include <ristretto/simd.hpp>
#include <ristretto/trimmer.hpp>

namespace ristretto {

namespace detail {

/// out[k] = trimmer(in[k], first + k) for k < n, a batch at a time; in and out are the same array or do not overlap.
template <class Arch, class F, class R>
void trim_floats(const float* in, float* out, std::size_t n, const Trimmer<F, R> trimmer,
                 std::uint64_t first) noexcept {
#if defined(XSIMD_NO_SUPPORTED_ARCHITECTURE)
  for (std::size_t k = 0; k < n; ++k) out[k] = trimmer(in[k], first + k);
#else
  using Batch = xsimd::batch<float, Arch>;
  std::size_t k = 0;
  for (; k + Batch::size <= n; k += Batch::size) {
    trimmer(Batch::load_unaligned(in + k), first + k).store_unaligned(out + k);
  }
  if (k < n) {  // the tail, as a batch padded with zeros
    float tail[Batch::size] = {};
    std::copy(in + k, in + n, tail);
    trimmer(Batch::load_unaligned(tail), first + k).store_unaligned(tail);
    std::copy(tail, tail + (n - k), out + k);
  }
#endif
}

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
void trim(std::span<const float> in, std::span<float> out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::check_sizes(in, out);
  detail::trim_floats<Arch>(in.data(), out.data(), in.size(), trimmer, first);
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
