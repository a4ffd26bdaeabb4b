// SPDX-License-Identifier: MIT
// Opening of sources.
#include "pictures/open.hpp"

#include <charconv>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "cnn/check.hpp"
#include "pictures/lmdb_file.hpp"
#include "pictures/xz_file.hpp"

namespace pictures {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

/// Text from a file, fit to be shown: at most 60 printable characters.
std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, 60)) shown += c >= ' ' && c < 127 ? c : '?';
  return shown + (text.size() > 60 ? "...\"" : "\"");
}

// ---- Opening ----

/// The first of the files `stem` + ending that is there; empty if there is none.
std::string first_existing(const fs::path& stem, std::initializer_list<const char*> endings) {
  for (const char* ending : endings) {
    const std::string path = stem.string() + ending;
    if (std::error_code error; fs::exists(path, error)) return path;
  }
  return "";
}

Dataset open_idx(const std::string& folder, bool training) {
  const std::string prefix = training ? "train-" : "t10k-";
  const auto file = [&](const std::string& name) {
    const fs::path stem = fs::path(folder) / (prefix + name);
    const std::string path = first_existing(stem, {"", ".gz"});
    if (path.empty()) fail(stem.string(), "cannot be found, nor with .gz; give the folder of MNIST's four files");
    return path;
  };
  const std::string images = file("images-idx3-ubyte"), labels = file("labels-idx1-ubyte");
  return read_idx(images, labels);
}

Dataset open_cifar10(const std::string& folder, bool training) {
  std::vector<std::string> names{"test_batch"};
  if (training) names = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"};
  Dataset data;
  for (const std::string& name : names) {
    const std::string path = first_existing(fs::path(folder) / name, {".bin", ".bin.gz", ".bin.xz"});
    if (path.empty()) continue;
    if (path.ends_with(".xz")) {
      append_cifar10(data, read_xz_file(path), path);
    } else {
      append_cifar10(data, read_file(path), path);
    }
  }
  if (data.size() == 0) {
    fail((fs::path(folder) / names.front()).string() + ".bin",
         "cannot be found, nor with .gz or .xz; give the folder of CIFAR-10's binary batches");
  }
  return data;
}

/// A line of a list.
struct Listed {
  std::string path{};
  int label = 0;
  std::int64_t line = 0;
};

/// Lines `path label`; the label is what follows the last blank.
std::vector<Listed> open_list(const std::string& list, const std::string& root) {
  const std::vector<std::uint8_t> bytes = read_file(list);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string folder = fs::path(list).parent_path().string();
  const std::string before = !root.empty() ? root : folder.empty() ? "" : folder + "/";
  std::vector<Listed> all;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t blank = line.find_last_of(" \t");
    const std::string_view label = line.substr(blank == std::string_view::npos ? line.size() : blank + 1);
    Listed listed{{}, -1, number};
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), listed.label);
    if (error != std::errc{} || end != label.data() + label.size() || listed.label < 0) {
      fail(list, "line " + std::to_string(number) + ": expected a path, a blank and a label from 0 on, found " +
                     quoted(line));
    }
    std::string_view path = line.substr(0, blank);
    while (!path.empty() && (path.back() == ' ' || path.back() == '\t')) path.remove_suffix(1);
    listed.path = root.empty() && path.starts_with('/') ? std::string(path) : before + std::string(path);
    all.push_back(std::move(listed));
  }
  return all;
}

Source source_of(std::vector<Listed> list, const std::string& spec, const SourceOptions& how) {
  const auto size = static_cast<std::int64_t>(list.size());
  auto decode = [list = std::move(list), spec, colours = how.colours.value_or(Colours::bgr), height = how.new_height,
                 width = how.new_width](std::int64_t i) {
    const Listed& listed = list[static_cast<std::size_t>(i)];
    const std::string line = "line " + std::to_string(listed.line) + ": ";
    try {
      Picture picture = read_picture(listed.path, colours);
      if (height > 0) picture = resized(picture, height, width);
      return Decoded{.shape = picture.shape,
                     .label = listed.label,
                     .bytes = std::move(picture.values),
                     .place = line + listed.path};
    } catch (const std::runtime_error& e) {
      fail(spec, line + e.what());
    }
  };
  return {spec, how, size, std::move(decode)};
}

Source source_of(std::shared_ptr<const LmdbFile> database, const std::string& spec, const SourceOptions& how,
                 DecodeRecord decode_record) {
  const auto size = static_cast<std::int64_t>(database->records().size());
  auto decode = [database = std::move(database), spec, colours = how.colours,
                 decode_record = std::move(decode_record)](std::int64_t i) {
    const LmdbFile::Record& record = database->records()[static_cast<std::size_t>(i)];
    return decode_record(record.value, spec + ": record " + std::to_string(i) + ", key " + quoted(record.key), colours);
  };
  return {spec, how, size, std::move(decode)};
}

}  // namespace

Source open_source(const std::string& spec, const SourceOptions& how, DecodeRecord decode_record) {
  cnn::check((how.new_height > 0) == (how.new_width > 0) && how.new_height >= 0 && how.new_width >= 0, spec,
             "new_height is " + std::to_string(how.new_height) + " and new_width " + std::to_string(how.new_width),
             "give both, or none");
  const std::size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon), path = colon == std::string::npos ? "" : spec.substr(colon + 1);
  cnn::check(!path.empty() && (kind == "idx" || kind == "cifar10" || kind == "images" || kind == "lmdb"), "data source",
             "unknown source \"" + spec + "\"", "choose idx:FOLDER, cifar10:FOLDER, images:LIST or lmdb:FOLDER");
  if (kind == "idx") return source_of(open_idx(path, how.training), spec, how);
  if (kind == "cifar10") return source_of(open_cifar10(path, how.training), spec, how);
  if (kind == "images") return source_of(open_list(path, how.root_folder), spec, how);
  return source_of(std::make_shared<const LmdbFile>(path), spec, how, std::move(decode_record));
}

}  // namespace pictures
