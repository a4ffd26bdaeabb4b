// SPDX-License-Identifier: MIT
// What a format is: the concept, every optional hook, and parameters that are fixed in a type or stored.
#pragma once

#include <ristretto/config.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ristretto/ops.hpp>

namespace ristretto {

/// A set of representable numbers. `saturate` moves x to the nearer end of the grid when it lies beyond (NaN stays
/// NaN), `quantum` is the spacing of the grid at a saturated y, a power of two, `bits` the bit width of a stored
/// number.
template <class F>
concept Format = requires(const F format, float x) {
  { format.saturate(x) } -> std::same_as<float>;
  { format.quantum(x) } -> std::same_as<float>;
  { format.bits() } -> std::same_as<int>;
};

// A format that has no more than these three is trimmed to by everything. What else it says of itself is optional; this
// is the whole list, and nothing else is asked of a format anywhere.
//
//   of the format          what it says                                        without it
//   grid<T>()              its numbers for lanes T, worked out once for a      the format itself computes
//                          span; OnGrid gives saturate and quantum from it
//   fixed_in_type          true: its type is all of it, F{} gives it           routes are chosen at run time
//   signed_zero            false: it has one zero, +0                          zeros keep the sign of x
//   has_zero               false: RoundNearestExponent goes with it            it does not
//   largest(), lowest()    the ends as floats, also largest<S>()               no Range rule, no AnyFormat
//   quantum_exponents()    exponents of the least and the greatest quantum     route ByAddition is closed
//   digits()               |k| <= 2^digits() for its numbers k * quantum       ByAddition and __half storage are closed
//   low_bits()             d > 0: between the ends it is all floats with d     route ByBits is closed
//                          low fraction bits zero; 0: it is not
//
//   of its grid            (the grid of a format without grid<T>() is the format)
//   saturate, quantum      as above; required
//   leading(y),            quantum(y) = leading(y) * per_leading, leading(y)   route ByAddition is closed: leave out
//   per_leading            a power of two, per_leading a constant              quantum_exponents() then
//   saturate_magnitude(a)  saturate(a) for a >= 0 or NaN                       saturate
//   overflow(r, x)         what becomes of the rounded r of x, e.g. infinity   r
//
//   for its text form, and so for AnyFormat: what the concept TextFormat lists. For `choose`: a Family in choose.hpp.

/// The exponents of the least and the greatest quantum of a format that float lanes meet.
struct QuantumExponents {
  int least;
  int greatest;
};

/// Which format of its family a format is: the arguments of the constructor of its run-time twin.
struct Parameters {
  int first;
  int second;
  std::optional<int> bias{};  ///< of a minifloat, where it is not the usual one

  friend constexpr bool operator==(const Parameters&, const Parameters&) = default;
};

/// A format that has a text form, such as fixed:2,6.
///   Runtime                 its family with all parameters given at run time
///   text_name, text_suffix  the words before and after the parameters
///   text_parameters         what these are called, for errors
///   parameters()            Runtime's constructor takes them
///   scaled(e)               the same grid, every number times 2^e: what a shift makes of it
///   can_scale(e)            whether there is one
template <class F>
concept TextFormat = Format<F> && requires(const F format, int e) {
  typename F::Runtime;
  { F::text_name } -> std::convertible_to<std::string_view>;
  { F::text_suffix } -> std::convertible_to<std::string_view>;
  { F::text_parameters } -> std::convertible_to<std::string_view>;
  { format.parameters() } -> std::same_as<Parameters>;
  { format.scaled(e) } -> std::same_as<typename F::Runtime>;
  { format.can_scale(e) } -> std::same_as<bool>;
  { format.largest() } -> std::same_as<float>;
  { format.lowest() } -> std::same_as<float>;
};

namespace detail {

inline constexpr std::string_view bias_word = ",bias=";

/// Whether X holds one of several formats or roundings and has visit(f): AnyFormat and AnyRounding.
template <class X>
inline constexpr bool chosen_at_run_time = false;

/// The run-time format of family F with these parameters. Throws std::invalid_argument where there is none.
template <class F>
constexpr F with_parameters(const Parameters& p) {
  if constexpr (std::constructible_from<F, int, int, int>) {
    if (p.bias) return F(p.first, p.second, *p.bias);
  }
  return F(p.first, p.second);
}

}  // namespace detail

/// The text form: fixed:IL,FL  ufixed:IL,FL  minifloat:M,E[,to_infinity|finite_nan|finite|fnuz|ristretto2016][,bias=B]
/// pow2:Min,Max  pow2z:Min,Max (with zero). AnyFormat::parse reads it back.
template <TextFormat F>
std::string to_string(const F& format) {
  const Parameters p = format.parameters();
  std::string text(F::text_name);
  text.append(":").append(std::to_string(p.first)).append(",").append(std::to_string(p.second)).append(F::text_suffix);
  return p.bias ? text.append(detail::bias_word).append(std::to_string(*p.bias)) : text;
}

/// As a template argument: the parameter is given at run time and stored.
inline constexpr int runtime = std::numeric_limits<int>::min();

namespace detail {

/// What a format computes with for lanes of type T: its grid, or the format where that has none.
template <class T, class F>
RISTRETTO_HOST_DEVICE constexpr auto grid_of(const F& format) noexcept {
  if constexpr (requires { format.template grid<T>(); }) {
    return format.template grid<T>();
  } else {
    return format;
  }
}

/// saturate and quantum of a format F that has a grid<T>(), which a kernel works out once for a span.
template <class F>
struct OnGrid {
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return static_cast<const F&>(*this).template grid<T>().saturate(x);
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept {
    return static_cast<const F&>(*this).template grid<T>().quantum(y);
  }
  friend constexpr bool operator==(const OnGrid&, const OnGrid&) = default;
};

/// A parameter of a format: fixed in the type when V is a number, stored when V is `runtime`.
template <int V>
struct Param {
  constexpr Param() = default;
  constexpr Param(int v) {
    if (v != V) {
      detail::raise<std::invalid_argument>("ristretto: a format parameter is fixed as " + std::to_string(V) +
                                           " in its type but given as " + std::to_string(v) +
                                           "; leave it out or use `runtime`");
    }
  }
  RISTRETTO_HOST_DEVICE constexpr int get() const noexcept { return V; }
  friend constexpr bool operator==(const Param&, const Param&) = default;
};

template <>
struct Param<runtime> {
  constexpr Param(int v) : value(v) {}
  RISTRETTO_HOST_DEVICE constexpr int get() const noexcept { return value; }
  friend constexpr bool operator==(const Param&, const Param&) = default;

  int value;
};

[[noreturn]] inline void throw_bad_parameter(const char* format, const char* parameter, int value, const char* remedy) {
  detail::raise<std::invalid_argument>(std::string("ristretto: ") + format + ": " + parameter + " is " +
                                       std::to_string(value) + "; choose " + remedy);
}

constexpr bool within(std::int64_t value, int low, int high) { return low <= value && value <= high; }
constexpr bool width_fits(int il, int fl) { return within(il, 1 - fl, 32 - fl); }
constexpr bool width_fits_if_known(int il, int fl) { return il == runtime || fl == runtime || width_fits(il, fl); }

}  // namespace detail

}  // namespace ristretto
