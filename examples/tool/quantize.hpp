// SPDX-License-Identifier: MIT
// ristretto quantize: how few bits the parts of a net need.
#pragma once

#include <functional>
#include <optional>
#include <ristretto/search.hpp>
#include <string>
#include <vector>

#include "common.hpp"
#include "formats.hpp"
#include "layer_table.hpp"
#include "trials.hpp"

namespace tool {

struct QuantizeOptions {
  std::string model{}, weights{}, quantized{};  // files
  std::string ranges_data{};                    // pictures for the ranges; empty: as --data, for training
  Rule rule{};
  std::optional<cnn::Ties> ties{};
  int iterations = 0;
  double margin = 0;          // percentage points
  std::vector<int> widths{};  // to try; empty: those of the mode
  Options common{};
};

/// A trial of the search, for people.
struct TrialRow {
  std::string part{};  // "CONV weights", ..., "combination"; empty for the baseline
  Widths widths{};
  double score = 0;
  Difference loss{};  // from the baseline
  bool within_margin = false;
};

struct LayerResult {
  LayerStatistics layer{};
  LayerRow row{};
};

struct QuantizeResults {
  std::optional<double> baseline{};
  std::string score_name{};
  std::int64_t pictures = 0, range_pictures = 0;
  std::vector<TrialRow> trials{};
  std::optional<TrialRow> alone{};   // what each part can bear alone, together
  std::optional<TrialRow> chosen{};  // what is written
  std::vector<LayerResult> layers{};
  bool complete = false;
  double seconds = 0;
};

/// The original's summary, then the table of the layers; on stdout.
void print_report(const QuantizeOptions& options, const QuantizeResults& results);
std::string json_text(const QuantizeOptions& options, const QuantizeResults& results);
std::string csv_text(const QuantizeResults& results);
/// "8bit CONV weights, 4bit FC weights, 32bit layer activations"
std::string to_string(const Widths& widths);

/// Adds the command `quantize`; what is returned runs it and returns the exit code.
std::function<int()> add_quantize(CLI::App& app);

}  // namespace tool
