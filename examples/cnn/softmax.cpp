// SPDX-License-Identifier: MIT
// Softmax as a layer and as a loss, and what counts as a right answer.
#include <algorithm>
#include <cmath>
#include <string>

#include "cnn/check.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"

namespace cnn {

Shape Softmax::setup(std::string_view, Shape in) { return in; }

// in (N, C, H, W) -> out (N, C, H, W)
void Softmax::forward(const Tensor& in, Tensor& out, Pass&) {
  out.resize(in.shape());
  const Index C = in.shape().C, plane = in.shape().plane();
  parallel_for(in.shape().N, [&](Index n, int) {
    for (Index i = 0; i < plane; ++i) {
      const float* x = in.image(n) + i;
      float* y = out.image(n) + i;
      float largest = x[0];
      for (Index c = 1; c < C; ++c) largest = std::max(largest, x[c * plane]);
      double sum = 0;
      for (Index c = 0; c < C; ++c) sum += static_cast<double>(y[c * plane] = std::exp(x[c * plane] - largest));
      for (Index c = 0; c < C; ++c) y[c * plane] = static_cast<float>(static_cast<double>(y[c * plane]) / sum);
    }
  });
}

// p = softmax(in):  din = p (dout - sum over the channels of dout p)
void Softmax::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  if (!din) return;
  Tensor& p = pass.work->input;
  forward(in, p, pass);
  din->resize(in.shape());
  const Index C = in.shape().C, plane = in.shape().plane();
  parallel_for(in.shape().N, [&](Index n, int) {
    for (Index i = n * in.shape().image(); i < n * in.shape().image() + plane; ++i) {
      double sum = 0;
      for (Index c = 0; c < C; ++c)
        sum += static_cast<double>(dout[i + c * plane]) * static_cast<double>(p[i + c * plane]);
      for (Index c = 0; c < C; ++c)
        (*din)[i + c * plane] = p[i + c * plane] * (dout[i + c * plane] - static_cast<float>(sum));
    }
  });
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

/// The softmax of C numbers, and the logarithm of the sum of their exponentials.
double softmax(const float* x, float* p, Index C) {
  const float largest = *std::max_element(x, x + C);
  double sum = 0;
  for (Index c = 0; c < C; ++c) sum += p[c] = std::exp(x[c] - largest);
  for (Index c = 0; c < C; ++c) p[c] = static_cast<float>(p[c] / sum);
  return std::log(sum) + largest;
}

}  // namespace

// logits (N, C) -> probabilities (N, C), mean of -log p(label)
double SoftmaxLoss::forward(const Tensor& logits, std::span<const int> labels) {
  check_labels("softmax loss", logits.shape(), labels);
  probabilities.resize(logits.shape());
  double loss = 0;
  for (Index n = 0; n < logits.shape().N; ++n) {
    const float* x = logits.image(n);
    const double log_sum = softmax(x, probabilities.image(n), logits.shape().image());
    loss += log_sum - static_cast<double>(x[labels[static_cast<std::size_t>(n)]]);
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

// sum of t (log t - log p), t and p the softmax of what is wanted and of the logits
double DivergenceLoss::forward(const Tensor& logits, const Tensor& wanted_logits) {
  check(logits.shape() == wanted_logits.shape() && logits.size() > 0, "divergence loss",
        "logits of shape " + to_string(logits.shape()) + " for wanted ones of " + to_string(wanted_logits.shape()),
        "give it equal shapes");
  found.resize(logits.shape());
  wanted.resize(logits.shape());
  double loss = 0;
  for (Index n = 0; n < logits.shape().N; ++n) {
    const Index C = logits.shape().image();
    const float *x = logits.image(n), *y = wanted_logits.image(n);
    const double log_found = softmax(x, found.image(n), C), log_wanted = softmax(y, wanted.image(n), C);
    for (Index c = 0; c < C; ++c) {
      const double more = (static_cast<double>(y[c]) - log_wanted) - (static_cast<double>(x[c]) - log_found);
      loss += static_cast<double>(wanted.image(n)[c]) * more;
    }
  }
  return loss / logits.shape().N;
}

// dlogits = (p - t) / N
void DivergenceLoss::backward(Tensor& dlogits) const {
  dlogits.resize(found.shape());
  const float scale = 1 / static_cast<float>(std::max(found.shape().N, 1));
  for (Index i = 0; i < dlogits.size(); ++i) dlogits[i] = (found[i] - wanted[i]) * scale;
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
