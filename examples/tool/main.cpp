// SPDX-License-Identifier: MIT
// The tool: quantizes, tests, trains and shows nets that Caffe's files describe.
#include <algorithm>
#include <csignal>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "quantizer/interruption.hpp"
#include "tool/app.hpp"
#include "tool/common.hpp"

namespace {

/// How many letters must be inserted, removed or replaced.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// Refuses a first word that is no command, with the one that was probably meant.
bool knows(const std::vector<tool::Command>& commands, const std::string& word) {
  std::string names;
  const tool::Command* closest = nullptr;
  for (const tool::Command& c : commands) {
    if (c.name == word) return true;
    if (!closest || distance(word, c.name) < distance(word, closest->name)) closest = &c;
    names += (names.empty() ? "" : ", ") + c.name;
  }
  fmt::print(stderr, "ristretto: there is no command \"{}\"; did you mean \"{}\"? Commands: {}\n", word, closest->name,
             names);
  return false;
}

int run(const tool::Command& command) {
  try {
    return command.run();
  } catch (const quantizer::Interrupted&) {
    fmt::print(stderr, "\nristretto: interrupted\n");
    return tool::interrupted_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ristretto: {}\n", error.what());
    return tool::failed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  tool::CommandLine line;
  if (argc > 1 && argv[1][0] != '-' && !knows(line.commands, argv[1])) return tool::usage;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return line.app.exit(error) == 0 ? 0 : tool::usage;
  }
  const auto stop = [](int signal) {
    quantizer::interrupted() = true;
    std::signal(signal, SIG_DFL);  // the second time it ends at once
  };
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  const auto chosen = std::find_if(line.commands.begin(), line.commands.end(),
                                   [&](const tool::Command& c) { return line.app.got_subcommand(c.name); });
  return run(*chosen);
}
