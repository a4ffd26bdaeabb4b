// SPDX-License-Identifier: MIT
// Solvers: what a training step does to the parameters of a net. Definitions as in Caffe.
#pragma once

#include <variant>
#include <vector>

#include "net.hpp"

namespace cnn {

/// The learning rate over the iterations. `at` says which members a policy reads.
struct LearningRate {
  enum class Policy { fixed, step, multistep, inv, exp, poly, sigmoid };

  Policy policy = Policy::fixed;
  double base = 0.01;
  double gamma = 0.1;
  double power = 1;
  int step_size = 1;
  std::vector<int> steps{};  // ascending
  int max_iterations = 1;

  /// fixed      base
  /// step       base gamma^floor(i / step_size)
  /// multistep  base gamma^(number of steps <= i)
  /// inv        base (1 + gamma i)^-power
  /// exp        base gamma^i
  /// poly       base (1 - i / max_iterations)^power
  /// sigmoid    base / (1 + exp(-gamma (i - step_size)))
  double at(int i) const;
};

/// Stochastic gradient descent with momentum:
///   g = gradient + weight_decay * decay * w;  v = momentum v + rate * g;  w = w - v
/// where rate and decay include the multipliers of the parameter.
struct Sgd {
  LearningRate rate{};
  double momentum = 0.9;
  double weight_decay = 0;
  std::vector<Tensor> velocity{};  // per parameter; zero before the first step
};

/// Adam: m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///   w = w - rate sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon), t = iteration + 1
struct Adam {
  LearningRate rate{.base = 0.001};
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
  std::vector<Tensor> mean{}, square{};  // per parameter; zero before the first step
};

using Solver = std::variant<Sgd, Adam>;

/// Changes the full-precision parameters by the gradients of the last backward pass. Throws std::invalid_argument for
/// settings that make no sense and for a solver that has run on another net.
void step(Solver& solver, Net& net, int iteration);

/// One training step on (in, labels): forward, loss, backward, update. Trimming and dropout draw from
/// (seed, iteration). Returns the loss before the update.
struct TrainingStep {
  std::uint64_t seed = 0;
  int iteration = 0;
};
double train(Net& net, Solver& solver, const Tensor& in, std::span<const int> labels, TrainingStep at);

}  // namespace cnn
