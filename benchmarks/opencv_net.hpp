// SPDX-License-Identifier: MIT
// The same net in OpenCV's dnn module, a peer to compare with.
#pragma once

#include <functional>
#include <vector>

#include "cnn/net.hpp"

/// A call that runs the net on these images and returns its output. Throws std::invalid_argument for layers that
/// SqueezeNet does not have.
std::function<std::vector<float>()> opencv_forward(const cnn::Net& net, const cnn::Tensor& images);

/// Lets OpenCV use so many threads.
void opencv_threads(int count);
