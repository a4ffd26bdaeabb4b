// SPDX-License-Identifier: MIT
// The layers without parameters, pooling apart.
#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <ristretto/shadow.hpp>
#include <string>

#include "check.hpp"
#include "parallel.hpp"

namespace cnn {
namespace {

/// x^-beta, x > 0
float inverse_power(float x, float beta) {
  if (beta == 0.75f) return 1 / (std::sqrt(x) * std::sqrt(std::sqrt(x)));  // what nearly every net uses
  return std::pow(x, -beta);
}

/// Sums over the region around each element of one image (C, H, W); both are of that size.
void sum_regions(const Lrn& layer, Shape shape, const float* in, float* sums) {
  const Index half = layer.size / 2, plane = shape.plane(), H = shape.H, W = shape.W;
  std::fill_n(sums, shape.image(), 0.0f);
  for (Index c = 0; c < shape.C; ++c) {
    float* sum = sums + c * plane;
    if (layer.region == Lrn::Region::across_channels) {
      const Index last = std::min(c + half, Index{shape.C} - 1);
      for (Index other = std::max(c - half, Index{0}); other <= last; ++other) {
        for (Index i = 0; i < plane; ++i) sum[i] += in[other * plane + i];
      }
      continue;
    }
    for (Index dy = -half; dy <= half; ++dy) {
      for (Index dx = -half; dx <= half; ++dx) {
        for (Index y = std::max(Index{0}, -dy); y < std::min(H, H - dy); ++y) {
          const float* from = in + c * plane + (y + dy) * W + dx;
          for (Index x = std::max(Index{0}, -dx); x < std::min(W, W - dx); ++x) sum[y * W + x] += from[x];
        }
      }
    }
  }
}

float region_size(const Lrn& layer) {
  return static_cast<float>(layer.region == Lrn::Region::across_channels ? layer.size : layer.size * layer.size);
}

/// Scratch for each thread: `tile` and `columns` of one image.
void reserve(Workspace& work, Shape shape) {
  work.threads.resize(std::max(work.threads.size(), static_cast<std::size_t>(workers())));
  const auto size = static_cast<std::size_t>(shape.image());
  for (auto& thread : work.threads) {
    thread.tile.resize(std::max(thread.tile.size(), size));
    thread.columns.resize(std::max(thread.columns.size(), size));
  }
}

}  // namespace

Shape Relu::setup(std::string_view, Shape in) { return in; }

// in -> out, any shape
void Relu::forward(const Tensor& in, Tensor& out, Pass&) {
  out.resize(in.shape());
  parallel_blocks(in.size(), [&](Index first, Index count) {
    const float* x = in.data() + first;
    float* y = out.data() + first;
    for (Index i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
  });
}

// in (or out: they are positive together), dout -> din
void Relu::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  if (!din) return;
  din->resize(in.shape());
  parallel_blocks(in.size(), [&](Index first, Index count) {
    const float *x = in.data() + first, *dy = dout.data() + first;
    float* dx = din->data() + first;
    for (Index i = 0; i < count; ++i) dx[i] = x[i] > 0 ? dy[i] : 0;
  });
}

Shape Lrn::setup(std::string_view name, Shape in) {
  check(size > 0 && size % 2 == 1, name, "size is " + std::to_string(size), "choose an odd number");
  check(k > 0 && alpha >= 0, name, "k is " + std::to_string(k) + " and alpha is " + std::to_string(alpha),
        "choose k above 0 and alpha 0 or more");
  return in;
}

// in (N, C, H, W) -> out (N, C, H, W)
void Lrn::forward(const Tensor& in, Tensor& out, Pass& pass) {
  out.resize(in.shape());
  reserve(*pass.work, in.shape());
  const Index size_of_image = in.shape().image();
  const float a = alpha / region_size(*this);
  parallel_for(in.shape().N, [&](Index n, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const float* x = in.image(n);
    float *squares = scratch.tile.data(), *sums = scratch.columns.data(), *y = out.image(n);
    for (Index i = 0; i < size_of_image; ++i) squares[i] = x[i] * x[i];
    sum_regions(*this, in.shape(), squares, sums);
    for (Index i = 0; i < size_of_image; ++i) y[i] = x[i] * inverse_power(k + a * sums[i], beta);
  });
}

// s = k + a * sum of in^2:  din = dout s^-beta - 2 a beta in * (sum over the region of dout in s^(-beta - 1))
void Lrn::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  if (!din) return;
  din->resize(in.shape());
  reserve(*pass.work, in.shape());
  const Index size_of_image = in.shape().image();
  const float a = alpha / region_size(*this);
  parallel_for(in.shape().N, [&](Index n, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const float *x = in.image(n), *dy = dout.image(n);
    float *terms = scratch.tile.data(), *sums = scratch.columns.data(), *dx = din->image(n);
    for (Index i = 0; i < size_of_image; ++i) terms[i] = x[i] * x[i];
    sum_regions(*this, in.shape(), terms, sums);
    for (Index i = 0; i < size_of_image; ++i) {
      const float s = k + a * sums[i], power = inverse_power(s, beta);
      dx[i] = dy[i] * power;
      terms[i] = dx[i] * x[i] / s;
    }
    sum_regions(*this, in.shape(), terms, sums);
    for (Index i = 0; i < size_of_image; ++i) dx[i] -= 2 * a * beta * x[i] * sums[i];
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

Shape Concat::setup(std::string_view name, std::span<const Shape> ins) {
  check(!ins.empty(), name, "there is no input", "give it at least one");
  Shape out = ins.front();
  for (const Shape& in : ins.subspan(1)) {
    check(in.N == out.N && in.H == out.H && in.W == out.W, name,
          "the inputs " + to_string(ins.front()) + " and " + to_string(in) + " differ beside their channels",
          "give all inputs the same height and width");
    out.C += in.C;
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

namespace {

void check_labels(std::string_view name, Shape logits, std::span<const int> labels) {
  check(logits.N > 0 && labels.size() == static_cast<std::size_t>(logits.N), name,
        std::to_string(labels.size()) + " labels for " + std::to_string(logits.N) + " images",
        "give one label per image");
  for (const int label : labels) {
    check(label >= 0 && label < logits.image(), name,
          "label " + std::to_string(label) + " for " + std::to_string(logits.image()) + " classes",
          "use labels below the number of outputs");
  }
}

}  // namespace

// logits (N, C) -> probabilities (N, C), mean of -log p(label)
double SoftmaxLoss::forward(const Tensor& logits, std::span<const int> labels) {
  check_labels("softmax loss", logits.shape(), labels);
  probabilities.resize(logits.shape());
  const Index C = logits.shape().image();
  double loss = 0;
  for (Index n = 0; n < logits.shape().N; ++n) {
    const float* x = logits.image(n);
    float* p = probabilities.image(n);
    const float largest = *std::max_element(x, x + C);
    double sum = 0;
    for (Index c = 0; c < C; ++c) sum += p[c] = std::exp(x[c] - largest);
    for (Index c = 0; c < C; ++c) p[c] = static_cast<float>(p[c] / sum);
    loss += std::log(sum) - (static_cast<double>(x[labels[static_cast<std::size_t>(n)]]) - largest);
  }
  return loss / logits.shape().N;
}

// dlogits = (p - onehot(label)) / N
void SoftmaxLoss::backward(std::span<const int> labels, Tensor& dlogits) const {
  check_labels("softmax loss", probabilities.shape(), labels);
  dlogits.resize(probabilities.shape());
  const float scale = 1 / static_cast<float>(probabilities.shape().N);
  for (Index i = 0; i < dlogits.size(); ++i) dlogits[i] = probabilities[i] * scale;
  for (Index n = 0; n < dlogits.shape().N; ++n) dlogits.image(n)[labels[static_cast<std::size_t>(n)]] -= scale;
}

int count_correct(const Tensor& logits, std::span<const int> labels, int k) {
  check_labels("accuracy", logits.shape(), labels);
  const Index C = logits.shape().image();
  int correct = 0;
  for (Index n = 0; n < logits.shape().N; ++n) {
    const float* x = logits.image(n);
    const Index label = labels[static_cast<std::size_t>(n)];
    Index better = 0;  // written so that a comparison with NaN counts against the label
    for (Index c = 0; c < label; ++c) better += !(x[c] < x[label]);
    for (Index c = label + 1; c < C; ++c) better += !(x[c] <= x[label]);
    correct += better < k && x[label] == x[label];
  }
  return correct;
}

}  // namespace cnn
