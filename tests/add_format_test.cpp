// SPDX-License-Identifier: MIT
// The recipe "Add a format" of CONTRIBUTING.md, followed: what its steps 2 and 3 add for symmetric_fixed_point.hpp, and
// what then works without another word.
#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <ristretto/quantize.hpp>

#include "checks.hpp"
#include "symmetric_fixed_point.hpp"

namespace ristretto {

// Step 2: an alternative of AnyFormat.
using AnyFormatWithSymmetric = BasicAnyFormat<DynamicFixedPoint<>, Minifloat<>, SymmetricFixedPoint<>>;

// Step 3: a family for choose.
template <>
struct detail::Family<SymmetricFixedPoint<>> : detail::FixedPointFamily<SymmetricFixedPoint<>> {
  static constexpr const char* name = "SymmetricFixedPoint";
};

}  // namespace ristretto

namespace {

namespace rt = ristretto;
using rt::AnyFormatWithSymmetric;
using rt::SymmetricFixedPoint;

static_assert(rt::TextFormat<SymmetricFixedPoint<>> && rt::TextFormat<SymmetricFixedPoint<2, 6>>);
static_assert(rt::Trimmer{SymmetricFixedPoint<2, 6>{}}(-5.0f) == -127 * 0x1p-6f);
static_assert(rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}}(-5.0f) == -128 * 0x1p-6f);
static_assert(SymmetricFixedPoint<2, 6>{}.scaled(3) == SymmetricFixedPoint{5, 3});

/// Numbers between, on and beside the grid of symmetric:2,2, and beyond its ends.
std::vector<float> samples() {
  std::vector<float> x{0.0f, -0.0f, 1e30f, -1e30f, rt::Ops<float>::infinity, -rt::Ops<float>::infinity};
  for (int k = -80; k <= 80; ++k) x.push_back(static_cast<float>(k) / 32);
  return x;
}

}  // namespace

TEST_CASE("an added format trims to the nearest of its numbers, on every route") {
  const SymmetricFixedPoint format{2, 2};
  std::vector<double> grid;
  for (int k = -7; k <= 7; ++k) grid.push_back(k / 4.0);
  const std::vector<float> x = samples();
  std::vector<float> out(x.size()), fixed_in_type(x.size());
  rt::trim(x, out, rt::Trimmer{format});
  rt::trim(x, fixed_in_type, rt::Trimmer{SymmetricFixedPoint<2, 2>{}});
  for (std::size_t i = 0; i < x.size(); ++i) {
    INFO(x[i]);
    const double v = std::clamp(static_cast<double>(x[i]), grid.front(), grid.back());
    double best = grid.front();
    for (const double g : grid) {
      const double there = std::abs(g - v), here = std::abs(best - v);
      const bool is_even = std::fmod(g * 4, 2) == 0;
      if (there < here || (there == here && is_even)) best = g;
    }
    CHECK(static_cast<double>(out[i]) == best);
    CHECK(std::signbit(out[i]) == std::signbit(x[i]));
    CHECK(checks::same(out[i], fixed_in_type[i]));
    CHECK(checks::same(out[i], rt::Trimmer{format}(x[i])));
  }
}

TEST_CASE("an added format rounds stochastically with the draws of every other") {
  const std::vector<float> x = samples();
  const rt::Trimmer trimmer{SymmetricFixedPoint{2, 2}, rt::RoundStochastic<16>{{.seed = 1, .stream = 3}}};
  std::vector<float> out(x.size());
  rt::trim(x, out, trimmer, 5);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(checks::same(out[i], trimmer(x[i], 5 + i)));
}

TEST_CASE("an added format has a text form, scales, and can be chosen at run time") {
  const auto format = AnyFormatWithSymmetric::parse("symmetric:2,6");
  CHECK(format == AnyFormatWithSymmetric(SymmetricFixedPoint<2, 6>{}));
  std::ostringstream text;
  text << format << " " << SymmetricFixedPoint<3, 5>{};
  CHECK(text.str() == "symmetric:2,6 symmetric:3,5");
  CHECK(to_string(format.scaled(-4)) == "symmetric:-2,10");
  CHECK(!format.can_scale(103));
  CHECK(format.lowest() == -127 * 0x1p-6f);

  std::vector<float> x{-5, 0.3f};
  rt::trim(x, rt::Trimmer{format});
  CHECK(x == std::vector{-127 * 0x1p-6f, 0.296875f});
  const Eigen::Array2f lazy = Eigen::Array2f{-5, 0.3f}.unaryExpr(rt::Trimmer{SymmetricFixedPoint<2, 6>{}});
  CHECK((lazy[0] == x[0] && lazy[1] == x[1]));

  const auto refusal = [](const char* wrong) {
    return checks::message_of<std::invalid_argument>([&] { AnyFormatWithSymmetric::parse(wrong); });
  };
  CHECK(checks::contains(refusal("symmetric:2"), "symmetric:IL,FL"));
  CHECK(checks::contains(refusal("symmetric:1,0"), "SymmetricFixedPoint: the bit width IL + FL is 1"));
}

TEST_CASE("choose knows an added format by its family") {
  rt::Range range;
  range.observe(std::vector{-1.98f, 0.3f, 1.0f});
  CHECK(rt::choose<SymmetricFixedPoint<>>(8, range, {.rule = rt::RangeRule::max_abs}) == SymmetricFixedPoint{2, 6});
}
