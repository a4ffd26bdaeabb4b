// SPDX-License-Identifier: MIT
// Fixed point, with and without a sign.
#pragma once

#include <ristretto/config.hpp>

#include <cstdint>
#include <string_view>

#include <ristretto/format.hpp>

namespace ristretto {

namespace detail {

template <class T, bool Signed>
struct FixedPointGrid {
  static constexpr bool signed_zero = Signed;

  T lowest;
  T largest;
  T per_leading;  ///< the quantum, of 1

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept { return Ops<T>::clamp(x, lowest, largest); }
  RISTRETTO_HOST_DEVICE constexpr T leading(T) const noexcept { return T(1); }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T) const noexcept { return per_leading; }
};

/// k * 2^-FL: what both fixed-point formats share.
template <int IL, int FL, bool Signed>
class FixedPoint : public OnGrid<FixedPoint<IL, FL, Signed>> {
  static_assert(FL == runtime || within(FL, -96, 126), "fixed point: the fractional length FL must be in [-96, 126]");
  static_assert(width_fits_if_known(IL, FL), "fixed point: the bit width IL + FL must be in [1, 32]");

 public:
  static constexpr bool signed_zero = Signed;
  static constexpr bool fixed_in_type = IL != runtime && FL != runtime;
  static constexpr std::string_view text_name = Signed ? "fixed" : "ufixed";
  static constexpr std::string_view text_suffix = "";
  static constexpr std::string_view text_parameters = "IL,FL";

  constexpr FixedPoint()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument when IL + FL is outside [1, 32] or FL outside [-96, 126].
  constexpr FixedPoint(Param<IL> il, Param<FL> fl) : il_(il), fl_(fl) {
    constexpr const char* name = Signed ? "DynamicFixedPoint" : "UnsignedFixedPoint";
    if (!within(fl_.get(), -96, 126)) {
      throw_bad_parameter(name, "the fractional length FL", fl_.get(), "FL in [-96, 126]");
    }
    if (!width_fits(il_.get(), fl_.get())) {
      throw_bad_parameter(name, "the integer length IL", il_.get(), "IL such that the bit width IL + FL is in [1, 32]");
    }
  }

  RISTRETTO_HOST_DEVICE constexpr int integer_length() const noexcept { return il_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int fractional_length() const noexcept { return fl_.get(); }
  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept { return il_.get() + fl_.get(); }

  /// The upper end: the largest S on the grid.
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    constexpr int held = Ops<S>::fraction_bits + 1;
    const int digits = Signed ? bits() - 1 : bits();
    const int dropped = digits > held ? digits - held : 0;  // low digits that an S cannot hold
    const auto k = (std::uint64_t{1} << (digits - dropped)) - 1;
    return static_cast<S>(k) * power_of_two<S>(dropped - fl_.get());
  }
  /// The lower end: -2^(IL-1), or 0 without a sign.
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return Signed ? -power_of_two<S>(il_.get() - 1) : S(0);
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr FixedPointGrid<T, Signed> grid() const noexcept {
    using S = LaneScalar<T>;
    return {T(lowest<S>()), T(largest<S>()), T(power_of_two<S>(-fl_.get()))};
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    return {-fl_.get(), -fl_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return bits() - (Signed ? 1 : 0); }

  constexpr Parameters parameters() const noexcept { return {il_.get(), fl_.get()}; }
  constexpr bool can_scale(int e) const noexcept { return within(std::int64_t{fl_.get()} - e, -96, 126); }

  friend constexpr bool operator==(const FixedPoint&, const FixedPoint&) = default;

 private:
  Param<IL> il_;
  Param<FL> fl_;
};

}  // namespace detail

/// Two's-complement fixed point: IL integer bits (sign included) and FL fractional bits, either may be negative.
/// Values: k * 2^-FL for k in [-2^(B-1), 2^(B-1) - 1], B = IL + FL in [1, 32]; FL in [-96, 126].
/// Source: Gysel, "Ristretto: hardware-oriented approximation of convolutional neural networks", arXiv:1605.06402.
template <int IL = runtime, int FL = runtime>
struct DynamicFixedPoint : detail::FixedPoint<IL, FL, true> {
  using Runtime = DynamicFixedPoint<runtime, runtime>;
  using detail::FixedPoint<IL, FL, true>::FixedPoint;

  /// This format times 2^e. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {this->integer_length() + e, this->fractional_length() - e}; }
};
DynamicFixedPoint(int, int) -> DynamicFixedPoint<>;

/// Fixed point without a sign, for what follows a ReLU: k * 2^-FL for k in [0, 2^B - 1], B = IL + FL in [1, 32];
/// FL in [-96, 126]. Its one zero is +0.
template <int IL = runtime, int FL = runtime>
struct UnsignedFixedPoint : detail::FixedPoint<IL, FL, false> {
  using Runtime = UnsignedFixedPoint<runtime, runtime>;
  using detail::FixedPoint<IL, FL, false>::FixedPoint;

  /// This format times 2^e. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {this->integer_length() + e, this->fractional_length() - e}; }
};
UnsignedFixedPoint(int, int) -> UnsignedFixedPoint<>;

}  // namespace ristretto
