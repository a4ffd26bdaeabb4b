// SPDX-License-Identifier: MIT
// ristretto inspect: what a net consists of, and what widths cost.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tool {

/// Adds the command `inspect`; what is returned runs it and returns the exit code.
std::function<int()> add_inspect(CLI::App& app);

}  // namespace tool
