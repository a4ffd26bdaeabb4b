// SPDX-License-Identifier: MIT
// Pictures and cuts in memory.
#include "tool/pictures.hpp"

#include <algorithm>
#include <utility>

namespace tool {

Pictures::Pictures(pictures::Source& source, const Part& part)
    : source_(source),
      part_(part),
      number_(static_cast<std::size_t>((part.count + part.batch_size - 1) / part.batch_size)) {
  constexpr std::int64_t most = std::int64_t{512} << 20;  // bytes
  if (part.count <= most / (source.image.image() * 4)) kept_.resize(number_);
}

const pictures::Batch& Pictures::batch(std::size_t number) {
  pictures::Batch& batch = kept_.empty() ? one_ : kept_[number];
  if (kept_.empty() || batch.labels.empty()) {
    const std::int64_t first = static_cast<std::int64_t>(number) * part_.batch_size;
    const auto count = static_cast<int>(std::min<std::int64_t>(part_.batch_size, part_.count - first));
    source_.read(part_.first + first, count, batch);
  }
  return batch;
}

const cnn::Cut& Walk::cut(int position, std::size_t batch) {
  cnn::Cut& kept = cuts_[batch];
  if (!kept.values.empty() && kept.first == position) return kept;
  now_ = kept.values.empty() ? net_.cut_at(position, pictures_.batch(batch).images) : net_.cut_at(position, kept);
  if (!fits(now_)) return now_;
  kept = std::move(now_);
  return kept;
}

bool Walk::fits(const cnn::Cut& cut) const {
  std::int64_t size = 0;
  for (const cnn::Tensor& value : cut.values) size += 4 * value.size();
  return size * static_cast<std::int64_t>(cuts_.size()) <= most_bytes_;
}

}  // namespace tool
