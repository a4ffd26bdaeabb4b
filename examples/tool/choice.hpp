// SPDX-License-Identifier: MIT
// Options whose value is one of a few names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace tool {

/// Adds an option that sets `value` to what its name stands for.
template <class Value, class Target>
CLI::Option* add_choice(CLI::App& command, const std::string& option, const std::map<std::string, Value>& names,
                        Target& value, const std::string& description) {
  std::vector<std::string> known;
  for (const auto& [name, unused] : names) known.push_back(name);
  const auto set = [&names, &value](const std::string& name) { value = names.at(name); };
  return command.add_option_function<std::string>(option, set, description)->check(CLI::IsMember(known));
}

}  // namespace tool
