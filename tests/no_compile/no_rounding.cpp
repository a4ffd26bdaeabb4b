// SPDX-License-Identifier: MIT
// A Trimmer whose second argument is no rounding.
// Message: the second argument of a Trimmer is a rounding, such as RoundNearest{}
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
constexpr int rule = 3;
#else
constexpr ristretto::RoundNearest rule{};
#endif

void trim(std::vector<float>& x) { ristretto::trim(x, ristretto::Trimmer{ristretto::Half{}, rule}); }
