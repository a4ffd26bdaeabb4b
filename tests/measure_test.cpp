// SPDX-License-Identifier: MIT
// Measurements against numbers worked out by hand.
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <ristretto/measure.hpp>
#include <ristretto/span.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

rt::Measurement measure(std::vector<float> x, const rt::AnyFormat& format) {
  std::vector<float> trimmed(x.size());
  rt::trim(std::span<const float>(x), std::span<float>(trimmed), rt::Trimmer{format});
  return rt::measure(x, trimmed, format);
}

}  // namespace

TEST_CASE("sums, errors and SQNR of a trim worked out by hand") {
  // Integers from -8 to 7: 3 stays, 4.5 ties down to 4, -6.25 goes to -6, 0.25 to 0.
  const rt::Measurement m = measure({3, 4.5f, -6.25f, 0.25f}, rt::DynamicFixedPoint<4, 0>{});
  CHECK(m.count == 4);
  CHECK(m.nan == 0);
  CHECK(m.saturated == 0);
  CHECK(m.flushed == 1);
  CHECK(m.largest_error == 0.5);
  CHECK(m.signal == 68.375);  // 9 + 20.25 + 39.0625 + 0.0625
  CHECK(m.noise == 0.375);    // 0 + 0.25 + 0.0625 + 0.0625
  CHECK(m.sqnr_db() == Approx(22.6087).epsilon(1e-5));
  CHECK(m.mean_squared_error() == 0.09375);
  CHECK(m.saturated_share() == 0);
}

TEST_CASE("values beyond the ends are counted as saturated, those between the end and half a quantum included") {
  const rt::Measurement m = measure({7, 7.25f, 8, 100, -8, -8.25f, -9}, rt::DynamicFixedPoint<4, 0>{});
  CHECK(m.saturated == 5);
  CHECK(m.saturated_share() == 5.0 / 7);
  CHECK(m.largest_error == 93);
  const rt::Measurement u = measure({-1, 0, 1}, rt::UnsignedFixedPoint<4, 0>{});
  CHECK(u.saturated == 1);
  CHECK(u.flushed == 1);
}

TEST_CASE("without noise the SQNR is infinite; without signal it is minus infinity") {
  CHECK(measure({1, 2, -0.0f}, rt::Half{}).sqnr_db() == infinity);
  CHECK(measure({1, 2, -0.0f}, rt::Half{}).flushed == 0);
  CHECK(measure({}, rt::Half{}).sqnr_db() == infinity);
  CHECK(measure({}, rt::Half{}).mean_squared_error() == 0);
  CHECK(measure({}, rt::Half{}).saturated_share() == 0);
  CHECK(measure({0}, rt::PowerOfTwo<-1, 1>{}).sqnr_db() == -infinity);
}

TEST_CASE("NaN is counted and takes part in nothing else") {
  const rt::Measurement m = measure({checks::quiet_nan, 4.5f, -checks::quiet_nan}, rt::DynamicFixedPoint<4, 0>{});
  CHECK(m.count == 3);
  CHECK(m.nan == 2);
  CHECK(m.signal == 20.25);
  CHECK(m.noise == 0.25);
  CHECK(m.mean_squared_error() == 0.25);
  CHECK(measure({checks::quiet_nan}, rt::Half{}).mean_squared_error() == 0);
  const float x = 1;  // a copy that is NaN where the tensor is not
  CHECK(rt::measure({&x, 1}, {&checks::quiet_nan, 1}, rt::Half{}).nan == 1);
}

TEST_CASE("an infinity that saturates is an infinite error; one that the format keeps is none") {
  const rt::Measurement saturated = measure({checks::inf, 1}, rt::Half{});
  CHECK(saturated.saturated == 1);
  CHECK(saturated.largest_error == infinity);
  CHECK(std::isnan(saturated.sqnr_db()));

  using HalfToInfinity = rt::Minifloat<10, 5, rt::Encoding::ieee, rt::Overflow::to_infinity>;
  const rt::Measurement kept = measure({checks::inf, -checks::inf, 1, 0x1.001p0f}, HalfToInfinity{});
  CHECK(kept.count == 4);
  CHECK(kept.saturated == 0);
  CHECK(kept.largest_error == 0x1p-12);
  CHECK(kept.signal == 1 + 0x1.001p0 * 0x1.001p0);
  CHECK(std::isfinite(kept.sqnr_db()));

  const rt::Measurement made = measure({70000, 1}, HalfToInfinity{});  // a number that became infinite
  CHECK(made.saturated == 1);
  CHECK(made.largest_error == infinity);
  CHECK(made.sqnr_db() == -infinity);
}

TEST_CASE("measurements of pieces merge into that of the whole") {
  const std::vector<float> x = {3, 4.5f, -6.25f, 0.25f, 100, checks::quiet_nan, -9, 0.5f};  // sums exact in any order
  const rt::AnyFormat format = rt::DynamicFixedPoint<4, 0>{};
  const rt::Measurement whole = measure(x, format);
  for (std::size_t cut = 0; cut <= x.size(); ++cut) {
    const auto at = x.begin() + static_cast<std::ptrdiff_t>(cut);
    rt::Measurement merged = measure({x.begin(), at}, format);
    merged.merge(measure({at, x.end()}, format));
    CHECK(merged.count == whole.count);
    CHECK(merged.nan == whole.nan);
    CHECK(merged.saturated == whole.saturated);
    CHECK(merged.flushed == whole.flushed);
    CHECK(merged.largest_error == whole.largest_error);
    CHECK(merged.signal == whole.signal);
    CHECK(merged.noise == whole.noise);
  }
}

TEST_CASE("sizes that differ are refused") {
  const std::vector<float> x(3);
  const auto message =
      checks::message_of<std::invalid_argument>([&] { rt::measure(x, std::span(x).first(2), rt::Half{}); });
  CHECK(message == "ristretto::measure: the tensor has 3 elements and its trimmed copy 2; give them equal sizes");
}

TEST_CASE("two tensors are measured without a format as well") {
  const rt::Measurement m = rt::measure(std::vector<float>{3, 4}, std::vector<float>{3, 4.5f});
  CHECK(m.count == 2);
  CHECK(m.saturated == 0);
  CHECK(m.noise == 0.25);
  CHECK(m.signal == 25);
  CHECK(m.sqnr_db() == Approx(20));
}
