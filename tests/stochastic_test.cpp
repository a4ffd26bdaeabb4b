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
    found.compare("32 bits", v, rt::rounded(rt::RoundStochastic<>{stream}, v, index), expected(u32));
    found.compare("16 bits", v, rt::rounded(rt::RoundStochastic<16>{stream}, v, index), expected(u16));
  }
  CHECK(found.report() == "");
}

TEST_CASE("a fraction equal to the draw stays, the next float above goes up") {
  const auto check = [](auto round, auto draw) {
    bool stays = true;
    bool goes_up = true;
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const float u = draw(round.random, i);
      stays = stays && rt::rounded(round, u, i) == 0.0f && rt::rounded(round, -u, i) == 0.0f;
      goes_up = goes_up && rt::rounded(round, std::nextafter(u, 1.0f), i) == 1.0f &&
                rt::rounded(round, std::nextafter(-u, -1.0f), i) == -1.0f;
    }
    CHECK(stays);
    CHECK(goes_up);
  };
  using Draws = rt::Ops<float>;
  check(rt::RoundStochastic<32>{{.seed = 1}}, [](auto stream, auto i) { return Draws::uniform<32>(stream, i); });
  check(rt::RoundStochastic<16>{{.seed = 1}}, [](auto stream, auto i) { return Draws::uniform<16>(stream, i); });
}

namespace {

/// Trims x as elements first, first + 1, ... and checks mean and variance of the results, in quanta, against t.
template <class F, class R>
void check_distribution(F format, R round, float x) {
  constexpr int count = 1 << 18;
  const rt::Trimmer<F, R> trimmer{format, round};
  const double y = x;
  const double down = rt::Trimmer<F, rt::RoundDown>{format, {}}(x);
  const double up = rt::Trimmer<F, rt::RoundUp>{format, {}}(x);
  CAPTURE(x, down, up);
  REQUIRE(down < up);
  const double t = (y - down) / (up - down);
  int ups = 0;
  bool neighbours_only = true;
  std::vector<double> values(count);
  for (int i = 0; i < count; ++i) {
    const float r = trimmer(x, static_cast<std::uint64_t>(i) + 77);
    neighbours_only = neighbours_only && (r == down || r == up);
    ups += r == up;
    values[static_cast<std::size_t>(i)] = r;
  }
  CHECK(neighbours_only);
  const double quantum = up - down;
  double mean = 0;
  for (const double value : values) mean += (value - y) / quantum / count;
  const double variance = t * (1 - t);
  CHECK(std::abs(mean) <= 5 * std::sqrt(variance / count) + 0x1p-17);  // a draw of 16 bits has steps of 2^-16
  double measured = 0;
  for (const double value : values) measured += std::pow((value - y) / quantum - mean, 2) / (count - 1);
  const double deviation = std::sqrt(variance * (1 - 4 * variance) / count);  // of the variance of such a coin
  CHECK(std::abs(measured - variance) <= 5 * deviation + 25.0 / count);
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
}

namespace {

// Functions, not lambdas: a lambda is implicitly constexpr, and g++ would try to run these loops while it compiles.

/// The draws of a stream from an element on.
struct Draws {
  rt::RandomStream stream;
  std::uint64_t shift = 0;
  double operator()(std::uint64_t i) const { return rt::Ops<double>::uniform<16>(stream, i + shift); }
};

constexpr int draws = 1 << 18;

double correlation(Draws a, Draws b) {
  double sum = 0;
  for (std::uint64_t i = 0; i < draws; ++i) sum += (a(i) - 0.5) * (b(i) - 0.5) * 12 / draws;
  return std::abs(sum);
}

template <class F, class R>
void check_replay_and_symmetry(F format, R round) {
  const rt::Trimmer trimmer{format, round};
  checks::Disagreements found;
  checks::Patterns patterns;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const float x =
        i % 2 == 0 ? patterns.next_float() : (static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1p-20f;
    found.compare("replay", x, trimmer(x, i), trimmer(x, i));
    found.compare("odd", x, trimmer(-x, i), -trimmer(x, i));
  }
  CHECK(found.report() == "");
}

}  // namespace

TEST_CASE("neighbouring elements, streams and seeds draw independently") {
  const Draws reference{{.seed = 1, .stream = 3}};
  const double limit = 5 / std::sqrt(static_cast<double>(draws));
  for (const std::uint64_t shift : {1u, 2u, 3u, 4u, 7u, 8u}) {
    CHECK(correlation(reference, {reference.stream, shift}) < limit);
  }
  CHECK(correlation(reference, {{.seed = 1, .stream = 4}}) < limit);
  CHECK(correlation(reference, {{.seed = 2, .stream = 3}}) < limit);
  CHECK(correlation(reference, {{.seed = 1, .stream = 0x1'0000'0003}}) < limit);
  CHECK(correlation(reference, {{.seed = 0x1'0000'0001, .stream = 3}}) < limit);
  CHECK(correlation(reference, reference) > 0.9);
}

TEST_CASE("stochastic trimming can be replayed and is odd: trim(-x) is -trim(x)") {
  // In two's complement only where the ends do not differ: the numbers of these tests reach beyond them.
  check_replay_and_symmetry(rt::Float8E4M3FN{}, rt::RoundStochastic<>{{.seed = 1}});
  check_replay_and_symmetry(rt::Half{}, rt::RoundStochastic<16>{{.seed = 1}});
  check_replay_and_symmetry(rt::PowerOfTwo<-8, 3>{}, rt::RoundStochastic<>{{.seed = 4}});
  check_replay_and_symmetry(rt::PowerOfTwoOrZero<-8, 3>{}, rt::RoundStochastic<16>{{.seed = 5}});
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
