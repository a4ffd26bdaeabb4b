// SPDX-License-Identifier: MIT
// Pictures that are gone through many times, kept in memory as far as it is worth it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common.hpp"

namespace tool {

class Pictures {
 public:
  Pictures(caffe_files::Source& source, const Part& part);

  std::size_t batches() const noexcept { return number_; }
  std::int64_t count() const noexcept { return part_.count; }
  /// A batch; the reference is good until the next one is asked for.
  const cnn::Batch& batch(std::size_t number);

 private:
  caffe_files::Source& source_;
  Part part_;
  std::size_t number_;
  cnn::Batch one_{};
  std::vector<cnn::Batch> kept_{};  // empty: read anew each time
};

}  // namespace tool
