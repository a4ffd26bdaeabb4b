// SPDX-License-Identifier: MIT
// The parameters of a net in a file.
#pragma once

#include <string>

#include "cnn/net.hpp"

namespace cnn {

/// Writes all full-precision parameters: the file appears whole or not at all. Throws std::runtime_error naming the
/// file. Format: "cnn parameters 1\n", then per parameter a line "name N C H W\n" and its floats, little endian.
void save_parameters(const Net& net, const std::string& path);

/// Reads what save_parameters wrote for a net of the same layers. Throws std::runtime_error naming the file, what was
/// expected and what was found; the net is then unchanged.
void load_parameters(Net& net, const std::string& path);

}  // namespace cnn
