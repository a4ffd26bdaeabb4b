// SPDX-License-Identifier: MIT
// ristretto quantize: how few bits the parts of a net need.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ristretto/search.hpp>

#include "layer_table.hpp"
#include "tool/common.hpp"
#include "tool/formats.hpp"
#include "tool/repair.hpp"
#include "tool/trials.hpp"

namespace tool {

/// What a search by layers makes small.
enum class Cost {
  weight_bits,     // of all weights
  bit_operations,  // multiplies times the bits of both factors
};
const std::map<std::string, Cost>& costs();

struct QuantizeOptions {
  std::string model{}, weights{}, quantized{};  // files
  std::string repaired{};                       // file for the weights; empty: beside the description
  std::string ranges_data{};                    // pictures for the ranges; empty: as --data, for training
  Rule rule{};
  std::optional<cnn::Ties> ties{};
  std::optional<Repair> repair{};
  std::optional<bool> per_channel{}, is_unsigned{};
  int calibration = 0;         // pictures; 0: so many batches as usual
  bool by_layer = false;       // the search
  std::optional<Cost> cost{};  // of the search by layers; by default weight_bits
  double time_budget = 0;      // seconds; 0: none
  std::string journal{};       // file with the trials of a search; empty: none
  int iterations = 0;
  double margin = 2;          // percentage points
  std::vector<int> widths{};  // to try; empty: those of the mode
  std::vector<int> bits{};    // of CONV weights, FC weights, activations; empty: they are searched
  std::optional<int> ends{};  // of the weights of the first and the last layer, beside bits
  Options common{};
};

/// A trial of a search by layers.
struct LayerTrial {
  std::vector<LayerWidths> widths{};
  double score = 0, divergence = 0, cost = 0;
  Difference loss{};
  bool within_margin = false;
};

/// What a repair brought: the whole net, scored.
struct RepairRow {
  std::string name{};
  double score = 0;
  Difference loss{};
  double divergence = 0;
  double seconds = 0;
};

inline constexpr const char* combination = "combination";

/// A trial of the search, for people.
struct TrialRow {
  std::string part{};  // "CONV weights", ..., combination; empty for the baseline
  Widths widths{};
  double score = 0;
  Difference loss{};      // from the baseline
  double divergence = 0;  // from the scores of the net in float
  bool within_margin = false;
};

struct LayerResult {
  LayerStatistics layer{};
  LayerRow row{};
};

struct QuantizeResults {
  std::optional<double> baseline{};
  std::string score_name{};
  std::string data{}, range_data{};  // pictures that score, and those that ranges and repairs come from
  bool ranges_from_scored = false;   // which are the same
  std::int64_t pictures = 0, range_pictures = 0;
  int equalized = 0;  // layers
  std::vector<TrialRow> trials{};
  std::optional<TrialRow> alone{};   // what each part can bear alone, together
  std::optional<TrialRow> chosen{};  // what is written
  std::vector<LayerTrial> layer_trials{};
  std::vector<std::size_t> front{};   // positions of the Pareto-optimal ones
  std::vector<LayerWidths> widths{};  // of the layers of what is written
  std::vector<RepairRow> repairs{};
  std::vector<LayerResult> layers{};
  bool complete = false;
  double seconds = 0;
};

/// The original's summary, then the table of the layers; on stdout.
void print_report(const QuantizeOptions& options, const QuantizeResults& results);
std::string json_text(const QuantizeOptions& options, const QuantizeResults& results);
std::string csv_text(const QuantizeOptions& options, const QuantizeResults& results);
/// "8bit CONV weights, 4bit FC weights, 32bit layer activations"
std::string to_string(const Widths& widths);
/// "8/8 4/8 float/float": weights and activations of each layer
std::string to_string(const std::vector<LayerWidths>& widths);

/// Adds the command `quantize`; what is returned runs it and returns the exit code.
std::function<int()> add_quantize(CLI::App& app);

}  // namespace tool
