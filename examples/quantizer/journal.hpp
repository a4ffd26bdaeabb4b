// SPDX-License-Identifier: MIT
// The trials of a search in a file, so that one that was stopped goes on where it was.
#pragma once

#include <cstdint>
#include <deque>
#include <fstream>
#include <map>
#include <string>

#include "quantizer/trials.hpp"

namespace quantizer {

class Journal {
 public:
  /// Reads what an earlier search left, of trials with so many pictures; an incomplete last line is dropped. Without a
  /// path it only remembers. Throws std::runtime_error where the file is of another search, as its title says, or
  /// cannot be read or written; it is left as it is then.
  Journal(const std::string& path, const std::string& title, std::int64_t pictures);

  /// The trial of this name, or null.
  const Hits* find(const std::string& key) const;
  /// Adds a trial, also to the file. Throws std::runtime_error where it is known with other results.
  const Hits* add(const std::string& key, const Hits& hits);

 private:
  void read(const std::string& title, std::int64_t pictures);

  std::string path_;
  std::ofstream file_{};
  std::deque<Hits> hits_{};  // pointers stay good
  std::map<std::string, const Hits*> known_{};
};

}  // namespace quantizer
