// SPDX-License-Identifier: MIT
// Reading and writing message files.
#include "protobuf/files.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#if GOOGLE_PROTOBUF_VERSION < 4022000
#include <google/protobuf/stubs/logging.h>
#endif

namespace protobuf_files {
namespace {

namespace pb = google::protobuf;

constexpr int deepest = 50;              // messages within messages
constexpr int most_parts = 2'000'000;    // messages, strings and unknown fields, each of which costs memory of its own
constexpr std::size_t most_listed = 20;  // unknown fields in a warning

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

#if GOOGLE_PROTOBUF_VERSION < 4022000
using Quiet = pb::LogSilencer;  // protobuf would print that a name is no UTF-8, which Caffe's files may have
#else
struct Quiet {
  Quiet() {}
};
#endif

// ---- Text ----

/// The message at a place, with its names: Message type "caffe.Net" has no field named "colour".
struct Complaint {
  int line = 0, column = 0;
  std::string message;
};

/// The texts in quotation marks.
std::vector<std::string> texts_in_quotes(std::string_view text) {
  std::vector<std::string> result;
  for (std::size_t at = text.find('"'); at != std::string_view::npos; at = text.find('"', at + 1)) {
    const std::size_t end = text.find('"', at + 1);
    if (end == std::string_view::npos) break;
    result.emplace_back(text.substr(at + 1, end - at - 1));
    at = end;
  }
  return result;
}

/// Keeps the first error and all warnings.
class Collector : public pb::io::ErrorCollector {
 public:
  std::vector<Complaint> errors{}, warnings{};

#if GOOGLE_PROTOBUF_VERSION >= 4022000
  void RecordError(int line, int column, absl::string_view message) override { add(errors, line, column, message); }
  void RecordWarning(int line, int column, absl::string_view message) override { add(warnings, line, column, message); }
#else
  void AddError(int line, int column, const std::string& message) override { add(errors, line, column, message); }
  void AddWarning(int line, int column, const std::string& message) override { add(warnings, line, column, message); }
#endif

 private:
  template <class Text>
  static void add(std::vector<Complaint>& list, int line, int column, const Text& message) {
    if (list.size() < 10'000) list.push_back({line + 1, column + 1, std::string(message)});
  }
};

std::string place(const std::string& name, const Complaint& c) {
  return name + ":" + std::to_string(c.line) + ":" + std::to_string(c.column);
}

// ---- Binary ----

/// Walks through an encoded message before it is parsed: every length is inside its surroundings, nothing is nested too
/// deep, and the number of parts is bounded.
class WireCheck {
 public:
  WireCheck(std::string_view bytes, const std::string& name, Warnings& warnings)
      : bytes_(bytes), name_(name), warnings_(warnings) {}

  void message(const pb::Descriptor& type, std::size_t end, int depth = 0) {
    if (depth > deepest) bad("messages are nested deeper than " + std::to_string(deepest));
    while (at_ < end) field(type, end, depth);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    std::string where = " at byte " + std::to_string(at_);
    if (!path_.empty()) where += " in " + path_;
    fail(name_, what + where + "; the file is damaged, cut off, or no file of this kind");
  }

  std::uint64_t varint(std::size_t end) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end) bad("expected more of a number, found the end");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    bad("expected a number of at most 10 bytes, found a longer one");
  }

  void skip(std::uint64_t size, std::size_t end) {
    if (size > end - at_) {
      bad("expected " + std::to_string(size) + " bytes, found " + std::to_string(end - at_));
    }
    at_ += static_cast<std::size_t>(size);
  }

  void count_part() {
    if (++parts_ > most_parts) bad("expected at most " + std::to_string(most_parts) + " parts, found more");
  }

  void unknown(const pb::Descriptor& type, std::uint64_t number) {
    count_part();
    if (unknown_.size() >= 10'000 || !unknown_.emplace(&type, number).second) return;
    warnings_.unknown_fields.push_back(name_ + ": " + std::string(type.name()) + " has no field " +
                                       std::to_string(number));
  }

  void field(const pb::Descriptor& type, std::size_t end, int depth) {
    const std::uint64_t tag = varint(end);
    const std::uint64_t number = tag >> 3;
    if (number == 0 || number > pb::FieldDescriptor::kMaxNumber) {
      bad("expected a field, found the number " + std::to_string(number));
    }
    const pb::FieldDescriptor* known = type.FindFieldByNumber(static_cast<int>(number));
    if (!known) unknown(type, number);
    switch (tag & 7) {
      case 0: {
        const std::uint64_t value = varint(end);
        if (known && known->enum_type() && !known->enum_type()->FindValueByNumber(static_cast<int>(value))) {
          unknown(type, number);
        }
        return;
      }
      case 1:
        return skip(8, end);
      case 5:
        return skip(4, end);
      case 2:
        return length_delimited(known, end, depth);
      default:
        bad("expected a field of wire type 0, 1, 2 or 5, found " + std::to_string(tag & 7));
    }
  }

  void length_delimited(const pb::FieldDescriptor* known, std::size_t end, int depth) {
    const std::size_t path = path_.size();
    if (known) path_.append(path_.empty() ? "" : ".").append(known->name());
    const std::uint64_t size = varint(end);
    const std::size_t begin = at_;
    skip(size, end);
    count_part();
    if (known && known->message_type()) {
      at_ = begin;
      message(*known->message_type(), begin + static_cast<std::size_t>(size), depth + 1);
    } else if (const std::uint64_t element = known ? fixed_size(*known) : 1; size % element != 0) {
      bad("expected elements of " + std::to_string(element) + " bytes, found " + std::to_string(size) + " bytes");
    }
    path_.resize(path);
  }

  static std::uint64_t fixed_size(const pb::FieldDescriptor& f) {
    if (f.cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT) return 4;
    return f.cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE ? 8 : 1;
  }

  std::string_view bytes_;
  const std::string& name_;
  Warnings& warnings_;
  std::string path_{};
  std::set<std::pair<const pb::Descriptor*, std::uint64_t>> unknown_{};
  std::size_t at_ = 0;
  int parts_ = 0;
};

// ---- Writing ----

/// Lets `write` fill a file beside `path`, then puts it in its place; a device or pipe is written as it is.
template <class Write>
void write_whole(const std::string& path, Write write) {
  namespace fs = std::filesystem;
  std::error_code error;
  const bool direct = fs::exists(path, error) && !fs::is_regular_file(path, error);
  const std::string unfinished = direct ? path : path + ".part";
  std::ofstream out(unfinished, std::ios::binary);
  if (!out) fail(path, "cannot be written; check the folder and its permissions");
  const bool written = write(out);
  out.close();
  const bool good = written && !out.fail();
  if (direct && good) return;
  if (good) fs::rename(unfinished, path, error);
  if (!good || error) {
    std::error_code ignored;
    if (!direct) fs::remove(unfinished, ignored);
    fail(path, "cannot be written in full; check the space on the device and the permissions");
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 200));
  for (char& c : result) {
    if (c < ' ' || c == 127) c = '?';
  }
  return result;
}

std::string to_string(const Warnings& warnings) {
  if (warnings.unknown_fields.empty()) return {};
  std::string text = "skipped what is not known here:";
  const std::size_t all = warnings.unknown_fields.size(), listed = std::min(all, most_listed);
  for (std::size_t i = 0; i < listed; ++i) text += "\n  " + warnings.unknown_fields[i];
  if (listed < all) text += "\n  and " + std::to_string(all - listed) + " more";
  return text;
}

std::string read_file(const std::string& path, std::size_t limit) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail(path, "cannot be opened; check the name");
  if (!fs::is_regular_file(status)) fail(path, "expected a file, found a folder or device");
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) fail(path, "its size cannot be told: " + error.message());
  if (size > limit) {
    fail(path, "expected at most " + std::to_string(limit) + " bytes, found " + std::to_string(size));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be opened; check the permissions");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (in.gcount() != static_cast<std::streamsize>(size)) {
    fail(path, "expected " + std::to_string(size) + " bytes, found " + std::to_string(in.gcount()));
  }
  return bytes;
}

void parse_text(pb::Message& message, std::string_view text, const std::string& name, Warnings& warnings) {
  if (text.size() > largest_text) {
    fail(name, "expected a text of at most " + std::to_string(largest_text) + " bytes, found " +
                   std::to_string(text.size()) + "; is it a binary file?");
  }
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    fail(name, "expected text, found a zero at byte " + std::to_string(zero) + "; is it a binary file?");
  }
  Collector collector;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(deepest);
  const bool good = parser.ParseFromString(std::string(text), &message);
  if (!good || !collector.errors.empty()) {
    const Complaint first = collector.errors.empty() ? Complaint{1, 1, "cannot be read"} : collector.errors.front();
    fail(place(name, first), printable(first.message));
  }
  for (const Complaint& c : collector.warnings) {
    const std::vector<std::string> names = texts_in_quotes(c.message);
    std::string what = c.message;
    if (names.size() == 2) what = names[0].substr(names[0].rfind('.') + 1) + " has no field \"" + names[1] + "\"";
    warnings.unknown_fields.push_back(place(name, c) + ": " + printable(what));
  }
}

void parse_binary(pb::Message& message, std::string_view bytes, const std::string& name, Warnings& warnings) {
  if (bytes.size() > largest_binary) {
    fail(name, "expected at most " + std::to_string(largest_binary) + " bytes, found " + std::to_string(bytes.size()));
  }
  const Quiet quiet;
  WireCheck(bytes, name, warnings).message(*message.GetDescriptor(), bytes.size());
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail(name, "is no " + std::string(message.GetDescriptor()->name()) + "; the file is damaged");
  }
  message.DiscardUnknownFields();
}

std::string to_text(const pb::Message& message) {
  const Quiet quiet;
  pb::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  if (!printer.PrintToString(message, &text)) throw std::runtime_error("the message is too large for a text");
  return text;
}

void write_text(const pb::Message& message, const std::string& path) {
  const std::string text = to_text(message);
  write_whole(path, [&](std::ostream& out) {
    return static_cast<bool>(out.write(text.data(), static_cast<std::streamsize>(text.size())));
  });
}

void write_binary(const pb::Message& message, const std::string& path) {
  const Quiet quiet;
  if (message.ByteSizeLong() > largest_binary) {
    fail(path, "cannot hold " + std::to_string(message.ByteSizeLong()) + " bytes; a file of this kind ends at " +
                   std::to_string(largest_binary));
  }
  write_whole(path, [&](std::ostream& out) { return message.SerializeToOstream(&out); });
}

}  // namespace protobuf_files
