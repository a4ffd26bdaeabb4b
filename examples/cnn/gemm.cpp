// SPDX-License-Identifier: MIT
// Matrix products by Eigen, one thread each.
#define EIGEN_DONT_PARALLELIZE  // threads are the caller's business: chunks fixed there make the bits reproducible

#include "cnn/gemm.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns of its own AVX-512 header, inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <Eigen/Core>

namespace cnn {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class M>
using Map = Eigen::Map<M, Eigen::Unaligned, Eigen::OuterStride<>>;

auto map(Matrix<float> m) { return Map<RowMajor>(m.data, m.rows, m.cols, Eigen::OuterStride<>(m.stride)); }
auto map(View m) { return Map<const RowMajor>(m.data, m.rows, m.cols, Eigen::OuterStride<>(m.stride)); }

}  // namespace

void add_product(Matrix<float> c, View a, View b) { map(c).noalias() += map(a) * map(b); }
void add_product_nt(Matrix<float> c, View a, View b) { map(c).noalias() += map(a) * map(b).transpose(); }
void add_product_tn(Matrix<float> c, View a, View b) { map(c).noalias() += map(a).transpose() * map(b); }

}  // namespace cnn
