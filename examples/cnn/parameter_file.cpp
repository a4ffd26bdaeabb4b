// SPDX-License-Identifier: MIT
// Writing and reading parameters.
#include "cnn/parameter_file.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace cnn {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is little endian");

constexpr const char* magic = "cnn parameters 1";

std::string header(const std::string& name, const Shape& s) {
  return name + " " + std::to_string(s.N) + " " + std::to_string(s.C) + " " + std::to_string(s.H) + " " +
         std::to_string(s.W);
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

/// A line of at most 4096 characters; what a foreign binary file begins with is cut short.
std::string read_line(std::istream& in) {
  std::string line;
  for (int c = in.get(); c != '\n' && c != std::istream::traits_type::eof() && line.size() < 4096; c = in.get()) {
    line.push_back(c >= ' ' && c < 127 ? static_cast<char>(c) : '?');
  }
  return line;
}

std::string quoted(const std::string& line) { return '"' + line.substr(0, 60) + (line.size() > 60 ? "...\"" : "\""); }

}  // namespace

void save_parameters(const Net& net, const std::string& path) {
  const std::string unfinished = path + ".part";
  std::ofstream out(unfinished, std::ios::binary);
  if (!out) fail(unfinished, "cannot be written; check the folder and its permissions");
  out << magic << '\n';
  const auto write = [&](const std::string& name, const Tensor& value) {
    out << header(name, value.shape()) << '\n';
    out.write(reinterpret_cast<const char*>(value.data()), value.size() * static_cast<Index>(sizeof(float)));
  };
  net.each_parameter([&](const std::string& name, const Parameter& p) { write(name, p.value()); });
  net.each_statistic(write);
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(unfinished, path, error);
  if (!out || error) {
    std::filesystem::remove(unfinished, error);
    fail(path, "cannot be written in full; check the space on the device and the permissions");
  }
}

void load_parameters(Net& net, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be opened; check the name");
  if (const std::string line = read_line(in); line != magic) {
    fail(path, "expected \"" + std::string(magic) + "\" in its first line, found " + quoted(line));
  }
  std::vector<Tensor> values;
  const auto read = [&](const std::string& name, const Tensor& old) {
    const std::string expected = header(name, old.shape());
    if (const std::string line = read_line(in); line != expected) {
      fail(path, "expected parameter \"" + expected + "\", found " + (in ? quoted(line) : "the end of the file"));
    }
    Tensor& value = values.emplace_back(old.shape());
    const std::streamsize size = value.size() * static_cast<Index>(sizeof(float));
    in.read(reinterpret_cast<char*>(value.data()), size);
    if (in.gcount() != size) {
      fail(path, name + ": expected " + std::to_string(size) + " bytes, found " + std::to_string(in.gcount()));
    }
  };
  net.each_parameter([&](const std::string& name, Parameter& p) { read(name, p.value()); });
  net.each_statistic([&](const std::string& name, Tensor& value) { read(name, value); });
  if (in.peek() != std::ifstream::traits_type::eof())
    fail(path, "expected its end after the last parameter, found more");
  auto next = values.begin();
  net.each_parameter([&](const std::string&, Parameter& p) { p.edit() = std::move(*next++); });
  net.each_statistic([&](const std::string&, Tensor& value) { value = std::move(*next++); });
}

}  // namespace cnn
