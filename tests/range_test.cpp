// SPDX-License-Identifier: MIT
// Ranges: streams, merges, quantiles.
#include <algorithm>
#include <cmath>
#include <random>
#include <span>
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
  return checks::same(a.min(), b.min()) && checks::same(a.max(), b.max()) &&
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
