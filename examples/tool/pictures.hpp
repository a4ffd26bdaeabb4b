// SPDX-License-Identifier: MIT
// Pictures that are gone through many times, and what a net makes of them up to a layer: kept in memory as far as it is
// worth it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cnn/net.hpp"
#include "tool/common.hpp"

namespace tool {

class Pictures {
 public:
  Pictures(pictures::Source& source, const Part& part);

  std::size_t batches() const noexcept { return number_; }
  std::int64_t count() const noexcept { return part_.count; }
  /// A batch; the reference is good until the next one is asked for.
  const pictures::Batch& batch(std::size_t number);

 private:
  pictures::Source& source_;
  Part part_;
  std::size_t number_;
  pictures::Batch one_{};
  std::vector<pictures::Batch> kept_{};  // empty: read anew each time
};

/// What the layers of a net read, for all pictures, one layer after the other.
class Walk {
 public:
  /// Keeps at most so many bytes; beyond, layers are computed again.
  Walk(cnn::Net& net, Pictures& pictures, std::int64_t most_bytes = std::int64_t{320} << 20)
      : net_(net), pictures_(pictures), most_bytes_(most_bytes), cuts_(pictures.batches()) {}

  /// The cut before the layer at this position; good until the next call. Positions must not fall, and layers that the
  /// walk has passed must not change.
  const cnn::Cut& cut(int position, std::size_t batch);
  /// What that layer reads; good until the next call.
  const cnn::Tensor& input(int position, std::size_t batch) { return net_.input_of(cut(position, batch)); }

 private:
  bool fits(const cnn::Cut& cut) const;

  cnn::Net& net_;
  Pictures& pictures_;
  std::int64_t most_bytes_;
  std::vector<cnn::Cut> cuts_;  // the last of each batch that fits in memory
  cnn::Cut now_{};
};

}  // namespace tool
