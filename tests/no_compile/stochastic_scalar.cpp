// SPDX-License-Identifier: MIT
// Stochastic rounding of a number without a place.
// Message: a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first)
#include <ristretto/trimmer.hpp>

constexpr ristretto::Trimmer<ristretto::DynamicFixedPoint<2, 6>, ristretto::RoundStochastic<>> trimmer{};

#if defined(MISUSE)
float trimmed(float x) { return trimmer(x); }
#else
float trimmed(float x) { return trimmer(x, 7); }
#endif
