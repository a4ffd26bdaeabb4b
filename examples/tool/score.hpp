// SPDX-License-Identifier: MIT
// ristretto test: what a net scores.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tool {

/// Adds the command `test`; what is returned runs it and returns the exit code.
std::function<int()> add_test(CLI::App& app);

}  // namespace tool
