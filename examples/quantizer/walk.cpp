// SPDX-License-Identifier: MIT
// Going from cut to cut.
#include "quantizer/walk.hpp"

#include <utility>

namespace quantizer {

const cnn::Cut& Walk::cut(int position, std::size_t batch) {
  cnn::Cut& kept = cuts_[batch];
  if (!kept.values.empty() && kept.first == position) return kept;
  now_ = kept.values.empty() ? net_.cut_at(position, batches_.batch(batch).images) : net_.cut_at(position, kept);
  if (!fits(now_)) return now_;
  kept = std::move(now_);
  return kept;
}

bool Walk::fits(const cnn::Cut& cut) const {
  std::int64_t size = 0;
  for (const cnn::Tensor& value : cut.values) size += 4 * value.size();
  return size * static_cast<std::int64_t>(cuts_.size()) <= most_bytes_;
}

}  // namespace quantizer
