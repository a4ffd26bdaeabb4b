// SPDX-License-Identifier: MIT
// What layers with formats share: checked settings, and trimmed copies of what flows through them.
#pragma once

#include <optional>
#include <string_view>

#include <ristretto/any_format.hpp>

#include "cnn/gemm.hpp"
#include "cnn/layers.hpp"

namespace cnn {

/// "5x3", height first.
std::string to_string(Extent e);

inline constexpr int max_extent = 1 << 16;            // of a kernel, stride, pad or dilation
inline constexpr Index most_values = Index{1} << 28;  // of a parameter, or of one image: 1 GiB

/// Throws unless the kernel and the stride are positive, the padding is not negative, and none is out of reach.
void check_window(std::string_view name, Extent kernel, Extent stride, Extent pad);

/// The shape, which it throws for when an image of it has more than most_values.
Shape checked_output(std::string_view name, Shape out);

/// Gives an empty parameter its shape and this value; throws if it has values of another shape.
void setup_parameter(std::string_view layer, std::string_view what, Parameter& parameter, Shape shape, float value = 0);

/// Throws unless there is a shift for each of the rows that weights have, or none. Without rows there may be none.
void check_shifts(std::string_view layer, const Formats& formats, int rows);

/// The format of activations in this phase.
inline std::optional<ristretto::AnyFormat> active(const std::optional<ristretto::AnyFormat>& format,
                                                  const Phase& phase) {
  return phase.training && !phase.trim_activations ? std::nullopt : format;
}

/// The values of `in`, or of its trimmed copy in pass.work->input.
const float* trimmed_input(const Tensor& in, const Formats& formats, Pass& pass);

/// Trims a block of a layer's output in place, to nearest, and applies pass.relu.
void finish_rows(Matrix<float> y, const Formats& formats, const Pass& pass);

/// Sets dout to 0 where the trimmed output lies at an end of its format and descent would take it further out, where it
/// does not move. (Back inside it may.)
void zero_where_saturated(const Tensor& out, const std::optional<ristretto::AnyFormat>& format, Tensor& dout);

/// y = relu(x); they may be the same.
void relu_values(const Relu& layer, const float* x, float* y, Index count);

/// sum = the sum over parts, in their order; part i of an element lies `stride` floats behind part i - 1.
struct Parts {
  Index count, stride;
};
void sum_parts(const float* first, Parts parts, Tensor& sum);

/// The gradients of a layer from parts that each hold one of its weight and, behind it, one of its bias.
template <class L>
void sum_gradients(const float* first, Parts parts, L& layer) {
  const Tensor& weight = layer.weight.value();
  layer.weight.gradient.resize(weight.shape());
  sum_parts(first, parts, layer.weight.gradient);
  if (!layer.has_bias) return;
  layer.bias.gradient.resize(layer.bias.value().shape());
  sum_parts(first + weight.size(), parts, layer.bias.gradient);
}

}  // namespace cnn
