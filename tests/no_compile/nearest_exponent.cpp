// SPDX-License-Identifier: MIT
// The rounding of exponents on a grid that is not powers of two.
// Message: RoundNearestExponent rounds between neighbouring powers of two; use it with PowerOfTwo only
#include <ristretto/trimmer.hpp>

#if defined(MISUSE)
using Grid = ristretto::Half;
#else
using Grid = ristretto::PowerOfTwo<-8, 0>;
#endif

float trimmed(float x) { return ristretto::Trimmer<Grid, ristretto::RoundNearestExponent>{}(x); }
