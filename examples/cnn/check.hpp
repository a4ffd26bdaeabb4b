// SPDX-License-Identifier: MIT
// Errors of layers and nets: who, what, and what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace cnn {

/// Throws std::invalid_argument "name: problem; remedy" unless the condition holds.
inline void check(bool condition, std::string_view name, const std::string& problem, std::string_view remedy) {
  if (condition) return;
  throw std::invalid_argument(std::string(name) + ": " + problem + "; " + std::string(remedy));
}

}  // namespace cnn
