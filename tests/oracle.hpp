// SPDX-License-Identifier: MIT
// The oracle: trims by looking among all values of a format, decoded from its codes, in exact double arithmetic.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ristretto/formats.hpp>
#include <ristretto/rounding.hpp>

namespace oracle {

/// All values of a format, ascending (±0 once), and what its definition says beside them.
struct Grid {
  std::vector<double> values;
  bool one_zero = false;     ///< a zero result is +0
  double flush_below = 0;    ///< what is smaller in magnitude becomes 0, whatever the rounding
  double no_zero_below = 0;  ///< what is smaller in magnitude becomes ± this: the format has no zero
  double infinite_from = std::numeric_limits<double>::infinity();  ///< a result of this magnitude becomes infinite
};

inline Grid sorted(Grid grid) {
  for (double& value : grid.values) value += 0.0;  // -0 + 0 is +0
  std::sort(grid.values.begin(), grid.values.end());
  grid.values.erase(std::unique(grid.values.begin(), grid.values.end()), grid.values.end());
  return grid;
}

/// Two's complement (or unsigned) codes of IL + FL bits, the point before the last FL.
inline Grid fixed_point(int il, int fl, bool is_signed) {
  Grid grid;
  grid.one_zero = !is_signed;
  const std::int64_t codes = std::int64_t{1} << (il + fl);
  for (std::int64_t code = 0; code < codes; ++code) {
    const std::int64_t k = is_signed && code >= codes / 2 ? code - codes : code;
    grid.values.push_back(std::ldexp(static_cast<double>(k), -fl));
  }
  return sorted(grid);
}

inline int usual_bias(int e, ristretto::Encoding encoding) {
  return encoding == ristretto::Encoding::fnuz ? 1 << (e - 1) : (1 << (e - 1)) - 1;
}

/// The codes of a minifloat: sign, E exponent bits, M mantissa bits. Values beyond float are left out.
inline Grid minifloat(int m, int e, int bias, ristretto::Encoding encoding,
                      ristretto::Overflow overflow = ristretto::Overflow::saturate) {
  using ristretto::Encoding;
  Grid grid;
  const int mantissas = 1 << m;
  const int exponents = 1 << e;
  const double smallest_held = encoding == Encoding::ristretto2016 ? 0x1p-126 : 0x1p-149;
  for (int code = 0; code < 2 * mantissas * exponents; ++code) {
    const int mantissa = code % mantissas;
    const int exponent = code / mantissas % exponents;
    const bool negative = code >= mantissas * exponents;
    const bool top = exponent == exponents - 1;
    if (encoding == Encoding::ieee && top) continue;
    if (encoding == Encoding::finite_nan && top && mantissa == mantissas - 1) continue;
    if (encoding == Encoding::fnuz && negative && exponent == 0 && mantissa == 0) continue;
    const bool subnormal = exponent == 0 && encoding != Encoding::ristretto2016;
    const double fraction = std::ldexp(static_cast<double>(mantissa), -m);
    const double magnitude = subnormal ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
    if (magnitude > std::numeric_limits<float>::max() || (magnitude != 0 && magnitude < smallest_held)) continue;
    grid.values.push_back(negative ? -magnitude : magnitude);
  }
  if (encoding == Encoding::ristretto2016) {
    grid.flush_below = std::max(std::ldexp(1.0, -bias), 0x1p-126);
    grid.values.push_back(0);
  }
  if (overflow == ristretto::Overflow::to_infinity) {
    grid.infinite_from = std::ldexp(1.0, exponents - 1 - bias);  // the exponent kept for infinities, as if it were not
    grid.values.push_back(grid.infinite_from);
    grid.values.push_back(-grid.infinite_from);
  }
  grid.one_zero = encoding == Encoding::fnuz || encoding == Encoding::ristretto2016;
  return sorted(grid);
}

inline Grid powers_of_two(int min, int max, bool zero) {
  Grid grid;
  for (int exponent = min; exponent <= max; ++exponent) {
    grid.values.push_back(std::ldexp(1.0, exponent));
    grid.values.push_back(-std::ldexp(1.0, exponent));
  }
  if (zero) grid.values.push_back(0);
  if (!zero) grid.no_zero_below = std::ldexp(1.0, min);
  return sorted(grid);
}

template <int IL, int FL>
Grid grid_of(const ristretto::DynamicFixedPoint<IL, FL>& f) {
  return fixed_point(f.integer_length(), f.fractional_length(), true);
}
template <int IL, int FL>
Grid grid_of(const ristretto::UnsignedFixedPoint<IL, FL>& f) {
  return fixed_point(f.integer_length(), f.fractional_length(), false);
}
template <int M, int E, ristretto::Encoding encoding, ristretto::Overflow overflow>
Grid grid_of(const ristretto::Minifloat<M, E, encoding, overflow>& f) {
  return minifloat(f.mantissa_bits(), f.exponent_bits(), f.bias(), encoding, overflow);
}
template <int Min, int Max>
Grid grid_of(const ristretto::PowerOfTwo<Min, Max>& f) {
  return powers_of_two(f.min_exponent(), f.max_exponent(), false);
}
template <int Min, int Max>
Grid grid_of(const ristretto::PowerOfTwoOrZero<Min, Max>& f) {
  return powers_of_two(f.min_exponent(), f.max_exponent(), true);
}

/// Which of the neighbours lo < x < hi each rounding takes.
inline double choose(ristretto::RoundDown, double lo, double, double) { return lo; }
inline double choose(ristretto::RoundUp, double, double, double hi) { return hi; }
inline double choose(ristretto::RoundTowardZero, double lo, double x, double hi) { return x > 0 ? lo : hi; }
inline double choose(ristretto::RoundHalfUp, double lo, double x, double hi) { return x < (lo + hi) / 2 ? lo : hi; }
inline double choose(ristretto::RoundNearestAway, double lo, double x, double hi) {
  const double middle = (lo + hi) / 2;
  return x < middle || (x == middle && x < 0) ? lo : hi;
}
inline double choose(ristretto::RoundNearest, double lo, double x, double hi) {
  const double middle = (lo + hi) / 2;
  if (x != middle) return x < middle ? lo : hi;
  const double inner = x > 0 ? lo : -hi;  // the neighbour nearer to zero, as a magnitude
  const bool inner_is_even = std::fmod(inner / (hi - lo), 2.0) == 0;
  return inner_is_even == (x > 0) ? lo : hi;
}
inline double choose(ristretto::RoundNearestExponent, double lo, double x, double hi) {
  const bool outward = x * x >= lo * hi;  // log2 |x| against the middle of the two exponents, squared
  return outward == (x > 0) ? hi : lo;
}

template <class Rounding>
double nearest_in(const Grid& grid, double x, Rounding rounding) {
  const auto above = std::lower_bound(grid.values.begin(), grid.values.end(), x);
  if (above == grid.values.end()) return grid.values.back();
  if (*above == x || above == grid.values.begin()) return *above;
  return choose(rounding, *(above - 1), x, *above);
}

/// x trimmed to the grid.
template <class Rounding>
double trim(const Grid& grid, double x, Rounding rounding) {
  if (x != x) return x;
  if (std::abs(x) < grid.flush_below) return 0.0;
  if (std::abs(x) < grid.no_zero_below) return std::copysign(grid.no_zero_below, x);
  const double r = nearest_in(grid, x, rounding);
  if (std::abs(r) >= grid.infinite_from) return std::copysign(std::numeric_limits<double>::infinity(), x);
  if (r == 0) return grid.one_zero ? 0.0 : std::copysign(0.0, x);
  return r;
}

}  // namespace oracle
