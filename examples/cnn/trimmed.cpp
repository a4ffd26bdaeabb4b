// SPDX-License-Identifier: MIT
// What Convolution and InnerProduct share.
#include "trimmed.hpp"

#include <algorithm>

#include "check.hpp"
#include "parallel_trim.hpp"

namespace cnn {

std::string to_string(Extent e) { return std::to_string(e.h) + "x" + std::to_string(e.w); }

void check_window(std::string_view name, Extent kernel, Extent stride, Extent pad) {
  const auto within = [](Extent e, int least) {
    return e.h >= least && e.w >= least && e.h <= max_extent && e.w <= max_extent;
  };
  const std::string largest = std::to_string(max_extent);
  check(within(kernel, 1), name, "kernel is " + to_string(kernel), "choose 1x1 to " + largest);
  check(within(stride, 1), name, "stride is " + to_string(stride), "choose 1x1 to " + largest);
  check(within(pad, 0), name, "pad is " + to_string(pad), "choose 0 to " + largest);
}

namespace {

/// Whether the product of positive numbers is at most most_values; it does not overflow.
bool fits(Shape s) {
  Index product = 1;
  for (const int size : {s.N, s.C, s.H, s.W}) product = product > most_values ? product : product * size;
  return product <= most_values;
}

}  // namespace

Shape checked_output(std::string_view name, Shape out) {
  check(fits(out.with_batch(1)), name, "an image of its output has the shape " + to_string(out.with_batch(1)),
        "choose at most " + std::to_string(most_values) + " values");
  return out;
}

void setup_parameter(std::string_view layer, std::string_view what, Parameter& parameter, Shape shape, float value) {
  check(fits(shape), layer, std::string(what) + " has shape " + to_string(shape),
        "choose at most " + std::to_string(most_values) + " values");
  if (parameter.value().empty()) {
    parameter.edit() = Tensor(shape, value);
    return;
  }
  check(parameter.value().shape() == shape, layer,
        std::string(what) + " has shape " + to_string(parameter.value().shape()),
        "this input needs " + to_string(shape));
}

void check_shifts(std::string_view layer, const Formats& formats, int rows) {
  const std::size_t count = formats.weight_shifts.size();
  check(count == 0 || count == static_cast<std::size_t>(rows), layer,
        std::to_string(count) + " scales for channels of the weights",
        rows > 0 ? "give one for each of " + std::to_string(rows) : "give it none");
}

const float* trimmed_input(const Tensor& in, const Formats& formats, Pass& pass) {
  const auto format = active(formats.input, pass.phase);
  if (!format) return in.data();
  to_nearest(formats.ties, [&](const auto& round) { parallel_trim(in, pass.work->input, *format, round); });
  return pass.work->input.data();
}

void finish_rows(Matrix<float> y, const Formats& formats, const Pass& pass) {
  const auto format = active(formats.output, pass.phase);
  const auto finish = [&](float* p, Index n) {
    const std::span values(p, static_cast<std::size_t>(n));
    if (format)
      to_nearest(formats.ties, [&](const auto& round) { ristretto::trim(values, ristretto::Trimmer{*format, round}); });
    if (pass.relu) relu_values(*pass.relu, p, p, n);
  };
  if (y.stride == y.cols) return finish(y.data, y.rows * y.cols);
  for (Index i = 0; i < y.rows; ++i) finish(y.row(i), y.cols);
}

void zero_where_saturated(const Tensor& out, const std::optional<ristretto::AnyFormat>& format, Tensor& dout) {
  if (!format) return;
  const float low = format->lowest();
  const float high = format->largest();
  parallel_blocks(out.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      if ((out[i] <= low && dout[i] > 0) || (out[i] >= high && dout[i] < 0)) dout[i] = 0;
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
