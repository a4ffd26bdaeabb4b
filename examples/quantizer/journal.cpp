// SPDX-License-Identifier: MIT
// Lines of a journal: the title, then for each trial its divergence, its hits as digits and its name.
#include "quantizer/journal.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

namespace quantizer {
namespace {

struct Entry {
  Hits hits{};
  std::string key{};
};

std::optional<Entry> entry_of(const std::string& line, std::int64_t pictures) {
  const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
  if (first == std::string::npos || second == std::string::npos) return {};
  Entry entry;
  char* end = nullptr;
  entry.hits.divergence = std::strtod(line.c_str(), &end);
  if (end != line.c_str() + first || !std::isfinite(entry.hits.divergence)) return {};
  for (std::size_t k = first + 1; k < second; ++k) {
    if (line[k] != '0' && line[k] != '1') return {};
    entry.hits.right.push_back(line[k] == '1');
  }
  if (static_cast<std::int64_t>(entry.hits.right.size()) != pictures) return {};
  entry.key = line.substr(second + 1);
  return entry;
}

}  // namespace

Journal::Journal(const std::string& path, const std::string& title, std::int64_t pictures) : path_(path) {
  if (path.empty()) return;
  if (std::filesystem::is_directory(path)) throw std::runtime_error(path + " is a folder; name a file for the journal");
  if (std::filesystem::exists(path)) read(title, pictures);
  const bool is_new = !std::filesystem::exists(path) || std::filesystem::file_size(path) == 0;
  file_.open(path, std::ios::binary | std::ios::app);
  if (is_new) file_ << title << '\n' << std::flush;
  if (!file_) throw std::runtime_error(path + ": the journal cannot be written; is there such a folder?");
}

void Journal::read(const std::string& title, std::int64_t pictures) {
  std::ifstream in(path_, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) throw std::runtime_error(path_ + ": the journal cannot be read");
  std::size_t complete = std::min(text.find('\n'), text.size());
  const std::string first = text.substr(0, complete);
  const bool is_cut = complete == text.size();
  if (is_cut ? !title.starts_with(first) : title != first) {
    throw std::runtime_error(
        fmt::format("{}: the journal is of another search\n  it says \"{}\"\n  now  \"{}\"\nname another file", path_,
                    first, title));
  }
  complete = is_cut ? 0 : complete + 1;
  int number = 1;
  for (std::size_t end = text.find('\n', complete); end != std::string::npos; end = text.find('\n', complete)) {
    auto entry = entry_of(text.substr(complete, end - complete), pictures);
    complete = end + 1;
    ++number;
    if (!entry) {
      throw std::runtime_error(
          fmt::format("{}: line {} is no trial with {} pictures; remove it and those after", path_, number, pictures));
    }
    known_[entry->key] = &hits_.emplace_back(std::move(entry->hits));
  }
  if (complete < text.size()) std::filesystem::resize_file(path_, complete);
}

const Hits* Journal::find(const std::string& key) const {
  const auto at = known_.find(key);
  return at == known_.end() ? nullptr : at->second;
}

const Hits* Journal::add(const std::string& key, const Hits& hits) {
  if (const Hits* known = find(key)) {
    if (known->right == hits.right && known->divergence == hits.divergence) return known;
    throw std::runtime_error(path_ + ": the journal has other results for \"" + key +
                             "\": it is of other weights or pictures; name another file");
  }
  if (file_.is_open()) {
    std::string right;
    for (const bool hit : hits.right) right += hit ? '1' : '0';
    file_ << fmt::format("{}\t{}\t{}\n", hits.divergence, right, key) << std::flush;
    if (!file_) throw std::runtime_error(path_ + ": the journal cannot be written");
  }
  return known_[key] = &hits_.emplace_back(hits);
}

}  // namespace quantizer
