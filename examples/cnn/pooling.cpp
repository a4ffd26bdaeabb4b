// SPDX-License-Identifier: MIT
// Pooling: maximum and mean of windows.
#include <algorithm>

#include "cnn/check.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

/// One window along one axis: [begin, end) inside the image, and how long it is inside the padded image.
struct Window {
  Index begin, end, padded;
};

struct Axis {
  Index in, out, kernel, stride, pad;

  Window window(Index i) const {
    const Index begin = i * stride - pad, end = std::min(begin + kernel, in + pad);
    return {std::max(begin, Index{0}), std::min(end, in), end - begin};
  }
};

struct Plane {
  Axis y, x;

  Plane(const Pooling& layer, Shape in) {
    const Shape out = layer.output_shape(in);
    const auto axis = [&](Index size, Index outputs, int k, int s, int p) {
      return layer.global ? Axis{size, outputs, size, 1, 0} : Axis{size, outputs, k, s, p};
    };
    y = axis(in.H, out.H, layer.kernel.h, layer.stride.h, layer.pad.h);
    x = axis(in.W, out.W, layer.kernel.w, layer.stride.w, layer.pad.w);
  }
};

/// Maxima of the windows of one row. Those inside the image come from the same number of values, all at once.
void max_of_row(const Axis& a, const float* row, float* out) {
  const Index first = std::min((a.pad + a.stride - 1) / a.stride, a.out);
  const Index last =
      a.in + a.pad >= a.kernel ? std::clamp((a.in + a.pad - a.kernel) / a.stride + 1, first, a.out) : first;
  const auto inside = [&](Index stride) {
    const float* from = row + first * stride - a.pad;
    for (Index j = first; j < last; ++j) out[j] = from[(j - first) * stride];
    for (Index x = 1; x < a.kernel; ++x) {
      for (Index j = first; j < last; ++j) {
        const float value = from[(j - first) * stride + x];
        out[j] = value > out[j] ? value : out[j];
      }
    }
  };
  a.stride == 2 ? inside(2) : inside(a.stride);  // a known stride makes vectors
  for (Index j = 0; j < a.out; ++j) {
    if (j == first) j = last;
    if (j == a.out) break;
    const Window w = a.window(j);
    out[j] = *std::max_element(row + w.begin, row + w.end);
  }
}

/// Maxima of a plane: first down the columns, a whole row at once, then along that row. `row` holds W floats.
void max_values(const Plane& p, const float* in, float* out, float* row) {
  for (Index i = 0; i < p.y.out; ++i) {
    const Window wy = p.y.window(i);
    std::copy_n(in + wy.begin * p.x.in, p.x.in, row);
    for (Index y = wy.begin + 1; y < wy.end; ++y) {
      const float* line = in + y * p.x.in;
      for (Index x = 0; x < p.x.in; ++x) row[x] = line[x] > row[x] ? line[x] : row[x];
    }
    max_of_row(p.x, row, out);
    out += p.x.out;
  }
}

/// The same maxima, and where they are: the first of equals in row order.
void max_winners(const Plane& p, const float* in, float* out, std::int32_t* winner) {
  for (Index i = 0; i < p.y.out; ++i) {
    const Window wy = p.y.window(i);
    for (Index j = 0; j < p.x.out; ++j) {
      const Window wx = p.x.window(j);
      Index best = wy.begin * p.x.in + wx.begin;
      float value = in[best];
      for (Index y = wy.begin; y < wy.end; ++y) {
        for (Index at = y * p.x.in + wx.begin; at < y * p.x.in + wx.end; ++at) {
          best = in[at] > value ? at : best;
          value = in[at] > value ? in[at] : value;
        }
      }
      *out++ = value;
      *winner++ = static_cast<std::int32_t>(best);
    }
  }
}

void mean_values(const Plane& p, const float* in, float* out) {
  for (Index i = 0; i < p.y.out; ++i) {
    const Window wy = p.y.window(i);
    for (Index j = 0; j < p.x.out; ++j) {
      const Window wx = p.x.window(j);
      float sum = 0;
      for (Index y = wy.begin; y < wy.end; ++y) {
        for (Index x = wx.begin; x < wx.end; ++x) sum += in[y * p.x.in + x];
      }
      *out++ = sum / static_cast<float>(wy.padded * wx.padded);
    }
  }
}

void spread_mean(const Plane& p, const float* dout, float* din) {
  for (Index i = 0; i < p.y.out; ++i) {
    const Window wy = p.y.window(i);
    for (Index j = 0; j < p.x.out; ++j) {
      const Window wx = p.x.window(j);
      const float share = *dout++ / static_cast<float>(wy.padded * wx.padded);
      for (Index y = wy.begin; y < wy.end; ++y) {
        for (Index x = wx.begin; x < wx.end; ++x) din[y * p.x.in + x] += share;
      }
    }
  }
}

constexpr int planes_per_chunk = 8;

}  // namespace

Shape Pooling::output_shape(Shape in) const noexcept {
  if (global) return {in.N, in.C, 1, 1};
  const auto size = [](int n, int k, int s, int p) {
    const int windows = (n + 2 * p - k + s - 1) / s + 1;
    return (windows - 1) * s >= n + p ? windows - 1 : windows;  // the last one starts inside
  };
  return {in.N, in.C, size(in.H, kernel.h, stride.h, pad.h), size(in.W, kernel.w, stride.w, pad.w)};
}

Shape Pooling::setup(std::string_view name, Shape in) {
  if (global) return output_shape(in);
  check_window(name, kernel, stride, pad);
  check(pad.h < kernel.h && pad.w < kernel.w, name, "pad " + to_string(pad) + " reaches kernel " + to_string(kernel),
        "choose a pad smaller than the kernel");
  check(in.H + 2 * pad.h >= kernel.h && in.W + 2 * pad.w >= kernel.w, name,
        "the kernel " + to_string(kernel) + " is larger than the padded input " + to_string(in),
        "choose a smaller kernel or more padding");
  return output_shape(in);
}

// in (N, C, H, W) -> out (N, C, H', W')
void Pooling::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Plane p(*this, in.shape());
  out.resize(output_shape(in.shape()));
  const bool keep = method == Method::max && pass.phase.training;
  winner.resize(keep ? static_cast<std::size_t>(out.size()) : 0);
  Workspace& work = *pass.work;
  work.threads.resize(std::max(work.threads.size(), static_cast<std::size_t>(workers())));
  const auto row_size = static_cast<std::size_t>(in.shape().W);
  for (auto& thread : work.threads) thread.tile.resize(std::max(thread.tile.size(), row_size));

  const Index planes = Index{in.shape().N} * in.shape().C, chunks = (planes + planes_per_chunk - 1) / planes_per_chunk;
  parallel_for(chunks, [&](Index chunk, int worker) {
    float* row = work.threads[static_cast<std::size_t>(worker)].tile.data();
    const Index last = std::min(planes, (chunk + 1) * planes_per_chunk);
    for (Index i = chunk * planes_per_chunk; i < last; ++i) {
      const float* from = in.data() + i * in.shape().plane();
      float* to = out.data() + i * out.shape().plane();
      if (method == Method::average) {
        mean_values(p, from, to);
      } else if (keep) {
        max_winners(p, from, to, winner.data() + i * out.shape().plane());
      } else {
        max_values(p, from, to, row);
      }
    }
  });
}

// dout (N, C, H', W') -> din (N, C, H, W)
void Pooling::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  const Plane p(*this, in.shape());
  din->resize(in.shape());
  const Index planes = Index{in.shape().N} * in.shape().C, chunks = (planes + planes_per_chunk - 1) / planes_per_chunk;
  parallel_for(chunks, [&](Index chunk, int) {
    const Index last = std::min(planes, (chunk + 1) * planes_per_chunk), size = dout.shape().plane();
    for (Index i = chunk * planes_per_chunk; i < last; ++i) {
      float* to = din->data() + i * in.shape().plane();
      const float* from = dout.data() + i * size;
      std::fill_n(to, in.shape().plane(), 0.0f);
      if (method == Method::average) {
        spread_mean(p, from, to);
      } else {
        const std::int32_t* at = winner.data() + i * size;
        for (Index j = 0; j < size; ++j) to[at[j]] += from[j];
      }
    }
  });
}

}  // namespace cnn
