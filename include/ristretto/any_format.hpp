// SPDX-License-Identifier: MIT
// A format chosen at run time, and the text form of every format.
#pragma once

#include <ristretto/config.hpp>

#include <charconv>
#include <concepts>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include <ristretto/formats.hpp>

namespace ristretto {

/// One of several formats with parameters given at run time: a std::variant, visited once per tensor.
template <TextFormat... Fs>
class BasicAnyFormat {
 public:
  using Variant = std::variant<Fs...>;

  /// A format of one of these families, also one that is fixed in its type.
  template <TextFormat F>
    requires(std::same_as<typename F::Runtime, Fs> || ...)
  constexpr BasicAnyFormat(const F& format)
      : format_(detail::with_parameters<typename F::Runtime>(format.parameters())) {}

  /// The format that `text` names, e.g. "fixed:2,6" (see to_string) or the name of a preset: half, bfloat16, tf32,
  /// e5m2, e4m3fn, e5m2fnuz, e4m3fnuz, e3m2fn, e2m3fn, e2m1fn. Throws std::invalid_argument with the forms it knows.
  static BasicAnyFormat parse(std::string_view text);

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
  constexpr BasicAnyFormat scaled(int exponent) const;
  /// Whether there is one.
  constexpr bool can_scale(int exponent) const {
    return visit([exponent](const auto& f) { return f.can_scale(exponent); });
  }

  friend constexpr bool operator==(const BasicAnyFormat&, const BasicAnyFormat&) = default;

 private:
  Variant format_;
};

/// Any of the library's formats.
using AnyFormat =
    BasicAnyFormat<DynamicFixedPoint<>, UnsignedFixedPoint<>, Minifloat<>,
                   Minifloat<runtime, runtime, Encoding::ieee, Overflow::to_infinity>,
                   Minifloat<runtime, runtime, Encoding::finite_nan>, Minifloat<runtime, runtime, Encoding::finite>,
                   Minifloat<runtime, runtime, Encoding::fnuz>, Minifloat<runtime, runtime, Encoding::ristretto2016>,
                   PowerOfTwo<>, PowerOfTwoOrZero<>>;

template <class... Fs>
std::string to_string(const BasicAnyFormat<Fs...>& format) {
  return format.visit([](const auto& f) { return to_string(f); });
}

namespace detail {

template <class... Fs>
inline constexpr bool chosen_at_run_time<BasicAnyFormat<Fs...>> = true;

template <class F>
struct Preset {
  std::string_view name;
  F format;
};
inline constexpr std::tuple presets{Preset{"half", Half{}},
                                    Preset{"bfloat16", BFloat16{}},
                                    Preset{"tf32", TF32{}},
                                    Preset{"e5m2", Float8E5M2{}},
                                    Preset{"e4m3fn", Float8E4M3FN{}},
                                    Preset{"e5m2fnuz", Float8E5M2FNUZ{}},
                                    Preset{"e4m3fnuz", Float8E4M3FNUZ{}},
                                    Preset{"e3m2fn", Float6E3M2FN{}},
                                    Preset{"e2m3fn", Float6E2M3FN{}},
                                    Preset{"e2m1fn", Float4E2M1FN{}}};

/// Calls f(preset) for each.
template <class Function>
constexpr void each_preset(Function f) {
  std::apply([&](const auto&... preset) { (f(preset), ...); }, presets);
}

inline bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}
/// Takes an integer from the front of text.
template <class Integer>
bool take_number(std::string_view& text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// The parameters in the text form of family F; none where the text is not one.
template <class F>
std::optional<Parameters> parse_parameters(std::string_view text) {
  Parameters p{0, 0};
  if (!take(text, F::text_name) || !take(text, ":") || !take_number(text, p.first) || !take(text, ",") ||
      !take_number(text, p.second) || !take(text, F::text_suffix)) {
    return {};
  }
  if (std::constructible_from<F, int, int, int> && take(text, bias_word) && !take_number(text, p.bias.emplace())) {
    return {};
  }
  return text.empty() ? std::optional(p) : std::nullopt;
}

}  // namespace detail

template <TextFormat... Fs>
constexpr BasicAnyFormat<Fs...> BasicAnyFormat<Fs...>::scaled(int exponent) const {
  if (!can_scale(exponent)) {
    detail::raise<std::invalid_argument>("ristretto::AnyFormat::scaled: " + to_string(*this) + " times 2^" +
                                         std::to_string(exponent) +
                                         " is no format; choose an exponent that can_scale takes");
  }
  return visit([exponent](const auto& f) { return BasicAnyFormat(f.scaled(exponent)); });
}

template <TextFormat... Fs>
BasicAnyFormat<Fs...> BasicAnyFormat<Fs...>::parse(std::string_view text) {
  std::optional<BasicAnyFormat> found;
  std::string known, presets;
  const auto try_family = [&]<class F>(std::type_identity<F>) {
    if (const auto p = detail::parse_parameters<F>(text); p && !found) found = detail::with_parameters<F>(*p);
    known.append(F::text_name).append(":").append(F::text_parameters).append(F::text_suffix);
    known.append(std::constructible_from<F, int, int, int> ? "[,bias=B], " : ", ");
  };
  (try_family(std::type_identity<Fs>{}), ...);
  detail::each_preset([&]<class F>(const detail::Preset<F>& preset) {
    if constexpr (std::constructible_from<BasicAnyFormat, const F&>) {
      if (preset.name == text) found = preset.format;
      presets.append(presets.empty() ? "" : ", ").append(preset.name);
    }
  });
  if (found) return *found;
  detail::raise<std::invalid_argument>("ristretto: no format is called \"" + std::string(text) + "\"; write " + known +
                                       "or a preset: " + presets);
}

namespace detail {

template <class F>
concept Printed = TextFormat<F> || chosen_at_run_time<F>;

}  // namespace detail

/// Prints the text form of a format or a rounding.
template <detail::Printed F>
std::ostream& operator<<(std::ostream& out, const F& format) {
  return out << to_string(format);
}

}  // namespace ristretto

// With any header of {fmt} included before this one, formats print with fmt::print and friends as well, with the
// options of a string.
#if defined(FMT_VERSION)
#include <fmt/format.h>  // <fmt/core.h> declares what it defines
template <ristretto::detail::Printed F>
struct fmt::formatter<F, char> : fmt::formatter<fmt::string_view, char> {
  template <class Context>
  auto format(const F& value, Context& context) const {
    return fmt::formatter<fmt::string_view, char>::format(ristretto::to_string(value), context);
  }
};
#endif
