// SPDX-License-Identifier: MIT
// Formats: ends, quanta, widths, what is fixed in the type, and the errors of run-time parameters.
#include <ristretto/formats.hpp>

#include <stdexcept>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using rt::Encoding;
using rt::Overflow;

static_assert(rt::Format<rt::DynamicFixedPoint<2, 6>> && rt::Format<rt::DynamicFixedPoint<>>);
static_assert(rt::Format<rt::UnsignedFixedPoint<2, 6>> && rt::Format<rt::UnsignedFixedPoint<>>);
static_assert(rt::Format<rt::Half> && rt::Format<rt::Minifloat<>> && rt::Format<rt::Float8E4M3FNUZ>);
static_assert(rt::Format<rt::PowerOfTwo<-8, -1>> && rt::Format<rt::PowerOfTwo<>> && rt::Format<rt::PowerOfTwoOrZero<>>);
static_assert(!rt::Format<float> && !rt::Format<Encoding>);

// Fixed point: bits, lowest, largest, quantum.
template <class F>
constexpr bool is(F f, int bits, float lowest, float largest, float quantum) {
  return f.bits() == bits && checks::same(f.lowest(), lowest) && checks::same(f.largest(), largest) &&
         f.quantum(0.75f) == quantum;
}
static_assert(is(rt::DynamicFixedPoint<2, 6>{}, 8, -2.0f, 1.984375f, 0x1p-6f));
static_assert(is(rt::DynamicFixedPoint<>{2, 6}, 8, -2.0f, 1.984375f, 0x1p-6f));
static_assert(is(rt::DynamicFixedPoint<8, 0>{}, 8, -128.0f, 127.0f, 1.0f));
static_assert(is(rt::DynamicFixedPoint<12, -4>{}, 8, -2048.0f, 2032.0f, 16.0f));
static_assert(is(rt::DynamicFixedPoint<-2, 10>{}, 8, -0.125f, 127 * 0x1p-10f, 0x1p-10f));
static_assert(is(rt::DynamicFixedPoint<1, 0>{}, 1, -1.0f, 0.0f, 1.0f));
static_assert(is(rt::DynamicFixedPoint<1, 24>{}, 25, -1.0f, 1 - 0x1p-24f, 0x1p-24f));
static_assert(is(rt::DynamicFixedPoint<8, 24>{}, 32, -128.0f, 0x1.fffffep+6f, 0x1p-24f));
static_assert(is(rt::DynamicFixedPoint<128, -96>{}, 32, -0x1p127f, 0x1.fffffep+126f, 0x1p96f));
static_assert(is(rt::DynamicFixedPoint<-125, 126>{}, 1, -0x1p-126f, 0.0f, 0x1p-126f));
static_assert(is(rt::UnsignedFixedPoint<2, 6>{}, 8, 0.0f, 3.984375f, 0x1p-6f));
static_assert(is(rt::UnsignedFixedPoint<1, 0>{}, 1, 0.0f, 1.0f, 1.0f));
static_assert(is(rt::UnsignedFixedPoint<32, 0>{}, 32, 0.0f, 0x1.fffffep+31f, 1.0f));
static_assert(is(rt::UnsignedFixedPoint<128, -96>{}, 32, 0.0f, checks::largest_float, 0x1p96f));
static_assert(rt::DynamicFixedPoint<8, 24>{}.largest<double>() == 0x1p7 - 0x1p-24);
static_assert(rt::UnsignedFixedPoint<32, 0>{}.largest<double>() == 4294967295.0);

// Minifloats: bits, lowest, largest, quantum at 1, and the exponents.
template <class F>
constexpr bool exponents(F f, int bias, int min, int max) {
  return f.bias() == bias && f.min_exponent() == min && f.max_exponent() == max;
}
static_assert(is(rt::Half{}, 16, -65504.0f, 65504.0f, 0x1p-11f) && exponents(rt::Half{}, 15, -14, 15));
static_assert(is(rt::BFloat16{}, 16, -0x1.fep127f, 0x1.fep127f, 0x1p-8f) && exponents(rt::BFloat16{}, 127, -126, 127));
static_assert(is(rt::TF32{}, 19, -0x1.ffcp127f, 0x1.ffcp127f, 0x1p-11f));
static_assert(is(rt::Float8E5M2{}, 8, -57344.0f, 57344.0f, 0x1p-3f) && exponents(rt::Float8E5M2{}, 15, -14, 15));
static_assert(is(rt::Float8E4M3FN{}, 8, -448.0f, 448.0f, 0x1p-4f) && exponents(rt::Float8E4M3FN{}, 7, -6, 8));
static_assert(is(rt::Float8E5M2FNUZ{}, 8, -57344.0f, 57344.0f, 0x1p-3f));
static_assert(exponents(rt::Float8E5M2FNUZ{}, 16, -15, 15));
static_assert(is(rt::Float8E4M3FNUZ{}, 8, -240.0f, 240.0f, 0x1p-4f) && exponents(rt::Float8E4M3FNUZ{}, 8, -7, 7));
static_assert(is(rt::Float6E3M2FN{}, 6, -28.0f, 28.0f, 0x1p-3f) && exponents(rt::Float6E3M2FN{}, 3, -2, 4));
static_assert(is(rt::Float6E2M3FN{}, 6, -7.5f, 7.5f, 0x1p-3f) && exponents(rt::Float6E2M3FN{}, 1, 0, 2));
static_assert(is(rt::Float4E2M1FN{}, 4, -6.0f, 6.0f, 0.5f) && exponents(rt::Float4E2M1FN{}, 1, 0, 2));
static_assert(is(rt::Minifloat<23, 8>{}, 32, -checks::largest_float, checks::largest_float, 0x1p-24f));
static_assert(is(rt::Minifloat<23, 8, Encoding::finite>{}, 32, -checks::largest_float, checks::largest_float,
                 0x1p-24f));
static_assert(is(rt::Minifloat<3, 4, Encoding::ristretto2016>{}, 8, -480.0f, 480.0f, 0x1p-4f));
static_assert(exponents(rt::Minifloat<3, 4, Encoding::ristretto2016>{}, 7, -7, 8));
static_assert(is(rt::Minifloat<0, 1, Encoding::finite>{}, 2, -2.0f, 2.0f, 2.0f));
static_assert(is(rt::Minifloat<0, 1, Encoding::fnuz>{}, 2, -1.0f, 1.0f, 1.0f));
static_assert(rt::Minifloat<23, 8, Encoding::finite>{}.largest<double>() == (2 - 0x1p-23) * 0x1p128);
static_assert(rt::Half{}.quantum(1.0f) == 0x1p-10f && rt::Half{}.quantum(65504.0f) == 32.0f);
static_assert(rt::Half{}.quantum(0.0f) == 0x1p-24f && rt::Half{}.quantum(0x1p-20f) == 0x1p-24f);
static_assert(rt::BFloat16{}.quantum(0x1p-127f) == 0x1p-133f && rt::BFloat16{}.quantum(0x1p-126f) == 0x1p-133f);
static_assert(rt::Minifloat<23, 8, Encoding::fnuz>{}.quantum(0.0f) == checks::smallest_float);

// Powers of two.
static_assert(is(rt::PowerOfTwo<-8, -1>{}, 4, -0.5f, 0.5f, 0.5f) && is(rt::PowerOfTwo<>{-8, -1}, 4, -0.5f, 0.5f, 0.5f));
static_assert(is(rt::PowerOfTwo<0, 0>{}, 1, -1.0f, 1.0f, 1.0f) &&
              is(rt::PowerOfTwoOrZero<0, 0>{}, 2, -1.0f, 1.0f, 1.0f));
static_assert(is(rt::PowerOfTwo<-126, 127>{}, 9, -0x1p127f, 0x1p127f, 0.5f));
static_assert(is(rt::PowerOfTwoOrZero<-8, -1>{}, 5, -0.5f, 0.5f, 0.5f));
static_assert(is(rt::PowerOfTwoOrZero<-6, 0>{}, 4, -1.0f, 1.0f, 0.5f));
static_assert(rt::PowerOfTwo<-8, -1>{}.min_exponent() == -8 && rt::PowerOfTwo<>{-8, -1}.max_exponent() == -1);
static_assert(checks::same(rt::PowerOfTwo<-2, 1>{}.saturate(-0.0f), -0.25f));
static_assert(checks::same(rt::PowerOfTwoOrZero<-2, 1>{}.saturate(-0.0f), -0.0f));

// Saturation: the nearer end beyond the ends, NaN as it is.
static_assert(rt::DynamicFixedPoint<2, 6>{}.saturate(2.0f) == 1.984375f);
static_assert(rt::DynamicFixedPoint<2, 6>{}.saturate(-checks::inf) == -2.0f);
static_assert(rt::DynamicFixedPoint<2, 6>{}.saturate(0.3f) == 0.3f);
static_assert(rt::Half{}.saturate(65519.0f) == 65504.0f && rt::Half{}.saturate(-checks::inf) == -65504.0f);
static_assert(rt::Minifloat<3, 4, Encoding::ristretto2016>{}.saturate(0x1.fffffep-8f) == 0.0f);
static_assert(rt::Minifloat<3, 4, Encoding::ristretto2016>{}.saturate(0x1p-7f) == 0x1p-7f);
static_assert(checks::same(rt::DynamicFixedPoint<2, 6>{}.saturate(checks::quiet_nan), checks::quiet_nan));
static_assert(checks::same(rt::PowerOfTwo<-2, 1>{}.saturate(checks::quiet_nan), checks::quiet_nan));

// Fixed in the type, stored, or half and half; equality.
static_assert(rt::DynamicFixedPoint<rt::runtime, 6>{2, 6}.integer_length() == 2);
static_assert(rt::Minifloat<3>{3, 4}.exponent_bits() == 4 && rt::Minifloat<rt::runtime, 4>{3, 4}.mantissa_bits() == 3);
static_assert(rt::DynamicFixedPoint{2, 6} == rt::DynamicFixedPoint<>{2, 6});
static_assert(rt::DynamicFixedPoint{2, 6} != rt::DynamicFixedPoint{3, 5});
static_assert(rt::Minifloat{3, 4} != rt::Minifloat{2, 5} && rt::PowerOfTwo{-8, -1} == rt::PowerOfTwo{-8, -1});
static_assert(rt::UnsignedFixedPoint{2, 6}.bits() == 8 && rt::PowerOfTwoOrZero{-8, -1}.bits() == 5);

// Another bias: the same numbers times a power of two, as far as they are normal floats.
static_assert(rt::Minifloat{3, 4}.has_usual_bias() && rt::Minifloat{3, 4} == rt::Minifloat{3, 4, 7});
static_assert(rt::Minifloat{3, 4, 10}.bias() == 10 && !rt::Minifloat{3, 4, 10}.has_usual_bias());
static_assert(rt::Minifloat{3, 4, 10} != rt::Minifloat{3, 4} && rt::Minifloat{3, 4, 10}.bits() == 8);
static_assert(rt::Minifloat{3, 4, 10}.largest() == 30.0f && rt::Minifloat{3, 4, 10}.quantum(0.0f) == 0x1p-12f);
static_assert(rt::Minifloat<3>{3, 4, -1}.largest() == 61440.0f);
static_assert(rt::Minifloat{2, 3, 125}.quantum(0.0f) == 0x1p-126f && !rt::Minifloat{2, 3}.can_have_bias(126));
static_assert(rt::Minifloat{2, 3, -121}.max_exponent() == 127 && !rt::Minifloat{2, 3}.can_have_bias(-122));
static_assert(rt::Minifloat{7, 8}.can_have_bias(127) && !rt::Minifloat{7, 8}.can_have_bias(126));

TEST_CASE("bad run-time parameters are refused with the name, the value and the remedy") {
  const auto complaint = [](auto make, const char* name, const char* value) {
    const std::string text = checks::message_of<std::invalid_argument>(make);
    CAPTURE(text);
    CHECK(checks::contains(text, name));
    CHECK(checks::contains(text, value));
    CHECK(checks::contains(text, "choose "));
  };
  complaint([] { return rt::DynamicFixedPoint<>{0, 0}; }, "DynamicFixedPoint", "IL is 0");
  complaint([] { return rt::DynamicFixedPoint<>{30, 3}; }, "DynamicFixedPoint", "IL is 30");
  complaint([] { return rt::DynamicFixedPoint<>{0, 127}; }, "DynamicFixedPoint", "FL is 127");
  complaint([] { return rt::DynamicFixedPoint<>{100, -97}; }, "DynamicFixedPoint", "FL is -97");
  complaint([] { return rt::DynamicFixedPoint<>{std::numeric_limits<int>::max(), 5}; }, "IL", "2147483647");
  complaint([] { return rt::DynamicFixedPoint<>{5, rt::runtime}; }, "FL", "-2147483648");
  complaint([] { return rt::UnsignedFixedPoint<>{-1, 1}; }, "UnsignedFixedPoint", "IL is -1");
  complaint([] { return rt::Minifloat<>{24, 5}; }, "Minifloat", "M is 24");
  complaint([] { return rt::Minifloat<>{-1, 5}; }, "Minifloat", "M is -1");
  complaint([] { return rt::Minifloat<>{3, 9}; }, "Minifloat", "E is 9");
  complaint([] { return rt::Minifloat<>{3, 0}; }, "Minifloat", "E is 0");
  complaint([] { return rt::Minifloat<>{3, 1}; }, "ieee", "E is 1");
  complaint([] { return rt::Minifloat<rt::runtime, rt::runtime, Encoding::finite_nan>{0, 3}; }, "finite_nan", "M is 0");
  complaint([] { return rt::Minifloat<>{2, 3, 126}; }, "Minifloat", "bias is 126");
  complaint([] { return rt::Minifloat<>{2, 3, std::numeric_limits<int>::min()}; }, "Minifloat", "bias is -2147483648");
  complaint([] { return rt::Minifloat<>{2, 9, 3}; }, "Minifloat", "E is 9");
  complaint([] { return rt::PowerOfTwo<>{-127, 0}; }, "PowerOfTwo", "Min is -127");
  complaint([] { return rt::PowerOfTwo<>{128, 128}; }, "PowerOfTwo", "Min is 128");
  complaint([] { return rt::PowerOfTwo<>{1, 0}; }, "PowerOfTwo", "Max is 0");
  complaint([] { return rt::PowerOfTwoOrZero<>{0, 128}; }, "PowerOfTwoOrZero", "Max is 128");
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([] { return rt::DynamicFixedPoint<2, 6>{3, 6}; }),
                         "fixed as 2"));
}

TEST_CASE("every width at the ends of the range of lengths is accepted") {
  for (int bits = 1; bits <= 32; ++bits) {
    for (const int fl : {-96, -1, 0, 1, 126}) {
      CHECK(rt::DynamicFixedPoint<>{bits - fl, fl}.bits() == bits);
      CHECK(rt::UnsignedFixedPoint<>{bits - fl, fl}.bits() == bits);
      CHECK(rt::DynamicFixedPoint<>{bits - fl, fl}.lowest() == -std::ldexp(1.0f, bits - fl - 1));
    }
  }
}

TEST_CASE("the ends of every minifloat are the last floats on its grid") {
  for (int m = 0; m <= 23; ++m) {
    for (int e = 2; e <= 8; ++e) {
      const double ieee = (2 - std::ldexp(1.0, -m)) * std::ldexp(1.0, (1 << (e - 1)) - 1);
      CHECK(static_cast<double>(rt::Minifloat<>{m, e}.largest()) == ieee);
      CHECK(rt::Minifloat<>{m, e}.largest<double>() == ieee);
      const rt::Minifloat<rt::runtime, rt::runtime, Encoding::finite> finite{m, e};
      CHECK(finite.largest<double>() == 2 * ieee);
      CHECK(static_cast<double>(finite.largest()) == (e == 8 ? ieee : 2 * ieee));
      CHECK(finite.lowest() == -finite.largest());
    }
  }
}
