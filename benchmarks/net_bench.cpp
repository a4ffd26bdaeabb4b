// SPDX-License-Identifier: MIT
// Images per second of LeNet, trained and run, and of SqueezeNet, run, in float and trimmed to 8 bits.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include <ristretto/random.hpp>

#include "cnn/net.hpp"

#ifdef NET_BENCH_OPENCV
#include "opencv_net.hpp"
#endif
#include "cnn/parallel.hpp"
#include "cnn/solver.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const auto& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The best rates of several variants, measured in turns, so that a change of the machine's pace meets all of them.
template <class... F>
std::vector<double> images_per_second(int batch, double seconds_per_run, F&&... one_batch) {
  std::vector<double> best(sizeof...(F));
  (one_batch(), ...);  // allocates
  const auto measure = [&](double& rate, auto& f) {
    int batches = 0;
    double seconds = 0;
    while (seconds < seconds_per_run) {
      seconds += seconds_of(f);
      ++batches;
    }
    rate = std::max(rate, batches * batch / seconds);
  };
  for (int run = 0; run < 6; ++run) {
    std::size_t i = 0;
    (measure(best[i++], one_batch), ...);
  }
  return best;
}

/// Pixels in [low, low + 256).
cnn::Tensor random_images(cnn::Shape shape, float low) {
  cnn::Tensor images(shape);
  const ristretto::RandomStream random{.seed = 1};
  for (cnn::Index i = 0; i < images.size(); ++i) {
    images[i] = low + static_cast<float>(random.word(static_cast<std::uint64_t>(i)) >> 24);
  }
  return images;
}

void trim_to_8_bits(cnn::Net& net, int integer_bits) {
  const ristretto::AnyFormat activation = ristretto::DynamicFixedPoint<>{integer_bits, 8 - integer_bits};
  const ristretto::AnyFormat parameter = ristretto::DynamicFixedPoint<>{1, 7};
  net.each_trimmed([&](cnn::Node&, auto& layer) {
    layer.formats = {.input = activation, .weight = parameter, .bias = parameter, .output = activation};
  });
}

void lenet() {
  constexpr int batch = 64;
  cnn::Tensor images = random_images({batch, 1, 28, 28}, 0);
  for (float& x : images.values()) x /= 256;
  std::vector<int> labels(batch);
  for (std::size_t n = 0; n < labels.size(); ++n) labels[n] = static_cast<int>(n % 10);

  std::printf("LeNet, 28x28, batch %d, images/s\n%-8s %8s %12s %12s\n", batch, "numbers", "threads", "training",
              "inference");
  const int all = cnn::workers();
  for (const bool trimmed : {false, true}) {
    for (const int threads : {all, 1}) {
      cnn::set_workers(threads);
      cnn::Net net = cnn::lenet({1, 1, 28, 28}, 10, 1);
      if (trimmed) trim_to_8_bits(net, 5);
      cnn::Solver solver = cnn::Sgd{.rate = {.base = 0.001}, .momentum = 0.9, .weight_decay = 0.0005};
      int iteration = 0;
      const auto train = [&] { cnn::train(net, solver, images, labels, {.seed = 1, .iteration = iteration++}); };
      const double training = images_per_second(batch, 0.25, train)[0];
      const double inference = images_per_second(batch, 0.25, [&] { net.forward(images); })[0];
      std::printf("%-8s %8d %12.0f %12.0f\n", trimmed ? "8 bit" : "float", threads, training, inference);
      std::fflush(stdout);
    }
  }
  cnn::set_workers(all);
}

/// The same net in OpenCV, or a call that does nothing where there is none; it returns the output.
std::function<std::vector<float>()> peer_of([[maybe_unused]] const cnn::Net& net,
                                            [[maybe_unused]] const cnn::Tensor& images, [[maybe_unused]] int threads) {
#ifdef NET_BENCH_OPENCV
  opencv_threads(threads);
  return opencv_forward(net, images);
#else
  return {};
#endif
}

double largest_difference(const cnn::Tensor& a, const std::vector<float>& b) {
  double largest = a.values().size() == b.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < b.size() && largest < HUGE_VAL; ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.values()[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

void squeezenet(int batch) {
  const cnn::Tensor images = random_images({batch, 3, 227, 227}, -117);
  const int all = cnn::workers();
  for (const auto version : {cnn::SqueezeNet::v1_1, cnn::SqueezeNet::v1_0}) {
    cnn::squeezenet(version, 1000, 1).forward(images);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const long peak = usage.ru_maxrss / 1024;
  double difference = 0;
  bool has_peer = false;
  std::printf("\nSqueezeNet, 227x227, batch %d, images/s\n%-8s %8s %12s %12s %12s %12s\n", batch, "version", "threads",
              "float", "8 bit", "8 bit/float", "OpenCV float");
  for (const auto version : {cnn::SqueezeNet::v1_1, cnn::SqueezeNet::v1_0}) {
    for (const int threads : {all, 1}) {
      cnn::set_workers(threads);
      cnn::Net in_float = cnn::squeezenet(version, 1000, 1), trimmed = in_float;
      trim_to_8_bits(trimmed, 9);
      const auto peer = peer_of(in_float, images, threads);
      has_peer = static_cast<bool>(peer);
      if (peer) difference = std::max(difference, largest_difference(in_float.forward(images), peer()));
      const auto rates = images_per_second(
          batch, 0.5, [&] { in_float.forward(images); }, [&] { trimmed.forward(images); },
          [&] {
            if (peer) peer();
          });
      std::printf("%-8s %8d %12.1f %12.1f %12.3f ", version == cnn::SqueezeNet::v1_1 ? "1.1" : "1.0", threads, rates[0],
                  rates[1], rates[1] / rates[0]);
      peer ? std::printf("%12.1f\n", rates[2]) : std::printf("%12s\n", "not here");
      std::fflush(stdout);
    }
  }
  cnn::set_workers(all);
  std::printf("peak memory, OpenCV apart, %ld MB\n", peak);
  if (has_peer) std::printf("largest difference of an output from OpenCV's: %.2g\n", difference);
}

}  // namespace

/// net_bench [lenet | squeezenet [batch]]
int main(int count, char** arguments) {
  const char* which = count > 1 ? arguments[1] : "";
  if (std::strcmp(which, "squeezenet") != 0) lenet();
  if (std::strcmp(which, "lenet") != 0) squeezenet(count > 2 ? std::max(1, std::atoi(arguments[2])) : 8);
}
