// SPDX-License-Identifier: MIT
// Every small format against the oracle: all values, all midpoints, their neighbours, and a sweep over all floats.
#include "oracle.hpp"

#include <cstdint>
#include <vector>

#include <ristretto/any_format.hpp>
#include <ristretto/trimmer.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr std::uint32_t sweep_stride = 5'242'883;  // a prime: 820 floats of every size

void add_with_neighbours(std::vector<float>& inputs, double value) {
  const auto x = static_cast<float>(value);
  inputs.push_back(x);
  inputs.push_back(std::nextafter(x, -checks::inf));
  inputs.push_back(std::nextafter(x, checks::inf));
}

std::vector<float> sweep() {
  std::vector<float> inputs = {0.0f, -0.0f, checks::inf, -checks::inf, checks::quiet_nan, -checks::quiet_nan};
  for (const float x : {checks::smallest_float, checks::largest_float, 0x1p-126f, 0x1p-127f, 1.0f}) {
    add_with_neighbours(inputs, x);
    add_with_neighbours(inputs, -x);
  }
  for (std::uint64_t u = 0; u < 0x1'0000'0000; u += sweep_stride) {
    inputs.push_back(checks::from_bits(static_cast<std::uint32_t>(u)));
  }
  return inputs;
}

/// The sweep, the grid's values, the midpoints between them, twice its ends, and the float neighbours of all these.
std::vector<float> inputs_for(const oracle::Grid& grid) {
  static const std::vector<float> everywhere = sweep();
  std::vector<float> inputs = everywhere;
  const auto& values = grid.values;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::abs(values[k]) <= checks::largest_float) add_with_neighbours(inputs, values[k]);
    if (k > 0) add_with_neighbours(inputs, (values[k - 1] + values[k]) / 2);
  }
  for (const double end : {values.front(), values.back()}) {
    if (std::abs(2 * end) <= checks::largest_float) add_with_neighbours(inputs, 2 * end);
    if (std::abs(1.5 * end) <= checks::largest_float) add_with_neighbours(inputs, 1.5 * end);
  }
  return inputs;
}

template <class F, class R>
void compare(checks::Disagreements& found, const char* rounding, const F& format, const oracle::Grid& grid,
             const std::vector<float>& inputs, R round) {
  const rt::Trimmer<F, R> trimmer{format, round};
  for (const float x : inputs) {
    const float trimmed = trimmer(x);
    const auto expected = static_cast<float>(oracle::trim(grid, x, round));
    if (!checks::same(trimmed, expected)) {
      found.compare(rt::to_string(format) + " " + rounding, x, trimmed, expected);
    }
  }
}

/// All roundings without randomness that go with every format.
template <class F>
void compare_all(checks::Disagreements& found, const F& format) {
  const oracle::Grid grid = oracle::grid_of(format);
  const std::vector<float> inputs = inputs_for(grid);
  compare(found, "RoundNearest", format, grid, inputs, rt::RoundNearest{});
  compare(found, "RoundNearestAway", format, grid, inputs, rt::RoundNearestAway{});
  compare(found, "RoundHalfUp", format, grid, inputs, rt::RoundHalfUp{});
  compare(found, "RoundDown", format, grid, inputs, rt::RoundDown{});
  compare(found, "RoundUp", format, grid, inputs, rt::RoundUp{});
  compare(found, "RoundTowardZero", format, grid, inputs, rt::RoundTowardZero{});
  if constexpr (requires { requires !F::has_zero; }) {
    compare(found, "RoundNearestExponent", format, grid, inputs, rt::RoundNearestExponent{});
  }
}

struct Widths {
  int first;
  int last;
};

template <class F>
std::string fixed_point(Widths widths, int step) {
  checks::Disagreements found;
  for (int width = widths.first; width <= widths.last; ++width) {
    for (int fl = -96 + width % step; fl <= 126; fl += step) compare_all(found, F{width - fl, fl});
  }
  return found.report();
}

template <rt::Encoding encoding, rt::Overflow overflow = rt::Overflow::saturate>
std::string minifloats(Widths widths) {
  checks::Disagreements found;
  for (int e = encoding == rt::Encoding::ieee ? 2 : 1; e <= 8; ++e) {
    for (int m = encoding == rt::Encoding::finite_nan ? 1 : 0; 1 + m + e <= widths.last; ++m) {
      if (1 + m + e < widths.first) continue;
      compare_all(found, rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow>{m, e});
      const int usual = oracle::usual_bias(e, encoding);
      for (const int bias : {usual - 60, usual + 3}) {
        const rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow> format{m, e};
        if (1 + m + e <= 8 && format.can_have_bias(bias)) {
          compare_all(found, rt::Minifloat<rt::runtime, rt::runtime, encoding, overflow>{m, e, bias});
        }
      }
    }
  }
  return found.report();
}

}  // namespace

TEST_CASE("the oracle knows a format that can be written down") {
  const oracle::Grid e2m1 = oracle::minifloat(1, 2, 1, rt::Encoding::finite);
  CHECK(e2m1.values == std::vector<double>{-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6});
  CHECK(oracle::trim(e2m1, 5, rt::RoundNearest{}) == 4);
  CHECK(oracle::trim(e2m1, -5, rt::RoundNearestAway{}) == -6);
  CHECK(oracle::trim(e2m1, -5, rt::RoundHalfUp{}) == -4);
  CHECK(oracle::trim(e2m1, 2.5, rt::RoundNearest{}) == 2);
  CHECK(oracle::trim(e2m1, 3.5, rt::RoundNearest{}) == 4);
  CHECK(oracle::trim(e2m1, 100, rt::RoundDown{}) == 6);
  CHECK(std::signbit(oracle::trim(e2m1, -0.25, rt::RoundNearest{})));
  CHECK(oracle::fixed_point(2, 0, true).values == std::vector<double>{-2, -1, 0, 1});
  CHECK(oracle::fixed_point(-2, 4, false).values == std::vector<double>{0, 0.0625, 0.125, 0.1875});
  CHECK(oracle::powers_of_two(-1, 1, false).values == std::vector<double>{-2, -1, -0.5, 0.5, 1, 2});
  CHECK(oracle::trim(oracle::powers_of_two(-1, 1, false), 1.5, rt::RoundNearest{}) == 2);
}

TEST_CASE("dynamic fixed point of up to 12 bits agrees with the oracle") {
  CHECK(fixed_point<rt::DynamicFixedPoint<>>({1, 8}, 1) == "");
  CHECK(fixed_point<rt::DynamicFixedPoint<>>({9, 12}, 1) == "");
}
TEST_CASE("unsigned fixed point of up to 12 bits agrees with the oracle") {
  CHECK(fixed_point<rt::UnsignedFixedPoint<>>({1, 12}, 1) == "");
}
TEST_CASE("fixed point of up to 16 bits agrees with the oracle, a sample") {
  CHECK(fixed_point<rt::DynamicFixedPoint<>>({13, 16}, 37) == "");
  CHECK(fixed_point<rt::UnsignedFixedPoint<>>({13, 16}, 41) == "");
}
TEST_CASE("fixed point of up to 16 bits agrees with the oracle", "[.][exhaustive]") {
  CHECK(fixed_point<rt::DynamicFixedPoint<>>({13, 16}, 1) == "");
  CHECK(fixed_point<rt::UnsignedFixedPoint<>>({13, 16}, 1) == "");
}

TEST_CASE("minifloats of up to 12 bits agree with the oracle") {
  CHECK(minifloats<rt::Encoding::ieee>({1, 12}) == "");
  CHECK(minifloats<rt::Encoding::ieee, rt::Overflow::to_infinity>({1, 12}) == "");
  CHECK(minifloats<rt::Encoding::finite_nan>({1, 12}) == "");
  CHECK(minifloats<rt::Encoding::finite>({1, 12}) == "");
  CHECK(minifloats<rt::Encoding::fnuz>({1, 12}) == "");
  CHECK(minifloats<rt::Encoding::ristretto2016>({1, 12}) == "");
}
TEST_CASE("minifloats of 16 bits agree with the oracle", "[.][exhaustive]") {
  CHECK(minifloats<rt::Encoding::ieee>({13, 16}) == "");
  CHECK(minifloats<rt::Encoding::ieee, rt::Overflow::to_infinity>({13, 16}) == "");
  CHECK(minifloats<rt::Encoding::finite_nan>({13, 16}) == "");
  CHECK(minifloats<rt::Encoding::finite>({13, 16}) == "");
  CHECK(minifloats<rt::Encoding::fnuz>({13, 16}) == "");
  CHECK(minifloats<rt::Encoding::ristretto2016>({13, 16}) == "");
}

TEST_CASE("half and bfloat16 agree with the oracle") {
  checks::Disagreements found;
  compare_all(found, rt::Half{});
  compare_all(found, rt::BFloat16{});
  CHECK(found.report() == "");
}

TEST_CASE("powers of two agree with the oracle") {
  struct Range {
    int min;
    int max;
  };
  checks::Disagreements found;
  for (const auto [min, max] :
       {Range{-126, 127}, Range{-126, -126}, Range{127, 127}, Range{0, 0}, Range{-8, -1}, Range{-16, 0}, Range{-4, 3},
        Range{-1, 1}, Range{3, 7}, Range{-126, -120}, Range{120, 127}, Range{-126, 0}, Range{0, 127}, Range{-30, 20}}) {
    compare_all(found, rt::PowerOfTwo<>{min, max});
    compare_all(found, rt::PowerOfTwoOrZero<>{min, max});
  }
  CHECK(found.report() == "");
}
