// SPDX-License-Identifier: MIT
// Images per second of LeNet, trained and run, in float and trimmed to 8 bits, on all threads and on one.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ristretto/random.hpp>
#include <vector>

#include "net.hpp"
#include "parallel.hpp"
#include "solver.hpp"

namespace {

constexpr int batch_size = 64;

/// The best rate of several runs of a quarter of a second each.
template <class F>
double images_per_second(F&& one_batch) {
  using Clock = std::chrono::steady_clock;
  one_batch();  // allocates
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    const auto start = Clock::now();
    int batches = 0;
    double seconds = 0;
    while (seconds < 0.25) {
      one_batch();
      ++batches;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    best = std::max(best, batches * batch_size / seconds);
  }
  return best;
}

void set_threads([[maybe_unused]] int count) {
#ifdef _OPENMP
  omp_set_num_threads(count);
#endif
}

}  // namespace

int main() {
  cnn::Tensor images({batch_size, 1, 28, 28});
  std::vector<int> labels(batch_size);
  const ristretto::RandomStream random{.seed = 1};
  for (cnn::Index i = 0; i < images.size(); ++i) {
    images[i] = static_cast<float>(random.word(static_cast<std::uint64_t>(i)) >> 24) / 256;
  }
  for (std::size_t n = 0; n < labels.size(); ++n) labels[n] = static_cast<int>(n % 10);

  std::printf("LeNet, 28x28, batch %d, images/s\n%-8s %8s %12s %12s\n", batch_size, "numbers", "threads", "training",
              "inference");
  const int all = cnn::workers();
  for (const bool trimmed : {false, true}) {
    for (const int threads : {all, 1}) {
      set_threads(threads);
      cnn::Net net = cnn::lenet({1, 1, 28, 28}, 10, 1);
      if (trimmed) {
        net.each_trimmed([](cnn::Node&, auto& layer) {
          layer.formats = {.input = ristretto::DynamicFixedPoint<>{5, 3},
                           .weight = ristretto::DynamicFixedPoint<>{1, 7},
                           .bias = ristretto::DynamicFixedPoint<>{1, 7},
                           .output = ristretto::DynamicFixedPoint<>{5, 3}};
        });
      }
      cnn::Solver solver = cnn::Sgd{.rate = {.base = 0.001}, .momentum = 0.9, .weight_decay = 0.0005};
      int iteration = 0;
      const double training =
          images_per_second([&] { cnn::train(net, solver, images, labels, {.seed = 1, .iteration = iteration++}); });
      const double inference = images_per_second([&] { net.forward(images); });
      std::printf("%-8s %8d %12.0f %12.0f\n", trimmed ? "8 bit" : "float", threads, training, inference);
      std::fflush(stdout);
    }
  }
}
