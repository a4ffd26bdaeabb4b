// SPDX-License-Identifier: MIT
// Solvers' files: paths, settings and nets.
#include "tool/solver_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "tool/common.hpp"

namespace tool {
namespace {

namespace fs = std::filesystem;
using caffe::SolverParameter;

void require(bool condition, const std::string& file, const std::string& problem, const std::string& remedy) {
  if (!condition) throw std::invalid_argument(fmt::format("{}: {}; {}", file, problem, remedy));
}

// ---- Settings ----

void check_counts(const SolverParameter& s, const std::string& file) {
  const auto at_least = [&](const char* field, int value, int least) {
    require(value >= least, file, fmt::format("{} is {}", field, value), fmt::format("choose at least {}", least));
  };
  require(s.has_max_iter(), file, "it has no max_iter", "set it, or give --max_iter");
  at_least("max_iter", s.max_iter(), 0);
  at_least("iter_size", s.iter_size(), 1);
  at_least("average_loss", s.average_loss(), 1);
  at_least("display", s.display(), 0);
  at_least("snapshot", s.snapshot(), 0);
  at_least("test_interval", s.test_interval(), 0);
  for (const int n : s.test_iter()) at_least("test_iter", n, 1);
}

/// Refuses numbers that are none or below 0.
void check_numbers(const SolverParameter& s, const std::string& file) {
  const auto check = [&](const char* field, float value) {
    require(std::isfinite(value) && value >= 0, file, fmt::format("{} is {}", field, value), "choose 0 or more");
  };
  require(s.has_base_lr(), file, "it has no base_lr", "set the learning rate");
  check("base_lr", s.base_lr());
  check("weight_decay", s.weight_decay());
  require(std::isfinite(s.gamma()) && std::isfinite(s.power()) && std::isfinite(s.clip_gradients()), file,
          "gamma, power or clip_gradients is no number", "choose one");
  for (const auto& [field, value] : {std::pair{"momentum", s.momentum()}, std::pair{"momentum2", s.momentum2()},
                                     std::pair{"rms_decay", s.rms_decay()}}) {
    require(value >= 0 && value < 1, file, fmt::format("{} is {}", field, value), "choose a number in [0, 1)");
  }
  require(std::isfinite(s.delta()) && s.delta() > 0, file, fmt::format("delta is {}", s.delta()),
          "choose a number above 0");
}

cnn::LearningRate rate_of(const SolverParameter& s, const std::string& file) {
  using enum cnn::LearningRate::Policy;
  struct Known {
    const char* name;
    cnn::LearningRate::Policy policy;
    bool gamma, power, stepsize;  // which it reads
  };
  constexpr Known all[]{{"fixed", fixed, false, false, false},
                        {"step", step, true, false, true},
                        {"multistep", multistep, true, false, false},
                        {"inv", inv, true, true, false},
                        {"exp", exp, true, false, false},
                        {"poly", poly, false, true, false},
                        {"sigmoid", sigmoid, true, false, true}};
  const auto* found =
      std::find_if(std::begin(all), std::end(all), [&](const Known& k) { return s.lr_policy() == k.name; });
  require(found != std::end(all), file, fmt::format("lr_policy is \"{}\"", s.lr_policy()),
          "choose fixed, step, multistep, inv, exp, poly or sigmoid");
  const auto needs = [&](bool reads, bool has, const char* field) {
    require(!reads || has, file, fmt::format("lr_policy {} needs {}", found->name, field), "set it");
  };
  needs(found->gamma, s.has_gamma(), "gamma");
  needs(found->power, s.has_power(), "power");
  needs(found->stepsize, s.has_stepsize(), "stepsize");
  require(found->policy != step || s.stepsize() > 0, file, fmt::format("stepsize is {}", s.stepsize()),
          "choose at least 1");
  require(found->policy != multistep || std::is_sorted(s.stepvalue().begin(), s.stepvalue().end()), file,
          "the stepvalues do not ascend", "sort them");
  return {.policy = found->policy,
          .base = static_cast<double>(s.base_lr()),
          .gamma = static_cast<double>(s.gamma()),
          .power = static_cast<double>(s.power()),
          .step_size = s.stepsize(),
          .steps = {s.stepvalue().begin(), s.stepvalue().end()},
          .max_iterations = std::max(s.max_iter(), 1)};
}

// ---- Nets ----

caffe::NetParameter from_file(const std::string& path, const std::string& file, const std::string& field) {
  return read_net(located(path, file, field));
}

/// The net for both phases, if the solver has one.
std::optional<caffe::NetParameter> common_net(const SolverParameter& s, const std::string& file) {
  if (s.has_net_param()) return s.net_param();
  if (s.has_net()) return from_file(s.net(), file, "net");
  return {};
}

}  // namespace

std::string located(const std::string& path, const std::string& solver_file, const std::string& what) {
  const fs::path said = path, folder = fs::path(solver_file).parent_path();
  std::error_code error;
  if (fs::is_regular_file(said, error)) return path;
  for (const fs::path& other : {folder / said, folder / said.filename()}) {
    if (said.is_absolute() || !fs::is_regular_file(other, error)) continue;
    fmt::print(stderr, "note: {}: {} \"{}\" is not in the current folder; taken: {}\n", solver_file, what, path,
               other.string());
    return other.string();
  }
  throw std::runtime_error(
      fmt::format("{}: {} \"{}\" cannot be found, neither from the current folder nor beside the "
                  "solver; correct the path or give --{}",
                  solver_file, what, path, what == "weights" ? "weights" : "model"));
}

std::string snapshot_prefix(const SolverParameter& solver, const std::string& solver_file) {
  fs::path prefix =
      solver.has_snapshot_prefix() ? fs::path(solver.snapshot_prefix()) : fs::path(solver_file).replace_extension();
  const fs::path beside = fs::path(solver_file).parent_path() / prefix;
  const auto folder_of = [](const fs::path& p) { return p.has_parent_path() ? p.parent_path() : fs::path("."); };
  std::error_code error;
  if (!fs::is_directory(folder_of(prefix), error) && fs::is_directory(folder_of(beside), error)) {
    fmt::print(stderr, "note: {}: the folder of snapshot_prefix \"{}\" is not in the current one; taken: {}\n",
               solver_file, prefix.string(), beside.string());
    prefix = beside;
  }
  const auto refuse = [&](const std::string& problem) {
    throw std::runtime_error(fmt::format("{}: snapshot_prefix \"{}\": {} {}; make it, or give --snapshot_prefix",
                                         solver_file, prefix.string(), folder_of(prefix).string(), problem));
  };
  if (!fs::is_directory(folder_of(prefix), error)) refuse("is not a folder");
  const std::string trial = prefix.string() + ".trial";
  if (!std::ofstream(trial)) refuse("is a folder that cannot be written to");
  fs::remove(trial, error);
  return prefix.string();
}

cnn::Solver solver_of(const SolverParameter& s, const std::string& file) {
  check_counts(s, file);
  check_numbers(s, file);
  require(s.snapshot_format() == SolverParameter::BINARYPROTO, file, "snapshot_format is HDF5", "use BINARYPROTO");
  require(s.regularization_type() == "L1" || s.regularization_type() == "L2", file,
          fmt::format("regularization_type is \"{}\"", s.regularization_type()), "choose L1 or L2");

  const auto with_settings = [&](auto method) {
    method.rate = rate_of(s, file);
    method.weight_decay = static_cast<double>(s.weight_decay());
    method.regularization = s.regularization_type() == "L1" ? cnn::Regularization::l1 : cnn::Regularization::l2;
    method.clip_gradients = std::max(0.0, static_cast<double>(s.clip_gradients()));
    return method;
  };
  const auto momentum = static_cast<double>(s.momentum()), epsilon = static_cast<double>(s.delta());
  const std::string& type = s.type();
  if (type == "SGD") return with_settings(cnn::Sgd{.momentum = momentum});
  if (type == "Nesterov") return with_settings(cnn::Nesterov{.momentum = momentum});
  if (type == "Adam") {
    return with_settings(cnn::Adam{.beta1 = momentum, .beta2 = static_cast<double>(s.momentum2()), .epsilon = epsilon});
  }
  require(type == "AdaGrad" || type == "RMSProp", file, fmt::format("the solver's type is \"{}\"", type),
          "choose SGD, Nesterov, AdaGrad, RMSProp or Adam");
  require(momentum == 0, file, fmt::format("momentum is {}", s.momentum()),
          type + " has none: remove it, or choose Adam");
  if (type == "AdaGrad") return with_settings(cnn::AdaGrad{.epsilon = epsilon});
  return with_settings(cnn::RmsProp{.rms_decay = static_cast<double>(s.rms_decay()), .epsilon = epsilon});
}

Nets nets_of(const SolverParameter& s, const std::string& file) {
  const int named = s.has_net() + s.has_net_param() + s.has_train_net() + s.has_train_net_param();
  require(named == 1, file, fmt::format("it names {} nets to train", named),
          "name one by net, net_param, train_net or train_net_param");
  const std::optional<caffe::NetParameter> both = common_net(s, file);
  Nets nets;
  nets.train = both                      ? *both
               : s.has_train_net_param() ? s.train_net_param()
                                         : from_file(s.train_net(), file, "train_net");
  nets.train.mutable_state()->MergeFrom(s.train_state());

  for (const caffe::NetParameter& net : s.test_net_param()) nets.tests.push_back({net});
  for (const std::string& path : s.test_net()) nets.tests.push_back({from_file(path, file, "test_net")});
  const auto counts = static_cast<std::size_t>(s.test_iter_size());
  if (both && counts > nets.tests.size()) nets.tests.resize(counts, {*both});
  require(counts == nets.tests.size(), file,
          fmt::format("it has {} test_iter for {} nets to test", counts, nets.tests.size()), "set one for each");
  require(s.test_state_size() == 0 || static_cast<std::size_t>(s.test_state_size()) == counts, file,
          fmt::format("it has {} test_state for {} nets to test", s.test_state_size(), counts),
          "set one for each, or none");
  require(counts == 0 || s.test_interval() > 0, file, "it has test_iter, but no test_interval",
          "say after how many iterations to test");
  for (int i = 0; i < s.test_iter_size(); ++i) {
    Nets::Test& test = nets.tests[static_cast<std::size_t>(i)];
    test.iterations = s.test_iter(i);
    if (s.test_state_size() > 0) test.net.mutable_state()->MergeFrom(s.test_state(i));
  }
  return nets;
}

}  // namespace tool
