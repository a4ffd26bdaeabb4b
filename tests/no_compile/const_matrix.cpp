// SPDX-License-Identifier: MIT
// Trimming a const matrix in place.
// Message: ristretto::trim writes to an Eigen object in memory that is not const
#include <ristretto/eigen.hpp>

#if defined(MISUSE)
using Matrix = const Eigen::MatrixXf;
#else
using Matrix = Eigen::MatrixXf;
#endif

void trim(Matrix& x) { ristretto::trim(x, ristretto::Trimmer{ristretto::Half{}}); }
