// SPDX-License-Identifier: MIT
// Compensated rounding: against a reference that solves each step, against rounding to nearest, and on inputs that are
// hard to invert; threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/LU>

#include <ristretto/compensate.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "inputs.hpp"

namespace rt = ristretto;

namespace {

using checks::Backwards;
using checks::inputs;
using checks::Numbers;
using checks::second_moment;
using Eigen::Index;
using Eigen::MatrixXd;

/// Formats of all kinds, coarse enough that rounding matters.
const std::vector<rt::AnyFormat> formats{
    rt::DynamicFixedPoint{0, 3}, rt::DynamicFixedPoint{0, 2}, rt::UnsignedFixedPoint{0, 3}, rt::Minifloat{1, 2},
    rt::Minifloat{1, 3, 5},      rt::PowerOfTwo{-5, -1},      rt::PowerOfTwoOrZero{-4, -1}};

double trimmed(double x, const rt::AnyFormat& format) {
  return format.visit([x](const auto& f) { return static_cast<double>(rt::Trimmer{f}(static_cast<float>(x))); });
}

/// The inputs, those with the least second moment first.
std::vector<Index> ascending(const MatrixXd& h) {
  std::vector<Index> order(static_cast<std::size_t>(h.rows()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto key = [&](Index k) { return std::pair(h(k, k), k); };
  std::sort(order.begin(), order.end(), [&](Index a, Index b) { return key(a) < key(b); });
  return order;
}

/// Each weight in turn, from the largest input on, takes the value that is best for the errors so far once the weights
/// behind it take theirs: found by solving for all of these.
std::vector<double> compensated(const std::vector<double>& w, const MatrixXd& damped, const std::vector<Index>& order,
                                const rt::AnyFormat& format) {
  const auto size = static_cast<Index>(w.size());
  std::vector<double> rounded = w;
  for (Index k = size - 1; k >= 0; --k) {
    const std::span<const Index> open(order.data(), static_cast<std::size_t>(k) + 1);
    const std::span<const Index> done(order.data() + k + 1, static_cast<std::size_t>(size - 1 - k));
    MatrixXd a(k + 1, k + 1);
    Eigen::VectorXd b = Eigen::VectorXd::Zero(k + 1);
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto row = static_cast<Index>(i);
      for (std::size_t j = 0; j < open.size(); ++j) a(row, static_cast<Index>(j)) = damped(open[i], open[j]);
      for (const Index j : done) {
        const auto at = static_cast<std::size_t>(j);
        b[row] -= damped(open[i], j) * (w[at] - rounded[at]);
      }
    }
    const Eigen::VectorXd error = a.fullPivLu().solve(b);  // w - rounded of the open ones
    const auto at = static_cast<std::size_t>(order[static_cast<std::size_t>(k)]);
    rounded[at] = trimmed(w[at] - error[k], format);
  }
  return rounded;
}

/// Then each in turn moves to the number nearest to its best place, until none gains.
std::vector<double> improved(const std::vector<double>& w, std::vector<double> q, const MatrixXd& damped,
                             const std::vector<Index>& order, const rt::AnyFormat& format) {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto at = order.rbegin(); at != order.rend(); ++at) {
      double& weight = q[static_cast<std::size_t>(*at)];
      double slope = 0;
      for (std::size_t i = 0; i < q.size(); ++i) slope += damped(*at, static_cast<Index>(i)) * (q[i] - w[i]);
      const double d = trimmed(weight - slope / damped(*at, *at), format) - weight;
      if (d * (2 * slope + d * damped(*at, *at)) >= -1e-9 * d * d * damped(*at, *at)) continue;
      weight += d;
      moved = true;
    }
  }
  return q;
}

std::vector<double> reference(const std::vector<double>& w, const MatrixXd& h, double damping,
                              const rt::AnyFormat& format) {
  MatrixXd damped = h;
  damped.diagonal().array() += damping * h.diagonal().mean();
  const std::vector<Index> order = ascending(h);
  return improved(w, compensated(w, damped, order, format), damped, order, format);
}

double error_of(const std::vector<double>& w, const std::vector<double>& q, const MatrixXd& h) {
  Eigen::VectorXd e(h.rows());
  for (Index k = 0; k < h.rows(); ++k) e[k] = w[static_cast<std::size_t>(k)] - q[static_cast<std::size_t>(k)];
  return e.dot(h * e);
}

std::vector<double> row(const rt::WeightRows& m, Index r) {
  std::vector<double> out;
  for (Index k = 0; k < m.cols(); ++k) out.push_back(static_cast<double>(m(r, k)));
  return out;
}

}  // namespace

TEST_CASE("each weight takes what is best for the errors before it, then for those of all others") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    const Index size = 2 + seed % 9;
    const MatrixXd h = second_moment(inputs(size, 40, seed));
    const rt::WeightRows w = Numbers(seed + 100).weights(11, size);  // more than a register holds
    const rt::Compensation compensation(h, 0.02);
    for (const rt::AnyFormat& format : formats) {
      const std::vector<rt::AnyFormat> all(11, format);
      const rt::WeightRows found = compensation.round(w, all);
      for (Index r = 0; r < w.rows(); ++r) {
        const auto plain = row(w, r);
        auto nearest = plain;
        for (double& q : nearest) q = trimmed(q, format);
        const auto solved = reference(plain, h, 0.02, format);
        const bool better = error_of(plain, solved, h) <= error_of(plain, nearest, h);
        INFO("seed " << seed << ", " << format << ", row " << r);
        CHECK(row(found, r) == (better ? solved : nearest));
      }
    }
  }
}

TEST_CASE("compensated rounding has no larger error than rounding to nearest, and mostly a much smaller one") {
  double plain_sum = 0, found_sum = 0;
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    const MatrixXd h = second_moment(inputs(40, 100, seed));
    const rt::WeightRows w = Numbers(seed).weights(9, 40);
    const rt::Compensation compensation(h);
    for (const rt::AnyFormat& format : formats) {
      const std::vector<rt::AnyFormat> all(9, format);
      rt::WeightRows nearest = w;
      rt::trim_rows(nearest, all);
      const rt::WeightRows found = compensation.round(w, all);
      rt::WeightRows again = found;
      rt::trim_rows(again, all);
      CHECK(again == found);  // numbers of the format
      const Eigen::VectorXd plain = compensation.errors(w, nearest), error = compensation.errors(w, found);
      for (Index r = 0; r < 9; ++r) CHECK(error[r] <= plain[r] * (1 + 1e-12));
      plain_sum += plain.sum();
      found_sum += error.sum();
    }
  }
  CHECK(found_sum < plain_sum / 3);
}

TEST_CASE("no single weight could be better elsewhere") {
  const Index size = 20;
  const MatrixXd h = second_moment(inputs(size, 60, 8));
  const rt::WeightRows w = Numbers(8).weights(4, size);
  MatrixXd damped = h;
  damped.diagonal().array() += 0.01 * h.diagonal().mean();
  const rt::DynamicFixedPoint format{0, 3};
  const std::vector<rt::AnyFormat> all(4, format);
  const rt::WeightRows found = rt::Compensation(h).round(w, all);
  for (Index r = 0; r < 4; ++r) {
    const auto plain = row(w, r);
    auto q = row(found, r);
    const double error = error_of(plain, q, damped);
    for (double& weight : q) {
      const double kept = weight;
      for (int k = -4; k <= 3; ++k) {
        weight = k * 0.125;
        CHECK(error_of(plain, q, damped) >= error * (1 - 1e-9));
      }
      weight = kept;
    }
  }
}

TEST_CASE("inputs that are dead, constant, alike or missing are no trouble") {
  const Index size = 12;
  Numbers numbers(5);
  const rt::WeightRows w = numbers.weights(3, size);
  const std::vector<rt::AnyFormat> all(3, rt::DynamicFixedPoint{0, 3});
  rt::WeightRows nearest = w;
  rt::trim_rows(nearest, all);

  MatrixXd x = inputs(size, 30, 5);
  x.row(3).setZero();       // dead
  x.row(5).setConstant(1);  // a constant
  x.row(7) = x.row(5);      // twice the same
  x.row(9) = 1e6 * x.row(8);
  const MatrixXd cases[] = {second_moment(x),         MatrixXd::Zero(size, size), MatrixXd::Ones(size, size),
                            second_moment(1e-20 * x), second_moment(1e12 * x),    second_moment(x.leftCols(2))};
  for (const MatrixXd& h : cases) {
    for (const double damping : {0.0, 0.01, 1.0}) {
      const rt::Compensation compensation(h, damping);
      const rt::WeightRows found = compensation.round(w, all);
      CHECK(found.allFinite());
      const Eigen::VectorXd plain = compensation.errors(w, nearest), error = compensation.errors(w, found);
      for (Index r = 0; r < 3; ++r) CHECK(error[r] <= plain[r] * (1 + 1e-9));
    }
  }
  CHECK(rt::Compensation(MatrixXd::Zero(size, size)).round(w, all) == nearest);
  const rt::WeightRows found = rt::Compensation(second_moment(x)).round(w, all);
  CHECK(found.col(3) == nearest.col(3));
}

TEST_CASE("a second moment may be off by the rounding of its sums, and no more") {
  const auto is_refused = [](double correlation, double damping) {
    const MatrixXd h{{1, correlation}, {correlation, 1}};
    return checks::contains(checks::message_of<std::invalid_argument>([&] { rt::Compensation(h, damping); }),
                            "not positive semidefinite");
  };
  for (const double damping : {0.0, 0.01, 1.0}) {
    for (const double correlation : {1.0, 1 + 1e-13, 1 + 1e-10, 1 + 1e-7}) CHECK(!is_refused(correlation, damping));
    for (const double correlation : {1 + 1e-5, 1.001, 1.9, -1.9}) CHECK(is_refused(correlation, damping));
  }
  const MatrixXd almost{{1, 1 + 1e-10}, {1 + 1e-10, 1}};
  rt::WeightRows w(1, 2);
  w << 0.3f, 0.3f;  // together 0.6, of which 0.5 + 0.125 are nearest
  const std::vector<rt::AnyFormat> one{rt::DynamicFixedPoint{0, 3}};
  CHECK(rt::Compensation(almost, 0).round(w, one).sum() == 0.625f);
}

TEST_CASE("with ever more damping weights are rounded to nearest") {
  const MatrixXd h = second_moment(inputs(20, 60, 4));
  const rt::WeightRows w = Numbers(5).weights(3, 20);
  const std::vector<rt::AnyFormat> three(3, rt::DynamicFixedPoint{0, 3});
  rt::WeightRows nearest = w;
  rt::trim_rows(nearest, three);
  CHECK(rt::Compensation(h, 1e9).round(w, three) == nearest);
  CHECK(rt::Compensation(h).round(w, three) != nearest);
}

TEST_CASE("two threads leave the bits of one") {
  const MatrixXd h = second_moment(inputs(70, 200, 2));
  const rt::WeightRows w = Numbers(2).weights(37, 70);
  const rt::Compensation compensation(h);
  const std::vector<rt::AnyFormat> all(37, rt::DynamicFixedPoint{0, 3});
  CHECK(compensation.round(w, all) == compensation.round(w, all, Backwards{}));
  CHECK(compensation.choose_scales(w, all, 2) == compensation.choose_scales(w, all, 2, Backwards{}));
  const rt::WeightRows part = w.middleRows(5, 9);  // rows do not depend on their neighbours
  CHECK(compensation.round(part, std::span(all).first(9)) == compensation.round(w, all).middleRows(5, 9));
}

TEST_CASE("scales are chosen by the error after compensated rounding") {
  const MatrixXd h = second_moment(inputs(30, 80, 3));
  rt::WeightRows w = Numbers(6).weights(10, 30);
  w.row(4) *= 16;
  const rt::Compensation compensation(h);
  const rt::AnyFormat start = rt::DynamicFixedPoint{-1, 4};
  const std::vector<rt::AnyFormat> all(10, start);
  const std::vector<int> chosen = compensation.choose_scales(w, all, 5);
  REQUIRE(chosen.size() == 10);
  std::vector<rt::AnyFormat> scaled;
  for (const int e : chosen) scaled.push_back(start.scaled(e));
  const Eigen::VectorXd least = compensation.errors(w, compensation.round(w, scaled));
  for (int e = -5; e <= 5; ++e) {
    const std::vector<rt::AnyFormat> other(10, start.scaled(e));
    const Eigen::VectorXd error = compensation.errors(w, compensation.round(w, other));
    for (Index r = 0; r < 10; ++r) CHECK(least[r] <= error[r] * (1 + 1e-9));
  }
  CHECK(chosen[4] == 5);
  const std::vector<int> none(10);
  CHECK(compensation.choose_scales(w, all, 0) == none);
  // At the end of what formats there are it stays.
  const rt::AnyFormat last = rt::PowerOfTwo{126, 127};
  for (const int e : compensation.choose_scales(w, std::vector(10, last), 1)) CHECK((e == 0 || e == -1));
  CHECK(compensation.choose_scales(w, std::vector<rt::AnyFormat>(10, rt::BFloat16{}), 2) == none);
}

TEST_CASE("weights for other inputs are those of least squares") {
  const MatrixXd y = inputs(8, 50, 7), x = y + 0.1 * Numbers(9).matrix(8, 50);
  const rt::WeightRows w = Numbers(7).weights(3, 8);
  rt::CrossMoment cross(8);
  cross.add(y, x);
  const rt::WeightRows found = rt::Compensation(second_moment(x), 1e-10).retarget(w, cross.mean());
  const MatrixXd expected = (x * x.transpose()).ldlt().solve(x * (w.cast<double>() * y).transpose()).transpose();
  CHECK((found.cast<double>() - expected).norm() < 1e-5);
  CHECK((found - w).norm() > 0.01f);

  rt::CrossMoment same(8);
  same.add(x, x);
  CHECK((rt::Compensation(second_moment(x)).retarget(w, same.mean()) - w).norm() < 1e-6f);
}

TEST_CASE("what does not fit together is refused") {
  const auto refusal = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  const MatrixXd h = MatrixXd::Identity(3, 3);
  CHECK(checks::contains(refusal([] { rt::Compensation{MatrixXd::Zero(2, 3)}; }), "2 x 3"));
  CHECK(checks::contains(refusal([] { rt::Compensation{MatrixXd(0, 0)}; }), "0 x 0"));
  MatrixXd bad = h;
  bad(1, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(checks::contains(refusal([&] { rt::Compensation{bad}; }), "not finite"));
  CHECK(checks::contains(refusal([&] { rt::Compensation(h, -1.0); }), "damping is -1"));
  CHECK(checks::contains(refusal([&] { rt::Compensation(h, std::numeric_limits<double>::infinity()); }),
                         "damping is inf"));
  CHECK(checks::contains(refusal([&] { rt::Compensation{-h}; }), "-1.000000 on its diagonal"));
  bad = h;
  bad(1, 0) = 0.5;
  CHECK(checks::contains(refusal([&] { rt::Compensation{bad}; }), "asymmetric by 0.5"));
  const rt::Compensation good(h);
  const std::vector<rt::AnyFormat> two(2, rt::DynamicFixedPoint{1, 3});
  CHECK(checks::contains(refusal([&] { good.round(rt::WeightRows::Zero(2, 4), two); }), "rows of 3"));
  CHECK(checks::contains(refusal([&] { good.round(rt::WeightRows::Zero(1, 3), two); }), "1 rows and 2 formats"));
  rt::WeightRows nan = rt::WeightRows::Zero(2, 3);
  nan(0, 0) = checks::quiet_nan;
  CHECK(checks::contains(refusal([&] { good.round(nan, two); }), "not finite"));
  CHECK(checks::contains(refusal([&] { good.retarget(rt::WeightRows::Zero(2, 3), MatrixXd::Zero(2, 2)); }), "2 x 2"));
  CHECK(checks::contains(refusal([&] { good.errors(rt::WeightRows::Zero(2, 3), rt::WeightRows::Zero(1, 3)); }),
                         "2 and 1 rows"));
}
