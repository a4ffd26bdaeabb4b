// SPDX-License-Identifier: MIT
// Scaled formats: against all scales and shapes, for a range and for the rows of a matrix.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <ristretto/rows.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "ranges.hpp"

namespace rt = ristretto;

namespace {

using checks::Data;
using checks::range_of;
using checks::real_looking_data;
using checks::squared_error;

using Finite = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::finite>;

}  // namespace

TEST_CASE("a scaled format is that of least error among all scales and shapes") {
  const std::vector<rt::AnyFormat> fixed{rt::DynamicFixedPoint{1, 3}};
  const std::vector<rt::AnyFormat> powers{rt::PowerOfTwoOrZero{-6, 0}};
  std::vector<rt::AnyFormat> minifloats;
  for (int e = 1; e <= 4; ++e) minifloats.push_back(Finite(5 - e, e));
  for (const double scale : {1e-6, 1.0, 3000.0}) {
    for (const Data& data : real_looking_data(scale)) {
      CAPTURE(data.name, scale);
      for (const auto& shapes : {fixed, powers, minifloats}) {
        const rt::AnyFormat chosen = rt::choose_scaled(shapes, range_of(data.x));
        double least = std::numeric_limits<double>::infinity();
        for (const rt::AnyFormat& shape : shapes) {
          for (int e = -40; e <= 30; ++e) {
            least = std::min(least, shape.scaled(e).visit([&](const auto& f) { return squared_error(data.x, f); }));
          }
        }
        const double error = chosen.visit([&](const auto& f) { return squared_error(data.x, f); });
        CHECK(error <= least * 1.02);  // the range is a histogram

        const rt::RowFormats rows = rt::choose_rows(shapes, data.x, 1);  // exact
        const rt::AnyFormat row = rows.format.scaled(rows.shifts.at(0));
        CHECK(row.visit([&](const auto& f) { return squared_error(data.x, f); }) <= least * (1 + 1e-9));
      }
    }
  }
}

TEST_CASE("rows get scales of their own, and one shape") {
  std::vector<float> x;
  for (int r = 0; r < 4; ++r) {
    for (int k = 0; k < 50; ++k) x.push_back(std::ldexp(static_cast<float>(k - 25) / 26, 3 * r));
  }
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 4}};
  for (const auto rule : {rt::RangeRule::min_mse, rt::RangeRule::max_abs, rt::RangeRule::percentile}) {
    const rt::RowFormats rows = rt::choose_rows(shapes, x, 4, {.rule = rule, .share = 1});
    CHECK(rows.format == shapes[0]);
    CHECK(rows.shifts == std::vector<int>{0, 3, 6, 9});
  }
  const rt::RowFormats clipped = rt::choose_rows(shapes, x, 4, {.rule = rt::RangeRule::percentile, .share = 0.4});
  CHECK(clipped.shifts == std::vector<int>{-1, 2, 5, 8});
  CHECK(rt::choose_rows(shapes, std::vector<float>(6), 2).shifts == std::vector<int>{0, 0});  // zeros

  CHECK(rt::choose_scaled(shapes, range_of({-0.9f, 0.9f}), {.rule = rt::RangeRule::max_abs}) == shapes[0]);
  CHECK(rt::choose_scaled(shapes, range_of({-7.9f, 0.9f}), {.rule = rt::RangeRule::max_abs}) == shapes[0].scaled(3));
}

TEST_CASE("scaled formats leave numbers on the grid that they have, and are the finest that do") {
  std::vector<float> pixels;
  for (int k = 0; k <= 255; ++k) pixels.push_back(static_cast<float>(k) * 0x1p-8f);
  for (int bits = 9; bits <= 16; ++bits) {
    const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{4, bits - 4}};
    CHECK(rt::choose_scaled(shapes, range_of(pixels)) == rt::AnyFormat(rt::DynamicFixedPoint{1, bits - 1}));
    CHECK(rt::choose_rows(shapes, pixels, 1).formats()[0] == rt::AnyFormat(rt::DynamicFixedPoint{1, bits - 1}));
  }
  checks::Patterns patterns;
  for (int repeat = 0; repeat < 300; ++repeat) {
    const int bits = 2 + static_cast<int>(patterns.next() % 15), e = 1 + static_cast<int>(patterns.next() % 5);
    std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, bits - 1}, rt::UnsignedFixedPoint{0, bits}};
    if (bits > e) shapes.push_back(Finite(bits - 1 - e, e));
    if (bits <= 5) shapes.push_back(rt::PowerOfTwoOrZero{2 - (1 << (bits - 1)), 0});
    const rt::AnyFormat own =
        shapes[patterns.next() % shapes.size()].scaled(static_cast<int>(patterns.next() % 41) - 20);
    std::vector<float> x(1 + patterns.next() % 300);
    for (float& value : x) {
      const float any = own.largest() * (static_cast<float>(patterns.next()) * 0x1p-31f - 1);
      value = own.visit([any](const auto& f) { return rt::Trimmer{f}(any); });
    }
    const rt::AnyFormat chosen = rt::choose_scaled(shapes, range_of(x));
    CAPTURE(to_string(own), to_string(chosen), x.size());
    CHECK(chosen.visit([&](const auto& f) { return squared_error(x, f); }) == 0);
  }
}

TEST_CASE("a scaled format is found fourteen octaves from the widest") {
  std::vector<float> x;
  for (int k = -511; k <= 511; k += 2) x.push_back(static_cast<float>(k) * 0.00173f);
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 3}};
  for (int octaves = 0; octaves <= 12; ++octaves) {  // and one, where the format's end is just below a power of two
    rt::Range range = range_of(x);
    for (double times = 1; times < 100 * std::ldexp(1.0, 2 * octaves); times *= 2) range.merge(range);
    const float far = std::ldexp(0.9f, octaves);
    range.observe({&far, 1});
    CAPTURE(octaves);
    CHECK(rt::choose_scaled(shapes, range, {.rule = rt::RangeRule::max_abs}) == shapes[0].scaled(octaves));
    CHECK(rt::choose_scaled(shapes, range) == shapes[0]);
  }
}

TEST_CASE("row formats are the format times a power of two for each row") {
  const rt::AnyFormat format = rt::DynamicFixedPoint{1, 4};
  const rt::RowFormats rows{format, {0, 3, -2}};
  CHECK(rows.formats() ==
        std::vector<rt::AnyFormat>{format, rt::DynamicFixedPoint{4, 1}, rt::DynamicFixedPoint{-1, 6}});
  CHECK(rt::row_formats(format, std::vector<int>{-1}) == std::vector<rt::AnyFormat>{rt::DynamicFixedPoint{0, 5}});
  CHECK(rt::row_formats(format, {}).empty());
  CHECK_THROWS_AS(rt::row_formats(rt::BFloat16{}, std::vector<int>{1}), std::invalid_argument);
}

TEST_CASE("a format is chosen by any loss: the least among all scales near those of least squares") {
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 3}, rt::UnsignedFixedPoint{0, 4}};
  const auto x = real_looking_data(1)[0].x;
  const rt::Range range = range_of(x);
  // Losses with a lowest place: the distance of the largest number from a target.
  for (const float target : {0.06f, 0.9f, 4.0f, 20.0f, 1000.0f}) {
    std::vector<rt::AnyFormat> tried;
    const auto loss = [&](const rt::AnyFormat& format) {
      tried.push_back(format);
      return std::abs(std::log2(static_cast<double>(format.largest() / target)));
    };
    const rt::AnyFormat chosen = rt::choose_by(shapes, range, loss);
    REQUIRE(tried.size() == 19);  // the start, and nine of each shape
    CHECK(tried[0] == rt::choose_scaled(shapes, range));
    for (std::size_t s = 0; s < 2; ++s) {
      const rt::AnyFormat middle = rt::choose_scaled(std::span(shapes).subspan(s, 1), range);
      for (std::size_t k = 0; k < 9; ++k) CHECK(tried[1 + 9 * s + k] == middle.scaled(static_cast<int>(k) - 4));
    }
    std::vector<rt::AnyFormat> all = tried;  // loss adds to tried
    for (const rt::AnyFormat& format : all) CHECK(loss(chosen) <= loss(format));
  }

  // Of equal losses, and where one is less by no more than sums are rounded, the start stays, then the first.
  const rt::AnyFormat start = rt::DynamicFixedPoint{2, 2};
  CHECK(rt::choose_by(shapes, range, [](const rt::AnyFormat&) { return 1.0; }, start) == start);
  CHECK(rt::choose_by(shapes, range, [](const rt::AnyFormat&) { return -1.0; }, start) == start);
  const auto but = [&](double other) {
    return [&start, other](const rt::AnyFormat& format) { return format == start ? 1.0 : other; };
  };
  CHECK(rt::choose_by(shapes, range, but(1 - 5e-10), start) == start);
  const rt::AnyFormat first = rt::choose_scaled(std::span(shapes).first(1), range).scaled(-4);
  CHECK(rt::choose_by(shapes, range, but(1 - 2e-9), start) == first);
  CHECK(rt::choose_by(shapes, range, but(0), start) == first);
  const rt::AnyFormat one = rt::BFloat16{};  // has no other scale
  CHECK(rt::choose_by(std::span(&one, 1), range, but(0), start) == one);
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([&] { rt::choose_by(shapes, range, but(NAN)); }),
                         "the loss with "));
}

TEST_CASE("where no scale suits, the nearest that there is does") {
  // Smaller than any scale goes, larger than it goes, and formats with one scale only.
  const std::vector<float> x{0.5f, 0.25f, 1e-40f, 2e-40f, 3e38f, 1e38f};
  for (const rt::AnyFormat shape : {rt::AnyFormat(rt::DynamicFixedPoint{1, 3}), rt::AnyFormat(rt::BFloat16{}),
                                    rt::AnyFormat(rt::Minifloat{3, 7}), rt::AnyFormat(rt::PowerOfTwoOrZero{-126, 0})}) {
    for (const auto rule : {rt::RangeRule::min_mse, rt::RangeRule::max_abs, rt::RangeRule::percentile}) {
      CAPTURE(to_string(shape), static_cast<int>(rule));
      const rt::RowFormats rows = rt::choose_rows(std::span(&shape, 1), x, 3, {.rule = rule});
      REQUIRE(rows.shifts.size() == 3);
      for (const int shift : rows.shifts) CHECK(shape.can_scale(shift));
    }
  }
  const rt::AnyFormat fixed = rt::DynamicFixedPoint{1, 3};
  CHECK(rt::choose_rows(std::span(&fixed, 1), x, 3).shifts == std::vector<int>{0, -123, 99});
  // A format that cannot be scaled competes as it is.
  const std::vector<rt::AnyFormat> both{fixed, rt::BFloat16{}};
  CHECK(rt::choose_scaled(both, range_of({0.5f, 1.015625f, 2, 3})) == both[1]);
}

TEST_CASE("what has no scale is refused") {
  const std::vector<rt::AnyFormat> shapes{rt::DynamicFixedPoint{1, 4}};
  const auto refusal = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  CHECK(checks::contains(refusal([&] { rt::choose_scaled({}, range_of({1.0f})); }), "no format"));
  CHECK(checks::contains(refusal([&] { rt::choose_scaled(shapes, {}); }), "0 finite values"));
  CHECK(checks::contains(refusal([&] { rt::choose_scaled(shapes, range_of({1.0f, checks::inf})); }), "1 others"));
  CHECK(checks::contains(
      refusal([&] { rt::choose_scaled(shapes, range_of({1.0f}), {.rule = rt::RangeRule::ristretto2016}); }),
      "ristretto2016"));
  const std::vector<float> five(5, 1.0f), bad{1.0f, checks::quiet_nan};
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 2); }), "5 numbers are no 2 rows"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 0); }), "no 0 rows"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, bad, 1); }), "NaN"));
  CHECK(checks::contains(refusal([&] { rt::choose_rows(shapes, five, 1, {.share = 0}); }), "share"));
}
