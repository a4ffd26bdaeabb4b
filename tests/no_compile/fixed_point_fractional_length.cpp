// SPDX-License-Identifier: MIT
// Fixed point finer than a float.
// Message: fixed point: the fractional length FL must be in [-96, 126]
#include <ristretto/formats.hpp>

#if defined(MISUSE)
ristretto::DynamicFixedPoint<-120, 127> format;
#else
ristretto::DynamicFixedPoint<-120, 126> format;
#endif
