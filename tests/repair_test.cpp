// SPDX-License-Identifier: MIT
// Corrected biases and evened-out channels.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <ristretto/repair.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

/// Numbers around `middle`.
std::vector<float> around(float middle, std::uint32_t seed, std::size_t size = 1000) {
  checks::Patterns patterns{seed};
  std::vector<float> x(size);
  for (float& value : x) value = middle + static_cast<float>(static_cast<std::int32_t>(patterns.next())) * 0x1p-31f;
  return x;
}

std::vector<float> activated(std::vector<float> x, float slope) {
  for (float& value : x) value = value > 0 ? value : value * slope;
  return x;
}

double error_of(const std::vector<float>& before, double more, const std::vector<float>& wanted, double slope) {
  double sum = 0;
  for (std::size_t k = 0; k < before.size(); ++k) {
    const double x = static_cast<double>(before[k]) + more;
    sum += std::pow((x > 0 ? x : x * slope) - static_cast<double>(wanted[k]), 2);
  }
  return sum;
}

/// From two passes, each in two pieces.
float corrected(const std::vector<float>& before, const std::vector<float>& wanted, float slope) {
  rt::BiasCorrection correction(slope);
  const std::span x(before), y(wanted);
  const std::size_t half = x.size() / 3;
  correction.propose(x.first(half), y.first(half));
  correction.propose(x.subspan(half), y.subspan(half));
  correction.judge(x.first(half), y.first(half));
  correction.judge(x.subspan(half), y.subspan(half));
  return correction.result();
}

}  // namespace

TEST_CASE("a bias that is off is corrected behind the activation") {
  for (const float slope : {0.0f, 0.1f, 1.0f}) {
    for (const float middle : {-0.5f, 0.0f, 0.7f, 5.0f}) {
      const auto right = around(middle, 3);
      auto off = right;
      for (float& value : off) value += 0.05f;
      const float found = corrected(off, activated(right, slope), slope);
      CAPTURE(slope, middle, found);
      CHECK(std::abs(found + 0.05f) < 0.02f);
      CHECK(error_of(off, found, activated(right, slope), slope) <
            0.5 * error_of(off, 0, activated(right, slope), slope));
    }
  }
}

TEST_CASE("without an activation the means become equal") {
  const auto before = around(1.0f, 5), wanted = around(0.75f, 9);
  double difference = 0;
  for (std::size_t k = 0; k < before.size(); ++k) difference += static_cast<double>(wanted[k] - before[k]);
  CHECK(std::abs(static_cast<double>(corrected(before, wanted, 1)) - difference / 1000) < 1e-6);
}

TEST_CASE("a correction never raises the error") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    const auto before = around(static_cast<float>(seed % 7) * 0.3f - 1, seed, 20);
    const auto wanted = activated(around(static_cast<float>(seed % 5) * 0.3f - 0.6f, seed + 1000, 20), 0);
    const float found = corrected(before, wanted, 0);
    CHECK(error_of(before, found, wanted, 0) <= error_of(before, 0, wanted, 0));
  }
  CHECK(corrected(around(-5, 1), std::vector<float>(1000), 0) == 0);  // hidden by the ReLU
  CHECK(rt::BiasCorrection().result() == 0);
  const std::vector<float> two(2), three(3);
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([&] { rt::BiasCorrection().propose(two, three); }),
                         "2 numbers and 3"));
}

TEST_CASE("where numbers are not finite nothing is corrected") {
  const std::vector<float> right{1, 2, 3}, before{0.5f, 1.5f, 2.5f};
  CHECK(corrected(before, right, 0) == 0.5f);
  for (const float odd : {checks::inf, -checks::inf, checks::quiet_nan}) {
    CHECK(corrected({0.5f, odd, 2.5f}, right, 1) == 0);
    CHECK(corrected(before, {1, odd, 3}, 0) == 0);
  }
}

TEST_CASE("equalized channels are read by weights of one size, or made and read alike") {
  const std::vector<float> made{1, 16, 0.25f, 100, 0, 3}, read{1, 1, 4, 0.01f, 5, 0};
  const auto alike = [](const std::vector<float>& sizes) {
    return *std::max_element(sizes.begin(), sizes.end()) <= 2 * *std::min_element(sizes.begin(), sizes.end());
  };
  const auto both = rt::equalizing_exponents(read, made);
  for (std::size_t c = 0; c < 4; ++c) CHECK(alike({std::ldexp(made[c], both[c]), std::ldexp(read[c], -both[c])}));
  CHECK(both[4] == 0);
  CHECK(both[5] == 0);

  const auto only_read = rt::equalizing_exponents(read);
  std::vector<float> sizes;
  for (std::size_t c = 0; c < 5; ++c) sizes.push_back(std::ldexp(read[c], -only_read[c]));
  CHECK(alike(sizes));
  CHECK(only_read[5] == 0);
  CHECK(rt::equalizing_exponents(std::vector<float>{8, 8}) == std::vector<int>{0, 0});
  CHECK(rt::equalizing_exponents({}, {}).empty());
  // No scales: what is subnormal, infinite, NaN or negative, and what would go beyond 2^60.
  for (const float odd : {1e-40f, checks::inf, checks::quiet_nan, -1.0f}) {
    CHECK(rt::equalizing_exponents(std::vector<float>{odd, 1, 16, 4}) == std::vector<int>{0, -2, 2, 0});
    CHECK(rt::equalizing_exponents(std::vector<float>{4, odd}, std::vector<float>{1, 1}) == std::vector<int>{1, 0});
  }
  CHECK(rt::equalizing_exponents(std::vector<float>{1e-30f, 1, 1, 1, 1}) == std::vector<int>{0, 20, 20, 20, 20});
  CHECK(checks::contains(
      checks::message_of<std::invalid_argument>([&] { rt::equalizing_exponents(std::vector<float>(2), made); }),
      "6 channels made and 2 read"));
}

TEST_CASE("exponents and their mean are rounded to the nearest whole numbers") {
  const auto exponents = [](const std::vector<float>& read) { return rt::equalizing_exponents(read); };
  CHECK(exponents({1, 2, 4}) == std::vector<int>{-1, 0, 1});
  CHECK(exponents({1, 2, 2}) == std::vector<int>{-1, 0, 0});             // the mean is 2/3
  CHECK(exponents({1, 4, 4, 0.25f}) == std::vector<int>{-1, 1, 1, -3});  // 1/2
  CHECK(exponents({1, 0.5f, 0.5f}) == std::vector<int>{1, 0, 0});        // -2/3
  CHECK(exponents({1, 2, 1}) == std::vector<int>{0, 1, 0});              // 1/3
  CHECK(exponents({1, 1.5f, 1}) == std::vector<int>{0, 1, 0});           // 0.2, less than it takes for 0.58 to be 0
  CHECK(exponents({1, 1.4f, 0.7f}) == std::vector<int>{0, 0, -1});       // 0.49 is 0, -0.51 is -1
  const std::vector<float> read{1, 1, 1, 1}, made{2.5f, 1.5f, 0.6f, 0.4f};
  CHECK(rt::equalizing_exponents(read, made) == std::vector<int>{-1, 0, 0, 1});  // halves of -1.3, -0.58, 0.74, 1.3
}

TEST_CASE("scaled rows and columns leave what two layers compute") {
  constexpr int channels = 5, kernel = 9;
  const auto numbers = around(0, 11, 4000);
  std::size_t next = 0;
  const auto matrix = [&](Eigen::Index rows, Eigen::Index cols) {
    return rt::WeightRows(rt::WeightRows::NullaryExpr(rows, cols, [&] { return numbers[next++]; }));
  };
  rt::WeightRows first = matrix(channels, 7), second = matrix(3, channels * kernel);
  std::vector<float> bias(numbers.begin() + 3000, numbers.begin() + 3000 + channels);
  const rt::WeightRows input = matrix(7, kernel);
  const auto compute = [&] {
    rt::WeightRows hidden = first * input;
    for (Eigen::Index c = 0; c < channels; ++c) hidden.row(c).array() += bias[static_cast<std::size_t>(c)];
    hidden = hidden.cwiseMax(0.0f).eval();
    return rt::WeightRows(second * Eigen::Map<Eigen::VectorXf>(hidden.data(), channels * kernel));
  };
  const rt::WeightRows before = compute();
  const std::vector<int> exponents{3, -2, 0, 7, -9};
  rt::scale_rows(first, bias, exponents);
  rt::scale_columns(second, exponents);
  CHECK(compute() == before);  // the bits
  const auto refusal = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  CHECK(checks::contains(refusal([&] { rt::scale_rows(first, {}, std::vector<int>(4)); }), "5 rows, 0 biases and 4"));
  CHECK(checks::contains(refusal([&] { rt::scale_columns(second, std::vector<int>(4)); }), "45 columns and 4"));
  const std::vector<int> large{0, 0, 131, 0, 0};
  CHECK(checks::contains(refusal([&] { rt::scale_rows(first, {}, large); }), "channel 2 is 131"));
  CHECK(checks::contains(refusal([&] { rt::scale_columns(second, large); }), "channel 2 is 131"));
}
