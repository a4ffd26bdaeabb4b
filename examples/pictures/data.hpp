// SPDX-License-Identifier: MIT
// Labelled images: MNIST's IDX files and CIFAR-10's binary batches, plain or gzipped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cnn/tensor.hpp"

namespace pictures {

/// Images of 8-bit pixels, (N, C, H, W), and their labels.
struct Dataset {
  cnn::Shape shape{};
  std::vector<std::uint8_t> pixels{};
  std::vector<int> labels{};

  int size() const noexcept { return shape.N; }
  /// The first n images; all when there are fewer.
  Dataset first(int n) const;
};

/// (pixel - mean) * scale. `mean` is empty, or has one value per channel or one per pixel of an image.
struct Preprocessing {
  float scale = 1;
  std::vector<float> mean{};
};

struct Batch {
  cnn::Tensor images{};
  std::vector<int> labels{};
};

/// Fills the batch with the images of these indices. Throws std::invalid_argument for an index beyond the data or a
/// mean that does not fit.
void fill(Batch& batch, const Dataset& data, std::span<const int> indices, const Preprocessing& how = {});

/// The numbers 0 .. n - 1 in an order that is a function of (seed, epoch).
std::vector<int> shuffled(int n, std::uint64_t seed, std::uint64_t epoch);

// All readers throw std::runtime_error naming the file, what was expected and what was found.

/// The bytes of a file, plain or gzipped. Memory grows with what is found; more than `most` bytes are refused.
std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t most = 1 << 30);
/// IDX files with unsigned bytes: images (N, H, W) and labels (N).
Dataset read_idx(const std::string& images, const std::string& labels);
/// Binary batches: records of a label byte below 10 and 3 x 32 x 32 pixels, channels in the order of the file.
Dataset read_cifar10(std::span<const std::string> batches);
/// Appends the records of a batch that is in memory; `name` stands in its errors. `data` is empty or of such records.
void append_cifar10(Dataset& data, std::span<const std::uint8_t> batch, const std::string& name);

}  // namespace pictures
