// SPDX-License-Identifier: MIT
// What Convolution and InnerProduct share: checked settings, and trimmed copies of what flows through them.
#pragma once

#include <optional>
#include <ristretto/any_format.hpp>
#include <string_view>

#include "gemm.hpp"
#include "layers.hpp"

namespace cnn {

/// "5x3", height first.
std::string to_string(Extent e);

/// Throws unless the kernel and the stride are positive and the padding is not negative.
void check_window(std::string_view name, Extent kernel, Extent stride, Extent pad);

/// Gives an empty parameter its shape and zeros; throws if it has values of another shape.
void setup_parameter(std::string_view layer, std::string_view what, Parameter& parameter, Shape shape);

/// The values of `in`, or of its trimmed copy in work.input.
const float* trimmed_input(const Tensor& in, const std::optional<ristretto::AnyFormat>& format, Workspace& work);

/// Trims a block of a layer's output in place, to nearest.
void trim_rows(Matrix<float> y, const std::optional<ristretto::AnyFormat>& format);

/// Sets dout to 0 where the trimmed output lies at an end of its format other than 0: what saturates does not move with
/// its input.
void zero_where_saturated(const Tensor& out, const std::optional<ristretto::AnyFormat>& format, Tensor& dout);

/// sum = the sum over parts, in their order; part i of an element lies `stride` floats behind part i - 1.
struct Parts {
  Index count, stride;
};
void sum_parts(const float* first, Parts parts, Tensor& sum);

}  // namespace cnn
