// SPDX-License-Identifier: MIT
// What a format is: the concept, every optional hook, and parameters that are fixed in a type or stored.
#pragma once

#include <concepts>
#include <limits>
#include <stdexcept>
#include <string>

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

/// The exponents of the least and the greatest quantum of a format that float lanes meet.
struct QuantumExponents {
  int least;
  int greatest;
};

/// As a template argument: the parameter is given at run time and stored.
inline constexpr int runtime = std::numeric_limits<int>::min();

namespace detail {

/// A parameter of a format: fixed in the type when V is a number, stored when V is `runtime`.
template <int V>
struct Param {
  constexpr Param() = default;
  constexpr Param(int v) {
    if (v != V) {
      throw std::invalid_argument("ristretto: a format parameter is fixed as " + std::to_string(V) +
                                  " in its type but given as " + std::to_string(v) + "; leave it out or use `runtime`");
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
  throw std::invalid_argument(std::string("ristretto: ") + format + ": " + parameter + " is " + std::to_string(value) +
                              "; choose " + remedy);
}

constexpr bool within(int value, int low, int high) { return low <= value && value <= high; }
constexpr bool width_fits(int il, int fl) { return within(il, 1 - fl, 32 - fl); }
constexpr bool width_fits_if_known(int il, int fl) { return il == runtime || fl == runtime || width_fits(il, fl); }

}  // namespace detail

// What a format is for lanes of type T: its numbers worked out once, and the arithmetic with them. A format computes
// with its grid<T>(); a kernel keeps that for a whole span, and may use that the quantum is leading(y) * per_leading.

}  // namespace ristretto
