// SPDX-License-Identifier: MIT
// A net that is quantized: its pictures, what its layers meet, its trials.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cnn/model.hpp"
#include "quantizer/batches.hpp"
#include "quantizer/candidates.hpp"
#include "quantizer/journal.hpp"
#include "quantizer/options.hpp"
#include "quantizer/results.hpp"
#include "quantizer/trials.hpp"

namespace quantizer {

/// Some pictures of a source.
struct Sample {
  pictures::Source& source;
  Selection selection{};
};

/// What a net is quantized with.
struct Pictures {
  Sample scored;
  Sample observed;        // for ranges and repairs; their labels do not matter
  bool are_same = false;  // both are the same pictures, which flatters the net
};

class Session {
 public:
  /// Observes the ranges of a net in float and, where that is asked for, equalizes its channels. Throws Interrupted,
  /// and std::invalid_argument for a net that nothing scores or that has nothing to trim.
  Session(cnn::Model& model, const Pictures& pictures, const Options& options);

  const std::vector<LayerStatistics>& layers() const noexcept { return layers_; }
  Journal& journal() noexcept { return journal_; }
  double seconds() const;

  /// Options::widths, or those that are usual, widest first, as far as there are formats of them for these operands.
  /// Throws std::invalid_argument where there are none.
  std::vector<int> widths(const std::vector<int>& usual, Operands of) const;

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
  ristretto::PairedDifference loss(const Hits& hits) const;
  TrialRow row(const std::string& part, const Widths& widths, const Hits& hits) const;
  void say(const std::string& what, const Hits& hits) const;

  /// The net with these widths, which scored so; `widths`, where parts have one width.
  Chosen chosen(const std::vector<LayerWidths>& of_layers, const Hits& hits, const Widths& widths = {});
  /// Repairs the net that was chosen, as a whole, and scores what that brings: the best of all.
  Repaired repaired(Chosen chosen);
  /// A search's results, and what was known before it. `found.chosen` is described layer by layer.
  Results results(Found found);

 private:
  std::string title(const std::string& text) const { return options_.quiet ? "" : text; }
  std::string journal_title() const;
  bool holds(const Hits& hits) const;
  std::vector<LayerStatistics> observe_layers(const std::string& what);
  void equalize_channels();
  void say_notes() const;
  const Hits& judge(const std::string& name, const std::vector<LayerState>& state, double seconds,
                    std::vector<RepairRow>& rows);
  void try_repair(const Repair& how, const std::string& name, Repaired& repaired);

  const Options& options_;
  const Pictures& pictures_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  cnn::Model& model_;
  Batches calibration_;
  Journal journal_;
  std::vector<LayerStatistics> layers_{}, unequalized_layers_{};
  int equalized_ = 0;
  std::optional<Candidates> candidates_{}, unequalized_{};
  std::optional<cnn::Net> reference_{};  // in float
  std::optional<Trials> trials_{};
  const Hits* float_ = nullptr;
};

/// How few bits the parts of the net need: all weights of convolutions, of fully connected layers, and activations.
Found search_parts(const Options& options, Session& session);
/// How few bits the weights of each layer need and, where the cost counts them, its activations.
Found search_layers(const Options& options, Session& session);

}  // namespace quantizer
