// SPDX-License-Identifier: MIT
// Trims what flows through a net: compiled once, for every format with every rounding.
#pragma once

#include <span>

#include <ristretto/any_format.hpp>
#include <ristretto/any_rounding.hpp>

#include "cnn/tensor.hpp"

namespace cnn {

/// Trims values in place, on the caller's thread.
void trim(std::span<float> values, const ristretto::AnyFormat& format, const ristretto::AnyRounding& rounding);

/// to = from, trimmed, in its shape. Each thread gives its pieces their place in the tensor, so the bits do not depend
/// on their number. Below 2^16 floats, where threads cost more than they gain, the caller works alone.
void trim(const Tensor& from, Tensor& to, const ristretto::AnyFormat& format, const ristretto::AnyRounding& rounding);

/// The same, each of formats.size() rows to a format of its own, by the caller alone.
void trim_rows(const Tensor& from, Tensor& to, std::span<const ristretto::AnyFormat> formats,
               const ristretto::AnyRounding& rounding);

}  // namespace cnn
