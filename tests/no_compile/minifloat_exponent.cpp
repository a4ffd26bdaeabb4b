// SPDX-License-Identifier: MIT
// One exponent bit leaves no finite number when the top exponent is taken.
// Message: the ieee encoding needs E >= 2; use Encoding::finite for one exponent bit
#include <ristretto/formats.hpp>

#if defined(MISUSE)
ristretto::Minifloat<3, 1> format;
#else
ristretto::Minifloat<3, 1, ristretto::Encoding::finite> format;
#endif
