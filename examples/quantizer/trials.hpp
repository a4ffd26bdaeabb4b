// SPDX-License-Identifier: MIT
// Scores of one net in many states, as little of it computed again as memory allows.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cnn/model.hpp"
#include "quantizer/batches.hpp"
#include "quantizer/net_repair.hpp"
#include "quantizer/walk.hpp"

namespace quantizer {

/// What was scored: which pictures were right, and so how sure a difference is.
struct Hits {
  std::vector<bool> right{};
  double divergence = 0;  // mean Kullback-Leibler divergence of the softmax of the scores from that of the first trial

  double accuracy() const;
};

/// a - b on the same pictures, and its standard error.
struct Difference {
  double value = 0, standard_error = 0;
};
Difference difference(const Hits& a, const Hits& b);

/// Scores by the net's accuracy; of several, the one whose name comes first, as in the original.
class Trials {
 public:
  /// `model` is in float, and is changed by the trials. Throws std::invalid_argument when nothing scores it.
  Trials(cnn::Model& model, pictures::Source& source, const Selection& selection);

  /// What the net scores in this state. The same state is scored once. Throws Interrupted.
  const Hits& score(const std::vector<LayerState>& state, const std::string& title);

  /// Trials to come have this state before a layer, as a rule: what they share is computed once. In float and without a
  /// layer, before the first call.
  void share(const std::vector<LayerState>& state, std::size_t layer);

  /// Every layer in float.
  const std::vector<LayerState>& in_float() const noexcept { return float_; }
  const std::string& score_name() const noexcept { return accuracy_.name; }

 private:
  struct Known {
    std::vector<LayerState> state{};
    Hits hits{};
  };

  void set(const std::vector<LayerState>& state);
  void add(const pictures::Batch& batch, std::size_t number, Hits& hits);

  cnn::Model& model_;
  Batches batches_;
  cnn::Accuracy accuracy_{};
  std::vector<int> positions_;  // of the layers in the net
  std::vector<LayerState> float_{}, now_{};
  std::deque<Known> known_{};                // references stay good
  std::vector<cnn::Tensor> float_scores_{};  // of the first trial, for each batch
  cnn::DivergenceLoss divergence_{};
  std::vector<LayerState> shared_{};
  std::size_t shared_before_ = 0;  // this layer
  std::unique_ptr<Walk> walk_{};   // to that layer; none: nothing is shared
};

}  // namespace quantizer
