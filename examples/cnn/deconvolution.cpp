// SPDX-License-Identifier: MIT
// Deconvolution: what convolution's backward pass does forward, and the other way round.
#include <algorithm>

#include "cnn/check.hpp"
#include "cnn/columns.hpp"
#include "cnn/gemm.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {

Shape Deconvolution::output_shape(Shape in) const noexcept {
  const Windows w(*this);
  const auto size = [](Index n, Index window, int s, int p) { return static_cast<int>((n - 1) * s - 2 * p + window); };
  return {in.N, filters, size(in.H, w.height(), stride.h, pad.h), size(in.W, w.width(), stride.w, pad.w)};
}

Shape Deconvolution::setup(std::string_view name, Shape in) {
  check(filters > 0, name, "filters is " + std::to_string(filters), "choose at least 1");
  const Windows w(*this);
  check_windows(name, w);
  const auto size = [](Index n, Index window, int s, int p) { return (n - 1) * s - 2 * p + window; };
  const Index H = size(in.H, w.height(), stride.h, pad.h), W = size(in.W, w.width(), stride.w, pad.w);
  check(H > 0 && W > 0, name, "pad " + to_string(pad) + " leaves nothing of the output", "choose a smaller pad");
  check(H <= most_values && W <= most_values, name, "the output is " + std::to_string(H) + " x " + std::to_string(W),
        "choose a smaller stride or dilation");
  check_groups(name, groups, in.C, filters);
  setup_parameter(name, "weight", weight, {in.C, filters / groups, kernel.h, kernel.w});
  check_shifts(name, formats, 0);
  if (has_bias) setup_parameter(name, "bias", bias, {filters, 1, 1, 1});
  return checked_output(name, output_shape(in));
}

// in (N, C, H, W), weight (C, K / groups, R, S), bias (K) -> out (N, K, H', W')
void Deconvolution::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Windows windows(*this);
  const Plan p(windows, output_shape(in.shape()), in.shape());
  out.resize(p.in);
  reserve(*pass.work, p);
  weight.prepare(formats.weight, pass.phase, formats.rounding, formats.ties);
  if (has_bias) bias.prepare(formats.bias, pass.phase, formats.rounding, formats.ties);
  const Index C = p.out.C / groups;
  const View w(weight.in_use().data(), p.out.C, p.depth);
  const float* x = trimmed_input(in, formats, pass);

  parallel_for(p.groups_of_images(), [&](Index part, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const Tile all = p.tile(part * p.bands());
    for (Index n = all.image; n < all.image + all.images; ++n) {
      for (Index k = 0; k < filters; ++k) {
        std::fill_n(out.image(n) + k * p.in.plane(), p.in.plane(), has_bias ? bias.in_use()[k] : 0.0f);
      }
    }
    for (Index i = part * p.bands(); i < (part + 1) * p.bands(); ++i) {  // bands overlap in the output
      const Tile t = p.tile(i);
      const View xt = positions_of(p, t, x, scratch.tile);
      for (int g = 0; g < groups; ++g) {
        const int channel = g * (filters / groups);
        const View xg = xt.middle_rows(g * C, C), wg(w.row(g * C), C, p.depth);
        if (p.direct) {
          float* to = out.image(t.image) + channel * p.in.plane() + Index{t.row} * p.in.W;
          add_product_tn(Matrix<float>(to, p.depth, p.columns(t), p.in.plane()), wg, xg);
        } else {
          const Matrix<float> columns(scratch.columns.data(), p.depth, p.columns(t));
          std::fill_n(columns.data, columns.rows * columns.cols, 0.0f);
          add_product_tn(columns, wg, xg);
          add_columns(windows, p, t, channel, columns, out.data());
        }
      }
    }
    finish_rows(Matrix<float>(out.image(all.image), Index{all.images} * filters, p.in.plane()), formats, pass);
  });
}

// in (N, C, H, W), dout (N, K, H', W') -> weight.gradient, bias.gradient, din (N, C, H, W)
void Deconvolution::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  const Windows windows(*this);
  const Plan p(windows, output_shape(in.shape()), in.shape());
  reserve(*pass.work, p);
  if (din) din->resize(in.shape());
  const Index C = p.out.C / groups;
  const View w(weight.in_use().data(), p.out.C, p.depth);
  const float* x = trimmed_input(in, formats, pass);

  const Index parts = std::min(p.groups_of_images(), Index{16});  // as in a convolution
  const Index part_size = weight.value().size() + filters;
  Buffer& partial = pass.work->partial;
  partial.assign(static_cast<std::size_t>(parts * part_size), 0.0f);

  parallel_for(parts, [&](Index part, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const Matrix<float> dw(partial.data() + part * part_size, p.out.C, p.depth);
    float* db = dw.data + weight.value().size();
    const Index first = part * p.groups_of_images() / parts, last = (part + 1) * p.groups_of_images() / parts;
    for (Index i = first * p.bands(); i < last * p.bands(); ++i) {
      const Tile t = p.tile(i);
      for (Index n = t.image; t.row == 0 && n < t.image + t.images; ++n) {
        for (Index k = 0; k < filters; ++k) db[k] += sum(dout.image(n) + k * p.in.plane(), p.in.plane());
      }
      const View xt = positions_of(p, t, x, scratch.tile);
      for (int g = 0; g < groups; ++g) {
        const View columns = columns_of(windows, p, t, g * (filters / groups), dout.data(), scratch.columns);
        add_product_nt(dw.middle_rows(g * C, C), xt.middle_rows(g * C, C), columns);
      }
      if (!din) continue;
      float* place = din->image(t.image) + Index{t.row} * p.out.W;
      const Matrix<float> dx = p.images > 1 ? Matrix<float>(scratch.tile.data(), p.out.C, p.columns(t))
                                            : Matrix<float>(place, p.out.C, p.columns(t), p.out.plane());
      for (Index c = 0; c < p.out.C; ++c) std::fill_n(dx.row(c), dx.cols, 0.0f);
      for (int g = 0; g < groups; ++g) {
        const View columns = columns_of(windows, p, t, g * (filters / groups), dout.data(), scratch.columns);
        add_product(dx.middle_rows(g * C, C), View(w.row(g * C), C, p.depth), columns);
      }
      if (p.images > 1) spread_positions(p, t, dx.data, din->data(), p.out.image());
    }
  });

  sum_gradients(partial.data(), {parts, part_size}, *this);
}

}  // namespace cnn
