// SPDX-License-Identifier: MIT
// How long compensated rounding takes for layers of several sizes, and how much of the error of rounding to nearest it
// leaves: 4 bits, inputs that are correlated as those behind a ReLU are.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns of its own AVX-512 header, inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include <ristretto/compensate.hpp>
#include <ristretto/random.hpp>

#include "cnn/moments.hpp"

namespace {

namespace rt = ristretto;
using Eigen::Index;

constexpr Index rows = 64, common = 50;  // of the weights; causes behind all inputs

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Numbers in [-1, 1), one after the other.
Eigen::MatrixXd numbers(Index height, Index width, std::uint64_t stream) {
  const rt::RandomStream random{.seed = 1, .stream = stream};
  std::uint64_t next = 0;
  return Eigen::MatrixXd::NullaryExpr(
      height, width, [&] { return static_cast<double>(static_cast<std::int32_t>(random.word(next++))) * 0x1p-31; });
}

void measure(Index size) {
  const Eigen::MatrixXd mix = numbers(size, common, 1);
  rt::Moments moments(size);
  double adding = 0;
  const Index positions = 2 * size, at_once = 500;
  for (Index done = 0; done < positions; done += at_once) {
    const Eigen::MatrixXd x = (mix * numbers(common, at_once, static_cast<std::uint64_t>(2 + done)) +
                               numbers(size, at_once, static_cast<std::uint64_t>(3 + done)))
                                  .cwiseMax(0.0);
    adding += seconds_of([&] { moments.add(x, cnn::InParallel{}); });
  }
  const rt::WeightRows weights = numbers(rows, size, 0).cast<float>();
  const std::vector<rt::AnyFormat> formats(rows, rt::DynamicFixedPoint{1, 3});
  rt::WeightRows nearest = weights, rounded;
  rt::trim_rows(nearest, formats);
  double factoring = 0, rounding = 0, left = 0;
  factoring = seconds_of([&] {
    const rt::Compensation compensation(moments.second());
    rounding = seconds_of([&] { rounded = compensation.round(weights, formats, cnn::InParallel{}); });
    left = compensation.errors(weights, rounded).sum() / compensation.errors(weights, nearest).sum();
  });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%8td %10td %10.2f %10.2f %10.2f %14.3f %10.2f\n", size, positions, adding, factoring - rounding,
              rounding, left, static_cast<double>(usage.ru_maxrss) / (1 << 20));
}

}  // namespace

int main() {
  std::printf("%8s %10s %10s %10s %10s %14s %10s\n", "inputs", "positions", "moments, s", "factor, s", "round, s",
              "error/nearest", "peak, GiB");
  for (const Index size : {576, 2304, 5000}) measure(size);
}
