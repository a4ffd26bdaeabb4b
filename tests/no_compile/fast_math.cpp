// SPDX-License-Identifier: MIT
// Flags that would change results.
// Message: ristretto gives exact bits; compile without -ffast-math
// Flags: -ffast-math
#include <ristretto/trimmer.hpp>
