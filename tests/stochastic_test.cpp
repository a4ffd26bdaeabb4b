// SPDX-License-Identifier: MIT
// Stochastic rounding: each draw, mean and variance, independence, replay, symmetry.
#include <ristretto/rounding.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <ristretto/trimmer.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

TEST_CASE("stochastic rounding goes up iff the draw of the element is below the fraction") {
  constexpr rt::RandomStream stream{.seed = 1, .stream = 3};
  checks::Disagreements found;
  checks::Patterns patterns;
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    const std::uint64_t index = i * 0x9E3779B97F4A7C15;
    const float v = (static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1p-14f;
    const double a = std::abs(v);
    const double u32 = (static_cast<double>(stream.word(index) >> 9) + 0.5) / 8388608;
    const double u16 = (static_cast<double>(stream.half(index)) + 0.5) / 65536;
    const auto expected = [&](double u) {
      return static_cast<float>(std::copysign(std::floor(a) + (u < a - std::floor(a) ? 1 : 0), v));
    };
    found.compare("32 bits", v, rt::RoundStochastic<>{stream}(v, index), expected(u32));
    found.compare("16 bits", v, rt::RoundStochastic<16>{stream}(v, index), expected(u16));
    const double u7 = (static_cast<double>(stream.word<7>(index) >> 9) + 0.5) / 8388608;
    found.compare("7 rounds", v, rt::RoundStochastic<32, 7>{stream}(v, index), expected(u7));
  }
  CHECK(found.report() == "");
}

namespace {

/// Trims x as elements first, first + 1, ... and checks mean and variance of the results, in quanta, against t.
template <class F, class R>
void check_distribution(F format, R round, float x) {
  constexpr int draws = 1 << 18;
  const rt::Trimmer<F, R> trimmer{format, round};
  const double y = x;
  const double down = rt::Trimmer<F, rt::RoundDown>{format, {}}(x);
  const double up = rt::Trimmer<F, rt::RoundUp>{format, {}}(x);
  CAPTURE(x, down, up);
  REQUIRE(down < up);
  const double t = (y - down) / (up - down);
  int ups = 0;
  bool neighbours_only = true;
  std::vector<double> values(draws);
  for (int i = 0; i < draws; ++i) {
    const float r = trimmer(x, static_cast<std::uint64_t>(i) + 77);
    neighbours_only = neighbours_only && (r == down || r == up);
    ups += r == up;
    values[static_cast<std::size_t>(i)] = r;
  }
  CHECK(neighbours_only);
  const double quantum = up - down;
  double mean = 0;
  for (const double value : values) mean += (value - y) / quantum / draws;
  const double variance = t * (1 - t);
  CHECK(std::abs(mean) <= 5 * std::sqrt(variance / draws) + 0x1p-17);  // a draw of 16 bits has steps of 2^-16
  double measured = 0;
  for (const double value : values) measured += std::pow((value - y) / quantum - mean, 2) / (draws - 1);
  const double deviation = std::sqrt(variance * (1 - 4 * variance) / draws);  // of the variance of such a coin
  CHECK(std::abs(measured - variance) <= 5 * deviation + 25.0 / draws);
  CHECK(ups > 0);
}

template <class R>
void check_formats(R round) {
  for (const float x : {0.30f, -0.30f, 1.001f, -1.9f, 0.0078125f, -0.0001f}) {
    check_distribution(rt::DynamicFixedPoint<2, 6>{}, round, x);
  }
  for (const float x : {0.3f, 100.2f, 254.7f}) check_distribution(rt::UnsignedFixedPoint<8, 0>{}, round, x);
  for (const float x : {0.30f, -0.30f, 300.0f, -417.0f, 0x1.8p-10f, -0x1.2p-8f}) {
    check_distribution(rt::Float8E4M3FN{}, round, x);
  }
  for (const float x : {1.001f, -3.14159f, 0x1.33p-127f}) check_distribution(rt::BFloat16{}, round, x);
  for (const float x : {0.30f, -0.30f, 1.5f, -1.9f, 0.51f}) check_distribution(rt::PowerOfTwo<-8, 1>{}, round, x);
  for (const float x : {0.001f, -0.002f, 0.7f}) check_distribution(rt::PowerOfTwoOrZero<-8, 0>{}, round, x);
}

}  // namespace

TEST_CASE("the mean of stochastic rounding is the number, the variance t (1 - t)") {
  check_formats(rt::RoundStochastic<32>{{.seed = 1, .stream = 3}});
  check_formats(rt::RoundStochastic<16>{{.seed = 2, .stream = 5}});
  check_formats(rt::RoundStochastic<32, 7>{{.seed = 3, .stream = 0x1'0000'0000}});
}

TEST_CASE("neighbouring elements, streams and seeds draw independently") {
  constexpr int draws = 1 << 18;
  const auto correlation = [](auto a, auto b) {
    double sum = 0;
    for (std::uint64_t i = 0; i < draws; ++i) sum += (a(i) - 0.5) * (b(i) - 0.5) * 12 / draws;
    return std::abs(sum);
  };
  const auto draw = [](std::uint64_t seed, std::uint64_t stream, std::uint64_t shift) {
    return [=](std::uint64_t i) {
      return rt::Ops<double>::uniform<16, 10>(rt::RandomStream{.seed = seed, .stream = stream}, i + shift);
    };
  };
  const double limit = 5 / std::sqrt(static_cast<double>(draws));
  for (const std::uint64_t shift : {1u, 2u, 3u, 4u, 7u, 8u}) CHECK(correlation(draw(1, 3, 0), draw(1, 3, shift)) < limit);
  CHECK(correlation(draw(1, 3, 0), draw(1, 4, 0)) < limit);
  CHECK(correlation(draw(1, 3, 0), draw(2, 3, 0)) < limit);
  CHECK(correlation(draw(1, 3, 0), draw(1, 0x1'0000'0003, 0)) < limit);
  CHECK(correlation(draw(1, 3, 0), draw(0x1'0000'0001, 3, 0)) < limit);
  CHECK(correlation(draw(1, 3, 0), draw(1, 3, 0)) > 0.9);
}

TEST_CASE("stochastic trimming can be replayed and is odd: trim(-x) is -trim(x)") {
  const auto check = [](auto format, auto round) {
    const rt::Trimmer trimmer{format, round};
    checks::Disagreements found;
    checks::Patterns patterns;
    for (std::uint64_t i = 0; i < 100'000; ++i) {
      const float x = i % 2 == 0 ? patterns.next_float() : (static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1p-20f;
      found.compare("replay", x, trimmer(x, i), trimmer(x, i));
      found.compare("odd", x, trimmer(-x, i), -trimmer(x, i));
    }
    CHECK(found.report() == "");
  };
  // In two's complement only where the ends do not differ: the numbers of these tests reach beyond them.
  check(rt::Float8E4M3FN{}, rt::RoundStochastic<>{{.seed = 1}});
  check(rt::Half{}, rt::RoundStochastic<16>{{.seed = 1}});
  check(rt::Minifloat<3, 4, rt::Encoding::ristretto2016>{}, rt::RoundStochastic<16>{{.seed = 1}});
  check(rt::PowerOfTwo<-8, 3>{}, rt::RoundStochastic<>{{.seed = 4}});
  check(rt::PowerOfTwoOrZero<-8, 3>{}, rt::RoundStochastic<16>{{.seed = 5}});
}
TEST_CASE("stochastic fixed point is odd within its ends") {
  constexpr rt::Trimmer trimmer{rt::DynamicFixedPoint<2, 6>{}, rt::RoundStochastic<>{{.seed = 9}}};
  checks::Disagreements found;
  checks::Patterns patterns;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const float x = (static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1.fp-23f;
    found.compare("odd", x, trimmer(-x, i), -trimmer(x, i));
  }
  CHECK(found.report() == "");
}
