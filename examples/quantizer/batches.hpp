// SPDX-License-Identifier: MIT
// Pictures that are gone through many times: kept in memory as far as it is worth it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "quantizer/scores.hpp"

namespace quantizer {

class Batches {
 public:
  Batches(pictures::Source& source, const Selection& selection);

  std::size_t size() const noexcept { return number_; }
  std::int64_t pictures() const noexcept { return selection_.count; }
  /// A batch; the reference is good until the next one is asked for.
  const pictures::Batch& batch(std::size_t number);

 private:
  pictures::Source& source_;
  Selection selection_;
  std::size_t number_;
  pictures::Batch one_{};
  std::vector<pictures::Batch> kept_{};  // empty: read anew each time
};

}  // namespace quantizer
