// SPDX-License-Identifier: MIT
// Normalization: local response, batch, and the scale that follows it.
#include <algorithm>
#include <cmath>
#include <string>

#include "cnn/check.hpp"
#include "cnn/layers.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

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

/// Calls body(c, offset) for the planes of all channels of a batch; those of a channel in order, on one thread.
template <class F>
void each_channel(Shape shape, F&& body) {
  parallel_for(shape.C, [&](Index c, int) {
    for (Index n = 0; n < shape.N; ++n) body(c, n * shape.image() + c * shape.plane());
  });
}

/// y = a x + b of each channel; in and out may be one tensor.
template <class F>
void each_affine(const Tensor& in, Tensor& out, F&& factors) {
  out.resize(in.shape());
  const Index plane = in.shape().plane();
  each_channel(in.shape(), [&](Index c, Index at) {
    const auto [a, b] = factors(c);
    const float* x = in.data() + at;
    float* y = out.data() + at;
    for (Index i = 0; i < plane; ++i) y[i] = a * x[i] + b;
  });
}

struct Affine {
  float a, b;
};

}  // namespace

Shape Lrn::setup(std::string_view name, Shape in) {
  check(size > 0 && size % 2 == 1, name, "size is " + std::to_string(size), "choose an odd number");
  check(k > 0 && alpha >= 0, name, "k is " + std::to_string(k) + " and alpha is " + std::to_string(alpha),
        "choose k above 0 and alpha 0 or more");
  return in;
}

// in (N, C, H, W) -> out (N, C, H, W)
void Lrn::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const float* values = trimmed_input(in, formats, pass);
  out.resize(in.shape());
  reserve(*pass.work, in.shape());
  const Index size_of_image = in.shape().image();
  const float a = alpha / region_size(*this);
  parallel_for(in.shape().N, [&](Index n, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const float* x = values + n * size_of_image;
    float *squares = scratch.tile.data(), *sums = scratch.columns.data(), *y = out.image(n);
    for (Index i = 0; i < size_of_image; ++i) squares[i] = x[i] * x[i];
    sum_regions(*this, in.shape(), squares, sums);
    for (Index i = 0; i < size_of_image; ++i) y[i] = x[i] * inverse_power(k + a * sums[i], beta);
    finish_rows(Matrix<float>(y, in.shape().C, in.shape().plane()), formats, pass);
  });
}

// s = k + a * sum of in^2:  din = dout s^-beta - 2 a beta in * (sum over the region of dout in s^(-beta - 1))
void Lrn::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  if (!din) return;
  const float* values = trimmed_input(in, formats, pass);
  din->resize(in.shape());
  reserve(*pass.work, in.shape());
  const Index size_of_image = in.shape().image();
  const float a = alpha / region_size(*this);
  parallel_for(in.shape().N, [&](Index n, int worker) {
    Workspace::PerThread& scratch = pass.work->threads[static_cast<std::size_t>(worker)];
    const float *x = values + n * size_of_image, *dy = dout.image(n);
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

Shape BatchNorm::setup(std::string_view name, Shape in) {
  check(epsilon > 0, name, "epsilon is " + std::to_string(epsilon), "choose a number above 0");
  check(moving_average_fraction >= 0 && moving_average_fraction <= 1, name,
        "moving_average_fraction is " + std::to_string(moving_average_fraction), "choose a number in [0, 1]");
  const auto allocate = [&](std::string_view what, Tensor& tensor, Shape shape) {
    if (tensor.empty()) tensor = Tensor(shape);
    check(tensor.shape() == shape, name, std::string(what) + " has shape " + to_string(tensor.shape()),
          "this input needs " + to_string(shape));
  };
  allocate("mean", mean, {in.C, 1, 1, 1});
  allocate("variance", variance, {in.C, 1, 1, 1});
  allocate("scale_factor", scale_factor, {1, 1, 1, 1});
  return in;
}

// in (N, C, H, W) -> out (N, C, H, W)
void BatchNorm::forward(const Tensor& in, Tensor& out, Pass& pass) {
  const Shape shape = in.shape();
  used_mean.resize(mean.shape());
  used_inverse.resize(mean.shape());
  const auto inverse = [&](double v) { return static_cast<float>(1 / std::sqrt(v + static_cast<double>(epsilon))); };
  if (pass.phase.training && batch_statistics) {
    const double count = static_cast<double>(shape.N) * static_cast<double>(shape.plane());
    const double unbiased = count > 1 ? count / (count - 1) : 1;
    parallel_for(shape.C, [&](Index c, int) {
      double sum = 0, squares = 0;
      const auto each = [&](auto&& body) {
        for (Index n = 0; n < shape.N; ++n) {
          const float* x = in.image(n) + c * shape.plane();
          for (Index i = 0; i < shape.plane(); ++i) body(static_cast<double>(x[i]));
        }
      };
      each([&](double x) { sum += x; });
      const double center = sum / count;
      each([&](double x) { squares += (x - center) * (x - center); });
      used_mean[c] = static_cast<float>(center);
      used_inverse[c] = inverse(squares / count);
      mean[c] = moving_average_fraction * mean[c] + used_mean[c];
      variance[c] = moving_average_fraction * variance[c] + static_cast<float>(unbiased * squares / count);
    });
    scale_factor[0] = moving_average_fraction * scale_factor[0] + 1;
  } else {
    const float scale = scale_factor[0] == 0 ? 0 : 1 / scale_factor[0];
    for (Index c = 0; c < shape.C; ++c) {
      used_mean[c] = mean[c] * scale;
      used_inverse[c] = inverse(static_cast<double>(variance[c] * scale));
    }
  }
  const Index plane = shape.plane();
  out.resize(shape);
  each_channel(shape, [&](Index c, Index at) {
    const float *x = in.data() + at, center = used_mean[c], factor = used_inverse[c];
    float* y = out.data() + at;
    for (Index i = 0; i < plane; ++i) y[i] = (x[i] - center) * factor;
  });
}

// x' = (in - mean) inverse:  din = inverse (dout - mean of dout - x' * mean of dout x'), the means over the batch;
// with the statistics of the past, which do not move with the batch, din = inverse dout
void BatchNorm::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass) {
  if (!din) return;
  const Shape shape = in.shape();
  if (!pass.phase.training || !batch_statistics) {
    return each_affine(dout, *din, [&](Index c) { return Affine{used_inverse[c], 0}; });
  }
  din->resize(shape);
  const double count = static_cast<double>(shape.N) * static_cast<double>(shape.plane());
  parallel_for(shape.C, [&](Index c, int) {
    const float center = used_mean[c], factor = used_inverse[c];
    const auto each = [&](auto&& body) {
      for (Index n = 0; n < shape.N; ++n) {
        const Index at = n * shape.image() + c * shape.plane();
        for (Index i = at; i < at + shape.plane(); ++i) body(i, (in[i] - center) * factor);
      }
    };
    double sum = 0, products = 0;
    each([&](Index i, float x) {
      sum += static_cast<double>(dout[i]);
      products += static_cast<double>(dout[i]) * static_cast<double>(x);
    });
    const auto a = static_cast<float>(sum / count), b = static_cast<float>(products / count);
    each([&](Index i, float x) { (*din)[i] = factor * (dout[i] - a - x * b); });
  });
}

Shape Scale::setup(std::string_view name, Shape in) {
  setup_parameter(name, "weight", weight, {in.C, 1, 1, 1}, 1);
  if (has_bias) setup_parameter(name, "bias", bias, {in.C, 1, 1, 1});
  return in;
}

// in (N, C, H, W), weight (C), bias (C) -> out (N, C, H, W)
void Scale::forward(const Tensor& in, Tensor& out, Pass&) {
  each_affine(in, out, [&](Index c) { return Affine{weight.value()[c], has_bias ? bias.value()[c] : 0}; });
}

// in (N, C, H, W), dout (N, C, H, W) -> weight.gradient (C), bias.gradient (C), din (N, C, H, W)
void Scale::backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass&) {
  const Shape shape = in.shape();
  weight.gradient.resize(weight.value().shape());
  if (has_bias) bias.gradient.resize(bias.value().shape());
  parallel_for(shape.C, [&](Index c, int) {
    double sum = 0, products = 0;
    for (Index n = 0; n < shape.N; ++n) {
      const Index at = n * shape.image() + c * shape.plane();
      for (Index i = at; i < at + shape.plane(); ++i) {
        sum += static_cast<double>(dout[i]);
        products += static_cast<double>(dout[i]) * static_cast<double>(in[i]);
      }
    }
    weight.gradient[c] = static_cast<float>(products);
    if (has_bias) bias.gradient[c] = static_cast<float>(sum);
  });
  if (din) each_affine(dout, *din, [&](Index c) { return Affine{weight.value()[c], 0}; });
}

}  // namespace cnn
