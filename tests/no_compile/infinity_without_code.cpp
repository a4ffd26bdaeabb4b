// SPDX-License-Identifier: MIT
// Overflow to infinity in an encoding that has none.
// Message: only the ieee encoding has infinities; use Overflow::saturate
#include <ristretto/formats.hpp>

#if defined(MISUSE)
ristretto::Minifloat<2, 3, ristretto::Encoding::finite, ristretto::Overflow::to_infinity> format;
#else
ristretto::Minifloat<2, 3, ristretto::Encoding::finite, ristretto::Overflow::saturate> format;
#endif
