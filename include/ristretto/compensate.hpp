// SPDX-License-Identifier: MIT
// Compensated rounding (GPTQ, OBQ): each weight takes over the errors of those rounded before, as far as the layer's
// inputs are correlated. Ideas: Frantar and Alistarh, arXiv:2208.11696 (OBQ) and 2210.17323 (GPTQ).
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include <ristretto/eigen.hpp>
#include <ristretto/moments.hpp>

namespace ristretto {

/// Rounds rows of weights such that the outputs that they make of their inputs change little: with inputs x of second
/// moment H = E[x x^T], the error of a row w rounded to q is E[((w - q) x)^2] = (w - q) H (w - q)^T.
///
/// Weights are rounded one by one, those of the largest inputs first; each takes over the best correction, in the sense
/// of that error and with the damping below, for those before. Then single weights move to other numbers of their
/// format while that lowers the damped error. A row does not depend on the others, so rows may be given to threads in
/// any groups. Holds two K x K matrices of doubles (400 MB for K = 5000).
///
/// Members that take weights throw std::invalid_argument unless these are finite, in rows of K, with a format for each.
class Compensation {
 public:
  /// `damping`, times the mean of the diagonal, is added to the diagonal of H: against inputs that were seen too
  /// rarely, or are completely correlated. At least as much is added as the rounding of sums takes, at most a
  /// millionth. Throws std::invalid_argument unless H is a second moment (square, symmetric, finite, and positive
  /// semidefinite but for that) of one input or more, and the damping is finite and not negative.
  explicit Compensation(const Eigen::MatrixXd& second_moment, double damping = 0.01) {
    check(second_moment, damping);
    const double mean = second_moment.diagonal().mean();
    const double scale = mean > 0 ? mean : 1;
    order_.resize(static_cast<std::size_t>(second_moment.rows()));
    std::iota(order_.begin(), order_.end(), Eigen::Index{0});
    const auto key = [&](Eigen::Index k) { return std::pair(second_moment(k, k), k); };
    std::sort(order_.begin(), order_.end(), [&](auto a, auto b) { return key(a) < key(b); });
    damped_ = second_moment(order_, order_);
    const Eigen::VectorXd diagonal = damped_.diagonal();
    double rounding = 1e-12;  // sums of products may be as far off, in shares of the mean
    while (!decompose(diagonal, rounding * scale) && rounding < 5e-7) rounding *= 10;
    if (damping > rounding && cholesky_.info() == Eigen::Success) decompose(diagonal, damping * scale);
    if (cholesky_.info() != Eigen::Success) {
      detail::raise<std::invalid_argument>(
          "ristretto::Compensation: the second moment is not positive semidefinite; give it "
          "the mean of x x^T over inputs x");
    }
  }

  /// The number of inputs, K.
  Eigen::Index size() const noexcept { return damped_.rows(); }

  /// The weights whose outputs from the inputs x come closest to those of `weights` from other inputs y, where
  /// cross = E[y x^T]: what is to be rounded when inputs have changed, for instance since layers before were trimmed.
  WeightRows retarget(const WeightRows& weights, const Eigen::MatrixXd& cross) const {
    check_columns(weights);
    if (cross.rows() != size() || cross.cols() != size() || !cross.allFinite()) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: the cross moment is " +
                                           std::to_string(cross.rows()) + " x " + std::to_string(cross.cols()) +
                                           "; give it finite numbers, " + std::to_string(size()) + " x " +
                                           std::to_string(size()));
    }
    // weights (cross + damping) (H + damping)^-1, as what it is more than the weights
    const Eigen::MatrixXd w = in_order(weights.cast<double>());
    Eigen::MatrixXd change = (in_order(weights.cast<double>() * cross) - w * damped_ + damping_ * w).transpose();
    cholesky_.solveInPlace(change);
    WeightRows result = weights;
    for (Eigen::Index k = 0; k < size(); ++k) {
      result.col(order_[static_cast<std::size_t>(k)]) = (w.col(k) + change.row(k).transpose()).cast<float>();
    }
    return result;
  }

  /// weights (rows, K), each row rounded to its format. Never with a larger error than rounding each to nearest.
  template <class Loop = InOrder>
  WeightRows round(const WeightRows& weights, std::span<const AnyFormat> formats, const Loop& loop = {}) const {
    check_columns(weights);
    check_formats(weights, formats);
    WeightRows rounded(weights.rows(), weights.cols());
    detail::for_blocks(weights.rows(), lanes, loop, [&](Eigen::Index first, Eigen::Index count) {
      const auto block = round_block(weights, first, count, formats.subspan(static_cast<std::size_t>(first)));
      rounded.middleRows(first, count) = block.rounded;
    });
    return rounded;
  }

  /// For each row the exponent e, |e| <= reach, for which its format times 2^e leaves the least error after rounding;
  /// of those for which there is such a format.
  template <class Loop = InOrder>
  std::vector<int> choose_scales(const WeightRows& weights, std::span<const AnyFormat> formats, int reach = 2,
                                 const Loop& loop = {}) const {
    check_columns(weights);
    check_formats(weights, formats);
    std::vector<int> best(formats.size());
    detail::for_blocks(weights.rows(), lanes, loop, [&](Eigen::Index first, Eigen::Index count) {
      std::vector<double> least(static_cast<std::size_t>(count), std::numeric_limits<double>::infinity());
      for (const int e : around_zero(reach)) {
        std::vector<int> exponents;
        std::vector<AnyFormat> tried;
        for (std::size_t r = 0; r < least.size(); ++r) {
          const AnyFormat& format = formats[static_cast<std::size_t>(first) + r];
          exponents.push_back(format.can_scale(e) ? e : 0);
          tried.push_back(format.scaled(exponents.back()));
        }
        const auto block = round_block(weights, first, count, tried);
        for (std::size_t r = 0; r < least.size(); ++r) {
          if (block.errors[r] >= least[r]) continue;
          least[r] = block.errors[r];
          best[static_cast<std::size_t>(first) + r] = exponents[r];
        }
      }
    });
    return best;
  }

  /// (w - q) H (w - q)^T of each row, without the damping.
  Eigen::VectorXd errors(const WeightRows& weights, const WeightRows& rounded) const {
    check_columns(weights);
    check_columns(rounded);
    if (weights.rows() != rounded.rows()) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: " + std::to_string(weights.rows()) + " and " +
                                           std::to_string(rounded.rows()) + " rows are compared; give it equal shapes");
    }
    const Eigen::MatrixXd change = in_order(weights.cast<double>() - rounded.cast<double>());
    return (change * damped_ - damping_ * change).cwiseProduct(change).rowwise().sum();
  }

 private:
  // Rows are computed in the lanes of registers: eight at once, each independent of the others.
  static constexpr Eigen::Index lanes = 8;
  static constexpr int most_sweeps = 50;  // as a rule the fifth moves nothing
  using Lanes = Eigen::Array<double, lanes, 1>;
  using LaneRow = Eigen::Array<double, lanes, Eigen::Dynamic>;  // column k: input order_[k] of eight rows

  struct Block {
    WeightRows rounded;
    std::array<double, lanes> errors;
  };

  /// Whether H with this much added to its diagonal has a Cholesky decomposition; both are kept.
  bool decompose(const Eigen::VectorXd& diagonal, double damping) {
    damped_.diagonal() = diagonal.array() + damping;
    damping_ = damping;
    return cholesky_.compute(damped_).info() == Eigen::Success;
  }
  /// The columns of x (rows, K) in the order of the inputs here.
  Eigen::MatrixXd in_order(const Eigen::MatrixXd& x) const { return x(Eigen::seqN(0, x.rows()), order_); }

  static void check(const Eigen::MatrixXd& h, double damping) {
    if (h.rows() != h.cols() || h.rows() < 1 || !h.allFinite()) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: the second moment is " + std::to_string(h.rows()) +
                                           " x " + std::to_string(h.cols()) + (h.allFinite() ? "" : " and not finite") +
                                           "; give it the K x K moments of the inputs");
    }
    const double least = h.diagonal().minCoeff(), most = h.diagonal().maxCoeff();
    const double asymmetry = (h - h.transpose()).cwiseAbs().maxCoeff();
    if (least < 0 || asymmetry > 1e-9 * most) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: the second moment has " + std::to_string(least) +
                                           " on its diagonal and is asymmetric by " + std::to_string(asymmetry) +
                                           "; give it the mean of x x^T over inputs x");
    }
    if (!(damping >= 0) || !std::isfinite(damping)) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: the damping is " + std::to_string(damping) +
                                           "; choose a finite one >= 0");
    }
  }
  void check_columns(const WeightRows& weights) const {
    if (weights.cols() != size() || !weights.allFinite()) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: the weights are " +
                                           std::to_string(weights.rows()) + " x " + std::to_string(weights.cols()) +
                                           (weights.allFinite() ? "" : " and not finite") + "; give it rows of " +
                                           std::to_string(size()) + " finite weights");
    }
  }
  static void check_formats(const WeightRows& weights, std::span<const AnyFormat> formats) {
    if (static_cast<std::size_t>(weights.rows()) != formats.size()) {
      detail::raise<std::invalid_argument>("ristretto::Compensation: " + std::to_string(weights.rows()) + " rows and " +
                                           std::to_string(formats.size()) + " formats; give one format for each row");
    }
  }

  /// 0, -1, 1, -2, 2, ...: of equal errors the first is taken.
  static std::vector<int> around_zero(int reach) {
    std::vector<int> all{0};
    for (int e = 1; e <= reach; ++e) all.insert(all.end(), {-e, e});
    return all;
  }
  /// Formats of rows differ, so each element asks for its own, beside the K products of its column.
  static double trimmed(double x, const AnyFormat& format) {
    return static_cast<double>(format.visit([x](const auto& f) { return Trimmer{f}(static_cast<float>(x)); }));
  }

  /// Rows first to first + count - 1 with formats[0] on.
  Block round_block(const WeightRows& weights, Eigen::Index first, Eigen::Index count,
                    std::span<const AnyFormat> formats) const {
    LaneRow w = LaneRow::Zero(lanes, size());
    for (Eigen::Index k = 0; k < size(); ++k) {
      for (Eigen::Index r = 0; r < count; ++r) {
        w(r, k) = static_cast<double>(weights(first + r, order_[static_cast<std::size_t>(k)]));
      }
    }
    LaneRow nearest = w;
    for (Eigen::Index k = 0; k < size(); ++k) trim_lanes(nearest, k, count, formats);
    LaneRow q = compensated(w, count, formats);
    improve(w, q, count, formats);

    const Lanes plain = weighted_error(w - nearest), found = weighted_error(w - q);
    Block block{WeightRows(count, size()), {}};
    for (Eigen::Index r = 0; r < count; ++r) {
      const bool better = found[r] <= plain[r];
      block.errors[static_cast<std::size_t>(r)] = better ? found[r] : plain[r];
      for (Eigen::Index k = 0; k < size(); ++k) {
        block.rounded(r, order_[static_cast<std::size_t>(k)]) = static_cast<float>(better ? q(r, k) : nearest(r, k));
      }
    }
    return block;
  }

  static void trim_lanes(LaneRow& x, Eigen::Index k, Eigen::Index count, std::span<const AnyFormat> formats) {
    for (Eigen::Index r = 0; r < count; ++r) x(r, k) = trimmed(x(r, k), formats[static_cast<std::size_t>(r)]);
  }

  /// With H + damping = L L^T, given the errors e of the weights after k, the error of weight k that costs least is
  /// -sum of L(i, k) e_i / L(k, k) over i > k. So no inverse is needed.
  LaneRow compensated(const LaneRow& w, Eigen::Index count, std::span<const AnyFormat> formats) const {
    const Eigen::MatrixXd& lower = cholesky_.matrixLLT();  // its lower triangle
    LaneRow q = w;
    LaneRow e = LaneRow::Zero(lanes, size());
    for (Eigen::Index k = size() - 1; k >= 0; --k) {
      Lanes sum = Lanes::Zero();
      for (Eigen::Index i = k + 1; i < size(); ++i) sum += lower(i, k) * e.col(i);
      q.col(k) += sum / lower(k, k);
      trim_lanes(q, k, count, formats);
      e.col(k) = w.col(k) - q.col(k);
    }
    return q;
  }

  /// Moves single weights to where the damped error is least with the others as they are, until none moves, or
  /// most_sweeps times.
  void improve(const LaneRow& w, LaneRow& q, Eigen::Index count, std::span<const AnyFormat> formats) const {
    LaneRow slope = LaneRow::Zero(lanes, size());  // half the derivative of the error
    for (Eigen::Index k = 0; k < size(); ++k) {
      const Lanes change = q.col(k) - w.col(k);
      for (Eigen::Index i = 0; i < size(); ++i) slope.col(i) += damped_(i, k) * change;
    }
    bool moved = true;
    for (int sweep = 0; moved && sweep < most_sweeps; ++sweep) {
      moved = false;
      for (Eigen::Index k = size() - 1; k >= 0; --k) {
        Lanes step = Lanes::Zero();
        const double curvature = damped_(k, k);
        for (Eigen::Index r = 0; r < count; ++r) {
          const double to = trimmed(q(r, k) - slope(r, k) / curvature, formats[static_cast<std::size_t>(r)]);
          const double d = to - q(r, k);
          const double gain = d * (2 * slope(r, k) + d * curvature);
          if (gain < -1e-9 * d * d * curvature) step[r] = d;  // by more than sums are rounded
        }
        if ((step == 0).all()) continue;
        moved = true;
        q.col(k) += step;
        for (Eigen::Index i = 0; i < size(); ++i) slope.col(i) += damped_(i, k) * step;
      }
    }
  }

  /// Of the errors e of each lane: e H e^T.
  Lanes weighted_error(const LaneRow& e) const {
    Lanes total = Lanes::Zero();
    for (Eigen::Index k = 0; k < size(); ++k) {
      Lanes sum = (damped_(k, k) - damping_) * e.col(k);
      for (Eigen::Index i = k + 1; i < size(); ++i) sum += 2 * damped_(i, k) * e.col(i);
      total += sum * e.col(k);
    }
    return total;
  }

  std::vector<Eigen::Index> order_{};  // ascending diagonal; weights are rounded from the last on
  Eigen::MatrixXd damped_{};           // H + damping, in that order
  Eigen::LLT<Eigen::MatrixXd> cholesky_{};
  double damping_ = 0;
};

}  // namespace ristretto
