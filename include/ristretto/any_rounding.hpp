// SPDX-License-Identifier: MIT
// A rounding chosen at run time, and the text form of every rounding.
#pragma once

#include <ristretto/config.hpp>

#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <ristretto/any_format.hpp>
#include <ristretto/rounding.hpp>

namespace ristretto {

/// Any of the library's roundings: a std::variant, visited once per tensor.
class AnyRounding {
 public:
  using Variant = std::variant<RoundNearest, RoundNearestAway, RoundHalfUp, RoundDown, RoundUp, RoundTowardZero,
                               RoundNearestExponent, RoundStochastic<32>, RoundStochastic<16>>;

  /// To nearest, ties to even.
  constexpr AnyRounding() = default;
  template <Rounding R>
    requires std::constructible_from<Variant, std::in_place_type_t<R>, const R&>
  constexpr AnyRounding(const R& round) : round_(std::in_place_type<R>, round) {}

  /// The rounding that `text` names (see to_string); a stochastic one may leave out its bits, 32, and its seed and
  /// stream, 0. Throws std::invalid_argument with the names it knows.
  static AnyRounding parse(std::string_view text);

  /// f(rounding) with the concrete rounding.
  template <class Visitor>
  constexpr decltype(auto) visit(Visitor&& f) const {
    return std::visit(std::forward<Visitor>(f), round_);
  }

  /// Whether it draws random numbers, and so depends on the place of an element in its tensor.
  constexpr bool is_stochastic() const {
    return visit([](const auto& round) { return round.indexed; });
  }
  /// The same with the random numbers of another stream; one without any as it is.
  constexpr AnyRounding with(const RandomStream& random) const {
    return visit([&]<class R>(R round) -> AnyRounding {
      if constexpr (R::indexed) round.random = random;
      return round;
    });
  }
  constexpr const Variant& variant() const noexcept { return round_; }

  friend constexpr bool operator==(const AnyRounding&, const AnyRounding&) = default;

 private:
  Variant round_{};
};

namespace detail {

template <>
inline constexpr bool chosen_at_run_time<AnyRounding> = true;

}  // namespace detail

/// The text form: nearest, nearest_away, half_up, down, up, toward_zero, nearest_exponent, or
/// stochastic:BITS,seed=SEED,stream=STREAM. AnyRounding::parse reads it back.
inline std::string to_string(const AnyRounding& rounding) {
  return rounding.visit([]<class R>(const R& round) {
    std::string text(R::text_name);
    if constexpr (R::indexed) {
      text.append(",seed=").append(std::to_string(round.random.seed));
      text.append(",stream=").append(std::to_string(round.random.stream));
    }
    return text;
  });
}

namespace detail {

/// Takes ",seed=1,stream=3", each of which may be missing.
inline bool take_stream(std::string_view& text, RandomStream& random) {
  return (!take(text, ",seed=") || take_number(text, random.seed)) &&
         (!take(text, ",stream=") || take_number(text, random.stream));
}

}  // namespace detail

inline AnyRounding AnyRounding::parse(std::string_view text) {
  std::optional<AnyRounding> found;
  std::string known;
  const auto try_rounding = [&]<class R>(R round) {
    std::string_view rest = text;
    if constexpr (R::indexed) {
      known.append(R::text_name).append("[,seed=SEED][,stream=STREAM], ");
      const bool named = detail::take(rest, R::text_name) ||
                         (std::is_same_v<R, RoundStochastic<>> && !rest.starts_with("stochastic:") &&
                          detail::take(rest, "stochastic"));  // its bits left out
      if (named && detail::take_stream(rest, round.random) && rest.empty()) found = round;
    } else {
      known.append(R::text_name).append(", ");
      if (rest == R::text_name) found = round;
    }
  };
  [&]<class... R>(std::type_identity<std::variant<R...>>) { (try_rounding(R{}), ...); }(std::type_identity<Variant>{});
  if (found) return *found;
  known.resize(known.size() - 2);
  detail::raise<std::invalid_argument>("ristretto: no rounding is called \"" + std::string(text) + "\"; write one of " +
                                       known);
}

}  // namespace ristretto
