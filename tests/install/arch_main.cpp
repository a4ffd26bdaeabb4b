// SPDX-License-Identifier: MIT
// Every part runs its own code, in batches of its own width, and all trim to the same bits.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "arch_side.hpp"

namespace {

std::vector<std::uint32_t> trimmed_bits(const ArchSide& side) {
  std::vector<float> x(1003);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) / 333 - 1.4f;
  side.trim(x);
  std::vector<std::uint32_t> bits;
  for (const float v : x) bits.push_back(std::bit_cast<std::uint32_t>(v));
  return bits;
}

}  // namespace

int main() {
  int failures = 0;
  const auto check = [&](const ArchSide& side, std::size_t lanes) {
    const bool own = side.lanes == lanes && side.lanes_in_shared_code() == lanes;
    const bool same = trimmed_bits(side) == trimmed_bits(baseline_side);
    std::printf("%s: batches of %zu floats, %zu in shared code, %s bits\n", side.name, side.lanes,
                side.lanes_in_shared_code(), same ? "the same" : "DIFFERENT");
    failures += !own || !same;
  };
  check(baseline_side, 4);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    check(avx2_side, 8);
  } else {
    std::puts("This CPU has no AVX2: that part is linked but not run");
  }
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd")) {
    check(avx512_side, 16);
  } else {
    std::puts("This CPU has no AVX-512: that part is linked but not run");
  }
  return failures;
}
