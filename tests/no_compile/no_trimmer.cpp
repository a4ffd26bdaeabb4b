// SPDX-License-Identifier: MIT
// A format where a Trimmer belongs.
// Message: is a Trimmer: write trim(x, Trimmer{format, rounding})
#include <vector>

#include <ristretto/span.hpp>

void trim(std::vector<float>& x, const ristretto::AnyFormat& format) {
#if defined(MISUSE)
  ristretto::trim(x, format);
#else
  ristretto::trim(x, ristretto::Trimmer{format});
#endif
}
