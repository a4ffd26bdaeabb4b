// SPDX-License-Identifier: MIT
// What a net scores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cnn/model.hpp"
#include "pictures/source.hpp"

namespace quantizer {

struct Score {
  std::string name{};
  double value = 0;
};

/// What a net scored.
struct Scores {
  std::int64_t pictures = 0;
  std::vector<Score> accuracies{};         // shares of the pictures
  std::vector<Score> losses{};             // one or none: the mean over the pictures
  std::vector<std::vector<bool>> right{};  // of each accuracy: which pictures
  double seconds = 0;
};

/// Appends for each picture whether its label is among the k largest scores. Throws std::runtime_error for a label
/// beyond the net's classes.
void add_hits(const cnn::Tensor& scores, std::span<const int> labels, int top_k, std::vector<bool>& right);

/// Adds up scores batch by batch.
class Tally {
 public:
  /// Lets the net keep the outputs that the scores are made from.
  explicit Tally(cnn::Model& model);

  /// Adds those of the net's last forward pass. Throws as add_hits.
  void add(std::span<const int> labels);
  Scores scores() const;

 private:
  cnn::Model& model_;
  cnn::SoftmaxLoss softmax_{};
  std::int64_t pictures_ = 0;
  double loss_ = 0;
  std::vector<std::vector<bool>> right_{};  // of each accuracy
};

/// Which pictures of a source are used.
struct Selection {
  std::int64_t first = 0, count = 0;
  int batch_size = 1;  // how many the net computes at once, which changes no score
};

/// Scores a net. No title, no progress. Throws Interrupted.
Scores evaluate(cnn::Model& model, pictures::Source& source, const Selection& selection, const std::string& title);

}  // namespace quantizer
