// SPDX-License-Identifier: MIT
// ristretto inspect.
#include "inspect.hpp"

#include <CLI/CLI.hpp>

namespace tool {

std::function<int()> add_inspect(CLI::App& app) {
  app.add_subcommand("inspect", "not there yet");
  return [] { return 1; };
}

}  // namespace tool
