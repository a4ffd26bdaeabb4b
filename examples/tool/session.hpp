// SPDX-License-Identifier: MIT
// A net that `ristretto quantize` works on: its pictures, what its layers meet, its trials, and what is chosen.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tool/candidates.hpp"
#include "tool/journal.hpp"
#include "tool/pictures.hpp"
#include "tool/quantize.hpp"
#include "tool/trials.hpp"

namespace tool {

class Session {
 public:
  /// Reads the net, observes its ranges and, where that is asked for, equalizes its channels. Leaves what was found in
  /// `results`, which outlives the session. Throws what reading throws, and Interrupted.
  Session(const QuantizeOptions& options, QuantizeResults& results);

  const std::vector<LayerStatistics>& layers() const noexcept { return layers_; }
  Journal& journal() noexcept { return journal_; }
  double seconds() const;

  /// `--widths`, or those that are usual, widest first, as far as there are formats of them for these tensors. Throws
  /// std::invalid_argument where there are none.
  std::vector<int> widths(const std::vector<int>& usual, Trimmed of) const;

  /// Repairs layers, one by one, for the trials with these widths of weights.
  void prepare(std::vector<int> widths);

  /// The net in float: the baseline, and the first trial.
  const Hits& score_float();
  /// The net with these widths; `what` for people. Throws Interrupted.
  const Hits& score(const std::vector<LayerWidths>& widths, const std::string& what);
  /// Trials to come have these widths before a layer, as a rule.
  void share_before(const std::vector<LayerWidths>& widths, std::size_t layer);
  /// That trials of fully connected layers alone have the others in float.
  void share_convolutions();

  /// What a trial lost from float; what it found; and the line on stderr that says so.
  Difference loss(const Hits& hits) const;
  TrialRow row(const std::string& part, const Widths& widths, const Hits& hits) const;
  void say(const std::string& what, const Hits& hits) const;

  /// What is written, if nothing better comes: these widths, which scored so. `widths`, where parts have one width.
  void choose(const std::vector<LayerWidths>& of_layers, const Hits& hits, const Widths& widths = {});
  /// Repairs the net that was chosen, as a whole, and scores what that brings; what is best is chosen. Throws
  /// Interrupted, and keeps what was reached.
  void repair_chosen();

  /// The description of the net that was chosen; what its formats do goes to the results. And its weights.
  caffe::NetParameter chosen_net();
  caffe::NetParameter chosen_weights();

 private:
  std::string title(const std::string& text) const { return options_.common.quiet ? "" : text; }
  std::string journal_title() const;
  bool holds(const Hits& hits) const;
  std::vector<LayerStatistics> observe_layers(const std::string& what);
  void equalize_channels();
  void say_notes() const;
  const Hits& judge(const std::string& name, const std::vector<LayerState>& state, double seconds);
  void try_repair(const Repair& how, const std::string& name);
  void take(const Hits& hits, std::vector<LayerState> state);

  const QuantizeOptions& options_;
  QuantizeResults& results_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  caffe::NetParameter net_;
  Data data_;
  Part part_;
  caffe_files::Model model_;
  Data range_data_;
  Pictures calibration_;
  Journal journal_;
  std::vector<LayerStatistics> layers_{}, unequalized_layers_{};
  std::optional<Candidates> candidates_{}, unequalized_{};
  std::optional<cnn::Net> reference_{};  // in float
  std::optional<Trials> trials_{};
  std::vector<LayerState> chosen_{};
  const Hits* float_ = nullptr;
};

/// How few bits the parts of the net need: all weights of convolutions, of fully connected layers, and activations.
void search_parts(const QuantizeOptions& options, QuantizeResults& results, Session& session);
/// How few bits the weights of each layer need and, where the cost counts them, its activations.
void search_layers(const QuantizeOptions& options, QuantizeResults& results, Session& session);

}  // namespace tool
