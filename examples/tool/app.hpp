// SPDX-License-Identifier: MIT
// The command line of the tool: for main, and for the program that writes its man page and completions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace tool {

struct Command {
  std::string name{};
  std::function<int()> run{};  // returns the exit code
};

/// All commands with their options. Not copied: `app` keeps references to what the commands read.
struct CommandLine {
  CLI::App app{"Condenses convolutional networks of Caffe to few bits, scores and fine-tunes them."};
  std::vector<Command> commands{};

  CommandLine();
};

/// "ristretto 0.4.0 (AVX2 with FMA, Eigen 3.4.0, xsimd 8.1.0)": the version, and what this program was built with.
std::string version();

}  // namespace tool
