// SPDX-License-Identifier: MIT
// What the layers of a net read, one after the other: kept in memory as far as it is worth it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cnn/net.hpp"
#include "quantizer/batches.hpp"

namespace quantizer {

/// What the layers of a net read, for all pictures, one layer after the other.
class Walk {
 public:
  /// Keeps at most so many bytes; beyond, layers are computed again.
  Walk(cnn::Net& net, Batches& batches, std::int64_t most_bytes = std::int64_t{320} << 20)
      : net_(net), batches_(batches), most_bytes_(most_bytes), cuts_(batches.size()) {}

  /// The cut before the layer at this position; good until the next call. Positions must not fall, and layers that the
  /// walk has passed must not change.
  const cnn::Cut& cut(int position, std::size_t batch);
  /// What that layer reads; good until the next call.
  const cnn::Tensor& input(int position, std::size_t batch) { return net_.input_of(cut(position, batch)); }

 private:
  bool fits(const cnn::Cut& cut) const;

  cnn::Net& net_;
  Batches& batches_;
  std::int64_t most_bytes_;
  std::vector<cnn::Cut> cuts_;  // the last of each batch that fits in memory
  cnn::Cut now_{};
};

}  // namespace quantizer
