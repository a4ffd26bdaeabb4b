// SPDX-License-Identifier: MIT
// What Convolution and InnerProduct share.
#include "trimmed.hpp"

#include <algorithm>

#include "check.hpp"
#include "parallel_trim.hpp"

namespace cnn {

std::string to_string(Extent e) { return std::to_string(e.h) + "x" + std::to_string(e.w); }

void check_window(std::string_view name, Extent kernel, Extent stride, Extent pad) {
  check(kernel.h > 0 && kernel.w > 0, name, "kernel is " + to_string(kernel), "choose at least 1x1");
  check(stride.h > 0 && stride.w > 0, name, "stride is " + to_string(stride), "choose at least 1x1");
  check(pad.h >= 0 && pad.w >= 0, name, "pad is " + to_string(pad), "choose 0 or more");
}

void setup_parameter(std::string_view layer, std::string_view what, Parameter& parameter, Shape shape) {
  if (parameter.value().empty()) {
    parameter.edit() = Tensor(shape);
    return;
  }
  check(parameter.value().shape() == shape, layer,
        std::string(what) + " has shape " + to_string(parameter.value().shape()),
        "this input needs " + to_string(shape));
}

const float* trimmed_input(const Tensor& in, const std::optional<ristretto::AnyFormat>& format, Workspace& work) {
  if (!format) return in.data();
  parallel_trim(in, work.input, *format, ristretto::RoundNearest{});
  return work.input.data();
}

void trim_rows(Matrix<float> y, const std::optional<ristretto::AnyFormat>& format) {
  if (!format) return;
  const auto trim = [&](float* p, Index n) {
    ristretto::trim(std::span(p, static_cast<std::size_t>(n)), *format, ristretto::RoundNearest{});
  };
  if (y.stride == y.cols) return trim(y.data, y.rows * y.cols);
  for (Index i = 0; i < y.rows; ++i) trim(y.row(i), y.cols);
}

void zero_where_saturated(const Tensor& out, const std::optional<ristretto::AnyFormat>& format, Tensor& dout) {
  if (!format) return;
  const float low = format->lowest();
  const float high = format->largest();
  parallel_blocks(out.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      if ((out[i] <= low && low < 0) || out[i] >= high) dout[i] = 0;
    }
  });
}

void sum_parts(const float* first, Parts parts, Tensor& sum) {
  parallel_blocks(sum.size(), [&](Index begin, Index count) {
    const float* from = first + begin;
    float* to = sum.data() + begin;
    std::copy_n(from, count, to);
    for (Index part = 1; part < parts.count; ++part) {
      from += parts.stride;
      for (Index i = 0; i < count; ++i) to[i] += from[i];
    }
  });
}

}  // namespace cnn
