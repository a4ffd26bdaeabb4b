// SPDX-License-Identifier: MIT
// Stochastic rounding: right on average, and the same bits wherever and whenever an element is trimmed.
#include <algorithm>
#include <span>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;

int main() {
  // A tenth of the way from 0 to 1: to nearest it is always 0, stochastically 1 in one case of ten.
  const std::vector<float> x(1'000'000, 0.1f);
  const rt::DynamicFixedPoint<8, 0> integers;
  const rt::Trimmer trimmer{integers, rt::RoundStochastic<>{{.seed = 2024, .stream = 7}}};

  std::vector<float> whole(x.size());
  rt::trim(std::span(x), std::span(whole), trimmer);
  const auto ones = static_cast<double>(std::ranges::count(whole, 1.0f));
  fmt::print("first elements: {}\n", fmt::join(std::span(whole).first(24), " "));
  fmt::print("mean of {} elements: {:.4f}\n", x.size(), ones / static_cast<double>(x.size()));

  // The draw belongs to the element, not to the order of work: split anywhere, in any order, and say where.
  struct Piece {
    std::size_t begin, end;
  };
  std::vector<float> pieces = x;
  for (const auto [begin, end] : {Piece{12'345, x.size()}, Piece{0, 1}, Piece{777, 12'345}, Piece{1, 777}}) {
    rt::trim(std::span(pieces).subspan(begin, end - begin), trimmer, begin);
  }
  fmt::print("in four pieces: {}\n", pieces == whole ? "the same bits" : "other bits");

  // Even one element alone, without the others.
  fmt::print("element 23 alone: {}\n", trimmer(x[23], 23));

  // In training, every step of every tensor has a stream of its own, so any step can be replayed from the seed.
  const rt::ShadowWeights shadow(x, /*tensor=*/3, /*seed=*/1);
  std::vector<float> step(x.size());
  std::vector<float> other(x.size());
  shadow.trim_step(41, step, integers);
  shadow.trim_step(42, other, integers);
  fmt::print("steps 41 and 42: {}\n", step == other ? "the same bits" : "other bits");
  shadow.trim_step(41, other, integers);
  fmt::print("step 41 replayed: {}\n", step == other ? "the same bits" : "other bits");
}
