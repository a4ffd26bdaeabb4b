// SPDX-License-Identifier: MIT
// Activations, element by element.
#include <algorithm>
#include <cmath>
#include <string>

#include <ristretto/shadow.hpp>

#include "cnn/check.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

/// to[i] = f(from[i]); the tensors may be the same.
template <class F>
void each_value(const Tensor& from, Tensor& to, F&& f) {
  to.resize(from.shape());
  parallel_blocks(from.size(), [&](Index first, Index count) {
    const float* x = from.data() + first;
    float* y = to.data() + first;
    for (Index i = 0; i < count; ++i) y[i] = f(x[i]);
  });
}

/// din[i] = dout[i] * f(in[i]); dout and din may be the same.
template <class F>
void each_slope(const Tensor& in, const Tensor& dout, Tensor& din, F&& f) {
  din.resize(in.shape());
  parallel_blocks(in.size(), [&](Index first, Index count) {
    const float *x = in.data() + first, *dy = dout.data() + first;
    float* dx = din.data() + first;
    for (Index i = 0; i < count; ++i) dx[i] = dy[i] * f(x[i]);
  });
}

float logistic(float x) { return 0.5f * std::tanh(0.5f * x) + 0.5f; }

}  // namespace

Shape Relu::setup(std::string_view name, Shape in) {
  check(std::isfinite(negative_slope), name, "negative_slope is " + std::to_string(negative_slope),
        "choose a finite number");
  return in;
}

void relu_values(const Relu& layer, const float* x, float* y, Index count) {
  if (layer.negative_slope == 0) {
    for (Index i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
  } else {
    for (Index i = 0; i < count; ++i) y[i] = x[i] < 0 ? x[i] * layer.negative_slope : x[i];
  }
}

// in -> out, any shape
void Relu::forward(const Tensor& in, Tensor& out, Pass&) {
  out.resize(in.shape());
  parallel_blocks(in.size(),
                  [&](Index first, Index count) { relu_values(*this, in.data() + first, out.data() + first, count); });
}

// in (or out: they are positive together), dout -> din
void Relu::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  din->resize(in.shape());
  parallel_blocks(in.size(), [&](Index first, Index count) {
    const float *x = in.data() + first, *dy = dout.data() + first;
    float* dx = din->data() + first;
    if (negative_slope == 0) {  // also of an infinite dout
      for (Index i = 0; i < count; ++i) dx[i] = x[i] > 0 ? dy[i] : 0;
    } else {
      for (Index i = 0; i < count; ++i) dx[i] = x[i] > 0 ? dy[i] : negative_slope * dy[i];
    }
  });
}

Shape Sigmoid::setup(std::string_view, Shape in) { return in; }

// in -> out, any shape
void Sigmoid::forward(const Tensor& in, Tensor& out, Pass&) { each_value(in, out, logistic); }

// in, dout -> din
void Sigmoid::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  each_slope(in, dout, *din, [](float x) {
    const float y = logistic(x);
    return y * (1 - y);
  });
}

Shape Tanh::setup(std::string_view, Shape in) { return in; }

// in -> out, any shape
void Tanh::forward(const Tensor& in, Tensor& out, Pass&) {
  each_value(in, out, [](float x) { return std::tanh(x); });
}

// in, dout -> din
void Tanh::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  each_slope(in, dout, *din, [](float x) {
    const float y = std::tanh(x);
    return 1 - y * y;
  });
}

Shape Dropout::setup(std::string_view name, Shape in) {
  check(ratio >= 0 && ratio < 1, name, "ratio is " + std::to_string(ratio), "choose a number in [0, 1)");
  return in;
}

namespace {

/// to = from with the mask of this step; from and to may be the same.
void drop(const Dropout& layer, const Tensor& from, Tensor& to, const Phase& phase) {
  to.resize(from.shape());
  const auto random = ristretto::shadow_stream(phase.seed, layer.number, phase.step);
  const auto dropped = static_cast<std::uint32_t>(static_cast<double>(layer.ratio) * 0x1p32);
  const float scale = 1 / (1 - layer.ratio);
  parallel_blocks(from.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; i += 4) {
      const auto words = random.block(static_cast<std::uint64_t>(i / 4));  // blocks of work begin at multiples of 4
      for (Index j = i; j < std::min(i + 4, first + count); ++j) {
        to[j] = words.word[j - i] < dropped ? 0 : from[j] * scale;
      }
    }
  });
}

}  // namespace

// in -> out, any shape
void Dropout::forward(const Tensor& in, Tensor& out, Pass& pass) {
  if (pass.phase.training) return drop(*this, in, out, pass.phase);
  if (&in == &out) return;
  out.resize(in.shape());
  std::copy_n(in.data(), in.size(), out.data());
}

// dout -> din: the mask once more
void Dropout::backward(const Tensor&, const Tensor& dout, Tensor* din, Pass& pass) {
  if (din) drop(*this, dout, *din, pass.phase);
}

}  // namespace cnn
