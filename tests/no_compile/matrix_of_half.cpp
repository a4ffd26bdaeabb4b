// SPDX-License-Identifier: MIT
// A format as the scalar of a matrix: formats say which numbers there are, floats hold them.
// Message: ristretto::trim takes Eigen objects of float or double; cast<float>() others first
#include <ristretto/eigen.hpp>

#if defined(MISUSE)
using Scalar = ristretto::Half;
#else
using Scalar = float;
#endif

void trim(Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>& x) {
  ristretto::trim(x, ristretto::Trimmer{ristretto::Half{}});
}
