// SPDX-License-Identifier: MIT
// Formats chosen at run time: their text form, the presets, errors, printing.
#include <fmt/format.h>

#include <ristretto/any_format.hpp>
#include <ristretto/trimmer.hpp>

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using rt::AnyFormat;
using rt::Encoding;
using rt::Overflow;

static_assert(AnyFormat(rt::DynamicFixedPoint<2, 6>{}) == AnyFormat(rt::DynamicFixedPoint{2, 6}));
static_assert(AnyFormat(rt::DynamicFixedPoint<2, 6>{}) != AnyFormat(rt::UnsignedFixedPoint<2, 6>{}));
static_assert(AnyFormat(rt::Half{}) != AnyFormat(rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity>{}));
static_assert(AnyFormat(rt::Half{}).bits() == 16 && AnyFormat(rt::Half{}).largest() == 65504.0f);
static_assert(AnyFormat(rt::UnsignedFixedPoint<2, 6>{}).lowest() == 0.0f);
static_assert(AnyFormat(rt::PowerOfTwo<-8, -1>{}).bits() == 4 && AnyFormat(rt::PowerOfTwo<-8, -1>{}).lowest() == -0.5f);
static_assert(std::is_copy_assignable_v<AnyFormat> && !std::is_default_constructible_v<AnyFormat>);

namespace {

struct Text {
  AnyFormat format;
  std::string text;
};
const std::vector<Text> texts = {
    {rt::DynamicFixedPoint<2, 6>{}, "fixed:2,6"},
    {rt::DynamicFixedPoint<12, -4>{}, "fixed:12,-4"},
    {rt::DynamicFixedPoint<-3, 11>{}, "fixed:-3,11"},
    {rt::UnsignedFixedPoint<0, 8>{}, "ufixed:0,8"},
    {rt::Minifloat<10, 5>{}, "minifloat:10,5"},
    {rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity>{}, "minifloat:10,5,to_infinity"},
    {rt::Minifloat<3, 4, Encoding::finite_nan>{}, "minifloat:3,4,finite_nan"},
    {rt::Minifloat<2, 3, Encoding::finite>{}, "minifloat:2,3,finite"},
    {rt::Minifloat<3, 4, Encoding::fnuz>{}, "minifloat:3,4,fnuz"},
    {rt::Minifloat<3, 4, Encoding::ristretto2016>{}, "minifloat:3,4,ristretto2016"},
    {rt::Minifloat{3, 4, 10}, "minifloat:3,4,bias=10"},
    {rt::Minifloat<rt::runtime, rt::runtime, Encoding::finite>{2, 3, -4}, "minifloat:2,3,finite,bias=-4"},
    {rt::PowerOfTwo<-8, -1>{}, "pow2:-8,-1"},
    {rt::PowerOfTwoOrZero<-126, 127>{}, "pow2z:-126,127"},
};

}  // namespace

TEST_CASE("formats print their text form, and parse reads it back") {
  for (const auto& [format, text] : texts) {
    CHECK(rt::to_string(format) == text);
    CHECK(AnyFormat::parse(text) == format);
    std::ostringstream stream;
    stream << format;
    CHECK(stream.str() == text);
    CHECK(fmt::format("{}", format) == text);
    CHECK(fmt::format("{:>30}", format) == std::string(30 - text.size(), ' ') + text);
    format.visit([&expected = text](const auto& concrete) {
      std::ostringstream concrete_stream;
      concrete_stream << concrete;
      CHECK(concrete_stream.str() == expected);
      CHECK(fmt::format("{}", concrete) == expected);
    });
  }
  CHECK(fmt::format("{}", rt::Float8E4M3FN{}) == "minifloat:3,4,finite_nan");
}

TEST_CASE("presets have names") {
  CHECK(AnyFormat::parse("half") == AnyFormat(rt::Half{}));
  CHECK(AnyFormat::parse("bfloat16") == AnyFormat(rt::BFloat16{}));
  CHECK(AnyFormat::parse("tf32") == AnyFormat(rt::TF32{}));
  CHECK(AnyFormat::parse("e5m2") == AnyFormat(rt::Float8E5M2{}));
  CHECK(AnyFormat::parse("e4m3fn") == AnyFormat(rt::Float8E4M3FN{}));
  CHECK(AnyFormat::parse("e5m2fnuz") == AnyFormat(rt::Float8E5M2FNUZ{}));
  CHECK(AnyFormat::parse("e4m3fnuz") == AnyFormat(rt::Float8E4M3FNUZ{}));
  CHECK(AnyFormat::parse("e3m2fn") == AnyFormat(rt::Float6E3M2FN{}));
  CHECK(AnyFormat::parse("e2m3fn") == AnyFormat(rt::Float6E2M3FN{}));
  CHECK(AnyFormat::parse("e2m1fn") == AnyFormat(rt::Float4E2M1FN{}));
}

TEST_CASE("what is no format is refused with the text and the forms there are") {
  for (const char* text : {"",
                           "fixed",
                           "fixed:",
                           "fixed:2",
                           "fixed:2,",
                           "fixed:2,6,",
                           "fixed:2,6 ",
                           " fixed:2,6",
                           "fixed:2,6,finite",
                           "fixed:2;6",
                           "fixed:2.5,6",
                           "fixed:a,b",
                           "fixed: 2,6",
                           "fixed:+2,6",
                           "Fixed:2,6",
                           "minifloat:3,4,",
                           "minifloat:3,4,finit",
                           "minifloat:3,4,finite_nan_",
                           "pow2z",
                           "pow2:1",
                           "halfs",
                           "fixed:99999999999,0",
                           "fixed:2,6\n",
                           "fixed:2,6,bias=3",
                           "minifloat:3,4,bias=",
                           "minifloat:3,4,bias=3,",
                           "minifloat:3,4,bias=3,finite",
                           "minifloat:3,4,bias"}) {
    const std::string message = checks::message_of<std::invalid_argument>([text] { return AnyFormat::parse(text); });
    CAPTURE(message);
    CHECK(checks::contains(message, "\"" + std::string(text) + "\""));
    CHECK(checks::contains(message, "fixed:IL,FL"));
    CHECK(checks::contains(message, "e4m3fn"));
  }
  const auto complaint = [](const char* text, const char* part) {
    CHECK(checks::contains(checks::message_of<std::invalid_argument>([text] { return AnyFormat::parse(text); }), part));
  };
  complaint("fixed:30,30", "IL is 30");
  complaint("ufixed:1,127", "FL is 127");
  complaint("minifloat:24,5", "M is 24");
  complaint("minifloat:3,1", "E >= 2");
  complaint("minifloat:0,4,finite_nan", "M is 0");
  complaint("pow2:0,-1", "Max is -1");
}

TEST_CASE("visit calls once, with the concrete format") {
  int calls = 0;
  const int bits = AnyFormat(rt::Half{}).visit([&calls](const auto& format) {
    ++calls;
    return format.bits();
  });
  CHECK(calls == 1);
  CHECK(bits == 16);
  CHECK(AnyFormat(rt::Half{}).visit([](const auto& f) { return std::is_same_v<decltype(f), const rt::Minifloat<>&>; }));
}

TEST_CASE("a scaled format trims as the format does, times a power of two") {
  for (const auto& [format, text] : texts) {
    for (const int e : {-30, -1, 0, 1, 7, 90}) {
      CAPTURE(text, e);
      if (!format.can_scale(e)) {
        CHECK(checks::contains(checks::message_of<std::invalid_argument>([&] { (void)format.scaled(e); }),
                               to_string(format) + " times 2^" + std::to_string(e)));
        continue;
      }
      const AnyFormat scaled = format.scaled(e);
      CHECK(scaled.bits() == format.bits());
      CHECK(scaled.scaled(-e) == format);
      for (const float x : {0.0f, 0.3f, -0.7f, 1.1f, 2.9f, -17.0f, 1000.0f, -0x1p-9f}) {
        const auto trimmed = [](float value, const AnyFormat& f) {
          return f.visit([value](const auto& concrete) { return rt::Trimmer{concrete}(value); });
        };
        CHECK(trimmed(std::ldexp(x, e), scaled) == std::ldexp(trimmed(x, format), e));
      }
    }
    CHECK(!format.can_scale(300));
    CHECK(!format.can_scale(std::numeric_limits<int>::max()));
    CHECK(!format.can_scale(std::numeric_limits<int>::min()));
  }
  CHECK(AnyFormat(rt::DynamicFixedPoint<2, 6>{}).scaled(3) == AnyFormat(rt::DynamicFixedPoint{5, 3}));
  CHECK(AnyFormat(rt::PowerOfTwo<-8, -1>{}).scaled(-1) == AnyFormat(rt::PowerOfTwo{-9, -2}));
}

TEST_CASE("formats can be kept and exchanged") {
  AnyFormat format = rt::Half{};
  format = rt::DynamicFixedPoint{2, 6};
  CHECK(format == AnyFormat::parse("fixed:2,6"));
  CHECK(std::get<rt::DynamicFixedPoint<>>(format.variant()).fractional_length() == 6);
}
