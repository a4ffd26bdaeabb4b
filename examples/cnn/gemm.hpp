// SPDX-License-Identifier: MIT
// Matrix products on row-major blocks of memory; the one place that touches a linear algebra library.
#pragma once

#include "cnn/tensor.hpp"

namespace cnn {

/// A row-major matrix inside somebody's memory: row i starts at data + i * stride.
template <class T>
struct Matrix {
  T* data;
  Index rows, cols, stride;

  constexpr Matrix(T* d, Index r, Index c, Index s) noexcept : data(d), rows(r), cols(c), stride(s) {}
  constexpr Matrix(T* d, Index r, Index c) noexcept : Matrix(d, r, c, c) {}
  constexpr T* row(Index i) const noexcept { return data + i * stride; }
  constexpr Matrix middle_rows(Index first, Index count) const noexcept { return {row(first), count, cols, stride}; }
  constexpr operator Matrix<const T>() const noexcept { return {data, rows, cols, stride}; }
};

using View = Matrix<const float>;

/// c += a b, on the calling thread.
void add_product(Matrix<float> c, View a, View b);
/// c += a b^T
void add_product_nt(Matrix<float> c, View a, View b);
/// c += a^T b
void add_product_tn(Matrix<float> c, View a, View b);

}  // namespace cnn
