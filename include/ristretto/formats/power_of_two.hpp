// SPDX-License-Identifier: MIT
// Powers of two, with and without a zero.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <string_view>

#include <ristretto/format.hpp>

namespace ristretto {

namespace detail {

template <class T, bool Zero>
struct PowersOfTwoGrid {
  static constexpr bool has_zero = Zero;

  T smallest;
  T largest;
  T per_leading;  ///< 1: the quantum is the leading power of two

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept {
    return Ops<T>::copysign(saturate_magnitude(Ops<T>::abs(x)), x);
  }
  /// The same for x >= 0 or NaN.
  RISTRETTO_HOST_DEVICE constexpr T saturate_magnitude(T x) const noexcept {
    return Zero ? Ops<T>::min(x, largest) : Ops<T>::clamp(x, smallest, largest);
  }
  RISTRETTO_HOST_DEVICE constexpr T leading(T y) const noexcept {
    return Zero ? quantum(y) : Ops<T>::binade(y);  // without a zero, nothing saturated is below 2^Min
  }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T y) const noexcept { return Ops<T>::max(Ops<T>::binade(y), smallest); }
};

/// ±2^e, with or without a zero: what both power-of-two formats share.
template <int Min, int Max, bool Zero>
class PowersOfTwo : public OnGrid<PowersOfTwo<Min, Max, Zero>> {
  static_assert(Min == runtime || within(Min, -126, 127),
                "power of two: the least exponent Min must be in [-126, 127]");
  static_assert(Max == runtime || within(Max, Min == runtime ? -126 : Min, 127),
                "power of two: the greatest exponent Max must be in [Min, 127]");

 public:
  static constexpr bool has_zero = Zero;
  static constexpr bool fixed_in_type = Min != runtime && Max != runtime;
  static constexpr std::string_view text_name = Zero ? "pow2z" : "pow2";
  static constexpr std::string_view text_suffix = "";
  static constexpr std::string_view text_parameters = "Min,Max";

  constexpr PowersOfTwo()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument unless -126 <= Min <= Max <= 127.
  constexpr PowersOfTwo(Param<Min> min, Param<Max> max) : min_(min), max_(max) {
    constexpr const char* name = Zero ? "PowerOfTwoOrZero" : "PowerOfTwo";
    if (!within(min_.get(), -126, 127)) {
      throw_bad_parameter(name, "the least exponent Min", min_.get(), "Min in [-126, 127]");
    }
    if (!within(max_.get(), min_.get(), 127)) {
      throw_bad_parameter(name, "the greatest exponent Max", max_.get(), "Max in [Min, 127]");
    }
  }

  RISTRETTO_HOST_DEVICE constexpr int min_exponent() const noexcept { return min_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int max_exponent() const noexcept { return max_.get(); }
  /// A sign, and enough bits to number the exponents (and the zero).
  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept {
    const int codes = max_.get() - min_.get() + (Zero ? 2 : 1);
    int bits = 1;
    while (1 << (bits - 1) < codes) ++bits;
    return bits;
  }

  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    return power_of_two<S>(max_.get());
  }
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return -largest<S>();
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr PowersOfTwoGrid<T, Zero> grid() const noexcept {
    using S = LaneScalar<T>;
    return {T(power_of_two<S>(min_.get())), T(largest<S>()), T(1)};
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    return {min_.get(), max_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return 1; }
  /// d, where between the ends the grid is all floats whose d lowest fraction bits are zero; 0 where it is another.
  RISTRETTO_HOST_DEVICE constexpr int low_bits() const noexcept { return Zero ? 0 : Ops<float>::fraction_bits; }

  constexpr Parameters parameters() const noexcept { return {min_.get(), max_.get()}; }
  constexpr bool can_scale(int e) const noexcept {
    return std::int64_t{min_.get()} + e >= -126 && std::int64_t{max_.get()} + e <= 127;
  }

  friend constexpr bool operator==(const PowersOfTwo&, const PowersOfTwo&) = default;

 private:
  Param<Min> min_;
  Param<Max> max_;
};

}  // namespace detail

/// Powers of two, for multiplications that are shifts: ±2^e for e in [Min, Max], -126 <= Min <= Max <= 127. There is no
/// zero: ±0 becomes ±2^Min. Source: Gysel, arXiv:1605.06402, "multiplier-free arithmetic".
template <int Min = runtime, int Max = runtime>
struct PowerOfTwo : detail::PowersOfTwo<Min, Max, false> {
  using Runtime = PowerOfTwo<runtime, runtime>;
  using detail::PowersOfTwo<Min, Max, false>::PowersOfTwo;

  /// This format times 2^e. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {this->min_exponent() + e, this->max_exponent() + e}; }
};
PowerOfTwo(int, int) -> PowerOfTwo<>;

/// Powers of two and zero: ±0 and ±2^e for e in [Min, Max], -126 <= Min <= Max <= 127.
template <int Min = runtime, int Max = runtime>
struct PowerOfTwoOrZero : detail::PowersOfTwo<Min, Max, true> {
  using Runtime = PowerOfTwoOrZero<runtime, runtime>;
  using detail::PowersOfTwo<Min, Max, true>::PowersOfTwo;

  /// This format times 2^e. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {this->min_exponent() + e, this->max_exponent() + e}; }
};
PowerOfTwoOrZero(int, int) -> PowerOfTwoOrZero<>;

}  // namespace ristretto
