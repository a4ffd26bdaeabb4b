// SPDX-License-Identifier: MIT
// Pictures in memory.
#include "quantizer/batches.hpp"

#include <algorithm>

namespace quantizer {

Batches::Batches(pictures::Source& source, const Selection& selection)
    : source_(source),
      selection_(selection),
      number_(static_cast<std::size_t>((selection.count + selection.batch_size - 1) / selection.batch_size)) {
  constexpr std::int64_t most = std::int64_t{512} << 20;  // bytes
  if (selection.count <= most / (source.image.image() * 4)) kept_.resize(number_);
}

const pictures::Batch& Batches::batch(std::size_t number) {
  pictures::Batch& batch = kept_.empty() ? one_ : kept_[number];
  if (kept_.empty() || batch.labels.empty()) {
    const std::int64_t first = static_cast<std::int64_t>(number) * selection_.batch_size;
    const auto count = static_cast<int>(std::min<std::int64_t>(selection_.batch_size, selection_.count - first));
    source_.read(selection_.first + first, count, batch);
  }
  return batch;
}

}  // namespace quantizer
