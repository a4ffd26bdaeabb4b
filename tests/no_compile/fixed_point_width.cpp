// SPDX-License-Identifier: MIT
// Fixed point wider than 32 bits.
// Message: fixed point: the bit width IL + FL must be in [1, 32]
#include <ristretto/formats.hpp>

#if defined(MISUSE)
ristretto::DynamicFixedPoint<40, 0> format;
#else
ristretto::DynamicFixedPoint<32, 0> format;
#endif
