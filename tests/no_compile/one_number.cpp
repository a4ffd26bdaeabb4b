// SPDX-License-Identifier: MIT
// A single number where elements belong.
// Message: for a single number call the Trimmer: trimmer(x)
#include <ristretto/span.hpp>

float trimmed(float x) {
  const ristretto::Trimmer trimmer{ristretto::Half{}};
#if defined(MISUSE)
  ristretto::trim(x, trimmer);
  return x;
#else
  return trimmer(x);
#endif
}
