// SPDX-License-Identifier: MIT
// Gathering columns and scattering them.
#include "cnn/columns.hpp"

#include <cstring>
#include <string>

#include "cnn/check.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

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
void each_segment(const Windows& w, const Plan& p, const Tile& t, int first_channel, F&& body) {
  const Index R = w.kernel.h, S = w.kernel.w, H = p.in.H, W = p.in.W, out_W = p.out.W;
  const Index stride = w.stride.h, image = p.in.image(), first_y = Index{t.row} * stride - w.pad.h;
  const Index start = t.image * image + first_channel * H * W - w.pad.w;
  const int images = t.images, rows = t.rows;  // all copied: a store of floats may not change them
  for (Index row = 0, depth = p.depth; row < depth; ++row) {
    const Index c = row / (R * S), r = row / S % R * w.dilation.h, s = row % S * w.dilation.w;
    const Reach x = reach(s, w.pad.w, w.stride.w, W, out_W);
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
void im2col(const Windows& w, const Plan& p, const Tile& t, int first_channel, const float* in, Matrix<float> columns) {
  const Index stride = w.stride.w, W = p.out.W;
  each_segment(w, p, t, first_channel, [=](const Segment& s) {
    float* to = columns.row(s.row) + s.column;
    if (s.outside) {
      std::fill_n(to, W, 0.0f);
      return;
    }
    if (s.x.first > 0) std::fill_n(to, s.x.first, 0.0f);
    if (stride == 1) {
      copy(in + s.source + s.x.first, to + s.x.first, s.x.last - s.x.first);
    } else if (stride == 2) {  // known, so that the loop becomes vectors
      for (Index i = s.x.first; i < s.x.last; ++i) to[i] = in[s.source + i * 2];
    } else {
      for (Index i = s.x.first; i < s.x.last; ++i) to[i] = in[s.source + i * stride];
    }
    if (s.x.last < W) std::fill_n(to + s.x.last, W - s.x.last, 0.0f);
  });
}

/// Calls body(offset in the matrix (K, positions) of a tile, offset in a batch whose images lie `stride` apart) for all
/// planes of the tile.
template <class F>
void each_plane(const Plan& p, const Tile& t, Index stride, F&& body) {
  for (Index k = 0; k < p.out.C; ++k) {
    for (Index n = 0; n < t.images; ++n) {
      body(k * p.columns(t) + n * p.out.plane(), (t.image + n) * stride + k * p.out.plane());
    }
  }
}

}  // namespace

void check_windows(std::string_view name, const Windows& w) {
  check_window(name, w.kernel, w.stride, w.pad);
  const int largest = std::max(w.dilation.h, w.dilation.w);
  check(w.dilation.h > 0 && w.dilation.w > 0 && largest <= max_extent, name, "dilation is " + to_string(w.dilation),
        "choose 1x1 to " + std::to_string(max_extent));
}

void check_groups(std::string_view name, int groups, int channels, int filters) {
  check(groups > 0 && channels % groups == 0 && filters % groups == 0, name,
        "groups is " + std::to_string(groups) + " with " + std::to_string(channels) + " input channels and " +
            std::to_string(filters) + " filters",
        "choose a divisor of both");
}

Plan::Plan(const Windows& w, Shape input, Shape output) : in(input), out(output) {
  constexpr Index target = 512;  // columns per product: enough to pay for packing the weights, few enough for L2
  const Extent one{1, 1};
  depth = Index{in.C} / w.groups * w.kernel.h * w.kernel.w;
  direct = w.kernel == one && w.stride == one && w.pad == Extent{0, 0} && out.plane() >= target / 8;
  const Index fit = std::max(target / 4, std::min(target, (Index{1} << 18) / depth));
  const Index share = std::max(in.N / 8, 1);  // of a small batch: enough tiles to keep several threads busy
  images = direct ? 1 : static_cast<int>(std::clamp(fit / out.plane(), Index{1}, share));
  const Index bands = std::clamp((out.plane() + target / 2) / target, Index{1}, Index{out.H});
  rows = static_cast<int>((out.H + bands - 1) / bands);
}

void reserve(Workspace& work, const Plan& p) {
  work.threads.resize(std::max(work.threads.size(), static_cast<std::size_t>(workers())));
  const auto grow = [](Buffer& b, Index size) { b.resize(std::max(b.size(), static_cast<std::size_t>(size))); };
  for (Workspace::PerThread& thread : work.threads) {
    if (!p.direct) grow(thread.columns, p.depth * p.max_columns());
    if (p.images > 1) grow(thread.tile, p.out.C * p.max_columns());
  }
}

View columns_of(const Windows& w, const Plan& p, const Tile& t, int first_channel, const float* in, Buffer& scratch) {
  if (p.direct) {
    const float* start = in + t.image * p.in.image() + first_channel * p.in.plane() + Index{t.row} * p.in.W;
    return {start, p.depth, p.columns(t), p.in.plane()};
  }
  const Matrix<float> columns(scratch.data(), p.depth, p.columns(t));
  im2col(w, p, t, first_channel, in, columns);
  return columns;
}

void add_columns(const Windows& w, const Plan& p, const Tile& t, int first_channel, View columns, float* din) {
  const Index stride = w.stride.w;
  each_segment(w, p, t, first_channel, [=](const Segment& s) {
    if (s.outside) return;
    const float* from = columns.row(s.row) + s.column;
    if (stride == 1) {
      add(from + s.x.first, din + s.source + s.x.first, s.x.last - s.x.first);
    } else {
      for (Index i = s.x.first; i < s.x.last; ++i) din[s.source + i * stride] += from[i];
    }
  });
}

View positions_of(const Plan& p, const Tile& t, const float* out, Buffer& scratch) {
  if (p.images == 1) {
    return {out + t.image * p.out.image() + Index{t.row} * p.out.W, p.out.C, p.columns(t), p.out.plane()};
  }
  each_plane(p, t, p.out.image(),
             [&](Index in_tile, Index at) { copy(out + at, scratch.data() + in_tile, p.out.plane()); });
  return {scratch.data(), p.out.C, p.columns(t)};
}

void spread_positions(const Plan& p, const Tile& t, const float* tile, float* out, Index stride) {
  each_plane(p, t, stride, [&](Index in_tile, Index at) { copy(tile + in_tile, out + at, p.out.plane()); });
}

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

}  // namespace cnn
