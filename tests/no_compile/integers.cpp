// SPDX-License-Identifier: MIT
// Trimming integers.
// Message: ristretto::trim takes elements of float or double; convert others to one of them first
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
using Number = int;
#else
using Number = float;
#endif

void trim(std::vector<Number>& x) { ristretto::trim(x, ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}}); }
