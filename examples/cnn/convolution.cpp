// SPDX-License-Identifier: MIT
// Convolution as matrix products: the windows of a tile of the output become columns.
#include <algorithm>

#include "cnn/check.hpp"
#include "cnn/columns.hpp"
#include "cnn/gemm.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {

Shape Convolution::output_shape(Shape in) const noexcept {
  const Windows w(*this);
  const auto size = [](Index n, Index window, int s, int p) { return static_cast<int>((n + 2 * p - window) / s + 1); };
  return {in.N, filters, size(in.H, w.height(), stride.h, pad.h), size(in.W, w.width(), stride.w, pad.w)};
}

Shape Convolution::setup(std::string_view name, Shape in) {
  check(filters > 0, name, "filters is " + std::to_string(filters), "choose at least 1");
  const Windows w(*this);
  check_windows(name, w);
  check(in.H + 2 * pad.h >= w.height() && in.W + 2 * pad.w >= w.width(), name,
        "the kernel " + to_string(kernel) + (dilation == Extent{1, 1} ? "" : ", dilated " + to_string(dilation) + ",") +
            " is larger than the padded input " + to_string(in),
        "choose a smaller kernel or more padding");
  check_groups(name, groups, in.C, filters);
  setup_parameter(name, "weight", weight, {filters, in.C / groups, kernel.h, kernel.w});
  check_shifts(name, formats, filters);
  if (has_bias) setup_parameter(name, "bias", bias, {filters, 1, 1, 1});
  return checked_output(name, output_shape(in));
}

// in (N, C, H, W), weight (K, C / groups, R, S), bias (K) -> out (N, K, H', W')
void Convolution::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Windows windows(*this);
  const Plan p(windows, in.shape(), output_shape(in.shape()));
  out.resize({p.out.N, pass.channels > 0 ? pass.channels : filters, p.out.H, p.out.W});
  reserve(*pass.work, p);
  weight.prepare(formats.weight, pass.phase, formats.rounding, formats.ties, formats.weight_shifts);
  if (has_bias) bias.prepare(formats.bias, pass.phase, formats.rounding, formats.ties);
  const Index K = filters / groups;
  const View w(weight.in_use().data(), filters, p.depth);
  const float* x = trimmed_input(in, formats, pass);
  float* first = out.data() + pass.first_channel * p.out.plane();
  const Index stride_of_images = out.shape().image();

  parallel_for(p.tiles(), [&](Index i, int worker) {
    const Tile t = p.tile(i);
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    float* place = first + t.image * stride_of_images + Index{t.row} * p.out.W;
    const Matrix<float> y = p.images > 1 ? Matrix<float>(scratch.tile.data(), filters, p.columns(t))
                                         : Matrix<float>(place, filters, p.columns(t), p.out.plane());
    for (Index k = 0; k < filters; ++k) std::fill_n(y.row(k), y.cols, has_bias ? bias.in_use()[k] : 0.0f);
    for (int g = 0; g < groups; ++g) {
      const View columns = columns_of(windows, p, t, g * (in.shape().C / groups), x, scratch.columns);
      add_product(y.middle_rows(g * K, K), View(w.row(g * K), K, p.depth), columns);
    }
    finish_rows(y, formats, pass);
    if (p.images > 1) spread_positions(p, t, y.data, first, stride_of_images);
  });
}

// in (N, C, H, W), dout (N, K, H', W') -> weight.gradient, bias.gradient, din (N, C, H, W)
void Convolution::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  const Windows windows(*this);
  const Plan p(windows, in.shape(), output_shape(in.shape()));
  reserve(*pass.work, p);
  if (din) din->resize(in.shape());
  const Index K = filters / groups;
  const View w(weight.in_use().data(), filters, p.depth);
  const float* x = trimmed_input(in, formats, pass);

  // Parts of the batch, at most 16 however many threads there are, each with a sum of its own.
  const Index parts = std::min(p.groups_of_images(), Index{16});
  const Index part_size = weight.value().size() + filters;
  Buffer& partial = pass.work->partial;
  partial.assign(static_cast<std::size_t>(parts * part_size), 0.0f);

  parallel_for(parts, [&](Index part, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const Matrix<float> dw(partial.data() + part * part_size, filters, p.depth);
    float* db = dw.data + weight.value().size();
    const Index first = part * p.groups_of_images() / parts, last = (part + 1) * p.groups_of_images() / parts;
    for (Index i = first * p.bands(); i < last * p.bands(); ++i) {
      const Tile t = p.tile(i);
      const View dy = positions_of(p, t, dout.data(), scratch.tile);
      if (din && t.row == 0) std::fill_n(din->image(t.image), t.images * p.in.image(), 0.0f);
      for (Index k = 0; k < filters; ++k) db[k] += sum(dy.row(k), dy.cols);
      for (int g = 0; g < groups; ++g) {
        const int channel = g * (p.in.C / groups);
        const View dyg = dy.middle_rows(g * K, K), wg(w.row(g * K), K, p.depth);
        add_product_nt(dw.middle_rows(g * K, K), dyg, columns_of(windows, p, t, channel, x, scratch.columns));
        if (!din) continue;
        if (p.direct) {
          float* to = din->image(t.image) + channel * p.in.plane() + Index{t.row} * p.in.W;
          add_product_tn(Matrix<float>(to, p.depth, p.columns(t), p.in.plane()), wg, dyg);
        } else {
          const Matrix<float> dcolumns(scratch.columns.data(), p.depth, p.columns(t));
          std::fill_n(dcolumns.data, dcolumns.rows * dcolumns.cols, 0.0f);
          add_product_tn(dcolumns, wg, dyg);
          add_columns(windows, p, t, channel, dcolumns, din->data());
        }
      }
    }
  });

  sum_gradients(partial.data(), {parts, part_size}, *this);
}

}  // namespace cnn
