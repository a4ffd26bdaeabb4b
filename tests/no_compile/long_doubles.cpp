// SPDX-License-Identifier: MIT
// Trimming a vector of numbers that no lane holds.
// Message: ristretto::trim takes elements of float or double; convert others to one of them first
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
using Number = long double;
#else
using Number = double;
#endif

void trim(std::vector<Number>& x) { ristretto::trim(x, ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}}); }
