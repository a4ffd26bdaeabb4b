// SPDX-License-Identifier: MIT
// Version, the one macro, and the guard against flags that would change results.
#pragma once

#define RISTRETTO_VERSION_MAJOR 0
#define RISTRETTO_VERSION_MINOR 1
#define RISTRETTO_VERSION_PATCH 0

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "ristretto gives exact bits; compile without -ffast-math and -ffinite-math-only"
#endif

/// Marks element code: it runs on host and device, and is inlined into its caller, so that translation units
/// compiled for different instruction sets never share a body.
#if defined(__CUDACC__)
#define RISTRETTO_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RISTRETTO_HOST_DEVICE [[gnu::always_inline]] inline
#endif
