// SPDX-License-Identifier: MIT
// ristretto quantize: how few bits the parts of a net need.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tool {

/// Adds the command `quantize`; what is returned runs it and returns the exit code.
std::function<int()> add_quantize(CLI::App& app);

}  // namespace tool
