// SPDX-License-Identifier: MIT
// Adding up scores.
#include "quantizer/scores.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "cnn/progress.hpp"
#include "quantizer/interruption.hpp"

namespace quantizer {
namespace {

void check_labels(const cnn::Tensor& scores, std::span<const int> labels, std::int64_t first_picture) {
  const int classes = scores.shape().C;
  const auto wrong = std::find_if(labels.begin(), labels.end(), [&](int l) { return l < 0 || l >= classes; });
  if (wrong == labels.end()) return;
  throw std::runtime_error(fmt::format("picture {}: its label is {}, but the net has the classes 0 to {}",
                                       first_picture + (wrong - labels.begin()), *wrong, classes - 1));
}

}  // namespace

void add_hits(const cnn::Tensor& scores, std::span<const int> labels, int top_k, std::vector<bool>& right) {
  check_labels(scores, labels, static_cast<std::int64_t>(right.size()));
  cnn::Tensor one(scores.shape().with_batch(1));
  for (std::size_t n = 0; n < labels.size(); ++n) {
    std::copy_n(scores.image(static_cast<cnn::Index>(n)), one.size(), one.data());
    right.push_back(cnn::count_correct(one, labels.subspan(n, 1), top_k) == 1);
  }
}

Tally::Tally(cnn::Model& model) : model_(model), right_(model.accuracies.size()) {
  const std::string& last = model.net.nodes().back().name;
  const auto elsewhere = [&](const cnn::Accuracy& a) { return a.input != last; };
  const auto& all = model.accuracies;
  model.net.keep_outputs(model.logits != last || std::any_of(all.begin(), all.end(), elsewhere));
}

void Tally::add(std::span<const int> labels) {
  for (std::size_t i = 0; i < right_.size(); ++i) {
    const cnn::Accuracy& a = model_.accuracies[i];
    add_hits(model_.net.output(a.input), labels, a.top_k, right_[i]);
  }
  if (!model_.loss.empty()) {
    const cnn::Tensor& logits = model_.net.output(model_.logits);
    check_labels(logits, labels, pictures_);
    loss_ += softmax_.forward(logits, labels) * static_cast<double>(labels.size());
  }
  pictures_ += static_cast<std::int64_t>(labels.size());
}

Scores Tally::scores() const {
  Scores s{.pictures = pictures_, .right = right_};
  const auto count = static_cast<double>(std::max<std::int64_t>(pictures_, 1));
  for (std::size_t i = 0; i < right_.size(); ++i) {
    const auto correct = std::count(right_[i].begin(), right_[i].end(), true);
    s.accuracies.push_back({model_.accuracies[i].name, static_cast<double>(correct) / count});
  }
  if (!model_.loss.empty()) s.losses.push_back({model_.loss, loss_ / count});
  return s;
}

Scores evaluate(cnn::Model& model, pictures::Source& source, const Selection& selection, const std::string& title) {
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, selection.count);
  const auto begin = std::chrono::steady_clock::now();
  Tally tally(model);
  pictures::Batch batch;
  for (std::int64_t done = 0; done < selection.count;) {
    stop_if_interrupted();
    const int count = static_cast<int>(std::min<std::int64_t>(selection.batch_size, selection.count - done));
    source.read(selection.first + done, count, batch);
    model.net.forward(batch.images);
    tally.add(batch.labels);
    done += count;
    if (progress) progress->at(done);
  }
  Scores scores = tally.scores();
  scores.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return scores;
}

}  // namespace quantizer
