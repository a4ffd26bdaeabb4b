// SPDX-License-Identifier: MIT
// Const elements trimmed in place.
// Message: ristretto::trim: the elements to be written are const
#include <ristretto/thrust.hpp>

#include <span>

#if defined(MISUSE)
using Element = const float;
#else
using Element = float;
#endif

void trim(std::span<Element> x) { ristretto::trim(thrust::device, x, ristretto::Trimmer{ristretto::Half{}}); }
