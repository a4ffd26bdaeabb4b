# SPDX-License-Identifier: MIT
# What the project's own programs are built with; nothing here reaches a user of the library.
include(CheckCXXSourceRuns)

add_library(ristretto_warnings INTERFACE)
target_compile_options(ristretto_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${RISTRETTO_WERROR}>:-Werror>)

# The instruction set of examples and benchmarks. Eigen on plain x86-64 is about three times slower than with AVX2.
if(NOT DEFINED RISTRETTO_EXAMPLES_ARCH)
  set(arch "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set(arch native)
    if(NOT CMAKE_CROSSCOMPILING)
      check_cxx_source_runs(
        "int main() { return __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }"
        RISTRETTO_HAS_AVX2)
      if(RISTRETTO_HAS_AVX2)
        set(arch x86-64-v3)
      endif()
    endif()
  endif()
  set(RISTRETTO_EXAMPLES_ARCH "${arch}" CACHE STRING "-march of examples and benchmarks; empty: the compiler's default")
endif()
set(ristretto_arch_flag $<$<BOOL:${RISTRETTO_EXAMPLES_ARCH}>:-march=${RISTRETTO_EXAMPLES_ARCH}>)
