// SPDX-License-Identifier: MIT
// Inputs of layers as columns.
#include "moments.hpp"

#include <algorithm>

#include "columns.hpp"
#include "trimmed.hpp"

namespace cnn {
namespace {

constexpr Index most_doubles = Index{1} << 22;  // of a matrix of columns

/// Copies a matrix into columns of a larger one.
void place(View from, Columns& to, Index column) {
  for (Index k = 0; k < from.rows; ++k) std::copy_n(from.row(k), from.cols, to.row(k).data() + column);
}

}  // namespace

Index inputs_of_a_row(const Convolution& layer) { return layer.weight.value().shape().image(); }
Index inputs_of_a_row(const InnerProduct& layer) { return layer.weight.value().shape().image(); }

void each_columns(const Convolution& layer, const Tensor& in,
                  const std::function<void(int group, const Columns& columns)>& f) {
  const Windows windows(layer);
  const Plan p(windows, in.shape(), layer.output_shape(in.shape()));
  Workspace work;
  reserve(work, p);
  Pass pass{{}, &work};
  const float* x = trimmed_input(in, layer.formats, pass);
  const Index at_once = std::max(Index{1}, most_doubles / (p.depth * p.max_columns()));  // tiles
  for (Index first = 0; first < p.tiles(); first += at_once) {
    const Index last = std::min(p.tiles(), first + at_once);
    std::vector<Index> begin{0};  // column of each tile
    for (Index i = first; i < last; ++i) begin.push_back(begin.back() + p.columns(p.tile(i)));
    Columns columns(p.depth, begin.back());
    for (int g = 0; g < layer.groups; ++g) {
      parallel_for(last - first, [&](Index i, int worker) {
        Buffer& scratch = work.threads[static_cast<std::size_t>(worker)].columns;
        const int channel = g * (in.shape().C / layer.groups);
        place(columns_of(windows, p, p.tile(first + i), channel, x, scratch), columns,
              begin[static_cast<std::size_t>(i)]);
      });
      f(g, columns);
    }
  }
}

void each_columns(const InnerProduct& layer, const Tensor& in,
                  const std::function<void(int group, const Columns& columns)>& f) {
  Workspace work;
  Pass pass{{}, &work};
  const float* x = trimmed_input(in, layer.formats, pass);
  const Index depth = in.shape().image();
  Columns columns(depth, in.shape().N);
  for (Index n = 0; n < in.shape().N; ++n) {
    for (Index k = 0; k < depth; ++k) columns(k, n) = static_cast<double>(x[n * depth + k]);
  }
  f(0, columns);
}

}  // namespace cnn
