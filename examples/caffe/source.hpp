// SPDX-License-Identifier: MIT
// Where labelled pictures come from, and what is done to them on their way into a net.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <caffe.pb.h>

#include "caffe/build.hpp"
#include "caffe/image.hpp"
#include "caffe/lmdb_file.hpp"
#include "cnn/data.hpp"
#include "cnn/tensor.hpp"

namespace caffe_files {

/// Caffe's transform_param: a part of each picture, perhaps mirrored, as (pixel - mean) * scale.
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

/// Labelled pictures, read and decoded batch by batch; IDX and CIFAR-10 files, and what keep_bytes allows, are kept.
struct Source {
  struct Listed {
    std::string path{};
    int label = 0;
    std::int64_t line = 0;
  };
  using Pictures = std::variant<cnn::Dataset, std::vector<Listed>, LmdbFile>;

  /// A picture before the transform: bytes or, in some records, floats.
  struct Decoded {
    cnn::Shape shape{};
    int label = 0;
    std::vector<std::uint8_t> bytes{};
    std::vector<float> floats{};
  };

  std::string name{};  // what it was opened by
  SourceOptions how{};
  std::int64_t size = 0;  // pictures in an epoch
  cnn::Shape stored{};    // (1, C, H, W) of the first picture
  cnn::Shape image{};     // (1, C, H, W) of what a net gets
  Pictures pictures{};

  /// Fills the batch with `count` pictures from number `first` on; the numbers go on from epoch to epoch. What number p
  /// looks like depends on p and the options alone, not on the batches before. Throws std::runtime_error naming the
  /// file, the record, key or line, what was expected and what was found.
  void read(std::int64_t first, int count, cnn::Batch& batch);

 private:
  void keep(std::int64_t i, Decoded& picture);

  std::vector<int> order_{};
  std::optional<std::int64_t> ordered_epoch_{};
  std::vector<Decoded> kept_{};  // empty, or one for each picture, of no size until it was read
  std::size_t kept_bytes_ = 0;
};

/// Opens and reads the first picture:
///   idx:FOLDER      MNIST's files, (train|t10k)-(images-idx3|labels-idx1)-ubyte, plain or .gz
///   cifar10:FOLDER  data_batch_1.bin to data_batch_5.bin, those that are there, or test_batch.bin; plain, .gz or .xz
///   images:LIST     a text file with lines `path label`; JPEG and PNG
///   lmdb:FOLDER     Caffe's Datum records, raw or encoded as JPEG or PNG, in the order of the keys
/// Throws std::invalid_argument for another spec or options that do not fit, std::runtime_error as Source::read.
Source open_source(const std::string& spec, const SourceOptions& how = {});

/// What the data layer of a net names: a spec, empty for a layer of type Input, and how to open it. A mean_file is
/// read. Throws std::invalid_argument naming the layer.
std::string source_of(const DataLayer& layer);
SourceOptions options_of(const DataLayer& layer, bool training);

/// transform_param; a mean_file is read. `layer` stands in errors.
Transform transform_of(const caffe::TransformationParameter& said, const std::string& layer);

/// (1, C, H, W) from a file with a BlobProto.
cnn::Tensor read_mean(const std::string& path);

}  // namespace caffe_files
