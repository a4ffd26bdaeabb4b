// SPDX-License-Identifier: MIT
// Learning rates and updates.
#include "cnn/solver.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "cnn/check.hpp"
#include "cnn/parallel.hpp"

namespace cnn {
namespace {

/// What one parameter needs to know of the solver's state in this step.
struct Update {
  float rate, decay;
  Regularization regularization;
  int iteration;
};

/// The history of parameter i, zeros at first.
Tensor& history(std::vector<Tensor>& all, std::size_t i, const Parameter& parameter, const std::string& name) {
  if (all.size() <= i) all.resize(i + 1);
  if (all[i].empty()) all[i] = Tensor(parameter.value().shape());
  check(all[i].shape() == parameter.value().shape(), name, "the solver knows it as " + to_string(all[i].shape()),
        "start a new solver for another net");
  return all[i];
}

/// Calls body(offset, weight, gradient with decay added) for all elements of the parameter.
template <class F>
void each_element(Parameter& parameter, const Update& u, F&& body) {
  float* w = parameter.edit().data();
  const float* gradient = parameter.gradient.data();
  const auto sign = [](float x) { return static_cast<float>((x > 0) - (x < 0)); };
  parallel_blocks(parameter.value().size(), [&](Index first, Index count) {
    if (u.regularization == Regularization::l2) {
      for (Index i = first; i < first + count; ++i) body(i, w[i], gradient[i] + u.decay * w[i]);
    } else {
      for (Index i = first; i < first + count; ++i) body(i, w[i], gradient[i] + u.decay * sign(w[i]));
    }
  });
}

void update(Sgd& solver, Parameter& parameter, const Update& u, std::size_t i, const std::string& name) {
  float* v = history(solver.velocity, i, parameter, name).data();
  const auto momentum = static_cast<float>(solver.momentum);
  each_element(parameter, u, [=](Index j, float& w, float g) {
    v[j] = momentum * v[j] + u.rate * g;
    w -= v[j];
  });
}

void update(Nesterov& solver, Parameter& parameter, const Update& u, std::size_t i, const std::string& name) {
  float* v = history(solver.velocity, i, parameter, name).data();
  const auto momentum = static_cast<float>(solver.momentum);
  each_element(parameter, u, [=](Index j, float& w, float g) {
    const float before = v[j];
    v[j] = momentum * before + u.rate * g;
    w -= (1 + momentum) * v[j] - momentum * before;
  });
}

void update(AdaGrad& solver, Parameter& parameter, const Update& u, std::size_t i, const std::string& name) {
  float* h = history(solver.square, i, parameter, name).data();
  const auto epsilon = static_cast<float>(solver.epsilon);
  each_element(parameter, u, [=](Index j, float& w, float g) {
    h[j] += g * g;
    w -= u.rate * g / (std::sqrt(h[j]) + epsilon);
  });
}

void update(RmsProp& solver, Parameter& parameter, const Update& u, std::size_t i, const std::string& name) {
  float* h = history(solver.square, i, parameter, name).data();
  const auto decay = static_cast<float>(solver.rms_decay), epsilon = static_cast<float>(solver.epsilon);
  each_element(parameter, u, [=](Index j, float& w, float g) {
    h[j] = decay * h[j] + (1 - decay) * g * g;
    w -= u.rate * g / (std::sqrt(h[j]) + epsilon);
  });
}

void update(Adam& solver, Parameter& parameter, const Update& u, std::size_t i, const std::string& name) {
  float* m = history(solver.mean, i, parameter, name).data();
  float* v = history(solver.square, i, parameter, name).data();
  const double t = u.iteration + 1.0;
  const auto correction =
      static_cast<float>(std::sqrt(1 - std::pow(solver.beta2, t)) / (1 - std::pow(solver.beta1, t)));
  const auto b1 = static_cast<float>(solver.beta1), b2 = static_cast<float>(solver.beta2);
  const auto epsilon = static_cast<float>(solver.epsilon);
  each_element(parameter, u, [=](Index j, float& w, float g) {
    m[j] = b1 * m[j] + (1 - b1) * g;
    v[j] = b2 * v[j] + (1 - b2) * g * g;
    w -= u.rate * correction * m[j] / (std::sqrt(v[j]) + epsilon);
  });
}

void check_fraction(std::string_view solver, const char* name, double value) {
  check(value >= 0 && value < 1, solver, std::string(name) + " is " + std::to_string(value),
        "choose a number in [0, 1)");
}
void check_epsilon(std::string_view solver, double value) {
  check(value > 0, solver, "epsilon is " + std::to_string(value), "choose a number above 0");
}

void check_settings(const Sgd& s) { check_fraction("sgd", "momentum", s.momentum); }
void check_settings(const Nesterov& s) { check_fraction("nesterov", "momentum", s.momentum); }
void check_settings(const AdaGrad& s) { check_epsilon("adagrad", s.epsilon); }
void check_settings(const RmsProp& s) {
  check_fraction("rmsprop", "rms_decay", s.rms_decay);
  check_epsilon("rmsprop", s.epsilon);
}
void check_settings(const Adam& s) {
  check_fraction("adam", "beta1", s.beta1);
  check_fraction("adam", "beta2", s.beta2);
  check_epsilon("adam", s.epsilon);
}

/// The square root of the sum of the squares of all gradients.
double gradient_norm(Net& net) {
  double sum = 0;
  net.each_parameter([&](const std::string&, Parameter& p) {
    for (const float g : p.gradient.values()) sum += static_cast<double>(g) * static_cast<double>(g);
  });
  return std::sqrt(sum);
}

/// The gradients of a batch in the net; returns its loss.
double backpropagate(Net& net, const LabelledImages& batch, const Phase& phase) {
  Tensor dlogits;
  double value = 0;
  if (batch.wanted) {
    DivergenceLoss loss;
    value = loss.forward(net.forward(batch.images, phase), *batch.wanted);
    loss.backward(dlogits);
  } else {
    SoftmaxLoss loss;
    value = loss.forward(net.forward(batch.images, phase), batch.labels);
    loss.backward(batch.labels, dlogits);
  }
  net.backward(dlogits);
  return value;
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

std::vector<std::vector<Tensor>*> histories(Solver& solver) {
  const auto all = []<class S>(S& s) -> std::vector<std::vector<Tensor>*> {
    if constexpr (requires { s.velocity; }) {
      return {&s.velocity};
    } else if constexpr (requires { s.mean; }) {
      return {&s.mean, &s.square};
    } else {
      return {&s.square};
    }
  };
  return std::visit(all, solver);
}

void step(Solver& solver, Net& net, int iteration, int batches) {
  check(batches > 0, "solver", "the number of batches is " + std::to_string(batches), "choose at least 1");
  const auto run = [&](auto& s) {
    check_settings(s);
    check(s.weight_decay >= 0, "solver", "weight_decay is " + std::to_string(s.weight_decay), "choose 0 or more");
    check(s.clip_gradients >= 0, "solver", "clip_gradients is " + std::to_string(s.clip_gradients),
          "choose 0, for none, or more");
    net.each_parameter([&](const std::string& name, Parameter& p) {
      check(p.gradient.shape() == p.value().shape(), name, "it has no gradient", "run backward before step");
    });
    const double rate = s.rate.at(iteration), norm = s.clip_gradients > 0 ? gradient_norm(net) : 0;
    const double scale = (norm > s.clip_gradients ? s.clip_gradients / norm : 1) / batches;
    std::size_t i = 0;
    net.each_parameter([&](const std::string& name, Parameter& p) {
      const Update u{static_cast<float>(rate * p.rate), static_cast<float>(s.weight_decay * p.decay), s.regularization,
                     iteration};
      if (scale != 1) {
        for (float& g : p.gradient.values()) g *= static_cast<float>(scale);
      }
      update(s, p, u, i++, name);
    });
  };
  std::visit(run, solver);
}

void Gradients::add(const Net& net) {
  std::size_t i = 0;
  net.each_parameter([&](const std::string& name, const Parameter& p) {
    check(p.gradient.shape() == p.value().shape(), name, "it has no gradient", "run backward before");
    if (sums.size() <= i) sums.emplace_back(p.value().shape());
    Tensor& sum = sums[i++];
    check(sum.shape() == p.value().shape(), name, "the sums know it as " + to_string(sum.shape()),
          "start new sums for another net");
    for (Index j = 0; j < sum.size(); ++j) sum[j] += p.gradient[j];
  });
  ++batches;
}

void Gradients::move_to(Net& net) {
  std::size_t i = 0;
  net.each_parameter([&](const std::string& name, Parameter& p) {
    check(i < sums.size() && sums[i].shape() == p.value().shape(), name, "the sums have no such parameter",
          "add the gradients of the same net before");
    ++i;
  });
  i = 0;
  net.each_parameter([&](const std::string&, Parameter& p) { p.gradient = std::move(sums[i++]); });
  sums.clear();
  batches = 0;
}

double train(Net& net, Solver& solver, const Tensor& in, std::span<const int> labels, TrainingStep at) {
  return train(net, solver, 1, [&](int) { return LabelledImages{in, labels}; }, at);
}

double train(Net& net, Solver& solver, int batches, const std::function<LabelledImages(int)>& next, TrainingStep at) {
  check(at.iteration >= 0, "train", "the iteration is " + std::to_string(at.iteration), "count from 0");
  check(batches > 0, "train", "the number of batches is " + std::to_string(batches), "choose at least 1");
  double loss = 0;
  Gradients gradients;
  for (int i = 0; i < batches; ++i) {
    const auto number = static_cast<std::uint32_t>(at.iteration) * static_cast<std::uint32_t>(batches);
    loss += backpropagate(net, next(i),
                          {.training = true,
                           .seed = at.seed,
                           .step = number + static_cast<std::uint32_t>(i),
                           .trim_activations = at.trim_activations}) /
            batches;
    if (batches > 1) gradients.add(net);
  }
  if (batches > 1) gradients.move_to(net);
  step(solver, net, at.iteration, batches);
  return loss;
}

}  // namespace cnn
