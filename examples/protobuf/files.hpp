// SPDX-License-Identifier: MIT
// Files that hold a protobuf message: checked before they are parsed, written whole or not at all.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

namespace protobuf_files {

inline constexpr std::size_t largest_text = std::size_t{4} << 20;  // bytes
inline constexpr std::size_t largest_binary = std::numeric_limits<int>::max();

/// What was read but not understood, once each: "net.prototxt:12:3: LayerParameter has no field \"colour\"".
struct Warnings {
  std::vector<std::string> unknown_fields{};
};

/// One warning that lists them, or nothing.
std::string to_string(const Warnings& warnings);

/// A regular file as a whole, of at most `limit` bytes.
std::string read_file(const std::string& path, std::size_t limit);

/// Text of a foreign file, fit for a terminal.
std::string printable(std::string_view text);

// Parsers replace a message; `name` stands for the file in errors and warnings. They throw std::runtime_error naming
// the file, the position in it, what was expected and what was found.

/// The message that a text describes.
void parse_text(google::protobuf::Message& message, std::string_view text, const std::string& name, Warnings& warnings);
/// The message that the bytes encode. They are checked before anything is allocated from them.
void parse_binary(google::protobuf::Message& message, std::string_view bytes, const std::string& name,
                  Warnings& warnings);

/// A message as text, its fields in the order of their numbers.
std::string to_text(const google::protobuf::Message& message);

// Writers leave the file whole or as it was: they write beside it, then rename. They throw std::runtime_error.
void write_text(const google::protobuf::Message& message, const std::string& path);
void write_binary(const google::protobuf::Message& message, const std::string& path);

}  // namespace protobuf_files
