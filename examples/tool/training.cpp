// SPDX-License-Identifier: MIT
// One step of a training, and its tests.
#include "tool/training.hpp"

#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "caffe/weights.hpp"
#include "quantizer/interruption.hpp"

namespace tool {
namespace {

/// The batch statistics of a net, which a forward pass changes before a step is complete.
std::vector<cnn::Tensor> statistics(const cnn::Net& net) {
  std::vector<cnn::Tensor> all;
  net.each_statistic([&](const std::string&, const cnn::Tensor& t) { all.push_back(t); });
  return all;
}

void restore(cnn::Net& net, const std::vector<cnn::Tensor>& all) {
  std::size_t i = 0;
  net.each_statistic([&](const std::string&, cnn::Tensor& t) { t = all[i++]; });
}

void check_labels(const Data& data, const pictures::Batch& batch, int classes) {
  for (const int label : batch.labels) {
    if (label >= 0 && label < classes) continue;
    throw std::runtime_error(
        fmt::format("{}: a picture has the label {}, but the net has the classes 0 to {}; "
                    "name other pictures, or change the last num_output",
                    data.source.name, label, classes - 1));
  }
}

}  // namespace

double Training::learning_rate() const {
  return std::visit([&](const auto& s) { return s.rate.at(position.iteration); }, solver);
}

double Training::step() {
  const std::vector<cnn::Tensor> before = statistics(model.net);
  pictures::Batch batch;
  const auto next = [&](int i) -> cnn::LabelledImages {
    quantizer::stop_if_interrupted();
    const std::int64_t number = std::int64_t{position.iteration} * batches + i;
    data.source.read(number * data.batch_size, data.batch_size, batch);
    if (teacher) return {batch.images, batch.labels, &teacher->net.forward(batch.images)};
    check_labels(data, batch, model.net.output_shape().C);
    return {batch.images, batch.labels};
  };
  double loss = 0;
  try {
    loss = cnn::train(model.net, solver, batches, next,
                      {.seed = position.seed, .iteration = position.iteration, .trim_activations = trim_activations});
  } catch (const quantizer::Interrupted&) {
    restore(model.net, before);
    throw;
  }
  if (!std::isfinite(loss)) {
    throw std::runtime_error(
        fmt::format("iteration {}: the loss is {}; lower base_lr or set clip_gradients", position.iteration, loss));
  }
  ++position.iteration;
  return loss;
}

std::vector<quantizer::Scores> Training::test(bool quiet) {
  std::vector<quantizer::Scores> all;
  const caffe::NetParameter weights = save_weights(model);
  for (Test& test : tests) {
    caffe_files::load_weights(test.model, weights);
    all.push_back(quantizer::evaluate(test.model, test.data.source, test.selection, quiet ? "" : "test"));
  }
  last_is_best = false;
  if (all.empty() || all.front().accuracies.empty()) return all;
  const double score = all.front().accuracies.front().value;
  last_is_best = !position.best || score > position.best->score;
  if (last_is_best) position.best = {score, position.iteration};
  return all;
}

}  // namespace tool
