// SPDX-License-Identifier: MIT
// Trimming a number that no lane holds.
// Message: a Trimmer trims float and double; convert the number to one of them first
#include <ristretto/trimmer.hpp>

#if defined(MISUSE)
using Number = long double;
#else
using Number = double;
#endif

Number trimmed(Number x) { return ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}}(x); }
