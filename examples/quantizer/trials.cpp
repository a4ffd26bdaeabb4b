// SPDX-License-Identifier: MIT
// Scoring trials.
#include "quantizer/trials.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

#include "cnn/progress.hpp"
#include "quantizer/interruption.hpp"

namespace quantizer {
namespace {

cnn::Accuracy scored(const cnn::Model& model) {
  const auto& all = model.accuracies;
  if (all.empty()) {
    throw std::invalid_argument("nothing scores the net; give it an accuracy");
  }
  return *std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

}  // namespace

double Hits::accuracy() const {
  const auto count = std::count(right.begin(), right.end(), true);
  return static_cast<double>(count) / static_cast<double>(std::max<std::size_t>(right.size(), 1));
}

Difference difference(const Hits& a, const Hits& b) {
  double gained = 0, lost = 0;
  for (std::size_t i = 0; i < a.right.size(); ++i) {
    gained += a.right[i] && !b.right[i];
    lost += b.right[i] && !a.right[i];
  }
  const auto n = static_cast<double>(std::max<std::size_t>(a.right.size(), 1));
  const double value = (gained - lost) / n;
  return {value, std::sqrt(std::max(0.0, (gained + lost) / n - value * value) / n)};
}

Trials::Trials(cnn::Model& model, pictures::Source& source, const Selection& selection)
    : model_(model),
      batches_(source, selection),
      accuracy_(scored(model)),
      positions_(positions_of(model.net)),
      float_(states_of(model.net)),
      now_(float_) {
  model_.net.keep_outputs(accuracy_.input != model_.net.nodes().back().name);
}

void Trials::set(const std::vector<LayerState>& state) {
  std::size_t i = 0;
  model_.net.each_trimmed([&](cnn::Node&, auto& layer) {
    layer.formats = state[i].formats;
    if (state[i].values != now_[i].values) {
      layer.weight.edit() = state[i].values->weight;
      layer.bias.edit() = state[i].values->bias;
    }
    ++i;
  });
  now_ = state;
}

void Trials::share(const std::vector<LayerState>& state, std::size_t layer) {
  if (layer == shared_before_ && state == shared_) return;
  const bool goes_on = walk_ && layer >= shared_before_ &&
                       std::equal(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(layer), shared_.begin());
  shared_ = state;
  shared_before_ = layer;
  if (!goes_on) walk_ = std::make_unique<Walk>(model_.net, batches_, std::int64_t{256} << 20);
}

/// Adds what the last pass scored.
void Trials::add(const pictures::Batch& batch, std::size_t number, Hits& hits) {
  const cnn::Tensor& scores = model_.net.output(accuracy_.input);
  add_hits(scores, batch.labels, accuracy_.top_k, hits.right);
  if (known_.empty()) float_scores_.push_back(scores);
  hits.divergence += divergence_.forward(scores, float_scores_[number]) * static_cast<double>(batch.labels.size());
}

const Hits& Trials::score(const std::vector<LayerState>& state, const std::string& title) {
  for (const Known& k : known_) {
    if (k.state == state) return k.hits;
  }
  const bool shares =
      walk_ && std::equal(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(shared_before_), shared_.begin());
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, batches_.pictures());
  Hits hits;
  set(state);
  if (known_.empty()) float_scores_.clear();
  for (std::size_t b = 0; b < batches_.size(); ++b) {
    stop_if_interrupted();
    const pictures::Batch& batch = batches_.batch(b);
    if (shares) {
      model_.net.forward_from(walk_->cut(positions_[shared_before_], b));
    } else {
      model_.net.forward(batch.images);
    }
    add(batch, b, hits);
    if (progress) progress->at(static_cast<std::int64_t>(hits.right.size()));
  }
  hits.divergence /= static_cast<double>(std::max<std::size_t>(hits.right.size(), 1));
  return known_.emplace_back(Known{state, std::move(hits)}).hits;
}

}  // namespace quantizer
