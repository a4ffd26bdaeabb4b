// SPDX-License-Identifier: MIT
// A format added by the recipe "Add a format" of CONTRIBUTING.md, step 1: symmetric fixed point, TensorRT's int8.
#pragma once

#include <cstdint>
#include <string_view>

#include <ristretto/format.hpp>

namespace ristretto {

namespace detail {

template <class T>
struct SymmetricGrid {
  T end;
  T per_leading;  ///< the quantum, of 1

  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const noexcept { return Ops<T>::clamp(x, -end, end); }
  RISTRETTO_HOST_DEVICE constexpr T leading(T) const noexcept { return T(1); }
  RISTRETTO_HOST_DEVICE constexpr T quantum(T) const noexcept { return per_leading; }
};

}  // namespace detail

/// Fixed point without the number that has no opposite: k * 2^-FL for k in [1 - 2^(B-1), 2^(B-1) - 1], B = IL + FL in
/// [2, 24].
template <int IL = runtime, int FL = runtime>
class SymmetricFixedPoint : public detail::OnGrid<SymmetricFixedPoint<IL, FL>> {
 public:
  using Runtime = SymmetricFixedPoint<runtime, runtime>;

  static constexpr bool fixed_in_type = IL != runtime && FL != runtime;
  static constexpr std::string_view text_name = "symmetric";
  static constexpr std::string_view text_suffix = "";
  static constexpr std::string_view text_parameters = "IL,FL";

  constexpr SymmetricFixedPoint()
    requires fixed_in_type
  = default;
  /// Throws std::invalid_argument when IL + FL is outside [2, 24] or FL outside [-96, 126].
  constexpr SymmetricFixedPoint(detail::Param<IL> il, detail::Param<FL> fl) : il_(il), fl_(fl) {
    if (!detail::within(fl_.get(), -96, 126)) {
      detail::throw_bad_parameter("SymmetricFixedPoint", "the fractional length FL", fl_.get(), "FL in [-96, 126]");
    }
    if (!detail::within(bits(), 2, 24)) {
      detail::throw_bad_parameter("SymmetricFixedPoint", "the bit width IL + FL", bits(), "a width in [2, 24]");
    }
  }

  RISTRETTO_HOST_DEVICE constexpr int bits() const noexcept { return il_.get() + fl_.get(); }
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S largest() const noexcept {
    return static_cast<S>((1 << (bits() - 1)) - 1) * power_of_two<S>(-fl_.get());
  }
  template <class S = float>
  RISTRETTO_HOST_DEVICE constexpr S lowest() const noexcept {
    return -largest<S>();
  }

  template <class T>
  RISTRETTO_HOST_DEVICE constexpr detail::SymmetricGrid<T> grid() const noexcept {
    using S = LaneScalar<T>;
    return {T(largest<S>()), T(power_of_two<S>(-fl_.get()))};
  }
  RISTRETTO_HOST_DEVICE constexpr QuantumExponents quantum_exponents() const noexcept {
    return {-fl_.get(), -fl_.get()};
  }
  RISTRETTO_HOST_DEVICE constexpr int digits() const noexcept { return bits() - 1; }

  constexpr Parameters parameters() const noexcept { return {il_.get(), fl_.get()}; }
  constexpr bool can_scale(int e) const noexcept { return detail::within(std::int64_t{fl_.get()} - e, -96, 126); }
  /// This format times 2^e. Throws std::invalid_argument unless can_scale(e).
  constexpr Runtime scaled(int e) const { return {il_.get() + e, fl_.get() - e}; }

  friend constexpr bool operator==(const SymmetricFixedPoint&, const SymmetricFixedPoint&) = default;

 private:
  detail::Param<IL> il_;
  detail::Param<FL> fl_;
};
SymmetricFixedPoint(int, int) -> SymmetricFixedPoint<>;

}  // namespace ristretto
