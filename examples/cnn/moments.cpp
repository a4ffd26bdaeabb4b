// SPDX-License-Identifier: MIT
// Inputs of layers as columns.
#include "cnn/moments.hpp"

#include <algorithm>
#include <vector>

#include "cnn/columns.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

constexpr Index most_doubles = Index{1} << 22;  // of a matrix of columns

/// The columns of some tiles of a batch.
class Gather {
 public:
  Gather(const Convolution& layer, Shape in) : windows_(layer), plan_(windows_, in, layer.output_shape(in)) {
    reserve(work_, plan_);
  }

  Index tiles() const { return plan_.tiles(); }
  Index tiles_at_once() const { return std::max(Index{1}, most_doubles / (plan_.depth * plan_.max_columns())); }

  Columns columns(const float* x, int first_channel, Index first, Index count) {
    std::vector<Index> begin{0};  // column of each tile
    for (Index i = 0; i < count; ++i) begin.push_back(begin.back() + plan_.columns(plan_.tile(first + i)));
    Columns all(plan_.depth, begin.back());
    parallel_for(count, [&](Index i, int worker) {
      Buffer& scratch = work_.threads[static_cast<std::size_t>(worker)].columns;
      const View from = columns_of(windows_, plan_, plan_.tile(first + i), first_channel, x, scratch);
      for (Index k = 0; k < from.rows; ++k) {
        std::copy_n(from.row(k), from.cols, all.row(k).data() + begin[static_cast<std::size_t>(i)]);
      }
    });
    return all;
  }

 private:
  Windows windows_;
  Plan plan_;
  Workspace work_{};
};

}  // namespace

Index inputs_of_a_row(const Convolution& layer) { return layer.weight.value().shape().image(); }
Index inputs_of_a_row(const InnerProduct& layer) { return layer.weight.value().shape().image(); }

int groups_of(const Convolution& layer) { return layer.groups; }
int groups_of(const InnerProduct&) { return 1; }

void each_columns(const Convolution& layer, const Tensor& in, const Tensor* other, const UseColumns& use) {
  Gather gather(layer, in.shape());
  Workspace work;
  Pass pass{{}, &work};
  const float* x = trimmed_input(in, layer.formats, pass);
  for (Index first = 0; first < gather.tiles(); first += gather.tiles_at_once()) {
    const Index count = std::min(gather.tiles() - first, gather.tiles_at_once());
    for (int g = 0; g < layer.groups; ++g) {
      const int channel = g * (in.shape().C / layer.groups);
      const Columns columns = gather.columns(x, channel, first, count);
      if (!other) {
        use(g, columns, nullptr);
        continue;
      }
      const Columns of_other = gather.columns(other->data(), channel, first, count);
      use(g, columns, &of_other);
    }
  }
}

void each_columns(const InnerProduct& layer, const Tensor& in, const Tensor* other, const UseColumns& use) {
  Workspace work;
  Pass pass{{}, &work};
  const Index depth = in.shape().image(), count = in.shape().N;
  using Images = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic>>;  // (depth, count)
  const Columns columns = Images(trimmed_input(in, layer.formats, pass), depth, count).cast<double>();
  if (!other) return use(0, columns, nullptr);
  const Columns of_other = Images(other->data(), depth, count).cast<double>();
  use(0, columns, &of_other);
}

}  // namespace cnn
