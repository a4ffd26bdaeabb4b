// SPDX-License-Identifier: MIT
// Moments of what the weights of a layer meet.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <Eigen/Core>

namespace ristretto {

/// A row for each output of a layer, of its K weights.
using WeightRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Calls f(0) to f(count - 1). Functions that take such a loop get the same bits from one that calls on many threads,
/// in any order.
struct InOrder {
  template <class F>
  void operator()(Eigen::Index count, F f) const {
    for (Eigen::Index i = 0; i < count; ++i) f(i);
  }
};

namespace detail {

inline constexpr Eigen::Index moments_at_once = 64;

/// f(first, count) for blocks of at most `block` that cover [0, size).
template <class Loop, class F>
void for_blocks(Eigen::Index size, Eigen::Index block, const Loop& loop, F f) {
  loop((size + block - 1) / block, [&](Eigen::Index i) { f(i * block, std::min(block, size - i * block)); });
}

}  // namespace detail

/// First and second moments of K numbers over many positions, such as the inputs that a row of weights meets: sums of
/// doubles, in the order of the calls, K * K of them (200 MB for K = 5000). Eigen's products may round otherwise on
/// other processors, and with OpenMP's threads unless EIGEN_DONT_PARALLELIZE is defined.
class Moments {
 public:
  explicit Moments(Eigen::Index size)
      : sum_(Eigen::VectorXd::Zero(size)), products_(Eigen::MatrixXd::Zero(size, size)) {}

  Eigen::Index size() const noexcept { return sum_.size(); }
  double count() const noexcept { return count_; }

  /// Adds positions: the columns of x (K, positions), doubles. Throws std::invalid_argument unless there are K rows.
  template <class X, class Loop = InOrder>
  void add(const Eigen::MatrixBase<X>& x, const Loop& loop = {}) {
    static_assert(std::is_same_v<typename X::Scalar, double>, "ristretto::Moments takes doubles: x.cast<double>()");
    check_rows(x.rows());
    detail::for_blocks(size(), detail::moments_at_once, loop, [&](Eigen::Index k, Eigen::Index count) {
      const Eigen::Index below = size() - k;
      products_.block(k, k, below, count).noalias() +=
          x.derived().bottomRows(below) * x.derived().middleRows(k, count).transpose();
    });
    sum_ += x.rowwise().sum();
    count_ += static_cast<double>(x.cols());
  }
  /// Adds what another one has seen. Throws std::invalid_argument unless it is of equal size.
  void merge(const Moments& other) {
    check_rows(other.size());
    sum_ += other.sum_;
    products_ += other.products_;
    count_ += other.count_;
  }

  /// The mean of x. (K); zeros before the first position.
  Eigen::VectorXd mean() const { return sum_ / std::max(count_, 1.0); }
  /// The mean of x x^T. (K, K)
  Eigen::MatrixXd second() const {
    Eigen::MatrixXd mean = products_.template selfadjointView<Eigen::Lower>();
    mean /= std::max(count_, 1.0);
    return mean;
  }

 private:
  void check_rows(Eigen::Index rows) const {
    if (rows != size()) {
      detail::raise<std::invalid_argument>("ristretto::Moments: " + std::to_string(rows) +
                                           " rows are added to moments of " + std::to_string(size()) +
                                           "; give it equal sizes");
    }
  }

  Eigen::VectorXd sum_;
  Eigen::MatrixXd products_;  // the lower triangle
  double count_ = 0;
};

/// The mean of y x^T for two sets of K numbers at the same positions.
class CrossMoment {
 public:
  explicit CrossMoment(Eigen::Index size) : products_(Eigen::MatrixXd::Zero(size, size)) {}

  /// Adds positions: the columns of y and x, both (K, positions), doubles. Throws std::invalid_argument for others.
  template <class Y, class X, class Loop = InOrder>
  void add(const Eigen::MatrixBase<Y>& y, const Eigen::MatrixBase<X>& x, const Loop& loop = {}) {
    static_assert(std::is_same_v<typename X::Scalar, double> && std::is_same_v<typename Y::Scalar, double>,
                  "ristretto::CrossMoment takes doubles: x.cast<double>()");
    const Eigen::Index size = products_.rows();
    if (y.rows() != size || x.rows() != size || x.cols() != y.cols()) {
      detail::raise<std::invalid_argument>("ristretto::CrossMoment: " + std::to_string(y.rows()) + " x " +
                                           std::to_string(y.cols()) + " and " + std::to_string(x.rows()) + " x " +
                                           std::to_string(x.cols()) + " are added to a moment of " +
                                           std::to_string(size) + "; give it equal shapes");
    }
    detail::for_blocks(size, detail::moments_at_once, loop, [&](Eigen::Index k, Eigen::Index count) {
      products_.middleCols(k, count).noalias() += y.derived() * x.derived().middleRows(k, count).transpose();
    });
    count_ += static_cast<double>(x.cols());
  }
  /// The mean of y x^T. (K, K)
  Eigen::MatrixXd mean() const { return products_ / std::max(count_, 1.0); }

 private:
  Eigen::MatrixXd products_;
  double count_ = 0;
};

}  // namespace ristretto
