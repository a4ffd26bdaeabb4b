// SPDX-License-Identifier: MIT
// A format chosen at run time, and the text form of every format.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <ristretto/formats.hpp>

namespace ristretto {

/// Any of the library's formats with parameters given at run time: a std::variant, visited once per tensor.
class AnyFormat {
 public:
  using Variant =
      std::variant<DynamicFixedPoint<>, UnsignedFixedPoint<>, Minifloat<>,
                   Minifloat<runtime, runtime, Encoding::ieee, Overflow::to_infinity>,
                   Minifloat<runtime, runtime, Encoding::finite_nan>, Minifloat<runtime, runtime, Encoding::finite>,
                   Minifloat<runtime, runtime, Encoding::fnuz>, Minifloat<runtime, runtime, Encoding::ristretto2016>,
                   PowerOfTwo<>, PowerOfTwoOrZero<>>;

  template <int IL, int FL>
  constexpr AnyFormat(const DynamicFixedPoint<IL, FL>& f)
      : format_(DynamicFixedPoint<>(f.integer_length(), f.fractional_length())) {}
  template <int IL, int FL>
  constexpr AnyFormat(const UnsignedFixedPoint<IL, FL>& f)
      : format_(UnsignedFixedPoint<>(f.integer_length(), f.fractional_length())) {}
  template <int M, int E, Encoding encoding, Overflow overflow>
  constexpr AnyFormat(const Minifloat<M, E, encoding, overflow>& f)
      : format_(Minifloat<runtime, runtime, encoding, overflow>(f.mantissa_bits(), f.exponent_bits(), f.bias())) {}
  template <int Min, int Max>
  constexpr AnyFormat(const PowerOfTwo<Min, Max>& f) : format_(PowerOfTwo<>(f.min_exponent(), f.max_exponent())) {}
  template <int Min, int Max>
  constexpr AnyFormat(const PowerOfTwoOrZero<Min, Max>& f)
      : format_(PowerOfTwoOrZero<>(f.min_exponent(), f.max_exponent())) {}

  /// The format that `text` names, e.g. "fixed:2,6" (see to_string) or the name of a preset: half, bfloat16, tf32,
  /// e5m2, e4m3fn, e5m2fnuz, e4m3fnuz, e3m2fn, e2m3fn, e2m1fn. Throws std::invalid_argument with the forms it knows.
  static AnyFormat parse(std::string_view text);

  /// f(format) with the concrete format: called once, so that loops inside f know the type.
  template <class Visitor>
  constexpr decltype(auto) visit(Visitor&& f) const {
    return std::visit(std::forward<Visitor>(f), format_);
  }

  constexpr int bits() const {
    return visit([](const auto& f) { return f.bits(); });
  }
  /// The ends of the grid.
  constexpr float largest() const {
    return visit([](const auto& f) { return f.largest(); });
  }
  constexpr float lowest() const {
    return visit([](const auto& f) { return f.lowest(); });
  }
  constexpr const Variant& variant() const noexcept { return format_; }

  /// The same grid, every number times 2^exponent: what a shift makes of it. Throws std::invalid_argument where there
  /// is no such format.
  constexpr AnyFormat scaled(int exponent) const;
  /// Whether there is one.
  constexpr bool can_scale(int exponent) const;

  friend constexpr bool operator==(const AnyFormat&, const AnyFormat&) = default;

 private:
  Variant format_;
};

namespace detail {

template <int IL, int FL>
constexpr std::pair<int, int> text_numbers(const DynamicFixedPoint<IL, FL>& f) {
  return {f.integer_length(), f.fractional_length()};
}
template <int IL, int FL>
constexpr std::pair<int, int> text_numbers(const UnsignedFixedPoint<IL, FL>& f) {
  return {f.integer_length(), f.fractional_length()};
}
template <int M, int E, Encoding encoding, Overflow overflow>
constexpr std::pair<int, int> text_numbers(const Minifloat<M, E, encoding, overflow>& f) {
  return {f.mantissa_bits(), f.exponent_bits()};
}
template <int Min, int Max, bool Zero>
constexpr std::pair<int, int> text_numbers(const PowersOfTwo<Min, Max, Zero>& f) {
  return {f.min_exponent(), f.max_exponent()};
}

template <int IL, int FL>
constexpr AnyFormat times_power_of_two(const DynamicFixedPoint<IL, FL>& f, int e) {
  return DynamicFixedPoint<>(f.integer_length() + e, f.fractional_length() - e);
}
template <int IL, int FL>
constexpr AnyFormat times_power_of_two(const UnsignedFixedPoint<IL, FL>& f, int e) {
  return UnsignedFixedPoint<>(f.integer_length() + e, f.fractional_length() - e);
}
template <int M, int E, Encoding encoding, Overflow overflow>
constexpr AnyFormat times_power_of_two(const Minifloat<M, E, encoding, overflow>& f, int e) {
  return Minifloat<runtime, runtime, encoding, overflow>(f.mantissa_bits(), f.exponent_bits(), f.bias() - e);
}
template <int Min, int Max>
constexpr AnyFormat times_power_of_two(const PowerOfTwo<Min, Max>& f, int e) {
  return PowerOfTwo<>(f.min_exponent() + e, f.max_exponent() + e);
}
template <int Min, int Max>
constexpr AnyFormat times_power_of_two(const PowerOfTwoOrZero<Min, Max>& f, int e) {
  return PowerOfTwoOrZero<>(f.min_exponent() + e, f.max_exponent() + e);
}

template <class F>
constexpr bool can_scale(const F& f, int e) {
  if constexpr (requires { f.fractional_length(); }) {
    return within(f.fractional_length() - e, -96, 126);
  } else if constexpr (requires { f.bias(); }) {
    return e == 0 || f.can_have_bias(f.bias() - e);
  } else {
    return f.min_exponent() + e >= -126 && f.max_exponent() + e <= 127;
  }
}

/// The bias of a minifloat that has one of its own.
template <class F>
constexpr std::optional<int> unusual_bias(const F& f) {
  if constexpr (requires { f.has_usual_bias(); }) {
    if (!f.has_usual_bias()) return f.bias();
  }
  return {};
}

struct TextForm {
  std::string_view name;
  std::string_view suffix;
};
/// The word before and after the numbers, in the order of AnyFormat::Variant.
inline constexpr TextForm text_forms[] = {{"fixed", ""},
                                          {"ufixed", ""},
                                          {"minifloat", ""},
                                          {"minifloat", ",to_infinity"},
                                          {"minifloat", ",finite_nan"},
                                          {"minifloat", ",finite"},
                                          {"minifloat", ",fnuz"},
                                          {"minifloat", ",ristretto2016"},
                                          {"pow2", ""},
                                          {"pow2z", ""}};
static_assert(std::size(text_forms) == std::variant_size_v<AnyFormat::Variant>);

struct Preset {
  std::string_view name;
  AnyFormat format;
};
inline constexpr Preset presets[] = {{"half", Half{}},
                                     {"bfloat16", BFloat16{}},
                                     {"tf32", TF32{}},
                                     {"e5m2", Float8E5M2{}},
                                     {"e4m3fn", Float8E4M3FN{}},
                                     {"e5m2fnuz", Float8E5M2FNUZ{}},
                                     {"e4m3fnuz", Float8E4M3FNUZ{}},
                                     {"e3m2fn", Float6E3M2FN{}},
                                     {"e2m3fn", Float6E2M3FN{}},
                                     {"e2m1fn", Float4E2M1FN{}}};

/// Takes an integer from the front of text.
inline bool take_number(std::string_view& text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

inline constexpr std::string_view bias_word = ",bias=";

/// Takes a bias from the front of text; false where something else stands there.
inline bool take_bias(std::string_view& text, std::optional<int>& bias) {
  if (text.empty()) return true;
  if (!text.starts_with(bias_word)) return false;
  text.remove_prefix(bias_word.size());
  return take_number(text, bias.emplace()) && text.empty();
}

/// The alternative of AnyFormat::Variant with this index, from its numbers; a bias for a minifloat only.
template <std::size_t index = 0>
AnyFormat make_format(std::size_t wanted, int first, int second, std::optional<int> bias) {
  if constexpr (index + 1 < std::variant_size_v<AnyFormat::Variant>) {
    if (index != wanted) return make_format<index + 1>(wanted, first, second, bias);
  }
  using F = std::variant_alternative_t<index, AnyFormat::Variant>;
  if constexpr (std::constructible_from<F, int, int, int>) {
    if (bias) return F(first, second, *bias);
  }
  return F(first, second);
}

}  // namespace detail

constexpr bool AnyFormat::can_scale(int exponent) const {
  return detail::within(exponent, -1000, 1000) &&
         visit([exponent](const auto& f) { return detail::can_scale(f, exponent); });
}

inline std::string to_string(const AnyFormat& format);

constexpr AnyFormat AnyFormat::scaled(int exponent) const {
  if (!can_scale(exponent)) {
    throw std::invalid_argument("ristretto::AnyFormat::scaled: " + to_string(*this) + " times 2^" +
                                std::to_string(exponent) + " is no format; choose an exponent that can_scale takes");
  }
  return visit([exponent](const auto& f) { return detail::times_power_of_two(f, exponent); });
}

/// The text form: fixed:IL,FL  ufixed:IL,FL  minifloat:M,E[,to_infinity|finite_nan|finite|fnuz|ristretto2016][,bias=B]
/// pow2:Min,Max pow2z:Min,Max (with zero). AnyFormat::parse reads it back.
inline std::string to_string(const AnyFormat& format) {
  const auto& form = detail::text_forms[format.variant().index()];
  const auto [first, second] = format.visit([](const auto& f) { return detail::text_numbers(f); });
  std::string text(form.name);
  text.append(":").append(std::to_string(first)).append(",").append(std::to_string(second)).append(form.suffix);
  const auto bias = format.visit([](const auto& f) { return detail::unusual_bias(f); });
  return bias ? text.append(detail::bias_word).append(std::to_string(*bias)) : text;
}

inline AnyFormat AnyFormat::parse(std::string_view text) {
  for (const auto& preset : detail::presets) {
    if (preset.name == text) return preset.format;
  }
  for (std::size_t index = 0; index < std::size(detail::text_forms); ++index) {
    const auto& form = detail::text_forms[index];
    std::string_view rest = text;
    if (!rest.starts_with(form.name)) continue;
    rest.remove_prefix(form.name.size());
    if (!rest.starts_with(':')) continue;
    rest.remove_prefix(1);
    int first = 0;
    int second = 0;
    if (!detail::take_number(rest, first) || !rest.starts_with(',')) continue;
    rest.remove_prefix(1);
    if (!detail::take_number(rest, second) || !rest.starts_with(form.suffix)) continue;
    rest.remove_prefix(form.suffix.size());
    std::optional<int> bias;
    if (!detail::take_bias(rest, bias) || (bias && form.name != "minifloat")) continue;
    return detail::make_format(index, first, second, bias);
  }
  std::string message = "ristretto: no format is called \"" + std::string(text) +
                        "\"; write fixed:IL,FL, ufixed:IL,FL, "
                        "minifloat:M,E[,to_infinity|finite_nan|finite|fnuz|ristretto2016][,bias=B], pow2:Min,Max, "
                        "pow2z:Min,Max";
  for (const auto& preset : detail::presets) message.append(", ").append(preset.name);
  throw std::invalid_argument(message);
}

/// Prints the text form of any format of the library.
template <class F>
  requires std::constructible_from<AnyFormat, const F&>
std::ostream& operator<<(std::ostream& out, const F& format) {
  return out << to_string(AnyFormat(format));
}

}  // namespace ristretto

// With any header of {fmt} included before this one, formats print with fmt::print and friends as well, with the
// options of a string.
#if defined(FMT_VERSION)
#include <fmt/format.h>  // <fmt/core.h> declares what it defines
template <class F>
  requires std::constructible_from<ristretto::AnyFormat, const F&>
struct fmt::formatter<F, char> : fmt::formatter<fmt::string_view, char> {
  template <class Context>
  auto format(const F& value, Context& context) const {
    return fmt::formatter<fmt::string_view, char>::format(ristretto::to_string(ristretto::AnyFormat(value)), context);
  }
};
#endif
