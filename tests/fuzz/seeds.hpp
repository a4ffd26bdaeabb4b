// SPDX-License-Identifier: MIT
// Small good files to begin with.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fuzz {

/// By the name of their reader.
std::map<std::string, std::vector<std::string>> all_seeds();

}  // namespace fuzz
