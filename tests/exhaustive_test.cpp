// SPDX-License-Identifier: MIT
// All 2^32 floats: SIMD against the plain three lines in double, and whether trimming is monotone and idempotent.
#include <ristretto/span.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr std::size_t block = 4096;
constexpr std::uint64_t blocks_per_piece = 256;
constexpr std::uint64_t all_floats = 0x1'0000'0000;

// The reference. It shares nothing with the library: numbers are doubles, where neither x nor x / q is ever subnormal.

double power(int e) { return std::ldexp(1.0, e); }

/// 2^floor(log2 |x|) of a double that is not subnormal; 0 for 0.
double leading_bit(double x) { return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & 0x7FF0'0000'0000'0000); }

/// What the definition of a format says, in numbers.
struct Definition {
  double lowest;
  double largest;
  double smallest_quantum;
  double relative_quantum = 0;                                      ///< the quantum at 1: 2^-M; 0 for fixed point
  double flush_below = 0;                                           ///< what is smaller becomes 0
  double raise_to = 0;                                              ///< what is smaller becomes ± this
  double infinite_above = std::numeric_limits<double>::infinity();  ///< a result beyond becomes infinite
  bool one_zero = false;
};

template <class Round>
float reference(const Definition& d, Round round, float narrow, double draw) {
  const double x = narrow;
  double y = x < d.lowest ? d.lowest : x;
  y = y > d.largest ? d.largest : y;
  y = std::abs(y) < d.flush_below ? 0.0 : y;
  y = std::abs(y) < d.raise_to ? std::copysign(d.raise_to, x) : y;
  const double scaled = leading_bit(y) * d.relative_quantum;
  const double q = scaled > d.smallest_quantum ? scaled : d.smallest_quantum;
  double r = round(y / q, draw) * q;
  r = std::abs(r) > d.infinite_above ? std::copysign(std::numeric_limits<double>::infinity(), x) : r;
  const double zero = d.one_zero ? 0.0 : std::copysign(0.0, x);
  r = r == 0 ? zero : r;
  return static_cast<float>(x != x ? x : r);
}

const auto nearest = [](double v, double) { return std::nearbyint(v); };
const auto away = [](double v, double) { return std::copysign(std::floor(std::abs(v) + 0.5), v); };
const auto half_up = [](double v, double) { return std::floor(v + 0.5); };
const auto down = [](double v, double) { return std::floor(v); };
const auto up = [](double v, double) { return std::ceil(v); };
const auto toward_zero = [](double v, double) { return std::trunc(v); };
const auto nearest_exponent = [](double v, double) {
  return v * v >= 2 ? std::copysign(2.0, v) : std::copysign(1.0, v);
};
const auto stochastic = [](double v, double u) {
  const double whole = std::trunc(v);
  return u < std::abs(v - whole) ? whole + std::copysign(1.0, v) : whole;
};

/// Draws of elements first to first + block - 1, from the words of the stream; nothing for other roundings.
template <class R>
void fill(std::array<double, block>&, const R&, std::uint64_t) {}
void fill(std::array<double, block>& draws, const rt::RoundStochastic<32>& round, std::uint64_t first) {
  for (std::size_t k = 0; k < block; k += 4) {
    const rt::Words4 words = round.random.block((first + k) / 4);
    for (std::size_t w = 0; w < 4; ++w) draws[k + w] = (static_cast<double>(words.word[w] / 512) + 0.5) / 8388608;
  }
}
void fill(std::array<double, block>& draws, const rt::RoundStochastic<16>& round, std::uint64_t first) {
  for (std::size_t k = 0; k < block; k += 8) {
    const rt::Words4 words = round.random.block((first + k) / 8);
    for (std::size_t w = 0; w < 4; ++w) {
      draws[k + 2 * w] = (static_cast<double>(words.word[w] % 65536) + 0.5) / 65536;
      draws[k + 2 * w + 1] = (static_cast<double>(words.word[w] / 65536) + 0.5) / 65536;
    }
  }
}

/// How many floats fail each of the checks, and the first to differ.
struct Findings {
  std::atomic<std::uint64_t> different{0};
  std::atomic<std::uint64_t> not_monotone{0};
  std::atomic<std::uint64_t> not_idempotent{0};
  std::atomic<std::uint64_t> first_different{all_floats};
};

using Block = std::array<float, block>;

std::uint32_t count_different(const Block& a, const Block& b) {
  std::uint32_t count = 0;
  for (std::size_t k = 0; k < block; ++k) {
    count += checks::same(a[k], b[k]) ? 0 : 1;
  }
  return count;
}

/// Adds what differs in the block of floats from `first` on.
void note_different(const Block& out, const Block& expected, std::uint64_t first, Findings& findings) {
  const std::uint32_t different = count_different(out, expected);
  if (different == 0) return;
  findings.different += different;
  std::size_t k = 0;
  while (checks::same(out[k], expected[k])) ++k;
  std::uint64_t known = findings.first_different;
  while (first + k < known && !findings.first_different.compare_exchange_weak(known, first + k)) {
  }
}

/// Floats of one sign in the order of their bits: results must not fall with x (rise, where x is negative).
std::uint32_t count_falls(const Block& out, float sign) {
  std::uint32_t count = 0;
  for (std::size_t k = 1; k < block; ++k) count += out[k] * sign < out[k - 1] * sign;
  return count;
}

template <class F, class R, class Round>
void check_block(const rt::Trimmer<F, R>& trimmer, const Definition& definition, Round round, std::uint64_t first,
                 Findings& findings) {
  Block x;
  Block out;
  Block expected;
  std::array<double, block> draws{};
  for (std::size_t k = 0; k < block; ++k) x[k] = checks::from_bits(static_cast<std::uint32_t>(first + k));
  rt::trim(std::span<const float>(x), std::span<float>(out), trimmer, first);
  fill(draws, trimmer.round, first);
  for (std::size_t k = 0; k < block; ++k) expected[k] = reference(definition, round, x[k], draws[k]);
  note_different(out, expected, first, findings);
  if constexpr (!R::indexed) {
    Block again;
    rt::trim(std::span<const float>(out), std::span<float>(again), trimmer, first);
    findings.not_idempotent += count_different(again, out);
    findings.not_monotone += count_falls(out, first < all_floats / 2 ? 1.0f : -1.0f);
    const float before = checks::from_bits(static_cast<std::uint32_t>(first - 1));
    if (first % (all_floats / 2) != 0) {
      const bool falls = first < all_floats / 2 ? out[0] < trimmer(before) : out[0] > trimmer(before);
      findings.not_monotone += falls;
    }
  }
}

/// check_block(first) for all blocks of floats, on all cores; prints how long that took.
template <class CheckBlock>
void for_all_blocks(const char* name, CheckBlock check_block) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> next{0};
  const auto work = [&] {
    constexpr std::uint64_t piece = block * blocks_per_piece;
    for (std::uint64_t begin = piece * next++; begin < all_floats; begin = piece * next++) {
      for (std::uint64_t first = begin; first < begin + piece; first += block) check_block(first);
    }
  };
  std::vector<std::thread> threads(std::max(1u, std::thread::hardware_concurrency()));
  for (std::thread& thread : threads) thread = std::thread(work);
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%-55s %6.1f s\n", name, elapsed.count());
  std::fflush(stdout);
}

/// Compares trimmer with the reference on all floats; float number i is element i.
template <class F, class R, class Round>
void check(const char* name, const rt::Trimmer<F, R>& trimmer, const Definition& definition, Round round) {
  Findings findings;
  for_all_blocks(name, [&](std::uint64_t first) { check_block(trimmer, definition, round, first, findings); });
  if constexpr (!R::indexed) findings.not_monotone += trimmer(-0.0f) > trimmer(0.0f);
  CAPTURE(name);
  CAPTURE(findings.first_different.load());  // the bits of the float
  CHECK(findings.different == 0);
  CHECK(findings.not_monotone == 0);
  CHECK(findings.not_idempotent == 0);
}

/// Compares spans, which take the fastest route, with the three lines on one float after the other.
template <class F, class R>
void check_route(const char* name, const rt::Trimmer<F, R>& trimmer) {
  Findings findings;
  for_all_blocks(name, [&](std::uint64_t first) {
    Block x;
    Block out;
    Block expected;
    for (std::size_t k = 0; k < block; ++k) x[k] = checks::from_bits(static_cast<std::uint32_t>(first + k));
    rt::trim(std::span<const float>(x), std::span<float>(out), trimmer, first);
    for (std::size_t k = 0; k < block; ++k) expected[k] = trimmer(x[k], first + k);
    note_different(out, expected, first, findings);
  });
  CAPTURE(name);
  CAPTURE(findings.first_different.load());  // the bits of the float
  CHECK(findings.different == 0);
}

// Definitions are written out here as numbers, not taken from the library.
const Definition fixed_2_6{.lowest = -2, .largest = 2 - power(-6), .smallest_quantum = power(-6)};
const Definition fixed_12_m4{.lowest = -2048, .largest = 2032, .smallest_quantum = 16};
const Definition fixed_4_28{.lowest = -8, .largest = 8 - power(-21), .smallest_quantum = power(-28)};
const Definition fixed_104_m96{.lowest = -power(103), .largest = 127 * power(96), .smallest_quantum = power(96)};
const Definition ufixed_0_8{.lowest = 0, .largest = 1 - power(-8), .smallest_quantum = power(-8), .one_zero = true};

Definition minifloat(double largest, int mantissa_bits, int min_exponent) {
  return {.lowest = -largest,
          .largest = largest,
          .smallest_quantum = power(min_exponent - mantissa_bits),
          .relative_quantum = power(-mantissa_bits)};
}
Definition powers_of_two(int min, int max, bool zero) {
  Definition d = minifloat(power(max), 0, min);
  if (!zero) d.raise_to = power(min);
  return d;
}
const Definition half = minifloat(65504, 10, -14);
const Definition bfloat16 = minifloat(255 * power(120), 7, -126);
const Definition e4m3 = minifloat(448, 3, -6);
const Definition e3m2 = minifloat(28, 2, -2);
const Definition e2m1 = minifloat(6, 1, 0);

/// Infinite from the power of two beyond the largest number on.
Definition to_infinity(Definition d) {
  d.infinite_above = d.largest;
  d.largest = 2 * leading_bit(d.largest);
  d.lowest = -d.largest;
  return d;
}
Definition fnuz(Definition d) {
  d.one_zero = true;
  return d;
}
Definition original(double largest, int mantissa_bits, int min_exponent) {
  Definition d = minifloat(largest, mantissa_bits, min_exponent);
  d.flush_below = std::max(power(min_exponent), power(-126));
  d.one_zero = true;
  return d;
}

using rt::Encoding;
using rt::Overflow;

}  // namespace

TEST_CASE("fixed point", "[exhaustive]") {
  check("fixed:2,6 nearest", rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}}, fixed_2_6, nearest);
  check("fixed:12,-4 away", rt::Trimmer{rt::DynamicFixedPoint{12, -4}, rt::RoundNearestAway{}}, fixed_12_m4, away);
  check("fixed:4,28 half up", rt::Trimmer{rt::DynamicFixedPoint{4, 28}, rt::RoundHalfUp{}}, fixed_4_28, half_up);
  check("fixed:104,-96 up", rt::Trimmer{rt::DynamicFixedPoint{104, -96}, rt::RoundUp{}}, fixed_104_m96, up);
  check("fixed:104,-96 down", rt::Trimmer{rt::DynamicFixedPoint{104, -96}, rt::RoundDown{}}, fixed_104_m96, down);
  check("ufixed:0,8 nearest", rt::Trimmer{rt::UnsignedFixedPoint{0, 8}}, ufixed_0_8, nearest);
}

TEST_CASE("minifloats", "[exhaustive]") {
  check("half nearest", rt::Trimmer{rt::Half{}}, half, nearest);
  check("bfloat16 nearest", rt::Trimmer{rt::BFloat16{}}, bfloat16, nearest);
  check("bfloat16 up", rt::Trimmer{rt::BFloat16{}, rt::RoundUp{}}, bfloat16, up);
  check("minifloat:3,4,bias=20 nearest", rt::Trimmer{rt::Minifloat{3, 4, 20}}, minifloat(1.875 * power(-6), 3, -19),
        nearest);
  check("e4m3fn half up", rt::Trimmer{rt::Float8E4M3FN{}, rt::RoundHalfUp{}}, e4m3, half_up);
  check("e3m2fn toward zero", rt::Trimmer{rt::Float6E3M2FN{}, rt::RoundTowardZero{}}, e3m2, toward_zero);
  check("e2m1fn nearest", rt::Trimmer{rt::Float4E2M1FN{}}, e2m1, nearest);
  check("e4m3fnuz down", rt::Trimmer{rt::Float8E4M3FNUZ{}, rt::RoundDown{}}, fnuz(minifloat(240, 3, -7)), down);
  check("minifloat:3,4,ristretto2016 away",
        rt::Trimmer{rt::Minifloat<3, 4, Encoding::ristretto2016>{}, rt::RoundNearestAway{}}, original(480, 3, -7),
        away);
  check("minifloat:7,8,ristretto2016 nearest", rt::Trimmer{rt::Minifloat<7, 8, Encoding::ristretto2016>{}},
        original(255 * power(120), 7, -127), nearest);
}

TEST_CASE("minifloats with infinities", "[exhaustive]") {
  const rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity> infinite_half{};
  const rt::Minifloat<7, 8, Encoding::ieee, Overflow::to_infinity> infinite_bfloat16{};
  check("half nearest, to infinity", rt::Trimmer{infinite_half}, to_infinity(half), nearest);
  check("half up, to infinity", rt::Trimmer{infinite_half, rt::RoundUp{}}, to_infinity(half), up);
  check("bfloat16 nearest, to infinity", rt::Trimmer{infinite_bfloat16}, to_infinity(bfloat16), nearest);
}

TEST_CASE("powers of two", "[exhaustive]") {
  check("pow2:-8,3 nearest", rt::Trimmer{rt::PowerOfTwo{-8, 3}}, powers_of_two(-8, 3, false), nearest);
  check("pow2:-126,127 nearest exponent", rt::Trimmer{rt::PowerOfTwo{-126, 127}, rt::RoundNearestExponent{}},
        powers_of_two(-126, 127, false), nearest_exponent);
  check("pow2z:-126,0 nearest", rt::Trimmer{rt::PowerOfTwoOrZero{-126, 0}}, powers_of_two(-126, 0, true), nearest);
  check("pow2z:100,120 up", rt::Trimmer{rt::PowerOfTwoOrZero{100, 120}, rt::RoundUp{}}, powers_of_two(100, 120, true),
        up);
}

TEST_CASE("stochastic rounding", "[exhaustive]") {
  const rt::RandomStream stream{.seed = 1, .stream = 3};
  check("fixed:2,6 stochastic, 32 bits", rt::Trimmer{rt::DynamicFixedPoint{2, 6}, rt::RoundStochastic<32>{stream}},
        fixed_2_6, stochastic);
  check("bfloat16 stochastic, 16 bits", rt::Trimmer{rt::BFloat16{}, rt::RoundStochastic<16>{stream}}, bfloat16,
        stochastic);
  check("pow2:-126,127 stochastic, 16 bits", rt::Trimmer{rt::PowerOfTwo{-126, 127}, rt::RoundStochastic<16>{stream}},
        powers_of_two(-126, 127, false), stochastic);
}

TEST_CASE("routes", "[exhaustive]") {
  const rt::RoundStochastic<16> stochastic16{{.seed = 1, .stream = 3}};
  const rt::RoundStochastic<32> stochastic32{{.seed = 1, .stream = 3}};
  const rt::Minifloat<7, 8, Encoding::ieee, Overflow::to_infinity> infinite_bfloat16{};
  const rt::Minifloat<3, 4, Encoding::ristretto2016> original_e4m3{};
  // By addition.
  check_route("fixed:4,20 nearest", rt::Trimmer{rt::DynamicFixedPoint{4, 20}});
  check_route("fixed:4,20 down", rt::Trimmer{rt::DynamicFixedPoint{4, 20}, rt::RoundDown{}});
  check_route("minifloat:22,7 nearest", rt::Trimmer{rt::Minifloat{22, 7}});
  check_route("half stochastic, 16 bits", rt::Trimmer{rt::Half{}, stochastic16});
  check_route("e4m3fn nearest, at run time",
              rt::Trimmer{rt::Minifloat<rt::runtime, rt::runtime, Encoding::finite_nan>{3, 4}});
  check_route("e4m3fn stochastic, 32 bits", rt::Trimmer{rt::Float8E4M3FN{}, stochastic32});
  check_route("e4m3fnuz stochastic, 16 bits", rt::Trimmer{rt::Float8E4M3FNUZ{}, stochastic16});
  check_route("minifloat:3,4,ristretto2016 stochastic, 32 bits", rt::Trimmer{original_e4m3, stochastic32});
  check_route("pow2:-8,3 stochastic, 16 bits", rt::Trimmer{rt::PowerOfTwo{-8, 3}, stochastic16});
  check_route("pow2z:-20,3 nearest", rt::Trimmer{rt::PowerOfTwoOrZero{-20, 3}});
  // By bits.
  check_route("bfloat16 stochastic, 16 bits", rt::Trimmer{rt::BFloat16{}, stochastic16});
  check_route("bfloat16 away", rt::Trimmer{rt::BFloat16{}, rt::RoundNearestAway{}});
  check_route("tf32 nearest", rt::Trimmer{rt::TF32{}});
  check_route("minifloat:7,8,to_infinity stochastic, 16 bits", rt::Trimmer{infinite_bfloat16, stochastic16});
  check_route("pow2:-126,127 half up", rt::Trimmer{rt::PowerOfTwo{-126, 127}, rt::RoundHalfUp{}});
}
