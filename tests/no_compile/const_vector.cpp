// SPDX-License-Identifier: MIT
// Trimming in place what is const.
// Message: ristretto::trim writes to its last tensor, whose elements are const; use trim(in, out, trimmer)
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
using Vector = const std::vector<float>;
#else
using Vector = std::vector<float>;
#endif

void trim(Vector& x) { ristretto::trim(x, ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}}); }
