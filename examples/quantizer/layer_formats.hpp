// SPDX-License-Identifier: MIT
// Formats for the layers of a net, from the ranges that they were observed to have.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ristretto/range.hpp>

#include "cnn/model.hpp"
#include "quantizer/batches.hpp"
#include "quantizer/names.hpp"

namespace quantizer {

/// How weights are trimmed, and beside them activations: both in fixed point; both as minifloats; weights as powers of
/// two, activations in fixed point.
enum class TrimmingMode { dynamic_fixed_point, minifloat, integer_power_of_2_weights };

/// How formats are chosen.
struct Rule {
  TrimmingMode mode = TrimmingMode::dynamic_fixed_point;
  ristretto::RangeRule ranges = ristretto::RangeRule::min_mse;

  cnn::Ties ties = cnn::Ties::to_even;
  bool per_channel = false;  // a scale for each output channel of the weights; not of Deconvolution
  bool is_unsigned = true;   // activations that are never negative have no sign, and scores where that is better

  bool is_original() const { return ranges == ristretto::RangeRule::ristretto2016; }
};

/// The rule where nothing else is asked for: a scale for each output channel, no sign where none is needed, ties to
/// even; with the original's ranges as the original did.
Rule usual_rule(TrimmingMode mode, ristretto::RangeRule ranges);

const std::map<std::string, TrimmingMode>& trimming_modes();
const std::map<std::string, cnn::Ties>& tie_rules();

/// Bit widths of the parts of a net; what is absent stays float. Deconvolutions count as convolutions.
struct Widths {
  std::optional<int> conv{}, fc{}, activations{};
};

/// A layer with weights: what formats are chosen from.
struct LayerStatistics {
  std::string name{}, type{};  // type: in Caffe's words
  int position = 0;            // in the net
  bool is_fc = false;
  long long weights = 0, biases = 0, multiplies = 0;  // multiplies: for one image
  std::vector<float> values{};                        // of the weights
  std::size_t rows = 0;               // output channels one after the other in the weights; 0: they lie otherwise
  cnn::LayerRanges ranges{};          // of the output: what a ReLU that follows leaves of it
  std::vector<cnn::Tensor> scores{};  // of classes, where this layer ends the net with them
};

/// What the layers of the net, in float, meet in these pictures.
std::vector<LayerStatistics> observe(cnn::Model& model, Batches& batches, const Rule& rule, const std::string& title);

/// Gives layers whose outputs are joined by a Concat, directly or behind their Relu, one range for all of these, so
/// that at one width they have one format.
void share_ranges_of_concats(const cnn::Net& net, std::vector<LayerStatistics>& layers);

/// Bit widths of a layer; what is absent stays float.
struct LayerWidths {
  std::optional<int> weights{}, activations{};

  friend auto operator<=>(const LayerWidths&, const LayerWidths&) = default;
};

/// Those that the parts of a net have.
std::vector<LayerWidths> widths_of_layers(const std::vector<LayerStatistics>& layers, const Widths& widths);

/// The formats of the layer at this place for its widths. Minifloats by the original's rule are one format of each
/// width for the whole net. Throws std::invalid_argument, naming the layer, where there is no format of a width.
cnn::Formats formats_for(const std::vector<LayerStatistics>& layers, std::size_t place, const Rule& rule,
                         const LayerWidths& widths);

/// What of a layer a width is for.
enum class Operands { weights, activations, both };

/// Those of the widths of which there are formats for these operands.
std::vector<int> possible(const std::vector<LayerStatistics>& layers, const Rule& rule, std::vector<int> widths,
                          Operands of);

/// Lets all layers with formats round so.
void set_ties(cnn::Net& net, cnn::Ties ties);

}  // namespace quantizer
