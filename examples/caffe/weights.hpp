// SPDX-License-Identifier: MIT
// Weights of a net: from fillers, from Caffe's files and back; batch normalization folded into them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caffe.pb.h>

#include "caffe/build.hpp"

namespace caffe_files {

/// Gives all parameters their first values, from the fillers of the description and the seed.
void fill(Model& model, std::uint64_t seed);

/// What did not match when weights were loaded.
struct Unmatched {
  std::vector<std::string> of_file{};  // layers with weights that the net has not
  std::vector<std::string> of_net{};   // layers that have weights, but none in the file
};

/// Copies weights to the layers of the same names. Throws std::invalid_argument, and leaves the net as it is, where
/// shapes differ and, unless `may_miss`, where a layer of the net gets nothing.
Unmatched load_weights(Model& model, const caffe::NetParameter& weights, bool may_miss = false);

/// The description with the weights in full precision, in Caffe's layout.
caffe::NetParameter save_weights(const Model& model);

/// The values of a blob. Throws std::invalid_argument naming it where they do not fill its shape.
std::vector<float> values_of(const caffe::BlobProto& blob, const std::string& name);

/// A net without the BatchNorm layers, and the Scale layers behind them, that could be folded into the Convolution,
/// Deconvolution or InnerProduct before them, which computes the same outside of training.
struct Folded {
  caffe::NetParameter net{}, weights{};
  std::vector<std::string> layers{};  // that are gone
};
Folded fold_batch_norm(const caffe::NetParameter& net, const caffe::NetParameter& weights);

}  // namespace caffe_files
