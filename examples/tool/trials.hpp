// SPDX-License-Identifier: MIT
// Scores of one net with many formats, as little of it computed again as memory allows.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common.hpp"
#include "formats.hpp"

namespace tool {

/// What was scored: which pictures were right, and so how sure a difference is.
struct Hits {
  std::vector<bool> right{};

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
  /// Throws std::invalid_argument when the net has no Accuracy.
  Trials(caffe_files::Model& model, caffe_files::Source& source, const Part& part,
         const std::vector<LayerStatistics>& layers);

  /// What the net scores with these formats. The same formats are scored once. Throws Interrupted.
  const Hits& score(const std::vector<cnn::Formats>& formats, const std::string& title);

  const std::string& score_name() const noexcept { return accuracy_.name; }

 private:
  struct Known {
    std::vector<cnn::Formats> formats{};
    Hits hits{};
  };

  int first_changed(const std::vector<cnn::Formats>& formats) const;
  const cnn::Batch& pictures(std::size_t number, std::int64_t first, int count);
  void run(std::size_t number, const cnn::Batch& batch, int from);
  void forget_if_large();

  caffe_files::Model& model_;
  caffe_files::Source& source_;
  Part part_{};
  const std::vector<LayerStatistics>& layers_;
  caffe_files::Accuracy accuracy_{};

  std::deque<Known> known_{};  // references stay good
  cnn::Batch batch_{};
  std::vector<cnn::Batch> batches_{};  // empty: read anew each time
  int cut_at_ = 0;                     // the first fully connected layer; 0: no cuts
  std::vector<cnn::Cut> cuts_{};       // of each batch, in float
};

}  // namespace tool
