// SPDX-License-Identifier: MIT
// What a solver's file asks for.
#pragma once

#include <string>
#include <vector>

#include <caffe.pb.h>

#include "cnn/solver.hpp"

namespace tool {

/// Where a path in a solver leads: as in Caffe from the current folder. What is not there is looked for from the
/// solver's folder and then, by its last part, in it; stderr says so. `what` stands in the error if it is nowhere.
std::string located(const std::string& path, const std::string& solver_file, const std::string& what);

/// The prefix of snapshots: the solver's, or its file's path without extension. Throws std::runtime_error where no file
/// can be written there.
std::string snapshot_prefix(const caffe::SolverParameter& solver, const std::string& solver_file);

/// The method and its settings. Throws std::invalid_argument naming the file and the field for everything that this
/// program cannot do, with what it can; the numbers that the solver says beside them are checked, too.
cnn::Solver solver_of(const caffe::SolverParameter& solver, const std::string& file);

/// The nets of a solver, each with its state.
struct Nets {
  struct Test {
    caffe::NetParameter net{};
    int iterations = 0;
  };
  caffe::NetParameter train{};
  std::vector<Test> tests{};
};

/// Reads them. Throws std::invalid_argument where the solver does not name them as Caffe asks.
Nets nets_of(const caffe::SolverParameter& solver, const std::string& file);

}  // namespace tool
