// SPDX-License-Identifier: MIT
// Learning rates and updates.
#include "solver.hpp"

#include <algorithm>
#include <cmath>

#include "check.hpp"
#include "parallel.hpp"

namespace cnn {
namespace {

/// What one parameter needs to know of the solver's state in this step.
struct Update {
  float rate, decay;
};

/// The history of parameter i, zeros at first.
Tensor& history(std::vector<Tensor>& all, std::size_t i, const Parameter& parameter, const std::string& name) {
  if (all.size() <= i) all.resize(i + 1);
  if (all[i].empty()) all[i] = Tensor(parameter.value().shape());
  check(all[i].shape() == parameter.value().shape(), name, "the solver knows it as " + to_string(all[i].shape()),
        "start a new solver for another net");
  return all[i];
}

/// Calls body(weights, gradient with decay added, offset) for blocks of the parameter.
template <class F>
void each_element(Parameter& parameter, float decay, F&& body) {
  float* w = parameter.edit().data();
  const float* gradient = parameter.gradient.data();
  parallel_blocks(parameter.value().size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) body(i, w[i], gradient[i] + decay * w[i]);
  });
}

void update(Sgd& solver, Parameter& parameter, Update u, std::size_t i, const std::string& name, int) {
  float* v = history(solver.velocity, i, parameter, name).data();
  const auto momentum = static_cast<float>(solver.momentum);
  each_element(parameter, u.decay, [=](Index j, float& w, float g) {
    v[j] = momentum * v[j] + u.rate * g;
    w -= v[j];
  });
}

void update(Adam& solver, Parameter& parameter, Update u, std::size_t i, const std::string& name, int iteration) {
  float* m = history(solver.mean, i, parameter, name).data();
  float* v = history(solver.square, i, parameter, name).data();
  const double t = iteration + 1.0;
  const auto correction =
      static_cast<float>(std::sqrt(1 - std::pow(solver.beta2, t)) / (1 - std::pow(solver.beta1, t)));
  const auto b1 = static_cast<float>(solver.beta1), b2 = static_cast<float>(solver.beta2);
  const auto epsilon = static_cast<float>(solver.epsilon);
  each_element(parameter, u.decay, [=](Index j, float& w, float g) {
    m[j] = b1 * m[j] + (1 - b1) * g;
    v[j] = b2 * v[j] + (1 - b2) * g * g;
    w -= u.rate * correction * m[j] / (std::sqrt(v[j]) + epsilon);
  });
}

void check_settings(const Sgd& s) {
  check(s.momentum >= 0 && s.momentum < 1, "sgd", "momentum is " + std::to_string(s.momentum),
        "choose a number in [0, 1)");
}
void check_settings(const Adam& s) {
  const auto fraction = [](double b) { return b >= 0 && b < 1; };
  check(fraction(s.beta1) && fraction(s.beta2), "adam",
        "beta1 is " + std::to_string(s.beta1) + " and beta2 is " + std::to_string(s.beta2), "choose numbers in [0, 1)");
  check(s.epsilon > 0, "adam", "epsilon is " + std::to_string(s.epsilon), "choose a number above 0");
}

}  // namespace

double LearningRate::at(int i) const {
  check(i >= 0, "learning rate", "the iteration is " + std::to_string(i), "count from 0");
  switch (policy) {
    case Policy::fixed:
      return base;
    case Policy::step:
      check(step_size > 0, "learning rate", "step_size is " + std::to_string(step_size), "choose at least 1");
      return base * std::pow(gamma, i / step_size);
    case Policy::multistep:
      return base * std::pow(gamma, std::upper_bound(steps.begin(), steps.end(), i) - steps.begin());
    case Policy::inv:
      return base * std::pow(1 + gamma * i, -power);
    case Policy::exp:
      return base * std::pow(gamma, i);
    case Policy::poly:
      check(max_iterations > 0, "learning rate", "max_iterations is " + std::to_string(max_iterations),
            "choose at least 1");
      check(i <= max_iterations, "learning rate", "the iteration is " + std::to_string(i),
            "stop at max_iterations, " + std::to_string(max_iterations));
      return base * std::pow(1 - static_cast<double>(i) / max_iterations, power);
    case Policy::sigmoid:
      return base / (1 + std::exp(-gamma * (i - step_size)));
  }
  throw std::invalid_argument("learning rate: the policy is none of the known ones; choose one of Policy");
}

void step(Solver& solver, Net& net, int iteration) {
  std::visit(
      [&](auto& s) {
        check_settings(s);
        check(s.weight_decay >= 0, "solver", "weight_decay is " + std::to_string(s.weight_decay), "choose 0 or more");
        const double rate = s.rate.at(iteration);
        std::size_t i = 0;
        net.each_parameter([&](const std::string& name, Parameter& p) {
          check(p.gradient.shape() == p.value().shape(), name, "it has no gradient", "run backward before step");
          const Update u{static_cast<float>(rate * p.rate), static_cast<float>(s.weight_decay * p.decay)};
          update(s, p, u, i++, name, iteration);
        });
      },
      solver);
}

double train(Net& net, Solver& solver, const Tensor& in, std::span<const int> labels, TrainingStep at) {
  check(at.iteration >= 0, "train", "the iteration is " + std::to_string(at.iteration), "count from 0");
  const Phase phase{.training = true, .seed = at.seed, .step = static_cast<std::uint32_t>(at.iteration)};
  SoftmaxLoss loss;
  Tensor dlogits;
  const double value = loss.forward(net.forward(in, phase), labels);
  loss.backward(labels, dlogits);
  net.backward(dlogits);
  step(solver, net, at.iteration);
  return value;
}

}  // namespace cnn
