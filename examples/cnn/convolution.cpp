// SPDX-License-Identifier: MIT
// Convolution as matrix products: the windows of a tile of the output become columns.
#include <algorithm>
#include <cstring>

#include "check.hpp"
#include "gemm.hpp"
#include "layers.hpp"
#include "parallel.hpp"
#include "trimmed.hpp"

namespace cnn {
namespace {

/// A part of the output that one matrix product makes: some whole images, or some rows of one image.
struct Tile {
  int image, images, row, rows;
};

/// The sizes of one convolution over one batch, and how its output is cut into tiles.
struct Plan {
  Shape in, out;
  Index depth;  // C / groups * R * S, the rows of the columns matrix
  bool direct;  // 1x1 with stride 1: the input is its own columns matrix
  int images;   // per tile; 1 where images are cut into bands
  int rows;     // per band

  Plan(const Convolution& layer, Shape input) : in(input), out(layer.output_shape(input)) {
    constexpr Index target = 512;  // columns per product: enough to pay for packing the weights, few enough for L2
    const Extent one{1, 1};
    depth = Index{in.C} / layer.groups * layer.kernel.h * layer.kernel.w;
    direct = layer.kernel == one && layer.stride == one && layer.pad == Extent{0, 0} && out.plane() >= target / 8;
    const Index fit = std::max(target / 4, std::min(target, (Index{1} << 18) / depth));
    images = direct ? 1 : static_cast<int>(std::clamp(fit / out.plane(), Index{1}, Index{in.N}));
    const Index bands = std::clamp((out.plane() + target / 2) / target, Index{1}, Index{out.H});
    rows = static_cast<int>((out.H + bands - 1) / bands);
  }

  Index bands() const { return (out.H + rows - 1) / rows; }
  Index groups_of_images() const { return (in.N + images - 1) / images; }
  Index tiles() const { return groups_of_images() * bands(); }
  Tile tile(Index i) const {
    const int n = static_cast<int>(i / bands()) * images;
    const int y = static_cast<int>(i % bands()) * rows;
    return {n, std::min(images, in.N - n), y, std::min(rows, out.H - y)};
  }
  Index columns(const Tile& t) const { return Index{t.images} * t.rows * out.W; }
  Index max_columns() const { return Index{images} * rows * out.W; }
};

// Rows are short, so these move whole vectors where they can instead of calling memcpy and memset.
void copy(const float* from, float* to, Index count) {
  constexpr Index chunk = 8;
  Index i = 0;
  for (; i + chunk <= count; i += chunk) std::memcpy(to + i, from + i, chunk * sizeof(float));
  if (i == count) return;
  if (count >= chunk) {
    std::memcpy(to + count - chunk, from + count - chunk, chunk * sizeof(float));
    return;
  }
  for (; i < count; ++i) to[i] = from[i];
}

void add(const float* from, float* to, Index count) {
  constexpr Index chunk = 8;
  for (; count >= chunk; count -= chunk, from += chunk, to += chunk) {
    float sum[chunk];
    for (Index i = 0; i < chunk; ++i) sum[i] = to[i] + from[i];
    std::memcpy(to, sum, sizeof sum);
  }
  for (Index i = 0; i < count; ++i) to[i] += from[i];
}

/// The sum of a row, in 16 independent lanes so that it is fast and yet always in the same order.
float sum(const float* x, Index count) {
  constexpr Index lanes = 16;
  float lane[lanes] = {};
  const Index whole = count - count % lanes;
  for (Index i = 0; i < whole; i += lanes) {
    for (Index j = 0; j < lanes; ++j) lane[j] += x[i + j];
  }
  for (Index i = whole; i < count; ++i) lane[i - whole] += x[i];
  float total = 0;
  for (const float part : lane) total += part;
  return total;
}

/// The output positions [first, last) of one row for which the kernel offset `at` meets the input.
struct Reach {
  Index first, last;
};
Reach reach(Index at, Index pad, Index stride, Index in_size, Index out_size) {
  const Index before = pad - at;  // x * stride >= before, x * stride < in_size + before
  const Index first = before > 0 ? (before + stride - 1) / stride : 0;
  const Index end = in_size + before;
  const Index last = end > 0 ? (end + stride - 1) / stride : 0;
  return {std::min(first, out_size), std::clamp(last, std::min(first, out_size), out_size)};
}

/// A row of windows as it lies in the columns matrix and in the input: column i, for i in [x.first, x.last), holds
/// input[source + i * stride]; the other columns, or all where the input row is outside, are padding.
struct Segment {
  Index row, column, source;
  Reach x;
  bool outside;
};

/// Calls body(segment) for all segments of the columns matrix of a tile.
template <class F>
void each_segment(const Convolution& layer, const Plan& p, const Tile& t, int first_channel, F&& body) {
  const Index R = layer.kernel.h, S = layer.kernel.w, H = p.in.H, W = p.in.W, out_W = p.out.W;
  const Index stride = layer.stride.h, image = p.in.image(), first_y = Index{t.row} * stride - layer.pad.h;
  const Index start = t.image * image + first_channel * H * W - layer.pad.w;
  const int images = t.images, rows = t.rows;  // all copied: a store of floats may not change them
  for (Index row = 0, depth = p.depth; row < depth; ++row) {
    const Index c = row / (R * S), r = row / S % R, s = row % S;
    const Reach x = reach(s, layer.pad.w, layer.stride.w, W, out_W);
    Index column = 0;
    for (int n = 0; n < images; ++n) {
      const Index plane = start + n * image + c * H * W + s;
      Index y = first_y + r;
      for (int i = 0; i < rows; ++i, column += out_W, y += stride) {
        body(Segment{row, column, plane + y * W, x, y < 0 || y >= H});
      }
    }
  }
}

/// in (N, C, H, W) -> columns (C / groups * R * S, positions of the tile)
void im2col(const Convolution& layer, const Plan& p, const Tile& t, int first_channel, const float* in,
            Matrix<float> columns) {
  const Index stride = layer.stride.w, W = p.out.W;
  each_segment(layer, p, t, first_channel, [=](const Segment& s) {
    float* to = columns.row(s.row) + s.column;
    if (s.outside) {
      std::fill_n(to, W, 0.0f);
      return;
    }
    if (s.x.first > 0) std::fill_n(to, s.x.first, 0.0f);
    if (stride == 1) {
      copy(in + s.source + s.x.first, to + s.x.first, s.x.last - s.x.first);
    } else {
      for (Index i = s.x.first; i < s.x.last; ++i) to[i] = in[s.source + i * stride];
    }
    if (s.x.last < W) std::fill_n(to + s.x.last, W - s.x.last, 0.0f);
  });
}

/// The transpose of im2col: adds each element of the columns to where it came from.
void col2im(const Convolution& layer, const Plan& p, const Tile& t, int first_channel, View columns, float* din) {
  const Index stride = layer.stride.w;
  each_segment(layer, p, t, first_channel, [=](const Segment& s) {
    if (s.outside) return;
    const float* from = columns.row(s.row) + s.column;
    if (stride == 1) {
      add(from + s.x.first, din + s.source + s.x.first, s.x.last - s.x.first);
    } else {
      for (Index i = s.x.first; i < s.x.last; ++i) din[s.source + i * stride] += from[i];
    }
  });
}

/// The columns matrix of a tile: the input itself, or a copy in `scratch`.
View columns_of(const Convolution& layer, const Plan& p, const Tile& t, int first_channel, const float* in,
                Buffer& scratch) {
  if (p.direct) {
    const float* start = in + t.image * p.in.image() + first_channel * p.in.plane() + Index{t.row} * p.in.W;
    return {start, p.depth, p.columns(t), p.in.plane()};
  }
  const Matrix<float> columns(scratch.data(), p.depth, p.columns(t));
  im2col(layer, p, t, first_channel, in, columns);
  return columns;
}

/// Moves a tile of several images between its matrix (K, positions) and the batch (N, K, H', W').
template <class F>
void each_plane(const Plan& p, const Tile& t, F&& body) {
  for (Index k = 0; k < p.out.C; ++k) {
    for (Index n = 0; n < t.images; ++n) {
      body(k * p.columns(t) + n * p.out.plane(), (t.image + n) * p.out.image() + k * p.out.plane());
    }
  }
}

void reserve(Workspace& work, const Plan& p) {
  work.threads.resize(std::max(work.threads.size(), static_cast<std::size_t>(workers())));
  const auto grow = [](Buffer& b, Index size) { b.resize(std::max(b.size(), static_cast<std::size_t>(size))); };
  for (Workspace::PerThread& thread : work.threads) {
    if (!p.direct) grow(thread.columns, p.depth * p.max_columns());
    if (p.images > 1) grow(thread.tile, p.out.C * p.max_columns());
  }
}

}  // namespace

Shape Convolution::output_shape(Shape in) const noexcept {
  const auto size = [](int n, int k, int s, int p) { return (n + 2 * p - k) / s + 1; };
  return {in.N, filters, size(in.H, kernel.h, stride.h, pad.h), size(in.W, kernel.w, stride.w, pad.w)};
}

Shape Convolution::setup(std::string_view name, Shape in) {
  check(filters > 0, name, "filters is " + std::to_string(filters), "choose at least 1");
  check_window(name, kernel, stride, pad);
  check(in.H + 2 * pad.h >= kernel.h && in.W + 2 * pad.w >= kernel.w, name,
        "the kernel " + to_string(kernel) + " is larger than the padded input " + to_string(in),
        "choose a smaller kernel or more padding");
  check(groups > 0 && in.C % groups == 0 && filters % groups == 0, name,
        "groups is " + std::to_string(groups) + " with " + std::to_string(in.C) + " input channels and " +
            std::to_string(filters) + " filters",
        "choose a divisor of both");
  setup_parameter(name, "weight", weight, {filters, in.C / groups, kernel.h, kernel.w});
  if (has_bias) setup_parameter(name, "bias", bias, {filters, 1, 1, 1});
  return output_shape(in);
}

// in (N, C, H, W), weight (K, C / groups, R, S), bias (K) -> out (N, K, H', W')
void Convolution::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Plan p(*this, in.shape());
  out.resize(p.out);
  reserve(*pass.work, p);
  weight.prepare(formats.weight, pass.phase);
  if (has_bias) bias.prepare(formats.bias, pass.phase);
  const Index K = filters / groups;
  const View w(weight.in_use().data(), filters, p.depth);
  const float* x = trimmed_input(in, formats.input, *pass.work);

  parallel_for(p.tiles(), [&](Index i, int worker) {
    const Tile t = p.tile(i);
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const Matrix<float> y =
        p.images > 1 ? Matrix<float>(scratch.tile.data(), filters, p.columns(t))
                     : Matrix<float>(out.image(t.image) + Index{t.row} * p.out.W, filters, p.columns(t), p.out.plane());
    for (Index k = 0; k < filters; ++k) std::fill_n(y.row(k), y.cols, has_bias ? bias.in_use()[k] : 0.0f);
    for (int g = 0; g < groups; ++g) {
      const View columns = columns_of(*this, p, t, g * (in.shape().C / groups), x, scratch.columns);
      add_product(y.middle_rows(g * K, K), View(w.row(g * K), K, p.depth), columns);
    }
    trim_rows(y, formats.output);
    if (p.images > 1) {
      each_plane(p, t, [&](Index from, Index to) { copy(y.data + from, out.data() + to, p.out.plane()); });
    }
  });
}

// in (N, C, H, W), dout (N, K, H', W') -> weight.gradient, bias.gradient, din (N, C, H, W)
void Convolution::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  const Plan p(*this, in.shape());
  reserve(*pass.work, p);
  if (din) din->resize(in.shape());
  const Index K = filters / groups;
  const View w(weight.in_use().data(), filters, p.depth);
  const float* x = trimmed_input(in, formats.input, *pass.work);

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
      View dy(dout.image(t.image) + Index{t.row} * p.out.W, filters, p.columns(t), p.out.plane());
      if (p.images > 1) {
        each_plane(p, t,
                   [&](Index to, Index from) { copy(dout.data() + from, scratch.tile.data() + to, p.out.plane()); });
        dy = View(scratch.tile.data(), filters, p.columns(t));
      }
      if (din && t.row == 0) std::fill_n(din->image(t.image), t.images * p.in.image(), 0.0f);
      for (Index k = 0; k < filters; ++k) db[k] += sum(dy.row(k), dy.cols);
      for (int g = 0; g < groups; ++g) {
        const int channel = g * (p.in.C / groups);
        const View dyg = dy.middle_rows(g * K, K), wg(w.row(g * K), K, p.depth);
        add_product_nt(dw.middle_rows(g * K, K), dyg, columns_of(*this, p, t, channel, x, scratch.columns));
        if (!din) continue;
        if (p.direct) {
          float* to = din->image(t.image) + channel * p.in.plane() + Index{t.row} * p.in.W;
          add_product_tn(Matrix<float>(to, p.depth, p.columns(t), p.in.plane()), wg, dyg);
        } else {
          const Matrix<float> dcolumns(scratch.columns.data(), p.depth, p.columns(t));
          std::fill_n(dcolumns.data, dcolumns.rows * dcolumns.cols, 0.0f);
          add_product_tn(dcolumns, wg, dyg);
          col2im(*this, p, t, channel, dcolumns, din->data());
        }
      }
    }
  });

  weight.gradient.resize(weight.value().shape());
  sum_parts(partial.data(), {parts, part_size}, weight.gradient);
  if (!has_bias) return;
  bias.gradient.resize(bias.value().shape());
  sum_parts(partial.data() + weight.value().size(), {parts, part_size}, bias.gradient);
}

}  // namespace cnn
