// SPDX-License-Identifier: MIT
// Solvers: what a training step does to the parameters of a net. Definitions as in Caffe.
#pragma once

#include <functional>
#include <span>
#include <variant>
#include <vector>

#include "cnn/net.hpp"

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

/// What weight decay adds to a gradient: weight_decay * decay times w, or times its sign (0 for 0).
enum class Regularization { l2, l1 };

// In every solver g = gradient / batches + regularization, where gradients of several batches may have been added up.
// When clip_gradients is above 0 and the norm of all gradients together, sqrt(sum of squares), exceeds it, they are
// first scaled to it; so the norm is that of the sums, before the division. The net's gradients are scaled with them.
// rate and decay include the multipliers of the parameter; histories are per parameter, zero before the first step.

/// Stochastic gradient descent with momentum: v = momentum v + rate * g;  w = w - v
struct Sgd {
  LearningRate rate{};
  double momentum = 0.9;
  double weight_decay = 0;
  Regularization regularization = Regularization::l2;
  double clip_gradients = 0;
  std::vector<Tensor> velocity{};
};

/// Nesterov's accelerated gradient: u = momentum v + rate * g;  w = w - ((1 + momentum) u - momentum v);  v = u
struct Nesterov {
  LearningRate rate{};
  double momentum = 0.9;
  double weight_decay = 0;
  Regularization regularization = Regularization::l2;
  double clip_gradients = 0;
  std::vector<Tensor> velocity{};
};

/// AdaGrad: h = h + g^2;  w = w - rate * g / (sqrt(h) + epsilon)
struct AdaGrad {
  LearningRate rate{};
  double epsilon = 1e-8;
  double weight_decay = 0;
  Regularization regularization = Regularization::l2;
  double clip_gradients = 0;
  std::vector<Tensor> square{};
};

/// RMSProp: h = rms_decay h + (1 - rms_decay) g^2;  w = w - rate * g / (sqrt(h) + epsilon)
struct RmsProp {
  LearningRate rate{};
  double rms_decay = 0.99, epsilon = 1e-8;
  double weight_decay = 0;
  Regularization regularization = Regularization::l2;
  double clip_gradients = 0;
  std::vector<Tensor> square{};
};

/// Adam: m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///   w = w - rate sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon), t = iteration + 1
struct Adam {
  LearningRate rate{.base = 0.001};
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
  Regularization regularization = Regularization::l2;
  double clip_gradients = 0;
  std::vector<Tensor> mean{}, square{};
};

using Solver = std::variant<Sgd, Nesterov, AdaGrad, RmsProp, Adam>;

/// The solver's histories, one vector of tensors each, in the order in which Caffe writes them: all it remembers from
/// step to step. They are empty before the first step, and may be set.
std::vector<std::vector<Tensor>*> histories(Solver& solver);

/// Changes the full-precision parameters by their gradients: those of the last backward pass, or the sums of as many
/// passes as `batches` says. Throws std::invalid_argument for settings that make no sense and for a solver that has run
/// on another net.
void step(Solver& solver, Net& net, int iteration, int batches = 1);

/// The sums of the parameters' gradients over several backward passes.
struct Gradients {
  std::vector<Tensor> sums{};
  int batches = 0;

  /// Adds those of the last backward pass.
  void add(const Net& net);
  /// Gives the sums to the parameters, and is empty again.
  void move_to(Net& net);
};

/// One training step on (in, labels): forward, loss, backward, update. Trimming and dropout draw from
/// (seed, iteration). Returns the loss before the update.
struct TrainingStep {
  std::uint64_t seed = 0;
  int iteration = 0;
  bool trim_activations = true;
};
double train(Net& net, Solver& solver, const Tensor& in, std::span<const int> labels, TrainingStep at);

/// One training step on several batches; next(i) returns number i, good until the next call. Batch i draws from
/// (seed, iteration * batches + i). Returns the mean of the losses: with wanted logits, the divergence from them, and
/// labels do not matter.
struct LabelledImages {
  const Tensor& images;
  std::span<const int> labels;
  const Tensor* wanted = nullptr;
};
double train(Net& net, Solver& solver, int batches, const std::function<LabelledImages(int)>& next, TrainingStep at);

}  // namespace cnn
