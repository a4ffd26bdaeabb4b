// SPDX-License-Identifier: MIT
// What the weights of a layer are multiplied with: its inputs, as it trims them, as columns of doubles.
#pragma once

#include <functional>

#include <ristretto/compensate.hpp>

#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"

namespace cnn {

using Columns = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // (K, positions)

/// The loop of ristretto's functions on this program's threads.
struct InParallel {
  template <class F>
  void operator()(Index count, F f) const {
    parallel_for(count, [&](Index i, int) { f(i); });
  }
};

/// How many weights each output of the layer has, K.
Index inputs_of_a_row(const Convolution& layer);
Index inputs_of_a_row(const InnerProduct& layer);

/// The number of groups that its filters fall into.
int groups_of(const Convolution& layer);
int groups_of(const InnerProduct& layer);

/// Calls f(group, columns, of_other) for parts of the batch in order, in each for all groups: the inputs that the
/// weights of a row of that group meet at so many positions, trimmed as the layer does it, and at the same positions
/// those of `other`, another batch for the same layer, untrimmed; none where that is null.
using UseColumns = std::function<void(int group, const Columns& columns, const Columns* of_other)>;
void each_columns(const Convolution& layer, const Tensor& in, const Tensor* other, const UseColumns& use);
void each_columns(const InnerProduct& layer, const Tensor& in, const Tensor* other, const UseColumns& use);

}  // namespace cnn
