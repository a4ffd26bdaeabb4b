// SPDX-License-Identifier: MIT
// Ranges: streams, merges, quantiles.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <ristretto/range.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "ranges.hpp"

namespace rt = ristretto;

namespace {

using checks::Data;
using checks::range_of;
using checks::real_looking_data;

bool equal(const rt::Range& a, const rt::Range& b) {
  return checks::same(a.min(), b.min()) && checks::same(a.max(), b.max()) && a.digits() == b.digits() &&
         std::ranges::equal(a.histogram(), b.histogram());
}

}  // namespace

TEST_CASE("a stream of pieces gives the range of the whole") {
  const auto x = checks::special_floats();
  const rt::Range whole = range_of(x);
  for (const std::size_t piece : {1u, 3u, 17u, 1000u}) {
    rt::Range streamed;
    for (std::size_t k = 0; k < x.size(); k += piece) {
      streamed.observe(std::span(x).subspan(k, std::min(piece, x.size() - k)));
    }
    CHECK(equal(streamed, whole));
  }
}

TEST_CASE("the order of values, pieces and merges does not matter") {
  auto x = checks::special_floats();
  const rt::Range whole = range_of(x);
  std::mt19937 bits(1);
  for (int repeat = 0; repeat < 10; ++repeat) {
    std::shuffle(x.begin(), x.end(), bits);
    std::vector<rt::Range> pieces(5);
    for (std::size_t k = 0; k < x.size(); ++k) pieces[bits() % 4].observe(std::span(x).subspan(k, 1));
    std::shuffle(pieces.begin(), pieces.end(), bits);  // the fifth is empty
    rt::Range merged;
    for (const auto& piece : pieces) merged.merge(piece);
    CHECK(equal(merged, whole));
  }
  CHECK(checks::same(range_of({0.0f, -0.0f}).min(), range_of({-0.0f, 0.0f}).min()));
  CHECK(checks::same(range_of({-0.0f}).max_abs(), 0.0f));
  rt::Range twice = range_of({1.0f, -2.0f});
  twice.merge(twice);
  CHECK(twice.count() == 4);
}

TEST_CASE("a range counts values, NaN and infinities, and keeps its ends from them") {
  const rt::Range r = range_of(
      {1.0f, checks::quiet_nan, -3.5f, checks::inf, -checks::inf, checks::quiet_nan, -checks::quiet_nan, 0.0f});
  CHECK(r.count() == 3);
  CHECK(r.nan_count() == 3);
  CHECK(r.infinite_count() == 2);
  CHECK(r.min() == -3.5f);
  CHECK(r.max() == 1.0f);
  CHECK(r.max_abs() == 3.5f);

  const rt::Range nothing;
  CHECK(nothing.count() == 0);
  CHECK(nothing.min() == 0);
  CHECK(nothing.max() == 0);
  CHECK(nothing.magnitude_quantile(0.5) == 0);
  CHECK(nothing.share_beyond(-1, 1) == 0);
  CHECK(range_of({checks::quiet_nan, -checks::inf}).max_abs() == 0);
  CHECK(range_of({checks::largest_float, -checks::largest_float}).max_abs() == checks::largest_float);
  CHECK(range_of({checks::smallest_float}).max() == checks::smallest_float);
}

TEST_CASE("the digits of a range are those of all its values, however these come") {
  const auto digits = [](std::initializer_list<float> x) { return range_of(x).digits(); };
  constexpr std::uint32_t half = 1 << 22, quarter = 1 << 21;  // fraction bits
  CHECK(rt::Range{}.digits() == rt::Digits{0, rt::Digits::none});
  CHECK(digits({0.0f, -0.0f, checks::inf, -checks::inf, checks::quiet_nan}) == rt::Digits{});
  CHECK(digits({1}) == rt::Digits{0, 149});
  CHECK(digits({-1}) == rt::Digits{0, 149});
  CHECK(digits({0.75f}) == rt::Digits{half, 147});  // 3 * 2^-2
  CHECK(digits({1.25f, 8}) == rt::Digits{quarter, 147});
  CHECK(digits({1.25f, 1.5f}) == rt::Digits{half | quarter, 147});
  CHECK(digits({checks::smallest_float}) == rt::Digits{1, 0});
  CHECK(digits({6 * checks::smallest_float}) == rt::Digits{6, 1});
  CHECK(digits({0x1p-126f}) == rt::Digits{0, 23});
  CHECK(digits({checks::largest_float}) == rt::Digits{0x7FFFFF, 253});
  CHECK(digits({1, 0x1.000002p0f}) == rt::Digits{1, 126});

  // Of random values: all are multiples of 2^(lowest - 149), and one is not of twice that.
  checks::Patterns patterns;
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::vector<float> x(1 + patterns.next() % 9);
    const std::uint32_t kept = 0xFFFFFFFFu << patterns.next() % 24;
    for (float& value : x) value = checks::from_bits(patterns.next() & 0xBFFFFFFF & kept);  // below 2
    const rt::Digits found = range_of(x).digits();
    std::uint32_t fraction = 0;
    bool divides = true, more = true;
    for (const float value : x) {
      const double times = std::ldexp(static_cast<double>(value), 149 - static_cast<int>(found.lowest));
      divides = divides && times == std::trunc(times);
      more = more && times / 2 == std::trunc(times / 2);
      fraction |= checks::bits(value) & 0x7FFFFF;
      CHECK(checks::same(found.truncated(value), value));
    }
    CHECK(divides);
    CHECK(!more);
    CHECK(found.fraction == fraction);
  }
  // Values that were counted elsewhere have the digits that are told, or any.
  const rt::Range whole = range_of({0.75f, 3});
  const std::span<const std::uint64_t, rt::Range::bins> counts(whole.histogram());
  rt::Range told, untold;
  told.add(counts, {0.75f, 3}, whole.digits());
  untold.add(counts, {0.75f, 3});
  CHECK(equal(told, whole));
  CHECK(untold.digits() == rt::Digits::unknown());
}

TEST_CASE("numbers are truncated to the digits of others") {
  const rt::Digits quarters = range_of({0.25f, 1.75f}).digits();  // three digits, the last 2^-2 or more
  for (const auto& [x, expected] : std::vector<std::pair<float, float>>{
           {1.99f, 1.75f}, {-1.99f, -1.75f}, {7.9f, 7}, {15.9f, 14}, {0.3f, 0.25f}, {0.74f, 0.5f}, {0, 0}}) {
    CHECK(quarters.truncated(x) == expected);
  }
  CHECK(rt::Digits::unknown().truncated(0.1f) == 0.1f);
  const rt::Digits even = range_of({6 * checks::smallest_float}).digits();
  CHECK(checks::same(even.truncated(9 * checks::smallest_float), 8 * checks::smallest_float));
}

TEST_CASE("the positive part of a range is that of what a ReLU leaves") {
  for (const Data& data : real_looking_data(2.0)) {
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> x = data.x;
      for (float& value : x) value *= sign;
      std::vector<float> rectified = x;
      for (float& value : rectified) value = value > 0 ? value : 0;
      CHECK(equal(range_of(x).positive_part(), range_of(rectified)));
    }
  }
  CHECK(equal(range_of({-1.5f, 4, -0.0f}).positive_part(), range_of({0.0f, 4, 0})));
  CHECK(equal(range_of({-1.5f, -3}).positive_part(), range_of({0.0f, 0})));
  CHECK(equal(rt::Range{}.positive_part(), rt::Range{}));
  CHECK(range_of({-1, checks::inf, -checks::inf, checks::quiet_nan}).positive_part().infinite_count() == 1);
}

TEST_CASE("the memory of a range is bounded") {
  rt::Range r;
  checks::Patterns patterns;
  std::vector<float> x(1 << 12);
  for (int repeat = 0; repeat < 20; ++repeat) {
    for (float& value : x) value = patterns.next_float();
    r.observe(x);
  }
  CHECK(r.histogram().size_bytes() == 512 << 10);
  CHECK(r.count() + r.nan_count() + r.infinite_count() == 20 * x.size());
}

TEST_CASE("quantiles are those of the sorted magnitudes, to a bin") {
  for (const Data& data : real_looking_data(3.0)) {
    const rt::Range r = range_of(data.x);
    auto sorted = data.x;
    for (float& value : sorted) value = std::abs(value);
    std::ranges::sort(sorted);
    for (const double share : {0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
      const float exact = sorted[std::max<std::size_t>(rank, 1) - 1];
      CHECK(r.magnitude_quantile(share) >= exact);
      CHECK(r.magnitude_quantile(share) <= exact * (1 + 1.0f / 128) + 1e-30f);
    }
    CHECK(r.magnitude_quantile(1) == r.max_abs());
  }
  CHECK(range_of({-4.0f}).magnitude_quantile(0) == 4);
}

TEST_CASE("the share beyond an interval is that of the values outside, to a bin") {
  const rt::Range r = range_of({-3.0f, -1.0f, 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, checks::quiet_nan, checks::inf});
  CHECK(r.share_beyond(-1, 1) == 3.0 / 7);
  CHECK(r.share_beyond(-3, 2) == 0);
  CHECK(r.share_beyond(-0.5f, 0.25f) == 6.0 / 7);
}
