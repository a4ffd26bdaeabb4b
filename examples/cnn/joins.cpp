// SPDX-License-Identifier: MIT
// Layers that join several inputs, or only change the shape of one.
#include <algorithm>
#include <cmath>
#include <string>

#include "cnn/check.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {

Shape Concat::setup(std::string_view name, std::span<const Shape> ins) {
  check(!ins.empty(), name, "there is no input", "give it at least one");
  Shape out = ins.front();
  for (const Shape& in : ins.subspan(1)) {
    check(in.N == out.N && in.H == out.H && in.W == out.W, name,
          "the inputs " + to_string(ins.front()) + " and " + to_string(in) + " differ beside their channels",
          "give all inputs the same height and width");
    out.C = checked_output(name, {1, out.C + in.C, out.H, out.W}).C;
  }
  return out;
}

// ins (N, C_i, H, W) -> out (N, sum of C_i, H, W)
void Concat::forward(std::span<const Tensor* const> ins, Tensor& out, Pass&) {
  Shape shape = ins.front()->shape();
  for (const Tensor* in : ins.subspan(1)) shape.C += in->shape().C;
  out.resize(shape);
  parallel_for(shape.N, [&](Index n, int) {
    float* to = out.image(n);
    for (const Tensor* in : ins) to = std::copy_n(in->image(n), in->shape().image(), to);
  });
}

// dout (N, sum of C_i, H, W) -> din (N, C_i, H, W)
void Concat::backward(const Tensor& dout, int first_channel, Tensor& din, Pass&) {
  const Index first = first_channel * dout.shape().plane();
  parallel_for(din.shape().N,
               [&](Index n, int) { std::copy_n(dout.image(n) + first, din.shape().image(), din.image(n)); });
}

Shape Eltwise::setup(std::string_view name, std::span<const Shape> ins) {
  check(!ins.empty(), name, "there is no input", "give it at least one");
  for (const Shape& in : ins.subspan(1)) {
    check(in == ins.front(), name, "the inputs " + to_string(ins.front()) + " and " + to_string(in) + " differ",
          "give all inputs one shape");
  }
  check(coefficients.empty() || (operation == Operation::sum && coefficients.size() == ins.size()), name,
        std::to_string(coefficients.size()) + " coefficients for " + std::to_string(ins.size()) + " inputs",
        "give a sum one for each input, others none");
  return ins.front();
}

// ins (N, C, H, W) -> out (N, C, H, W)
void Eltwise::forward(std::span<const Tensor* const> ins, Tensor& out, Pass&) {
  out.resize(ins.front()->shape());
  const auto factor = [&](std::size_t which) { return coefficients.empty() ? 1.0f : coefficients[which]; };
  parallel_blocks(out.size(), [&](Index first, Index count) {
    float* y = out.data() + first;
    const float* x0 = ins.front()->data() + first;
    for (Index i = 0; i < count; ++i) y[i] = operation == Operation::sum ? factor(0) * x0[i] : x0[i];
    for (std::size_t which = 1; which < ins.size(); ++which) {
      const float *x = ins[which]->data() + first, a = factor(which);
      switch (operation) {
        case Operation::sum:
          for (Index i = 0; i < count; ++i) y[i] += a * x[i];
          break;
        case Operation::product:
          for (Index i = 0; i < count; ++i) y[i] *= x[i];
          break;
        case Operation::max:
          for (Index i = 0; i < count; ++i) y[i] = x[i] > y[i] ? x[i] : y[i];
          break;
      }
    }
  });
}

// ins (N, C, H, W), dout (N, C, H, W) -> din (N, C, H, W) of one of them
void Eltwise::backward(std::span<const Tensor* const> ins, const Tensor& dout, std::size_t which, Tensor& din) {
  din.resize(dout.shape());
  const float factor = coefficients.empty() ? 1 : coefficients[which];
  parallel_blocks(dout.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      float slope = factor;
      for (std::size_t other = 0; other < ins.size() && operation != Operation::sum; ++other) {
        if (other == which) continue;
        const float mine = (*ins[which])[i], theirs = (*ins[other])[i];
        if (operation == Operation::product) slope *= theirs;
        if (operation == Operation::max && (other < which ? mine <= theirs : mine < theirs)) slope = 0;
      }
      din[i] = slope * dout[i];
    }
  });
}

Shape Flatten::setup(std::string_view, Shape in) { return {in.N, static_cast<int>(in.image()), 1, 1}; }

// in (N, C, H, W) -> out (N, C H W)
void Flatten::forward(const Tensor& in, Tensor& out, Pass&) {
  const Shape shape{in.shape().N, static_cast<int>(in.shape().image()), 1, 1};
  if (&in != &out) {
    out.resize(shape);
    std::copy_n(in.data(), in.size(), out.data());
  }
  out.resize(shape);
}

// dout (N, C H W) -> din (N, C, H, W)
void Flatten::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  din->resize(in.shape());
  std::copy_n(dout.data(), dout.size(), din->data());
}

}  // namespace cnn
