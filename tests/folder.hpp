// SPDX-License-Identifier: MIT
// A folder for the files of a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>

#include <zlib.h>

namespace checks {

/// All bytes of a file, which there must be.
inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": there is no such file");
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

/// A folder that is gone at the end of the test.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("ristretto_test_" + std::to_string(std::random_device{}()));

  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
  std::string write_gzip(const std::string& name, const std::string& bytes) const {
    const std::string file = (path / name).string();
    gzFile out = gzopen(file.c_str(), "wb");
    gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(out);
    return file;
  }
};

}  // namespace checks
