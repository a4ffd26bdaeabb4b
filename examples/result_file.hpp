// SPDX-License-Identifier: MIT
// The file that an option of a program names.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

/// A file that is written whole or not at all: under another name until it is complete. Opened early, so that a path
/// that cannot be written is known before the work. No path, no file.
class ResultFile {
 public:
  explicit ResultFile(const std::string& path, const std::string& option = "--json") : path_(path) {
    if (path.empty()) return;
    if (std::filesystem::is_directory(path))
      throw std::runtime_error(option + ": " + path + " is a folder; name a file");
    file_.open(unfinished(), std::ios::binary);
    if (!file_) throw std::runtime_error(option + ": " + unfinished() + " cannot be written; is there such a folder?");
  }
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;
  ~ResultFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(unfinished(), ignored);  // there only when something failed
  }

  void write(const std::string& content) {
    if (path_.empty()) return;
    file_ << content;
    file_.close();
    if (!file_) throw std::runtime_error(unfinished() + ": cannot be written; is the disk full?");
    std::filesystem::rename(unfinished(), path_);
  }

 private:
  std::string unfinished() const { return path_ + ".part"; }

  std::string path_;
  std::ofstream file_;
};
