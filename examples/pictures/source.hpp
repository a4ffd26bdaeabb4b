// SPDX-License-Identifier: MIT
// Labelled pictures as a net gets them: in which order, and what is done to them on their way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cnn/tensor.hpp"
#include "pictures/data.hpp"
#include "pictures/image.hpp"

namespace pictures {

/// A part of each picture, perhaps mirrored, as (pixel - mean) * scale.
struct Transform {
  float scale = 1;
  bool mirror = false;               // each picture with probability 1/2, in tests, too
  int crop_size = 0;                 // side of the part; 0: all. A random part in training, otherwise the middle
  std::vector<float> mean_values{};  // none, one, or one per channel
  cnn::Tensor mean{};                // empty, or (1, C, H, W) of the whole picture; excludes mean_values
};

/// How a source is opened.
struct SourceOptions {
  Transform transform{};
  bool training = false;               // chooses the files of idx and cifar10, and a random part of each picture
  bool shuffle = false;                // an order that is a function of seed and epoch; otherwise that of the source
  std::uint64_t seed = 0;              // of the order, the parts and the mirroring
  std::optional<Colours> colours{};    // of files and encoded records; absent: bgr in lists, as_stored in databases
  int new_height = 0, new_width = 0;   // to which pictures of lists are resized; 0: not
  std::string root_folder{};           // stands before each path of a list, as Caffe has it; empty: the list's folder
  std::size_t keep_bytes = 128 << 20;  // a source whose decoded pictures are no more is decoded once
};

/// A picture before the transform: bytes or, in some records, floats.
struct Decoded {
  cnn::Shape shape{};
  int label = 0;
  std::vector<std::uint8_t> bytes{};
  std::vector<float> floats{};
  std::string place{};  // for errors; empty: its number says it
};

/// Labelled pictures, read and decoded batch by batch; what keep_bytes allows is kept.
struct Source {
  /// Picture number i of an epoch in the source's own order. Called from several threads at once.
  using Decode = std::function<Decoded(std::int64_t i)>;

  /// Decodes the first picture. Throws std::invalid_argument for options that do not fit, std::runtime_error as read.
  Source(std::string name, SourceOptions how, std::int64_t size, Decode decode);

  std::string name;  // what it was opened by
  SourceOptions how;
  std::int64_t size;  // pictures in an epoch
  cnn::Shape stored;  // (1, C, H, W) of the first picture
  cnn::Shape image;   // (1, C, H, W) of what a net gets

  /// Fills the batch with `count` pictures from number `first` on; the numbers go on from epoch to epoch. What number p
  /// looks like depends on p and the options alone, not on the batches before. Throws std::runtime_error naming the
  /// file, the record, key or line, what was expected and what was found.
  void read(std::int64_t first, int count, Batch& batch);

 private:
  void keep(std::int64_t i, Decoded& picture);

  Decode decode_;
  std::vector<int> order_{};
  std::optional<std::int64_t> ordered_epoch_{};
  std::vector<Decoded> kept_{};  // empty, or one for each picture, of no size until it was read
  std::size_t kept_bytes_ = 0;
};

/// The pictures of a data set.
Source source_of(Dataset data, std::string name, SourceOptions how = {});

}  // namespace pictures
