// SPDX-License-Identifier: MIT
// The ends of tensors: at every place of every length, beside NaN and infinities, and those that a range has seen.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include <ristretto/min_max.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "ranges.hpp"

namespace rt = ristretto;

namespace {

/// Whether the ends and the largest magnitude of x are these, to the bit.
bool has_ends(std::span<const float> x, float min, float max) {
  const rt::MinMax ends = rt::min_max(x);
  return checks::same(ends.min, min) && checks::same(ends.max, max) &&
         checks::same(rt::max_abs(x), std::max(std::abs(min), std::abs(max)));
}
bool has_ends(std::initializer_list<float> x, float min, float max) {
  return has_ends(std::span<const float>(x.begin(), x.size()), min, max);
}

/// Repeats a value so often that every lane sees it.
bool has_ends_repeated(float x, float min, float max) {
  bool all = true;
  for (std::size_t length = 1; length <= 300; ++length) {
    all = all && has_ends(std::vector<float>(length, x), min, max);
  }
  return all;
}

}  // namespace

TEST_CASE("min_max and max_abs are of the finite values; zeros when there is none") {
  CHECK(has_ends({}, 0, 0));
  CHECK(has_ends({checks::quiet_nan, checks::inf, -checks::inf}, 0, 0));
  CHECK(has_ends({checks::quiet_nan, 3.5f, checks::inf}, 3.5f, 3.5f));
  CHECK(has_ends({checks::quiet_nan, -3.5f, -checks::inf}, -3.5f, -3.5f));
  CHECK(has_ends({-2.0f, -3.5f, -2.5f}, -3.5f, -2));
  CHECK(has_ends({2.0f, 3.5f, 2.5f}, 2, 3.5f));
  CHECK(has_ends({-0.0f, 1.0f}, 0, 1));
  CHECK(has_ends({-1.0f, -0.0f}, -1, 0));
  CHECK(has_ends({0.0f, -0.0f, 0.0f}, 0, 0));
  CHECK(has_ends({-checks::largest_float, checks::smallest_float}, -checks::largest_float, checks::smallest_float));
  CHECK(has_ends_repeated(-0.0f, 0, 0));
  CHECK(has_ends_repeated(checks::quiet_nan, 0, 0));
  CHECK(has_ends_repeated(checks::inf, 0, 0));
  CHECK(has_ends_repeated(-checks::inf, 0, 0));
  CHECK(has_ends_repeated(0.75f, 0.75f, 0.75f));
  CHECK(has_ends_repeated(-checks::smallest_float, -checks::smallest_float, -checks::smallest_float));
  CHECK(has_ends_repeated(-checks::largest_float, -checks::largest_float, -checks::largest_float));
}

TEST_CASE("min_max finds the ends at every place of every length, beside NaN and infinities") {
  constexpr float others[] = {0.5f, checks::quiet_nan, -0.25f, checks::inf, -0.0f, -checks::inf, -checks::quiet_nan};
  bool all_found = true;
  for (std::size_t length = 2; length <= 300; ++length) {
    std::vector<float> x;
    for (std::size_t k = 0; k < length; ++k) x.push_back(others[k % std::size(others)]);
    for (std::size_t place = 0; place < length; ++place) {
      const std::size_t other_place = (place + 1 + place % (length - 1)) % length;
      const float before = std::exchange(x[place], -7.0f);
      const float other_before = std::exchange(x[other_place], 5.0f);
      all_found = all_found && has_ends(x, -7, 5);
      std::swap(x[place], x[other_place]);
      all_found = all_found && has_ends(x, -7, 5);
      x[place] = before;
      x[other_place] = other_before;
    }
  }
  CHECK(all_found);
}

TEST_CASE("min_max and max_abs are what a range has seen") {
  checks::Patterns patterns;
  checks::Disagreements found;
  for (std::size_t length = 0; length <= 2000; length += 1 + length / 40) {
    std::vector<float> x(length);
    for (float& value : x)
      value = length % 2 == 0 ? patterns.next_float() : 0x1p-32f * static_cast<float>(patterns.next()) - 0.5f;
    const rt::Range range = checks::range_of(x);
    found.compare("min", static_cast<float>(length), rt::min_max(x).min, range.min());
    found.compare("max", static_cast<float>(length), rt::min_max(x).max, range.max());
    found.compare("max_abs", static_cast<float>(length), rt::max_abs(x), range.max_abs());
  }
  const std::vector<float> special = checks::special_floats();
  found.compare("max_abs of special values", 0.0f, rt::max_abs(special), checks::range_of(special).max_abs());
  CHECK(found.report() == "");
}
