// SPDX-License-Identifier: MIT
// ristretto train: what `caffe train` does, also for quantized nets.
#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "tool/common.hpp"

namespace tool {

struct TrainOptions {
  std::string solver{};
  std::string weights{};                    // files to start from, separated by commas
  std::string snapshot{};                   // a state to go on from
  std::string model{}, snapshot_prefix{};   // in place of the solver's; empty: the solver's
  std::string test_data{};                  // as CommonOptions::data, for the tests
  int max_iter = -1, test_iter = -1;        // in place of the solver's; -1: the solver's. No test_iter: no tests
  bool float_activations = false;           // leave activations in float while training
  std::string teacher{};                    // "float", or a file of weights; empty: labels teach
  std::optional<cnn::Rounding> rounding{};  // of weights, in place of the description's
  bool shuffle = false;                     // a new order of the pictures in every epoch
  bool mirror = false;                      // each picture that is trained on with probability 1/2
  bool has_seed = false;                    // common.seed was asked for: no random_seed of a file counts
  CommonOptions common{};
};

/// Trains, with results on `out` and the rest on stderr. Returns the exit code: `failed` when interrupted, with a
/// snapshot.
int train(TrainOptions options, std::FILE* out = stdout);

/// Adds the command `train`; what is returned runs it and returns the exit code.
std::function<int()> add_train(CLI::App& app);

}  // namespace tool
