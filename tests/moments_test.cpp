// SPDX-License-Identifier: MIT
// Moments: means over all positions, however these come; threads.
#include <stdexcept>

#include <ristretto/moments.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "inputs.hpp"

namespace rt = ristretto;

using checks::Backwards;
using checks::inputs;
using Eigen::MatrixXd;

TEST_CASE("moments are means over all positions, however these come") {
  const MatrixXd x = inputs(130, 50, 3);  // more than one block
  rt::Moments moments(130), first(130), rest(130);
  moments.add(x, Backwards{});
  first.add(x.leftCols(20));
  rest.add(x.rightCols(30));
  first.merge(rest);
  CHECK(moments.count() == 50);
  CHECK(first.count() == 50);
  CHECK((moments.mean() - x.rowwise().mean()).norm() < 1e-12);
  const MatrixXd expected = x * x.transpose() / 50;
  CHECK((moments.second() - expected).norm() < 1e-12 * expected.norm());
  CHECK((first.second() - expected).norm() < 1e-12 * expected.norm());
  rt::Moments again(130);
  again.add(x);
  CHECK(again.second() == moments.second());  // the bits

  const MatrixXd y = inputs(130, 50, 4);
  rt::CrossMoment cross(130), other(130);
  cross.add(y, x);
  other.add(y, x, Backwards{});
  CHECK((cross.mean() - y * x.transpose() / 50).norm() < 1e-12 * expected.norm());
  CHECK(cross.mean() == other.mean());
  CHECK(rt::Moments(2).second() == MatrixXd::Zero(2, 2));  // of nothing
}

TEST_CASE("moments of other sizes are refused") {
  const auto refusal = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  CHECK(checks::contains(refusal([] { rt::Moments(3).add(MatrixXd::Zero(2, 5)); }), "2 rows"));
  CHECK(checks::contains(refusal([] { rt::CrossMoment(3).add(MatrixXd::Zero(3, 5), MatrixXd::Zero(3, 4)); }), "3 x 4"));
}
