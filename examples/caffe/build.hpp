// SPDX-License-Identifier: MIT
// A net that computes, from Caffe's description of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <caffe.pb.h>

#include "cnn/model.hpp"

namespace caffe_files {

/// The layer that reads the pictures: Data, ImageData or Input.
struct DataLayer {
  std::string name{}, type{};
  std::string source{};                            // as it stands there; empty for Input
  int batch_size = 0;                              // 0: not said
  caffe::DataParameter::DB backend{};              // of Data
  caffe::TransformationParameter transform{};      // of Data and ImageData
  caffe::ImageDataParameter images{};              // of ImageData
  std::optional<cnn::Shape> shape = std::nullopt;  // of one picture, where it is said: by Input
};

/// The net computes the scores that its loss and its accuracies read, and nothing beside them. They stand before a
/// Softmax that an Accuracy reads, or that ends the net; `logits` are what the loss reads, or else the first Accuracy,
/// or else the last layer. Layers have their names; Data, Split, losses and accuracies are none, and outside of
/// training neither is Dropout.
struct Model : cnn::Model {
  caffe::NetParameter description{};  // the layers of this phase
  DataLayer data{};
  std::vector<std::string> notes{};  // what was left out, and why
};

/// The layers that a net has in this phase, by their include and exclude rules, the net's stages and its level.
caffe::NetParameter in_phase(const caffe::NetParameter& net, caffe::Phase phase);

/// What reads the pictures in this phase: to open them before the net is built. Throws std::invalid_argument where that
/// is not one layer.
DataLayer data_layer(const caffe::NetParameter& net, caffe::Phase phase);

/// The net of this phase for pictures of shape `image` (N is ignored), which may be absent where the net says it.
/// Parameters are 0 until weights are loaded or fillers have filled them. Throws std::invalid_argument naming the layer
/// for everything that this program cannot do, with what it can.
Model build(const caffe::NetParameter& net, caffe::Phase phase, std::optional<cnn::Shape> image = {});

}  // namespace caffe_files
