// SPDX-License-Identifier: MIT
// Stochastic rounding in Eigen's unaryExpr, which passes no index.
// Message: a stochastic Trimmer needs the index of each element: use ristretto::trim(tensor, trimmer, first)
// Lines: 60, most of them of Eigen
#include <Eigen/Core>
#include <ristretto/trimmer.hpp>

#if defined(MISUSE)
using Rounding = ristretto::RoundStochastic<>;
#else
using Rounding = ristretto::RoundNearest;
#endif

Eigen::ArrayXf trimmed(const Eigen::ArrayXf& x) { return x.unaryExpr(ristretto::Trimmer<ristretto::Half, Rounding>{}); }
