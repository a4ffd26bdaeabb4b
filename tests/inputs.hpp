// SPDX-License-Identifier: MIT
// Inputs of layers such as networks have them, and weights that meet them.
#pragma once

#include <cstdint>
#include <thread>

#include <Eigen/Core>

#include <ristretto/moments.hpp>

#include "checks.hpp"

namespace checks {

using Eigen::Index;
using Eigen::MatrixXd;

/// Numbers in (-1, 1).
class Numbers {
 public:
  explicit Numbers(std::uint32_t seed) { patterns_.state = seed * 0x9E3779B9 | 1; }
  double next() { return static_cast<double>(static_cast<std::int32_t>(patterns_.next())) * 0x1p-31; }
  MatrixXd matrix(Index rows, Index cols) {
    return MatrixXd::NullaryExpr(rows, cols, [this] { return next(); });
  }
  ristretto::WeightRows weights(Index rows, Index cols) { return (0.5 * matrix(rows, cols)).cast<float>(); }

 private:
  Patterns patterns_;
};

/// (K, positions): K inputs that are correlated, as those behind a ReLU are.
inline MatrixXd inputs(Index size, Index positions, std::uint32_t seed) {
  Numbers numbers(seed);
  const MatrixXd mix = numbers.matrix(size, size) + MatrixXd::Constant(size, size, 0.3);
  return (mix * numbers.matrix(size, positions)).cwiseMax(0.0);
}

inline MatrixXd second_moment(const MatrixXd& x) {
  ristretto::Moments moments(x.rows());
  moments.add(x);
  return moments.second();
}

/// The same work from the last to the first, by two threads.
struct Backwards {
  template <class F>
  void operator()(Index count, F f) const {
    std::thread odd([&] {
      for (Index i = count - 1; i >= 0; --i) {
        if (i % 2 == 1) f(i);
      }
    });
    for (Index i = count - 1; i >= 0; --i) {
      if (i % 2 == 0) f(i);
    }
    odd.join();
  }
};

}  // namespace checks
