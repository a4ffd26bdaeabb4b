// SPDX-License-Identifier: MIT
// Version, the one macro, the guard against flags that would change results, and how errors are raised. First of all
// includes.
#pragma once

#if __cplusplus < 202002L
#error "ristretto needs C++20; compile with -std=c++20 or later"
#include <ristretto/needs_cxx20>  // is not there, so that the compiler stops here
#endif

#include <cstdio>
#include <exception>
#include <string>

#define RISTRETTO_VERSION_MAJOR 0
#define RISTRETTO_VERSION_MINOR 1
#define RISTRETTO_VERSION_PATCH 0

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "ristretto gives exact bits; compile without -ffast-math and its parts, as -funsafe-math-optimizations"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16  // 16 is of _Float16 only
#error "ristretto gives exact bits; compile without the excess precision of x87, with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)  // has no such macros, but refuses this with the flags that let it move operations
namespace ristretto::detail {
inline void refuse_unsafe_math() {
#pragma clang fp eval_method(source)  // ristretto gives exact bits; compile without -ffast-math and its parts
}
}  // namespace ristretto::detail
#endif

/// Marks element code: it runs on host and device, and is inlined into its caller, so that translation units
/// compiled for different instruction sets never share a body.
#if defined(__CUDACC__)
#define RISTRETTO_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RISTRETTO_HOST_DEVICE [[gnu::always_inline]] inline
#endif

namespace ristretto::detail {

/// Throws an Error with this message; where exceptions are off, prints it and terminates.
template <class Error>
[[noreturn]] void raise(const std::string& message) {
#if defined(__cpp_exceptions)
  throw Error(message);
#else
  std::fprintf(stderr, "%s\n", message.c_str());
  std::terminate();
#endif
}

}  // namespace ristretto::detail
