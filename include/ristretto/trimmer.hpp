// SPDX-License-Identifier: MIT
// The Trimmer: a format and a rounding. Here it is defined what trimming a number is; spans and devices compute the
// same bits on the routes of kernel/routes.hpp, which tests compare with this definition, over all floats.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <stdexcept>
#include <type_traits>

#include <ristretto/formats.hpp>
#include <ristretto/rounding.hpp>

namespace ristretto {

namespace detail {

/// Whether zeros of the format keep the sign of x; formats that do not say otherwise do.
template <class F>
inline constexpr bool keeps_sign_of_zero = !requires { requires !F::signed_zero; };

/// v, or where y / q underflowed to 0 a small number with the sign of y, so that RoundUp and RoundDown still move.
template <class T>
RISTRETTO_HOST_DEVICE constexpr T keep_tiny(T v, T y) noexcept {
  const T tiny = T(power_of_two<LaneScalar<T>>(Ops<LaneScalar<T>>::min_exponent));
  return Ops<T>::select(Ops<T>::both(v == T(0), y != T(0)), Ops<T>::copysign(tiny, y), v);
}

/// What the three lines leave open for the result r: infinities, and the sign of zero.
template <class F, class T>
RISTRETTO_HOST_DEVICE constexpr T finish(const F& format, T r, T x) noexcept {
  if constexpr (requires { format.overflow(r, x); }) r = format.overflow(r, x);
  if constexpr (keeps_sign_of_zero<F>) {
    return Ops<T>::copysign(r, x);  // no other result changes sign
  } else {
    return Ops<T>::positive_zero(r);
  }
}

/// The same for the magnitude of the result.
template <class F, class T>
RISTRETTO_HOST_DEVICE constexpr T finish_magnitude(const F& format, T r, T x) noexcept {
  if constexpr (requires { format.overflow(r, x); }) r = format.overflow(r, x);
  r = Ops<T>::with_sign(r, x);
  return keeps_sign_of_zero<F> ? r : Ops<T>::positive_zero(r);
}

/// The three lines that define trimming. 0.3 to DynamicFixedPoint<2, 6>: y = 0.3, q = 2^-6, y / q = 19.2, rounded to
/// nearest 19, 19 q = 0.296875.
template <class F, class R, class T>
RISTRETTO_HOST_DEVICE constexpr T trim_number(const F& format, const R& round, T x, std::uint64_t i) noexcept {
  const T y = format.saturate(x);
  const T q = format.quantum(y);
  const T v = keep_tiny(Ops<T>::divide(y, q), y);
  return finish(format, rounded(round, v, i) * q, x);  // both scalings are exact: q is a power of two
}

template <class T>
inline constexpr bool is_lane = requires { typename Ops<T>::Scalar; };

template <class F>
inline constexpr bool is_format = Format<F> || chosen_at_run_time<F>;
template <class R>
inline constexpr bool is_rounding = Rounding<R> || chosen_at_run_time<R>;
/// What trim asks of a Trimmer; one that is none says so itself.
template <class F, class R>
concept Trimming = is_format<F> && is_rounding<R>;

/// Whether a rounding goes with a format: the nearest exponent is of neighbouring powers of two.
template <class F, class R>
inline constexpr bool goes_with = !std::is_same_v<R, RoundNearestExponent> || requires { requires !F::has_zero; };

}  // namespace detail

/// Replaces a number by a value of the format, kept as a float (double, batch): fake quantization. NaN stays NaN,
/// infinities saturate unless the format keeps them, and a zero result has the sign of x unless the format has one zero
/// only. Where the format or the rounding is chosen at run time (AnyFormat, AnyRounding), `trim` looks once what it is,
/// and there is no operator().
template <class F, class R = RoundNearest>
struct Trimmer {
  static constexpr bool chosen_at_run_time = detail::chosen_at_run_time<F> || detail::chosen_at_run_time<R>;
  static_assert(detail::is_format<F>,
                "the first argument of a Trimmer is a format, such as DynamicFixedPoint<2, 6>{} or "
                "AnyFormat::parse(text); one of your own needs saturate, quantum and bits");
  static_assert(
      detail::is_rounding<R>,
      "the second argument of a Trimmer is a rounding, such as RoundNearest{}, RoundStochastic<>{{.seed = 1}} "
      "or AnyRounding::parse(text)");
  static_assert(chosen_at_run_time || detail::goes_with<F, R>,
                "RoundNearestExponent rounds between neighbouring powers of two; use it with PowerOfTwo only");

  F format{};
  R round{};

  /// x trimmed; i is the index of x in its tensor (of lane 0, when T is a batch).
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x, std::uint64_t i) const noexcept
    requires(!chosen_at_run_time)
  {
    static_assert(detail::is_lane<T>, "a Trimmer trims float and double; convert the number to one of them first");
    if constexpr (detail::is_lane<T>) {
      return detail::trim_number(detail::grid_of<T>(format), round, x, i);
    } else {
      return x;
    }
  }

  /// x trimmed, for roundings without randomness; so a Trimmer works in `unaryExpr` and std::transform.
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T x) const noexcept
    requires(!chosen_at_run_time)
  {
    static_assert(!R::indexed,
                  "a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first) "
                  "or trimmer(x, i)");
    return (*this)(x, 0);
  }

  /// x trimmed lane by lane, under the name by which Eigen asks for it; eigen.hpp has it.
  template <class Packet>
  RISTRETTO_HOST_DEVICE Packet packetOp(const Packet& x) const noexcept;

  friend constexpr bool operator==(const Trimmer&, const Trimmer&) = default;
};
template <class F>
Trimmer(F) -> Trimmer<F>;
template <class F, class R>
Trimmer(F, R) -> Trimmer<F, R>;

namespace detail {

/// f(x) with what x holds where it was chosen at run time, otherwise with x.
template <class X, class Function>
constexpr void visit_choice(const X& x, Function f) {
  if constexpr (chosen_at_run_time<X>) {
    x.visit(f);
  } else {
    f(x);
  }
}

/// f(trimmer) with its format and rounding as types that f knows. Throws std::invalid_argument where these do not go
/// together.
template <class F, class R, class Function>
void visit_trimmer(const Trimmer<F, R>& trimmer, Function f) {
  visit_choice(trimmer.format, [&]<class Chosen>(const Chosen& format) {
    visit_choice(trimmer.round, [&]<class Rule>(const Rule& round) {
      if constexpr (goes_with<Chosen, Rule>) {
        f(Trimmer<Chosen, Rule>{format, round});
      } else {
        detail::raise<std::invalid_argument>("ristretto::trim: RoundNearestExponent does not go with " +
                                             to_string(format) +
                                             "; use it with pow2:Min,Max or choose another rounding");
      }
    });
  });
}

}  // namespace detail

}  // namespace ristretto
