// SPDX-License-Identifier: MIT
// What the tests share: comparison by bits, inputs worth trying, and one assertion for millions of comparisons.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace checks {

constexpr std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
constexpr std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }
constexpr float from_bits(std::uint32_t u) { return std::bit_cast<float>(u); }

/// The same bits, or both NaN.
template <class T>
constexpr bool same(T a, T b) {
  return bits(a) == bits(b) || (a != a && b != b);
}

inline constexpr float inf = std::numeric_limits<float>::infinity();
inline constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float largest_float = std::numeric_limits<float>::max();
inline constexpr float smallest_float = std::numeric_limits<float>::denorm_min();

/// Zeros, infinities, NaN of several payloads, subnormals, every power of two with its neighbours, and halves.
inline std::vector<float> special_floats() {
  std::vector<std::uint32_t> magnitudes = {0,          1,          2,          0x007FFFFE, 0x007FFFFF,
                                           0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FBFFFFF, 0x7FC00000,
                                           0x7FFFFFFF, 0x3FB504F3, 0x3FB504F4};
  for (std::uint32_t exponent = 1; exponent < 255; ++exponent) {
    const std::uint32_t power = exponent << 23;
    for (const std::uint32_t u : {power - 1, power, power + 1, power | 0x400000, power | 0x3FFFFF, power | 0x200000}) {
      magnitudes.push_back(u);
    }
  }
  for (std::uint32_t bit = 0; bit < 23; ++bit) magnitudes.push_back(1u << bit);
  for (int k = 0; k < 64; ++k) magnitudes.push_back(bits(static_cast<float>(k) * 0.25f));
  std::vector<float> all;
  for (const std::uint32_t u : magnitudes) {
    all.push_back(from_bits(u));
    all.push_back(from_bits(u | 0x80000000));
  }
  return all;
}

/// A small generator of bit patterns for inputs (xorshift32).
struct Patterns {
  std::uint32_t state = 0x9E3779B9;

  std::uint32_t next() {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
  }
  float next_float() { return from_bits(next()); }
};

/// Numbers off every grid, a few NaN and infinities among them.
inline std::vector<float> numbers(std::size_t size) {
  Patterns patterns;
  std::vector<float> x(size);
  for (std::size_t k = 0; k < size; ++k) {
    x[k] = k % 101 == 0 ? patterns.next_float() : static_cast<float>(patterns.next() >> 8) * 0x1p-22f - 2;
  }
  return x;
}

/// Counts disagreements and remembers the first: CHECK(d.report() == "") is one assertion for a long loop.
class Disagreements {
 public:
  template <class Title, class T>
  void compare(const Title& title, T x, T trimmed, T expected) {
    if (same(trimmed, expected)) return;
    if (count_++ > 0) return;
    std::ostringstream text;
    text << title << ": " << std::hexfloat << x << " became " << trimmed << ", expected " << expected;
    first_ = text.str();
  }
  std::string report() const { return count_ == 0 ? "" : std::to_string(count_) + " differ, first " + first_; }

 private:
  std::uint64_t count_ = 0;
  std::string first_;
};

/// The message of the Error that f throws, or "nothing thrown".
template <class Error, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A folder of the published data, as "data", ending in a slash; empty, with a line that says so, without the data.
inline std::string published(const std::string& folder) {
  const char* root = std::getenv("RISTRETTO_DATA");
  if (root != nullptr && *root != '\0') return std::string(root) + "/" + folder + "/";
  std::puts("skipped: RISTRETTO_DATA does not name the folder of the data");
  return {};
}

}  // namespace checks
