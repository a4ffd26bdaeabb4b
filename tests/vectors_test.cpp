// SPDX-License-Identifier: MIT
// Recorded inputs and outputs of the original Ristretto, read from vectors/ristretto2016.csv.gz in RISTRETTO_DATA.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <ristretto/formats.hpp>
#include <ristretto/trimmer.hpp>

#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr int known_rows = 59384;

struct Row {
  std::string format;
  int p1;
  int p2;
  std::uint32_t input;
  std::uint32_t output;
};

template <class T>
T number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::runtime_error("not a number: " + std::string(text));
  }
  return value;
}

Row parse(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) break;
    line.remove_prefix(comma + 1);
  }
  if (fields.size() != 5) throw std::runtime_error("a row does not have five fields");
  return {std::string(fields[0]), number<int>(fields[1], 10), number<int>(fields[2], 10),
          number<std::uint32_t>(fields[3], 16), number<std::uint32_t>(fields[4], 16)};
}

float trimmed(const Row& row, float x) {
  if (row.format == "fixed") {
    return rt::Trimmer{rt::DynamicFixedPoint<>{row.p1 - row.p2, row.p2}, rt::RoundNearestAway{}}(x);
  }
  if (row.format == "minifloat") {
    using Original = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ristretto2016>;
    return rt::Trimmer{Original{row.p1, row.p2}, rt::RoundNearestAway{}}(x);
  }
  if (row.format == "pow2") return rt::Trimmer{rt::PowerOfTwo<>{row.p1, row.p2}, rt::RoundNearestExponent{}}(x);
  throw std::runtime_error("unknown format " + row.format);
}

int compare_all(std::FILE* file) {
  char line[256];
  int rows = 0;
  int wrong = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    std::string_view text = line;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (text.empty() || text.starts_with("format,")) continue;
    const Row row = parse(text);
    const float x = checks::from_bits(row.input);
    const float result = trimmed(row, x);
    ++rows;
    if (checks::same(result, checks::from_bits(row.output))) continue;
    if (++wrong <= 10) std::printf("%s: gives %08x\n", std::string(text).c_str(), checks::bits(result));
  }
  std::printf("%d rows, %d differ\n", rows, wrong);
  if (rows != known_rows) std::printf("expected %d rows\n", known_rows);
  return rows == known_rows && wrong == 0 ? 0 : 1;
}

}  // namespace

int main() try {
  const std::string folder = checks::published("vectors");
  if (folder.empty()) return 77;
  const std::string command = "gzip -dc '" + folder + "ristretto2016.csv.gz'";  // zlib is rare on cross compilers
  std::FILE* const rows = popen(command.c_str(), "r");
  if (rows == nullptr) {
    std::printf("cannot run %s\n", command.c_str());
    return 1;
  }
  const int result = compare_all(rows);
  if (pclose(rows) != 0) {
    std::printf("%s failed; RISTRETTO_DATA is the folder that holds vectors/\n", command.c_str());
    return 1;
  }
  return result;
} catch (const std::exception& error) {
  std::printf("failed: %s\n", error.what());
  return 1;
}
