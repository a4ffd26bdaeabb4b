// SPDX-License-Identifier: MIT
// What quantizing a net found: for people, as JSON and as CSV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "quantizer/layer_formats.hpp"
#include "quantizer/layer_table.hpp"
#include "quantizer/net_repair.hpp"
#include "quantizer/options.hpp"
#include "quantizer/trials.hpp"

namespace quantizer {

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

/// A net that was scored as a whole and may be taken.
struct Chosen {
  TrialRow row{};
  std::vector<LayerWidths> widths{};  // of the layers
  std::vector<LayerState> state{};
};

/// What a search found, also where something ended it early.
struct Found {
  std::vector<TrialRow> trials{};          // of a search by parts
  std::optional<TrialRow> alone{};         // what each part can bear alone, together
  std::vector<LayerTrial> layer_trials{};  // of a search by layers
  std::vector<std::size_t> front{};        // positions of the Pareto-optimal ones
  std::optional<Chosen> chosen{};
  std::exception_ptr stopped{};  // by this; null: it came to its end
};

/// What repairs of a net brought, also where something ended them early.
struct Repaired {
  Chosen best{};
  std::vector<RepairRow> rows{};
  std::exception_ptr stopped{};  // by this; null: they came to their end
};

struct LayerResult {
  LayerStatistics layer{};
  LayerRow row{};
};

struct Results : Found {
  std::optional<double> baseline{};
  std::string score_name{};
  std::string data{}, range_data{};  // pictures that score, and those that ranges and repairs come from
  bool ranges_from_scored = false;   // which are the same
  std::int64_t pictures = 0, range_pictures = 0;
  int equalized = 0;  // layers
  std::vector<RepairRow> repairs{};
  std::vector<LayerResult> layers{};  // as they are chosen
  bool complete = false;              // the search came to its end
  double seconds = 0;
};

/// The original's summary, then the table of the layers; on stdout.
void print_report(const Options& options, const Results& results);
std::string json_text(const Options& options, const Results& results);
std::string csv_text(const Options& options, const Results& results);
/// "8bit CONV weights, 4bit FC weights, 32bit layer activations"
std::string to_string(const Widths& widths);
/// "8/8 4/8 float/float": weights and activations of each layer
std::string to_string(const std::vector<LayerWidths>& widths);

}  // namespace quantizer
