// SPDX-License-Identifier: MIT
// Makes up for what trimming does to a net, without training: weights are rounded such that the net's outputs change
// little for pictures, whose labels do not matter.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cnn/net.hpp"
#include "quantizer/batches.hpp"

namespace quantizer {

/// Layers whose weights take more inputs are not compensated: that needs memory for the square of their number.
inline constexpr cnn::Index most_compensated_inputs = 6000;

struct Repair {
  bool equalize = false, compensate = false, bias = false;
  bool retarget = true;  // towards the outputs of the net in float, also where the layers before are trimmed

  bool any() const { return equalize || compensate || bias; }
};

/// Scales channels between layers by powers of two, which changes the weights of a net in float, but not what it
/// computes, nor the outputs of the layers named in `kept`: such that the weights that read each channel are of one
/// size or, where layers have one scale for all their weights, as large as those that make it. Returns how many layers
/// have other outputs now.
int equalize(cnn::Net& net, bool per_channel, std::span<const std::string> kept);

/// Repairs a net that has formats, layer by layer; each sees the inputs that those before leave. It begins with the
/// weights of `reference`, the net in float. Weights become numbers of their formats, and where the layer has
/// weight_shifts these are chosen anew; biases are corrected, and get another format as wide where they need one.
/// Throws Interrupted.
void repair(cnn::Net& net, cnn::Net& reference, Batches& batches, const Repair& how, const std::string& title);

/// Where the layers with weights are in the net.
std::vector<int> positions_of(cnn::Net& net);

/// The Relu that reads what this layer computes, directly or behind max pooling, which may as well come after it; null
/// where something else reads it, too.
const cnn::Relu* relu_behind(const cnn::Net& net, int position);

/// The weights and biases of a layer.
struct LayerValues {
  cnn::Tensor weight{}, bias{};
};
/// What a layer computes with: its formats, and values that may be repaired. Equal where both are the same.
struct LayerState {
  cnn::Formats formats{};
  std::shared_ptr<const LayerValues> values{};

  friend bool operator==(const LayerState&, const LayerState&) = default;
};
/// Those of the layers of a net, as they are; and gives layers such states.
std::vector<LayerState> states_of(cnn::Net& net);
void set_states(cnn::Net& net, const std::vector<LayerState>& states);

/// Repairs each layer as if the others stayed in float: `all` has for each layer some formats, and gets their values.
void repair_alone(cnn::Net& reference, Batches& batches, const Repair& how, std::vector<std::vector<LayerState>>& all,
                  const std::string& title);

}  // namespace quantizer
