// SPDX-License-Identifier: MIT
// InnerProduct: three matrix products, each cut into blocks that are complete sums.
#include <algorithm>

#include "cnn/check.hpp"
#include "cnn/gemm.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

constexpr Index block = 128;  // rows of the weights per product

}  // namespace

Shape InnerProduct::setup(std::string_view name, Shape in) {
  check(outputs > 0, name, "outputs is " + std::to_string(outputs), "choose at least 1");
  check(in.image() > 0, name, "the input is " + to_string(in), "give it at least one value per image");
  setup_parameter(name, "weight", weight, {outputs, static_cast<int>(in.image()), 1, 1});
  check_shifts(name, formats, outputs);
  if (has_bias) setup_parameter(name, "bias", bias, {outputs, 1, 1, 1});
  return {in.N, outputs, 1, 1};
}

// in (N, D), weight (K, D), bias (K) -> out (N, K)
void InnerProduct::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Index N = in.shape().N, D = in.shape().image(), K = outputs;
  out.resize({in.shape().N, outputs, 1, 1});
  weight.prepare(formats.weight, pass.phase, formats.rounding, formats.ties, formats.weight_shifts);
  if (has_bias) bias.prepare(formats.bias, pass.phase, formats.rounding, formats.ties);
  const View x(trimmed_input(in, formats, pass), N, D);
  const View w(weight.in_use().data(), K, D);

  parallel_blocks(K, block, [&](Index k, Index count) {
    const Matrix<float> y(out.data() + k, N, count, K);
    for (Index n = 0; n < N; ++n) {
      if (has_bias) {
        std::copy_n(bias.in_use().data() + k, count, y.row(n));
      } else {
        std::fill_n(y.row(n), count, 0.0f);
      }
    }
    add_product_nt(y, x, w.middle_rows(k, count));
    finish_rows(y, formats, pass);
  });
}

// in (N, D), dout (N, K) -> weight.gradient (K, D), bias.gradient (K), din (N, D)
void InnerProduct::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  const Index N = in.shape().N, D = in.shape().image(), K = outputs;
  const View x(trimmed_input(in, formats, pass), N, D);
  const View w(weight.in_use().data(), K, D);

  weight.gradient.resize(weight.value().shape());
  parallel_blocks(K, block, [&](Index k, Index count) {
    const Matrix<float> dw(weight.gradient.data() + k * D, count, D);
    std::fill_n(dw.data, count * D, 0.0f);
    add_product_tn(dw, View(dout.data() + k, N, count, K), x);
  });
  if (has_bias) {
    bias.gradient.resize(bias.value().shape());
    std::fill_n(bias.gradient.data(), K, 0.0f);
    for (Index n = 0; n < N; ++n) {
      for (Index k = 0; k < K; ++k) bias.gradient[k] += dout[n * K + k];
    }
  }
  if (!din) return;
  din->resize(in.shape());
  parallel_blocks(D, 2 * block, [&](Index d, Index count) {
    const Matrix<float> dx(din->data() + d, N, count, D);
    for (Index n = 0; n < N; ++n) std::fill_n(dx.row(n), count, 0.0f);
    add_product(dx, View(dout.data(), N, K), View(w.data + d, K, count, D));
  });
}

}  // namespace cnn
