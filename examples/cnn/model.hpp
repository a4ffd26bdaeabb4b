// SPDX-License-Identifier: MIT
// Model: a net, and what scores it.
#pragma once

#include <string>
#include <vector>

#include "cnn/net.hpp"

namespace cnn {

/// How images are scored: by the share whose label is among the top_k largest outputs of a layer.
struct Accuracy {
  std::string name{};   // what the score is called
  std::string input{};  // a layer of the net
  int top_k = 1;
};

/// A net that computes scores of classes. With more than one layer that is read, net.keep_outputs(true) keeps them all.
struct Model {
  Net net;
  std::string logits{};  // the layer with the scores of classes
  std::string loss{};    // what the SoftmaxLoss of logits is called; empty: there is none
  std::vector<Accuracy> accuracies{};
  std::vector<std::string> rectified_in_place{};  // layers whose output a description lets a Relu overwrite: there
                                                  // ristretto2016 takes what the Relu leaves for their output
};

}  // namespace cnn
