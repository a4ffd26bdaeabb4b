// SPDX-License-Identifier: MIT
// Snapshots of a training: the weights and, beside them, what the solver remembers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "caffe/build.hpp"
#include "cnn/solver.hpp"

namespace tool {

/// The highest score that a net has had in a test.
struct Best {
  double score = 0;
  int iteration = 0;
};

/// Where a training stands. Its data and its random numbers are functions of iteration and seed.
struct Position {
  int iteration = 0;  // the next one
  std::uint64_t seed = 1;
  std::optional<Best> best{};
};

/// prefix_iter_100.caffemodel and prefix_iter_100.solverstate, which names the other.
struct Snapshot {
  std::string weights{}, state{};
};
Snapshot snapshot_at(const std::string& prefix, int iteration);

/// Writes both, each whole or not at all; the state is there only while its weights are.
Snapshot write_snapshot(const std::string& prefix, const caffe_files::Model& model, cnn::Solver& solver,
                        const Position& position);

/// Sets the weights and the solver's histories to those of a state. The weights that it names may also have been moved
/// beside it. Throws std::runtime_error naming the file, what was expected and what was found.
Position read_snapshot(const std::string& state, caffe_files::Model& model, cnn::Solver& solver);

}  // namespace tool
