// SPDX-License-Identifier: MIT
// A bfloat16 in an array of __half.
// Message: ristretto: this format has numbers that the storage type does not have
#include <ristretto/thrust.hpp>

void trim_halves(__half* x, std::size_t n) {
  ristretto::trim(thrust::device, x, n, ristretto::Trimmer{ristretto::Half{}});
#if defined(MISUSE)
  ristretto::trim(thrust::device, x, n, ristretto::Trimmer{ristretto::BFloat16{}});
#endif
}
