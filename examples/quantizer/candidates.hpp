// SPDX-License-Identifier: MIT
// The states that the layers of a net may have, made once for each width.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "quantizer/layer_formats.hpp"
#include "quantizer/net_repair.hpp"

namespace quantizer {

class Candidates {
 public:
  /// `in_float`: the states of layers without formats.
  Candidates(const std::vector<LayerStatistics>& layers, const Rule& rule, std::vector<LayerState> in_float)
      : layers_(layers), rule_(rule), in_float_(std::move(in_float)) {}

  /// Repairs the weights of every layer for these widths, each layer as if the others stayed in float.
  void repair(const std::vector<int>& widths, const Repair& how, cnn::Net& in_float, Batches& batches,
              const std::string& title);

  /// The layers with these widths, repaired where they were. Throws std::invalid_argument where there is no format.
  std::vector<LayerState> state(const std::vector<LayerWidths>& widths);
  /// The same with weights rounded to nearest.
  std::vector<LayerState> unrepaired(const std::vector<LayerWidths>& widths);

 private:
  const std::vector<LayerStatistics>& layers_;
  const Rule& rule_;
  std::vector<LayerState> in_float_;
  std::map<std::pair<std::size_t, LayerWidths>, cnn::Formats> formats_{};  // of a layer, as far as they were asked for
  std::map<std::pair<std::size_t, int>, LayerState> repaired_{};           // of a layer, at a width of the weights
};

}  // namespace quantizer
