// SPDX-License-Identifier: MIT
// Stochastic rounding in an algorithm that passes no index.
// Message: a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first)
#include <algorithm>
#include <ristretto/trimmer.hpp>
#include <vector>

#if defined(MISUSE)
using Rounding = ristretto::RoundStochastic<>;
#else
using Rounding = ristretto::RoundNearest;
#endif

void trim_all(std::vector<float>& x) {
  std::transform(x.begin(), x.end(), x.begin(), ristretto::Trimmer<ristretto::Half, Rounding>{});
}
