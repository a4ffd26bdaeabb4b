// SPDX-License-Identifier: MIT
// Training: a net, its data, and the nets that test it on the way.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <caffe.pb.h>

#include "cnn/solver.hpp"
#include "tool/common.hpp"
#include "tool/snapshot.hpp"

namespace tool {

/// A net that shares the weights of the trained one while it is tested.
struct Test {
  caffe_files::Model model;
  Data data;
  quantizer::Selection selection{};
};

struct Training {
  caffe_files::Model model;
  Data data;
  std::optional<caffe_files::Model> teacher{};  // in float; the model learns to score as it does, without labels
  cnn::Solver solver{};
  std::vector<Test> tests{};
  int batches = 1;  // per iteration
  bool trim_activations = true;
  Position position{};

  /// One iteration. Returns its loss. Throws Interrupted between batches, and leaves everything as it was.
  double step();
  /// What the nets score with the weights as they are; keeps the best. Without `quiet` progress is on stderr.
  std::vector<quantizer::Scores> test(bool quiet);
  double learning_rate() const;
  /// Pictures in an iteration.
  std::int64_t pictures() const { return std::int64_t{batches} * data.batch_size; }

  /// Whether the last test was the best so far.
  bool last_is_best = false;
};

}  // namespace tool
