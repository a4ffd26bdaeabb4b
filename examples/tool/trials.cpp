// SPDX-License-Identifier: MIT
// Scoring trials.
#include "trials.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "progress.hpp"

namespace tool {
namespace {

constexpr std::int64_t most_pictures = std::int64_t{512} << 20;  // bytes that are kept
constexpr std::int64_t most_cuts = std::int64_t{256} << 20;

bool is_float(const cnn::Formats& f) { return !f.input && !f.weight && !f.bias && !f.output; }

caffe_files::Accuracy scored(const caffe_files::Model& model) {
  const auto& all = model.accuracies;
  if (all.empty()) {
    throw std::invalid_argument("the net has no Accuracy layer in the phase TEST; add one that reads its scores");
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

Trials::Trials(caffe_files::Model& model, caffe_files::Source& source, const Part& part,
               const std::vector<LayerStatistics>& layers)
    : model_(model), source_(source), part_(part), layers_(layers), accuracy_(scored(model)) {
  model_.net.keep_outputs(accuracy_.input != model_.net.nodes().back().name);
  const auto number = static_cast<std::size_t>((part.count + part.batch_size - 1) / part.batch_size);
  if (part.count <= most_pictures / (source.image.image() * 4)) batches_.resize(number);
  const auto fc = std::find_if(layers.begin(), layers.end(), [](const auto& l) { return l.is_fc; });
  cut_at_ = fc == layers.end() ? 0 : fc->position;
  if (cut_at_ > 0) cuts_.resize(number);
  for (cnn::Cut& cut : cuts_) cut.first = cut_at_;
}

/// The position of the first layer that is not in float; -1 without any.
int Trials::first_changed(const std::vector<cnn::Formats>& formats) const {
  for (std::size_t i = 0; i < formats.size(); ++i) {
    if (!is_float(formats[i])) return layers_[i].position;
  }
  return -1;
}

const cnn::Batch& Trials::pictures(std::size_t number, std::int64_t first, int count) {
  cnn::Batch& batch = batches_.empty() ? batch_ : batches_[number];
  if (batches_.empty() || batch.labels.empty()) source_.read(part_.first + first, count, batch);
  return batch;
}

/// A pass over a batch with the formats that are set; in float (from < 0) it leaves a cut.
void Trials::run(std::size_t number, const cnn::Batch& batch, int from) {
  if (cuts_.empty()) {
    model_.net.forward(batch.images);
  } else if (from < 0) {
    model_.net.forward(batch.images, cuts_[number]);
    forget_if_large();
  } else if (!cuts_[number].values.empty() && cuts_[number].first <= from) {
    model_.net.forward_from(cuts_[number]);
  } else {
    model_.net.forward(batch.images);
  }
}

/// All batches have cuts of the first one's size.
void Trials::forget_if_large() {
  std::int64_t bytes = 0;
  for (const cnn::Tensor& value : cuts_.front().values) bytes += 4 * value.size();
  if (bytes * static_cast<std::int64_t>(cuts_.size()) > most_cuts) cuts_.clear();
}

const Hits& Trials::score(const std::vector<cnn::Formats>& formats, const std::string& title) {
  for (const Known& k : known_) {
    if (k.formats == formats) return k.hits;
  }
  set_formats(model_.net, formats);
  const int from = first_changed(formats);
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, part_.count);
  Hits hits;
  std::size_t number = 0;
  for (std::int64_t done = 0; done < part_.count; ++number) {
    stop_if_interrupted();
    const int count = static_cast<int>(std::min<std::int64_t>(part_.batch_size, part_.count - done));
    const cnn::Batch& batch = pictures(number, done, count);
    run(number, batch, from);
    add_hits(model_.net.output(accuracy_.input), batch.labels, accuracy_.top_k, hits.right);
    done += count;
    if (progress) progress->at(done);
  }
  return known_.emplace_back(Known{formats, std::move(hits)}).hits;
}

}  // namespace tool
