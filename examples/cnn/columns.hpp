// SPDX-License-Identifier: MIT
// What convolutions and their transposes share: windows over an image as the columns of a matrix.
#pragma once

#include <algorithm>
#include <string_view>

#include "cnn/gemm.hpp"
#include "cnn/layers.hpp"

namespace cnn {

/// How the windows of a layer lie over the larger of its two images.
struct Windows {
  Extent kernel, stride, pad, dilation;
  int groups;

  template <class L>
  explicit Windows(const L& layer)
      : kernel(layer.kernel), stride(layer.stride), pad(layer.pad), dilation(layer.dilation), groups(layer.groups) {}

  /// Height and width that a window covers.
  Index height() const noexcept { return Index{dilation.h} * (kernel.h - 1) + 1; }
  Index width() const noexcept { return Index{dilation.w} * (kernel.w - 1) + 1; }
};

/// Throws unless the settings make sense and are small enough to compute with.
void check_windows(std::string_view name, const Windows& windows);

/// Throws unless the channels of the input and the filters fall into so many groups.
void check_groups(std::string_view name, int groups, int channels, int filters);

/// A part of the positions that one matrix product works on: some whole images, or some rows of one image.
struct Tile {
  int image, images, row, rows;
};

/// The sizes of one batch, and how its positions are cut into tiles. `in` has the windows, `out` a value for each.
struct Plan {
  Shape in, out;
  Index depth;  // C / groups * R * S, the rows of the columns matrix
  bool direct;  // 1x1 with stride 1: the input is its own columns matrix
  int images;   // per tile; 1 where images are cut into bands
  int rows;     // per band

  Plan(const Windows& windows, Shape input, Shape output);

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

/// Grows what each thread needs: columns, and a tile with the channels of `out`.
void reserve(Workspace& work, const Plan& p);

/// in (N, C, H, W) -> the columns (C / groups * R * S, positions of the tile) of the channels from first_channel on:
/// the input itself, or a copy in `scratch`.
View columns_of(const Windows& windows, const Plan& p, const Tile& t, int first_channel, const float* in,
                Buffer& scratch);

/// Adds each element of the columns to where columns_of took it from.
void add_columns(const Windows& windows, const Plan& p, const Tile& t, int first_channel, View columns, float* in);

/// The values of `out` at the positions of a tile, (K, positions): themselves, or a copy in `scratch`.
View positions_of(const Plan& p, const Tile& t, const float* out, Buffer& scratch);

/// Copies a tile of several images from its matrix to the batch; channel 0 of image 0 is at `out`, images lie `stride`
/// apart.
void spread_positions(const Plan& p, const Tile& t, const float* tile, float* out, Index stride);

/// The sum of a row, in 16 independent lanes so that it is fast and yet always in the same order.
float sum(const float* x, Index count);

}  // namespace cnn
