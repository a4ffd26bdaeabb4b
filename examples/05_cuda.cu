// SPDX-License-Identifier: MIT
// Fine-tunes a layer's 4-bit weights on a GPU: shadow weights in float, trimmed stochastically at each step; the host,
// doing the same steps, gets the same bits.
#include <cstdint>
#include <cstring>
#include <exception>

#include <fmt/core.h>

#include <ristretto/shadow.hpp>
#include <ristretto/thrust.hpp>

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>

namespace rt = ristretto;

namespace {

constexpr int N = 256;  // pictures, say
constexpr int C = 64;   // numbers of each
constexpr int K = 16;   // outputs of the layer
constexpr int steps = 400;
constexpr std::uint64_t seed = 1;

// Numbers of so few bits that every sum of products below is exact in float, in any order, fused or not. What is left
// to round are the shadow weights, once a step.
using Weight = rt::DynamicFixedPoint<1, 3>;
using Input = rt::DynamicFixedPoint<1, 7>;
using Target = rt::DynamicFixedPoint<6, 10>;
using Gradient = rt::DynamicFixedPoint<2, 6>;
constexpr float rate = 0x1p-12f;

/// Element k of a random array in [-range, range).
struct Random {
  rt::RandomStream stream;
  float range;

  RISTRETTO_HOST_DEVICE float operator()(std::uint64_t k) const {
    return (static_cast<float>(stream.word(k) >> 8) * 0x1p-23f - 1) * range;
  }
};

/// in (N, C), weight (K, C): output k of picture n.
RISTRETTO_HOST_DEVICE float output(const float* in, const float* weight, int n, int k) {
  float sum = 0;
  for (int c = 0; c < C; ++c) sum += in[n * C + c] * weight[k * C + c];
  return sum;
}

/// Target i of (N, K): what a layer with the wanted weights puts out.
struct TargetOf {
  const float* in;
  const float* wanted;

  RISTRETTO_HOST_DEVICE float operator()(int i) const {
    return rt::Trimmer{Target{}}(output(in, wanted, i / K, i % K));
  }
};

/// How far output i of (N, K) is from its target.
struct Error {
  const float* in;
  const float* weight;
  const float* target;

  RISTRETTO_HOST_DEVICE float operator()(int i) const { return output(in, weight, i / K, i % K) - target[i]; }
};
struct Square {
  RISTRETTO_HOST_DEVICE double operator()(float x) const { return static_cast<double>(x) * static_cast<double>(x); }
};

/// Moves shadow weight j of (K, C) against its gradient, which is that of the trimmed weight (straight-through).
struct Update {
  const float* in;
  const float* error;
  float* shadow;

  RISTRETTO_HOST_DEVICE void operator()(int j) const {
    float gradient = 0;
    for (int n = 0; n < N; ++n) gradient += rt::Trimmer{Gradient{}}(error[n * K + j / C]) * in[n * C + j % C];
    shadow[j] -= rate * gradient;
  }
};

/// A layer and its data, where `policy` computes. Vector: thrust::device_vector or thrust::host_vector.
template <template <class...> class Vector, class Policy>
struct Layer {
  Policy policy;
  Vector<float> in = Vector<float>(N * C);
  Vector<float> target = Vector<float>(N * K);
  Vector<float> error = Vector<float>(N * K);
  Vector<float> shadow = Vector<float>(K * C);
  Vector<float> weight = Vector<float>(K * C);

  explicit Layer(Policy p) : policy(p) {
    fill(in, Random{{.seed = seed, .stream = 100}, 1});
    rt::trim(policy, in, rt::Trimmer{Input{}});
    fill(shadow, Random{{.seed = seed, .stream = 101}, 0.75f});
    rt::trim(policy, shadow, weight, rt::Trimmer{rt::DynamicFixedPoint<1, 9>{}});  // 10 bits: sums stay exact
    fill(target, TargetOf{data(in), data(weight)});
    // The weights to train are the wanted ones with noise, as after a change of the task.
    const Random noise{{.seed = seed, .stream = 102}, 0.25f};
    const thrust::counting_iterator<int> first(0);
    Vector<float> noises(K * C);
    thrust::transform(policy, first, first + K * C, noises.begin(), noise);
    thrust::transform(policy, shadow.begin(), shadow.end(), noises.begin(), shadow.begin(), thrust::plus<float>());
  }

  /// One step of fine-tuning.
  void train(std::uint32_t step) {
    const rt::RoundStochastic<> stochastic{rt::shadow_stream(seed, /*tensor=*/0, step)};
    rt::trim(policy, shadow, weight, rt::Trimmer{Weight{}, stochastic});
    fill(error, Error{data(in), data(weight), data(target)});
    const Update update{data(in), data(error), data(shadow)};
    thrust::for_each_n(policy, thrust::counting_iterator<int>(0), K * C, update);
  }

  /// The mean squared error with the weights rounded to nearest.
  double score() {
    rt::trim(policy, shadow, weight, rt::Trimmer{Weight{}});
    fill(error, Error{data(in), data(weight), data(target)});
    return thrust::transform_reduce(policy, error.begin(), error.end(), Square{}, 0.0, thrust::plus<double>()) /
           (N * K);
  }

 private:
  template <class X>
  static auto* data(X& x) {
    return thrust::raw_pointer_cast(x.data());
  }
  template <class F>
  void fill(Vector<float>& x, const F& f) {
    const thrust::counting_iterator<int> first(0);
    thrust::transform(policy, first, first + static_cast<int>(x.size()), x.begin(), f);
  }
};

/// Whether the two hold the same bits.
bool same(const thrust::device_vector<float>& device, const thrust::host_vector<float>& host) {
  const thrust::host_vector<float> copy = device;
  return std::memcmp(copy.data(), host.data(), host.size() * sizeof(float)) == 0;
}

}  // namespace

int main() try {
#if defined(__CUDACC__)
  if (int devices = 0; cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    fmt::print("skipped: no CUDA device\n");
    return 0;
  }
#endif
  Layer<thrust::device_vector, decltype(thrust::device)> device(thrust::device);
  Layer<thrust::host_vector, decltype(thrust::host)> host(thrust::host);
  fmt::print("4-bit weights, untrained: mean squared error {:.6f}\n", device.score());
  int equal_steps = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    device.train(step);
    host.train(step);
    equal_steps += same(device.weight, host.weight) && same(device.shadow, host.shadow) ? 1 : 0;
    if ((step + 1) % 100 == 0) fmt::print("after {} steps: {:.6f}\n", step + 1, device.score());
  }
  fmt::print("steps with the same bits on host and device: {} of {}\n", equal_steps, steps);
  fmt::print("score on the host: {:.6f}\n", host.score());
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "05_cuda: {}\n", e.what());
  return 1;
}
