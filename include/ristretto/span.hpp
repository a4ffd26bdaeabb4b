// SPDX-License-Identifier: MIT
// Trims contiguous floats and doubles on the host.
#pragma once

#include <ristretto/config.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <ristretto/any_format.hpp>
#include <ristretto/any_rounding.hpp>
#include <ristretto/kernel/groups.hpp>

namespace ristretto {

namespace detail {

/// What std::span takes as contiguous elements S. Eigen's objects, which name a Scalar, have functions of their own.
template <class X, class S>
concept Contiguous = std::convertible_to<X, std::span<S>> && !requires { typename std::remove_cvref_t<X>::Scalar; };
template <class X>
concept Numbers = Contiguous<X, const float> || Contiguous<X, const double>;
template <class X>
concept WritableNumbers = Contiguous<X, float> || Contiguous<X, double>;

/// Their type.
template <class X>
using NumberOf = std::conditional_t<Contiguous<X, const float>, float, double>;

inline void check_sizes(std::size_t in, std::size_t out) {
  if (in != out) {
    detail::raise<std::invalid_argument>("ristretto::trim: the input has " + std::to_string(in) +
                                         " elements and the output " + std::to_string(out) + "; give them equal sizes");
  }
}

/// What by_size means for these spans.
[[gnu::always_inline]] inline Stores chosen_stores(std::span<const float> in, std::span<float> out,
                                                   Stores stores) noexcept {
  if (stores != Stores::by_size) return stores;
  const bool large = out.size() >= streaming_floats && in.data() != out.data();
  return large ? Stores::streaming : Stores::cached;
}

/// out[k] = in[k] trimmed as element first + k.
template <class Arch, class S, class F, class R>
void trim_span(std::span<const S> in, std::span<S> out, const Trimmer<F, R>& trimmer, std::uint64_t first,
               Stores stores) {
  check_sizes(in.size(), out.size());
  if constexpr (Trimmer<F, R>::chosen_at_run_time) {
    visit_trimmer(trimmer, [&](const auto& chosen) { trim_span<Arch, S>(in, out, chosen, first, stores); });
  } else if constexpr (std::is_same_v<S, float>) {
    stores = chosen_stores(in, out, stores);
    trim_floats<Arch>(in.data(), out.data(), in.size(), trimmer, first, stores);
  } else {
    for (std::size_t k = 0; k < in.size(); ++k) out[k] = trimmer(in[k], first + k);
  }
}

}  // namespace detail

// Every trim takes `first`, the index of the first element in its tensor: a tensor may be split anywhere, and each
// piece gives the bits of the whole when it is given its place. Roundings without randomness do not look at it. A
// format or a rounding that is chosen at run time is looked at once; then it is as fast as one known at compile time.

/// out[k] = in[k] trimmed as element first + k. `in` and `out` are vectors, arrays or spans of float or of double, the
/// same one or such that do not overlap. `stores` changes no bit. Throws std::invalid_argument when the sizes differ.
template <class Arch = DefaultArch, class In, class Out, class F, class R>
  requires detail::Contiguous<const In&, const detail::NumberOf<Out>> && detail::WritableNumbers<Out> &&
           detail::Trimming<F, R>
void trim(const In& in, Out&& out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0,
          Stores stores = Stores::by_size) {
  detail::trim_span<Arch, detail::NumberOf<Out>>(in, out, trimmer, first, stores);
}

/// Trims x in place, x[k] as element first + k.
template <class Arch = DefaultArch, detail::WritableNumbers X, class F, class R>
  requires detail::Trimming<F, R>
void trim(X&& x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  const std::span<detail::NumberOf<X>> span(x);
  detail::trim_span<Arch, detail::NumberOf<X>>(span, span, trimmer, first, Stores::cached);
}

namespace detail {

template <class T>
inline constexpr bool is_trimmer = false;
template <class F, class R>
inline constexpr bool is_trimmer<Trimmer<F, R>> = true;
template <class T>
inline constexpr bool is_trimming = false;
template <class F, class R>
inline constexpr bool is_trimming<Trimmer<F, R>> = Trimming<F, R>;

/// Says why no trim takes these elements.
template <class X>
constexpr void explain_elements() {
  using Element = std::remove_reference_t<decltype(*std::begin(std::declval<X&>()))>;
  using Number = std::remove_const_t<Element>;
  static_assert(std::is_same_v<Number, float> || std::is_same_v<Number, double>,
                "ristretto::trim takes elements of float or double; convert others to one of them first");
  static_assert(!std::is_const_v<Element>,
                "ristretto::trim writes to its last tensor, whose elements are const; use trim(in, out, trimmer)");
}
template <class X>
concept HasElements = requires(X& x) { *std::begin(x); } && !requires { typename std::remove_cvref_t<X>::Scalar; };

}  // namespace detail

/// Takes what no other trim takes, and says what is wrong.
template <class Arch = DefaultArch, class X, class T>
void trim(X&&, const T&, std::uint64_t = 0) {
  static_assert(detail::is_trimmer<T>,
                "the last argument of ristretto::trim, but for the place, is a Trimmer: write trim(x, Trimmer{format, "
                "rounding})");
  if constexpr (detail::is_trimming<T> && detail::HasElements<X>) {
    detail::explain_elements<std::remove_reference_t<X>>();
  } else if constexpr (detail::is_trimming<T>) {
    static_assert(detail::HasElements<X>,
                  "ristretto::trim takes vectors, arrays and spans, and what ristretto/eigen.hpp and "
                  "ristretto/thrust.hpp add; for a single number call the Trimmer: trimmer(x)");
  }
}
template <class Arch = DefaultArch, class In, class Out, class F, class R>
  requires(detail::HasElements<const In> && detail::HasElements<Out> &&
           !(detail::WritableNumbers<Out> && detail::Contiguous<const In&, const detail::NumberOf<Out>>))
void trim(const In&, Out&&, const Trimmer<F, R>&, std::uint64_t = 0) {
  detail::explain_elements<std::remove_reference_t<Out>>();
  static_assert(!detail::WritableNumbers<Out> || detail::Contiguous<const In&, const detail::NumberOf<Out>>,
                "ristretto::trim: the input has other elements than the output; give them the same type");
}

namespace detail {

template <class Arch, class T, class R>
void trim_rows(std::span<const T> in, std::span<T> out, std::span<const AnyFormat> formats, const R& round,
               std::uint64_t first) {
  check_sizes(in.size(), out.size());
  const std::size_t rows = formats.size();
  if (rows == 0 ? !in.empty() : in.size() % rows != 0) {
    detail::raise<std::invalid_argument>("ristretto::trim_rows: " + std::to_string(in.size()) + " elements and " +
                                         std::to_string(rows) + " formats; give it one format for each row");
  }
  const std::size_t length = rows == 0 ? 0 : in.size() / rows;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t k = r * length;
    trim<Arch>(in.subspan(k, length), out.subspan(k, length), Trimmer{formats[r], round}, first + k);
  }
}

}  // namespace detail

/// Trims each row of a matrix to a format of its own: in and out hold formats.size() rows of one length, one after the
/// other, and in[k] is element first + k. Throws std::invalid_argument when the sizes differ or are no such rows.
template <class Arch = DefaultArch, class In, detail::WritableNumbers Out, class R = RoundNearest>
  requires detail::Contiguous<const In&, const detail::NumberOf<Out>>
void trim_rows(const In& in, Out&& out, std::span<const AnyFormat> formats, const R& round = {},
               std::uint64_t first = 0) {
  detail::trim_rows<Arch, detail::NumberOf<Out>>(in, out, formats, round, first);
}
/// The same in place.
template <class Arch = DefaultArch, detail::WritableNumbers X, class R = RoundNearest>
void trim_rows(X&& x, std::span<const AnyFormat> formats, const R& round = {}, std::uint64_t first = 0) {
  const std::span<detail::NumberOf<X>> span(x);
  detail::trim_rows<Arch, detail::NumberOf<X>>(span, span, formats, round, first);
}

}  // namespace ristretto
