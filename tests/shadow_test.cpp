// SPDX-License-Identifier: MIT
// Shadow weights: replay, means over many steps, small updates, and streams that differ.
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include <ristretto/shadow.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr rt::DynamicFixedPoint<2, 6> q8;

/// 101 weights between -1 and 1, none on the grid of q8.
std::vector<float> some_weights() {
  std::vector<float> weights;
  for (int k = 0; k <= 100; ++k) weights.push_back(static_cast<float>(k - 50) / 50.3f + 0.001f);
  return weights;
}

std::vector<float> step(const rt::ShadowWeights& shadow, std::uint32_t step) {
  std::vector<float> out(shadow.weights().size());
  shadow.trim_step(step, out, q8);
  return out;
}

}  // namespace

TEST_CASE("the stream of a step is the tensor above and the step below") {
  CHECK(rt::shadow_stream(7, 0, 0) == rt::RandomStream{7, 0});
  CHECK(rt::shadow_stream(7, 3, 5) == rt::RandomStream{7, 0x3'0000'0005});
  CHECK(rt::shadow_stream(7, 0xFFFFFFFF, 0xFFFFFFFF) == rt::RandomStream{7, ~std::uint64_t{0}});
}

TEST_CASE("a step can be replayed, alone and out of order") {
  const rt::ShadowWeights shadow(some_weights(), 2, 42);
  const auto fifth = step(shadow, 5);
  CHECK(step(shadow, 9) != fifth);
  CHECK(step(shadow, 5) == fifth);
  CHECK(step(rt::ShadowWeights(some_weights(), 2, 42), 5) == fifth);

  auto by_hand = some_weights();
  rt::trim(std::span<float>(by_hand), rt::Trimmer{q8, rt::RoundStochastic<>{{.seed = 42, .stream = 0x2'0000'0005}}});
  CHECK(by_hand == fifth);
}

TEST_CASE("tensors, steps and seeds have streams of their own") {
  const auto weights = some_weights();
  const auto base = step(rt::ShadowWeights(weights, 1, 1), 1);
  CHECK(step(rt::ShadowWeights(weights, 2, 1), 1) != base);
  CHECK(step(rt::ShadowWeights(weights, 1, 2), 1) != base);
  CHECK(step(rt::ShadowWeights(weights, 1, 1), 2) != base);
  CHECK(step(rt::ShadowWeights(weights, 2, 1), 1) != step(rt::ShadowWeights(weights, 1, 1), 2));
}

TEST_CASE("the shadow weights stay as they are; every step is on the grid, next to them") {
  const rt::ShadowWeights shadow(some_weights(), 0, 3);
  const auto trimmed = step(shadow, 0);
  const auto weights = shadow.weights();
  for (std::size_t k = 0; k < trimmed.size(); ++k) {
    CHECK(trimmed[k] * 64 == std::round(trimmed[k] * 64));
    CHECK(std::abs(trimmed[k] - weights[k]) < 1.0f / 64);
  }
  CHECK(std::vector(weights.begin(), weights.end()) == some_weights());
}

TEST_CASE("the mean of many steps approaches the weights") {
  constexpr std::uint32_t steps = 4000;
  const rt::ShadowWeights shadow(some_weights(), 0, 3);
  std::vector<double> sum(shadow.weights().size());
  for (std::uint32_t s = 0; s < steps; ++s) {
    const auto trimmed = step(shadow, s);
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += static_cast<double>(trimmed[k]);
  }
  const double five_sigma = 5 * (0.5 / 64) / std::sqrt(static_cast<double>(steps));  // of a step between two neighbours
  for (std::size_t k = 0; k < sum.size(); ++k) {
    CHECK(std::abs(sum[k] / steps - static_cast<double>(shadow.weights()[k])) < five_sigma);
  }
}

TEST_CASE("small updates add up where rounding to nearest would lose them") {
  const std::vector<float> start(64, 0.5f);
  rt::ShadowWeights shadow(start, 0, 1);
  std::vector<float> nearest = start;  // weights without a shadow: trimmed after each update
  const rt::Trimmer round_to_nearest{q8};
  constexpr float update = 0x1p-11f;  // a thirty-second of the quantum
  for (int s = 0; s < 256; ++s) {
    for (float& w : shadow.weights()) w += update;
    for (float& w : nearest) w += update;
    rt::trim(std::span<float>(nearest), round_to_nearest);
  }
  CHECK(nearest == start);
  std::vector<float> final(start.size());
  shadow.trim_final(final, q8);
  CHECK(final == std::vector<float>(start.size(), 0.625f));
}

TEST_CASE("the weights of the finished network are rounded to nearest") {
  const rt::ShadowWeights shadow(std::vector<float>{0.30f, -0.30f, 5.0f}, 0, 0);
  std::vector<float> out(3);
  shadow.trim_final(out, q8);
  CHECK(out == std::vector<float>{0.296875f, -0.296875f, 1.984375f});
}

TEST_CASE("an output of another size is refused") {
  const rt::ShadowWeights shadow(std::vector<float>{1, 2}, 0, 0);
  std::vector<float> out(3);
  const auto message = [&](auto f) { return checks::message_of<std::invalid_argument>(f); };
  CHECK(checks::contains(message([&] { shadow.trim_step(0, out, q8); }), "2 elements and the output 3"));
  CHECK(checks::contains(message([&] { shadow.trim_final(out, q8); }), "2 elements and the output 3"));
  CHECK(rt::ShadowWeights({}, 0, 0).weights().empty());
}
