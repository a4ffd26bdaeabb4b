// SPDX-License-Identifier: MIT
// A Trimmer whose first argument is no format.
// Message: the first argument of a Trimmer is a format, such as DynamicFixedPoint<2, 6>{}
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
constexpr int format = 8;
#else
constexpr ristretto::Half format{};
#endif

void trim(std::vector<float>& x) { ristretto::trim(x, ristretto::Trimmer{format}); }
