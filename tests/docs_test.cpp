// SPDX-License-Identifier: MIT
// Runs the tables of docs/formats.md, and compares README.md with the program it shows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <ristretto/span.hpp>

#include "catch.hpp"
#include "checks.hpp"

#if !defined(RISTRETTO_SOURCE_DIR)
#error "define RISTRETTO_SOURCE_DIR as the folder that holds docs"
#endif

namespace rt = ristretto;

namespace {

using Row = std::vector<std::string>;

/// The cells of a line of a table, without blanks and backquotes at their ends; nothing for other lines.
Row cells_of(const std::string& line) {
  Row cells;
  if (!line.starts_with('|')) return cells;
  for (std::size_t begin = 1, end; (end = line.find('|', begin)) != std::string::npos; begin = end + 1) {
    const std::string cell = line.substr(begin, end - begin);
    const std::size_t first = cell.find_first_not_of(" `");
    const std::size_t last = cell.find_last_not_of(" `");
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

/// The rows of every table with this header.
std::vector<Row> rows_of(const Row& header) {
  std::ifstream page(RISTRETTO_SOURCE_DIR "/docs/formats.md");
  REQUIRE(page.good());
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    const Row cells = cells_of(line);
    if (cells.empty() || cells == header) {
      inside = !cells.empty();
    } else if (inside && !cells[0].starts_with("---")) {
      REQUIRE(cells.size() == header.size());
      rows.push_back(cells);
    }
  }
  return rows;
}

float number(const std::string& text) {
  char* end = nullptr;
  const float x = std::strtof(text.c_str(), &end);
  if (text.empty() || *end != '\0') throw std::runtime_error("not a number: " + text);
  return x;
}
std::uint64_t integer(const std::string& text) { return std::stoull(text, nullptr, 0); }

/// x trimmed among other elements, and alone.
template <class R>
void check(const rt::AnyFormat& format, R round, float x, float expected) {
  std::vector<float> many(19, 1.0f);
  many[1] = many[18] = x;
  rt::trim(std::span(many), rt::Trimmer{format, round});
  CHECK(checks::same(many[1], expected));
  CHECK(checks::same(many[18], expected));
  rt::detail::visit_trimmer(rt::Trimmer{format, round},
                            [&](const auto& trimmer) { CHECK(checks::same(trimmer(x), expected)); });
}
void check(const rt::AnyFormat& format, const std::string& rounding, float x, float expected) {
  if (rounding == "RoundNearest") return check(format, rt::RoundNearest{}, x, expected);
  if (rounding == "RoundNearestAway") return check(format, rt::RoundNearestAway{}, x, expected);
  if (rounding == "RoundHalfUp") return check(format, rt::RoundHalfUp{}, x, expected);
  if (rounding == "RoundDown") return check(format, rt::RoundDown{}, x, expected);
  if (rounding == "RoundUp") return check(format, rt::RoundUp{}, x, expected);
  if (rounding == "RoundTowardZero") return check(format, rt::RoundTowardZero{}, x, expected);
  if (rounding == "RoundNearestExponent") return check(format, rt::RoundNearestExponent{}, x, expected);
  throw std::runtime_error("no rounding is called " + rounding);
}

}  // namespace

TEST_CASE("every example of docs/formats.md is what the library computes") {
  const auto rows = rows_of({"format", "rounding", "x", "result"});
  CHECK(rows.size() >= 130);
  for (const Row& row : rows) {
    INFO(row[0] << " " << row[1] << " " << row[2] << " -> " << row[3]);
    check(rt::AnyFormat::parse(row[0]), row[1], number(row[2]), number(row[3]));
  }
}

TEST_CASE("the examples show every format, and every rounding without randomness") {
  const auto rows = rows_of({"format", "rounding", "x", "result"});
  std::vector<int> formats(std::variant_size_v<rt::AnyFormat::Variant>);
  for (const Row& row : rows) ++formats[rt::AnyFormat::parse(row[0]).variant().index()];
  for (std::size_t index = 0; index < formats.size(); ++index) {
    INFO("alternative " << index << " of AnyFormat");
    CHECK(formats[index] >= 5);
  }
  rt::detail::each_preset([&](const auto& preset) {
    INFO(preset.name);
    CHECK(std::ranges::any_of(rows, [&](const Row& row) { return row[0] == preset.name; }));
  });
}

TEST_CASE("the table of presets in docs/formats.md is what the library has") {
  const auto rows =
      rows_of({"preset", "type", "text form", "bits", "largest", "smallest normal", "smallest subnormal"});
  std::vector<std::string_view> names;
  rt::detail::each_preset([&](const auto& preset) { names.push_back(preset.name); });
  REQUIRE(rows.size() == names.size());
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const Row& row = rows[k];
    INFO(row[0]);
    CHECK(row[0] == names[k]);
    const rt::AnyFormat format = rt::AnyFormat::parse(row[0]);
    CHECK(row[2] == rt::to_string(format));
    CHECK(integer(row[3]) == static_cast<std::uint64_t>(format.bits()));
    CHECK(number(row[4]) == format.largest());
    format.visit([&](const auto& f) {
      if constexpr (requires { f.mantissa_bits(); }) {
        CHECK(number(row[5]) == std::ldexp(1.0f, f.min_exponent()));
        CHECK(number(row[6]) == f.quantum(0.0f));
      }
    });
  }
}

TEST_CASE("the random words in docs/formats.md are what the library draws") {
  const auto rows = rows_of({"seed", "stream", "element", "word", "half"});
  CHECK(rows.size() >= 8);
  for (const Row& row : rows) {
    INFO(row[0] << " " << row[1] << " " << row[2]);
    const rt::RandomStream random{integer(row[0]), integer(row[1])};
    CHECK(random.word(integer(row[2])) == integer(row[3]));
    CHECK(random.half(integer(row[2])) == integer(row[4]));
  }
}

TEST_CASE("README.md shows examples/readme.cpp and what it prints") {
  const auto read = [](const std::string& name) {
    std::ifstream file(RISTRETTO_SOURCE_DIR "/" + name);
    REQUIRE(file.good());
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::istringstream program(read("examples/readme.cpp"));
  std::string shown;
  bool inside = false;
  for (std::string line; std::getline(program, line);) {
    if (line.ends_with("README ends")) inside = false;
    if (inside) shown += line.substr(2) + "\n";  // less the indentation of main
    if (line.ends_with("README begins")) inside = true;
  }
  CHECK(!shown.empty());
  const std::string readme = read("README.md");
  CHECK(checks::contains(readme, "```cpp\n" + shown + "```\n"));
  CHECK(checks::contains(readme, "```\n" + read("examples/readme.expected") + "```\n"));
}
