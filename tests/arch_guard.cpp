// SPDX-License-Identifier: MIT
// Linked with tests built for one x86-64 level: skips them where the CPU lacks it. Built without the level's flags.
#include <cstdio>
#include <cstdlib>

#if !defined(RISTRETTO_TEST_ARCH_LEVEL)
#error "define RISTRETTO_TEST_ARCH_LEVEL as 3 or 4, for x86-64-v3 or x86-64-v4"
#endif

namespace {

const char* missing_instructions() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return "AVX2";
  if (!__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2")) return "BMI2";
#if RISTRETTO_TEST_ARCH_LEVEL >= 4
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl")) {
    return "AVX-512";
  }
#endif
  return nullptr;
}

// Runs before all other initializers: registering the tests is already code for the other instruction set.
[[gnu::constructor(101)]] void skip_where_unsupported() {
  const char* missing = missing_instructions();
  if (missing == nullptr) return;
  std::printf("skipped: this CPU lacks %s\n", missing);
  std::fflush(stdout);
  std::_Exit(77);
}

}  // namespace
