// SPDX-License-Identifier: MIT
// From floats into doubles.
// Message: ristretto::trim: the input has other elements than the output; give them the same type
#include <vector>

#include <ristretto/span.hpp>

#if defined(MISUSE)
using Out = std::vector<double>;
#else
using Out = std::vector<float>;
#endif

void trim(const std::vector<float>& in, Out& out) { ristretto::trim(in, out, ristretto::Trimmer{ristretto::Half{}}); }
