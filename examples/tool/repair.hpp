// SPDX-License-Identifier: MIT
// Makes up for what trimming does to a net, without training: weights are rounded such that the net's outputs change
// little for pictures, whose labels do not matter.
#pragma once

#include <string>

#include "net.hpp"
#include "pictures.hpp"

namespace tool {

struct Repair {
  bool equalize = false, compensate = false, bias = false;
  double damping = 0.01;  // of compensated rounding
  int scales = 2;         // how far to look for scales of rows, in powers of two on both sides
  bool sequential = true;  // false: each layer as if the others stayed in float
  bool retarget = true;   // towards the outputs of the net in float, also where the layers before are trimmed

  bool any() const { return equalize || compensate || bias; }
};

/// Scales channels between layers by powers of two such that the layers before and after share what is large. Changes
/// the weights of a net in float, but not what it computes. Returns how many layers have other outputs now.
int equalize(cnn::Net& net, Pictures& pictures);

/// Repairs a net that has formats, layer by layer; each sees the inputs that those before leave. It begins with the
/// weights of `reference`, the net in float. Weights become numbers of their formats, and where the layer has
/// weight_shifts these are chosen anew; biases are corrected, and get another format as wide where they need one.
/// Throws Interrupted.
void repair(cnn::Net& net, cnn::Net& reference, Pictures& pictures, const Repair& how, const std::string& title);

}  // namespace tool
