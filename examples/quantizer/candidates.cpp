// SPDX-License-Identifier: MIT
// Formats and repairs for layers.
#include "quantizer/candidates.hpp"

#include <utility>

namespace quantizer {

void Candidates::repair(const std::vector<int>& widths, const Repair& how, cnn::Net& in_float, Batches& batches,
                        const std::string& title) {
  std::vector<std::vector<LayerState>> all(layers_.size());
  for (const int width : widths) {
    auto states = unrepaired(std::vector<LayerWidths>(layers_.size(), {width, width}));
    for (std::size_t i = 0; i < states.size(); ++i) all[i].push_back(std::move(states[i]));
  }
  repair_alone(in_float, batches, how, all, title);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t w = 0; w < widths.size(); ++w) repaired_[{i, widths[w]}] = std::move(all[i][w]);
  }
}

std::vector<LayerState> Candidates::unrepaired(const std::vector<LayerWidths>& widths) {
  std::vector<LayerState> states = in_float_;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto key = std::pair(i, widths[i]);
    auto found = formats_.find(key);
    if (found == formats_.end()) found = formats_.emplace(key, formats_for(layers_, i, rule_, widths[i])).first;
    states[i].formats = found->second;
  }
  return states;
}

std::vector<LayerState> Candidates::state(const std::vector<LayerWidths>& widths) {
  std::vector<LayerState> states = unrepaired(widths);
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto found = widths[i].weights ? repaired_.find({i, *widths[i].weights}) : repaired_.end();
    if (found == repaired_.end()) continue;
    const LayerState& repaired = found->second;
    states[i].values = repaired.values;
    states[i].formats.weight = repaired.formats.weight;
    states[i].formats.weight_shifts = repaired.formats.weight_shifts;
    states[i].formats.bias = repaired.formats.bias;
  }
  return states;
}

}  // namespace quantizer
