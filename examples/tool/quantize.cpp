// SPDX-License-Identifier: MIT
// ristretto quantize.
#include "quantize.hpp"

#include <CLI/CLI.hpp>

namespace tool {

std::function<int()> add_quantize(CLI::App& app) {
  app.add_subcommand("quantize", "not there yet");
  return [] { return 1; };
}

}  // namespace tool
