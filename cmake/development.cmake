# SPDX-License-Identifier: MIT
# What the project's own programs are built with; nothing here reaches a user of the library.
include(CheckCXXCompilerFlag)

add_library(ristretto_warnings INTERFACE)
set(warnings -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${RISTRETTO_WERROR}>:-Werror>)
target_compile_options(ristretto_warnings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=$<JOIN:${warnings},$<COMMA>>;$<$<BOOL:${RISTRETTO_WERROR}>:-Werror=all-warnings>>")

# How a test or an example says that it skipped, at the start of a line.
set(ristretto_skipped "(^|[^ -~])skipped: ")

# For what is linked with Thrust's CPP, OMP or TBB, which bind references to null.
set(ristretto_thrust_sanitizers -fno-sanitize=null,object-size)

# The instruction set of examples and benchmarks: Eigen on plain x86-64 is about three times slower than with AVX2.
check_cxx_compiler_flag(-march=native RISTRETTO_KNOWS_NATIVE)
if(RISTRETTO_KNOWS_NATIVE)
  set(native native)
endif()
set(RISTRETTO_EXAMPLES_ARCH "${native}" CACHE STRING "-march of examples and benchmarks; empty: the compiler's default")
set(ristretto_arch_flag $<$<BOOL:${RISTRETTO_EXAMPLES_ARCH}>:-march=${RISTRETTO_EXAMPLES_ARCH}>)
