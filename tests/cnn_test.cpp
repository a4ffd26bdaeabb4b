// SPDX-License-Identifier: MIT
// The reference network: finite differences per layer, a whole-net trace, trimmed layers, solvers, threads.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <ristretto/span.hpp>

#include "catch.hpp"
#include "checks.hpp"
#include "cnn/layers.hpp"
#include "cnn/moments.hpp"
#include "cnn/net.hpp"
#include "cnn/parallel.hpp"
#include "cnn/parameter_file.hpp"
#include "cnn/solver.hpp"

using namespace cnn;
using checks::contains;
using ristretto::AnyFormat;
using ristretto::DynamicFixedPoint;

namespace {

/// Values in [-1, 1], no two closer than 1.5 / size, none within 0.5 / size of zero.
void fill_distinct(Tensor& t, std::uint64_t seed) {
  std::vector<int> order(static_cast<std::size_t>(t.size()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  const ristretto::RandomStream random{.seed = seed};
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.word(i) % i]);
  const auto n = static_cast<double>(t.size());
  for (Index i = 0; i < t.size(); ++i) {
    t[i] = static_cast<float>((2 * order[static_cast<std::size_t>(i)] + 1 - n) / n);
  }
}

Tensor distinct(Shape shape, std::uint64_t seed) {
  Tensor t(shape);
  fill_distinct(t, seed);
  return t;
}

template <class L>
constexpr bool has_parameters = requires(L& layer) { layer.weight; };

template <class L>
void fill_parameters(L& layer) {
  if constexpr (has_parameters<L>) {
    fill_distinct(layer.weight.edit(), 11);
    if (layer.has_bias) fill_distinct(layer.bias.edit(), 12);
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::equal(a.values().begin(), a.values().end(), b.values().begin(), [](float x, float y) {
           return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
         });
}

/// sum of out * coefficients, in double
double weighted(const Tensor& out, const Tensor& coefficients) {
  double sum = 0;
  for (Index i = 0; i < out.size(); ++i) sum += static_cast<double>(out[i]) * static_cast<double>(coefficients[i]);
  return sum;
}

/// The largest difference between `gradient` and central differences of `loss` over the elements of `x`.
double gradient_error(
    Tensor& x, const Tensor& gradient, float h, const std::function<double()>& loss,
    const std::function<void()>& changed = [] {}) {
  double worst = gradient.shape() == x.shape() ? 0 : HUGE_VAL;
  for (Index i = 0; i < x.size() && worst < 1; ++i) {
    const float value = x[i];
    const auto at = [&](float v) {
      x[i] = v;
      changed();
      return loss();
    };
    const double up = at(value + h), down = at(value - h);
    const double difference = (up - down) / (static_cast<double>(value + h) - static_cast<double>(value - h));
    at(value);
    worst = std::max(worst, std::abs(difference - static_cast<double>(gradient[i])));
  }
  return worst;
}

/// Compares backward with finite differences of forward, for the input and all parameters.
template <class L>
void check_gradients(L layer, Shape in_shape, float h) {
  Workspace work;
  Pass pass{{.training = true, .seed = 5, .step = 3}, &work};
  const Shape out_shape = layer.setup("layer", in_shape);
  fill_parameters(layer);
  Tensor in = distinct(in_shape, 1), out, din;
  const Tensor dout = distinct(out_shape, 2);
  const auto loss = [&] {
    layer.forward(in, out, pass);
    return weighted(out, dout);
  };
  loss();
  REQUIRE(out.shape() == out_shape);
  layer.backward(in, dout, &din, pass);
  CHECK(gradient_error(in, din, h, loss) < 2e-3);
  if constexpr (has_parameters<L>) {
    const Tensor dweight = layer.weight.gradient, dbias = layer.bias.gradient;
    CHECK(gradient_error(layer.weight.edit(), dweight, h, loss) < 2e-3);
    if (layer.has_bias) CHECK(gradient_error(layer.bias.edit(), dbias, h, loss) < 2e-3);
    layer.backward(in, dout, nullptr, pass);  // without din the rest is the same
    CHECK(same_bits(layer.weight.gradient, dweight));
  }
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

/// Two kinds of images: bright in the upper or in the lower half.
void make_toy(Tensor& images, std::vector<int>& labels) {
  images = distinct({32, 1, 8, 8}, 9);
  labels.resize(32);
  for (Index n = 0; n < 32; ++n) {
    labels[static_cast<std::size_t>(n)] = static_cast<int>(n % 2);
    for (Index i = 0; i < 32; ++i) images.image(n)[n % 2 * 32 + i] += 0.5f;
  }
}

Net toy_net() {
  Net net({1, 1, 8, 8});
  net.add("conv", Convolution{.filters = 4, .kernel = {3, 3}, .pad = {1, 1}});
  net.add("relu", Relu{});
  net.add("pool", Pooling{.kernel = {2, 2}, .stride = {2, 2}});
  net.add("ip", InnerProduct{.outputs = 2});
  initialize(net, 1);
  return net;
}

const AnyFormat fixed8 = DynamicFixedPoint<>{2, 6};
const AnyFormat fixed4 = DynamicFixedPoint<>{1, 3};

}  // namespace

TEST_CASE("gradients of convolution") {
  const float h = 0.0625f;  // linear in every argument
  check_gradients(Convolution{.filters = 3, .kernel = {3, 3}}, {2, 2, 5, 6}, h);
  check_gradients(Convolution{.filters = 3, .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 1}}, {3, 2, 6, 5}, h);
  check_gradients(Convolution{.filters = 4, .kernel = {3, 3}, .stride = {2, 2}, .pad = {2, 2}, .groups = 2},
                  {2, 4, 5, 5}, h);
  check_gradients(Convolution{.filters = 6, .kernel = {2, 3}, .pad = {0, 1}, .groups = 3, .has_bias = false},
                  {5, 3, 4, 9}, h);
  check_gradients(Convolution{.filters = 3, .kernel = {1, 1}}, {3, 4, 3, 3}, h);
  check_gradients(Convolution{.filters = 3, .kernel = {1, 1}, .groups = 3}, {2, 6, 8, 9},
                  h);  // reads its input directly
  check_gradients(Convolution{.filters = 2, .kernel = {1, 1}, .stride = {2, 2}}, {2, 3, 5, 5}, h);
  check_gradients(Convolution{.filters = 2, .kernel = {5, 5}, .pad = {4, 4}}, {1, 1, 2, 2}, h);
  check_gradients(Convolution{.filters = 1, .kernel = {1, 7}, .pad = {0, 3}}, {2, 1, 3, 3}, h);
}

TEST_CASE("gradients of convolution cut into bands") {
  check_gradients(Convolution{.filters = 1, .kernel = {3, 3}, .pad = {1, 1}}, {2, 1, 40, 33}, 0.0625f);
  check_gradients(Convolution{.filters = 2, .kernel = {1, 1}}, {1, 1, 40, 33}, 0.0625f);
}

TEST_CASE("gradients of dilated convolution") {
  check_gradients(Convolution{.filters = 2, .kernel = {3, 2}, .pad = {2, 1}, .dilation = {2, 3}}, {3, 2, 6, 7},
                  0.0625f);
  check_gradients(
      Convolution{.filters = 4, .kernel = {3, 3}, .stride = {2, 2}, .pad = {3, 3}, .dilation = {3, 2}, .groups = 2},
      {2, 2, 7, 6}, 0.0625f);
}

TEST_CASE("gradients of deconvolution") {
  const float h = 0.0625f;
  check_gradients(Deconvolution{.filters = 3, .kernel = {3, 3}}, {2, 2, 4, 5}, h);
  check_gradients(Deconvolution{.filters = 2, .kernel = {4, 3}, .stride = {2, 3}, .pad = {1, 0}}, {3, 3, 4, 3}, h);
  check_gradients(Deconvolution{.filters = 4, .kernel = {3, 2}, .pad = {1, 1}, .dilation = {2, 3}, .groups = 2},
                  {2, 4, 3, 4}, h);
  check_gradients(Deconvolution{.filters = 2, .kernel = {1, 1}, .groups = 2, .has_bias = false}, {2, 4, 8, 9}, h);
  check_gradients(Deconvolution{.filters = 1, .kernel = {2, 2}}, {2, 1, 33, 40}, h);  // in bands, which overlap
}

TEST_CASE("gradients of inner product") {
  check_gradients(InnerProduct{.outputs = 5}, {3, 2, 3, 4}, 0.0625f);
  check_gradients(InnerProduct{.outputs = 1, .has_bias = false}, {1, 7, 1, 1}, 0.0625f);
  check_gradients(InnerProduct{.outputs = 131}, {2, 3, 1, 1}, 0.0625f);
}

TEST_CASE("gradients of pooling") {
  using enum Pooling::Method;
  for (const auto method : {max, average}) {
    const float h = 1.0f / 256;  // less than half the distance of two values, so the maximum stays where it is
    const auto pool = [&](Extent kernel, Extent stride, Extent pad) {
      return Pooling{.method = method, .kernel = kernel, .stride = stride, .pad = pad};
    };
    check_gradients(pool({2, 2}, {2, 2}, {0, 0}), {2, 2, 6, 6}, h);
    check_gradients(pool({3, 3}, {2, 2}, {0, 0}), {1, 2, 6, 8}, h);  // the last windows hang over
    check_gradients(pool({3, 2}, {2, 3}, {1, 1}), {2, 1, 6, 7}, h);
    check_gradients(pool({3, 3}, {1, 1}, {1, 1}), {1, 2, 5, 5}, h);  // windows overlap
    check_gradients(pool({2, 2}, {3, 3}, {0, 0}), {1, 1, 7, 9}, h);  // and some values are in none
    check_gradients(Pooling{.method = method, .global = true}, {3, 2, 4, 5}, h);
  }
}

TEST_CASE("gradients of relu, dropout and normalization") {
  check_gradients(Relu{}, {2, 3, 4, 4}, 1.0f / 256);
  check_gradients(Dropout{.ratio = 0.4f, .number = 7}, {2, 3, 4, 4}, 0.0625f);
  check_gradients(Lrn{.size = 5, .alpha = 2, .beta = 0.75f}, {2, 7, 2, 3}, 0.01f);
  check_gradients(Lrn{.size = 3, .alpha = 1, .beta = 0.5f, .k = 2}, {1, 2, 3, 3}, 0.01f);
  check_gradients(Lrn{.size = 3, .alpha = 5, .region = Lrn::Region::within_channel}, {2, 2, 4, 5}, 0.01f);
}

TEST_CASE("gradients of activations, batch normalization and scale") {
  check_gradients(Relu{.negative_slope = 0.25f}, {2, 3, 4, 4}, 1.0f / 256);
  check_gradients(Sigmoid{}, {2, 3, 4, 4}, 0.01f);
  check_gradients(Tanh{}, {2, 3, 4, 4}, 0.01f);
  check_gradients(Softmax{}, {2, 5, 2, 3}, 0.01f);
  check_gradients(Flatten{}, {2, 3, 2, 3}, 0.0625f);
  check_gradients(BatchNorm{.epsilon = 0.01f}, {3, 2, 4, 3}, 0.01f);
  check_gradients(BatchNorm{.epsilon = 0.01f, .batch_statistics = false}, {3, 2, 4, 3}, 0.001f);
  check_gradients(Scale{}, {3, 2, 4, 3}, 0.0625f);
  check_gradients(Scale{.has_bias = true}, {2, 5, 1, 1}, 0.0625f);
}

TEST_CASE("gradients of elementwise operations") {
  Workspace work;
  Pass pass{{.training = true}, &work};
  using enum Eltwise::Operation;
  for (const Eltwise& settings : {Eltwise{}, Eltwise{.coefficients = {0.5f, -2, 1}}, Eltwise{.operation = product},
                                  Eltwise{.operation = Eltwise::Operation::max}}) {
    Eltwise layer = settings;
    const Tensor all = distinct({3, 2, 3, 4}, 1);  // no two values alike, so the maximum stays where it is
    Tensor x[3], out, din;
    for (int k = 0; k < 3; ++k) {
      x[k] = Tensor({1, 2, 3, 4});
      std::copy_n(all.image(k), x[k].size(), x[k].data());
    }
    const std::vector<const Tensor*> ins{&x[0], &x[1], &x[2]};
    CHECK(layer.setup("layer", std::vector(3, x[0].shape())) == x[0].shape());
    const Tensor dout = distinct(x[0].shape(), 2);
    const auto loss = [&] {
      layer.forward(ins, out, pass);
      return weighted(out, dout);
    };
    for (std::size_t k = 0; k < 3; ++k) {
      layer.backward(ins, dout, k, din);
      CHECK(gradient_error(x[k], din, 1.0f / 256, loss) < 2e-3);
    }
  }
}

namespace {

/// Element (n, c, y, x), 0 outside.
double at(const Tensor& t, Index n, Index c, Index y, Index x) {
  const Shape s = t.shape();
  return y < 0 || x < 0 || y >= s.H || x >= s.W ? 0 : static_cast<double>(t.image(n)[(c * s.H + y) * s.W + x]);
}

/// The output of a layer with parameters that are not all alike, in the shape that its setup promises.
template <class L>
Tensor output_of(L& layer, const Tensor& in) {
  Workspace work;
  Pass pass{{}, &work};
  const Shape promised = layer.setup("layer", in.shape());
  fill_parameters(layer);
  Tensor out;
  layer.forward(in, out, pass);
  REQUIRE(out.shape() == promised);
  return out;
}

}  // namespace

TEST_CASE("convolution agrees with its definition") {
  const auto check_layer = [](Convolution layer, Shape shape) {
    const Tensor in = distinct(shape, 1), out = output_of(layer, in);
    const Shape out_shape = out.shape();
    double worst = 0;
    const Tensor& w = layer.weight.value();
    const int C = shape.C / layer.groups, K = layer.filters / layer.groups;
    for (int n = 0; n < shape.N; ++n) {
      for (int k = 0; k < layer.filters; ++k) {
        for (int y = 0; y < out_shape.H; ++y) {
          for (int x = 0; x < out_shape.W; ++x) {
            double sum = layer.has_bias ? static_cast<double>(layer.bias.value()[k]) : 0;
            for (int c = 0; c < C; ++c) {
              for (int r = 0; r < layer.kernel.h; ++r) {
                for (int s = 0; s < layer.kernel.w; ++s) {
                  sum += at(w, k, c, r, s) * at(in, n, k / K * C + c,
                                                y * layer.stride.h - layer.pad.h + r * layer.dilation.h,
                                                x * layer.stride.w - layer.pad.w + s * layer.dilation.w);
                }
              }
            }
            worst = std::max(worst, std::abs(sum - at(out, n, k, y, x)));
          }
        }
      }
    }
    INFO(to_string(shape));
    CHECK(worst < 1e-5 * static_cast<double>(w.shape().image()));
  };
  check_layer({.filters = 5, .kernel = {3, 3}, .pad = {1, 1}}, {3, 4, 14, 13});
  check_layer({.filters = 19, .kernel = {3, 3}, .stride = {2, 2}}, {2, 3, 37, 40});
  check_layer({.filters = 9, .kernel = {7, 7}, .stride = {2, 2}}, {2, 3, 31, 31});
  check_layer({.filters = 4, .kernel = {3, 2}, .stride = {1, 2}, .pad = {2, 3}, .dilation = {2, 4}}, {3, 2, 11, 12});
  check_layer({.filters = 6, .kernel = {3, 3}, .pad = {4, 4}, .dilation = {4, 4}, .groups = 2}, {2, 4, 5, 60});
  check_layer({.filters = 17, .kernel = {1, 1}}, {2, 30, 15, 15});
  check_layer({.filters = 3, .kernel = {1, 1}, .pad = {1, 1}, .has_bias = false}, {5, 2, 6, 6});
  check_layer({.filters = 8, .kernel = {1, 1}, .stride = {2, 3}}, {1, 600, 9, 9});
  check_layer({.filters = 8, .kernel = {5, 5}, .groups = 4}, {70, 8, 5, 6});
  check_layer({.filters = 2, .kernel = {3, 3}, .pad = {1, 1}}, {1, 1, 3, 1100});
}

TEST_CASE("deconvolution agrees with its definition") {
  const auto check_layer = [](Deconvolution layer, Shape shape) {
    const Tensor in = distinct(shape, 1), out = output_of(layer, in);
    const Shape out_shape = out.shape();
    std::vector<double> expected(static_cast<std::size_t>(out.size()));
    const int C = shape.C / layer.groups, K = layer.filters / layer.groups;
    for (Index i = 0; i < out.size(); ++i) {
      const Index k = i / out_shape.plane() % layer.filters;
      expected[static_cast<std::size_t>(i)] = layer.has_bias ? static_cast<double>(layer.bias.value()[k]) : 0;
    }
    for (int n = 0; n < shape.N; ++n) {
      for (int c = 0; c < shape.C; ++c) {
        for (int i = 0; i < shape.H * shape.W; ++i) {
          for (int j = 0; j < K * layer.kernel.h * layer.kernel.w; ++j) {
            const int k = j / (layer.kernel.h * layer.kernel.w), r = j / layer.kernel.w % layer.kernel.h;
            const int y = i / shape.W * layer.stride.h - layer.pad.h + r * layer.dilation.h;
            const int x = i % shape.W * layer.stride.w - layer.pad.w + j % layer.kernel.w * layer.dilation.w;
            if (y < 0 || x < 0 || y >= out_shape.H || x >= out_shape.W) continue;
            const Index filter = c / C * K + k;
            expected[static_cast<std::size_t>(n * out_shape.image() + (filter * out_shape.H + y) * out_shape.W + x)] +=
                at(in, n, c, i / shape.W, i % shape.W) * at(layer.weight.value(), c, k, r, j % layer.kernel.w);
          }
        }
      }
    }
    double worst = 0;
    for (Index i = 0; i < out.size(); ++i) {
      worst = std::max(worst, std::abs(expected[static_cast<std::size_t>(i)] - static_cast<double>(out[i])));
    }
    CHECK(worst < 1e-4);
  };
  check_layer({.filters = 3, .kernel = {2, 3}, .stride = {2, 2}}, {2, 4, 5, 6});
  check_layer({.filters = 4, .kernel = {4, 4}, .stride = {2, 2}, .pad = {1, 1}, .groups = 2}, {3, 6, 7, 5});
  check_layer({.filters = 2, .kernel = {3, 2}, .pad = {1, 2}, .dilation = {2, 3}, .has_bias = false}, {1, 2, 30, 40});
  check_layer({.filters = 5, .kernel = {1, 1}}, {2, 3, 30, 40});
  CHECK(Deconvolution{.filters = 21, .kernel = {16, 16}, .stride = {8, 8}, .pad = {4, 4}}.output_shape({1, 21, 7, 9}) ==
        Shape{1, 21, 56, 72});
}

TEST_CASE("activations, softmax and scale have their values") {
  Workspace work;
  Pass pass{{}, &work};
  Tensor in({1, 2, 1, 2}), out;
  in[0] = -2, in[1] = 0, in[2] = 1, in[3] = 100;
  const auto values = [&](auto layer) {
    layer.setup("layer", in.shape());
    layer.forward(in, out, pass);
    Tensor same = in;
    layer.forward(same, same, pass);  // in place
    CHECK(same_bits(same, out));
    return std::vector<double>(out.values().begin(), out.values().end());
  };
  const auto y = values(Sigmoid{});
  CHECK(y[0] == Approx(1 / (1 + std::exp(2.0))));
  CHECK(y[1] == 0.5);
  CHECK(y[3] == 1);
  CHECK(values(Tanh{})[2] == Approx(std::tanh(1.0)));
  CHECK(values(Relu{.negative_slope = 0.5f}) == std::vector<double>{-1, 0, 1, 100});
  const auto p = values(Softmax{});  // over the two channels of each position
  CHECK(p[0] == Approx(1 / (1 + std::exp(3.0))));
  CHECK(p[0] + p[2] == Approx(1));
  CHECK(p[1] < 1e-30);
  CHECK(p[3] == 1);
  Scale scale{.has_bias = true};
  scale.setup("scale", in.shape());
  CHECK(scale.weight.value()[1] == 1);
  scale.weight.edit()[1] = 3;
  scale.bias.edit()[0] = 0.5f;
  CHECK(values(scale) == std::vector<double>{-1.5, 0.5, 3, 300});
  values(Flatten{});
  CHECK(out.shape() == Shape{1, 4, 1, 1});

  Eltwise sum{.coefficients = {2, -1}};
  const std::vector<const Tensor*> ins{&in, &in};
  sum.forward(ins, out, pass);
  CHECK(same_bits(out, in));
}

TEST_CASE("batch normalization keeps the statistics as Caffe does") {
  Workspace work;
  Pass training{{.training = true}, &work}, inference{{}, &work};
  BatchNorm layer{.epsilon = 0, .moving_average_fraction = 0.5f};
  CHECK(contains(message_of([&] { layer.setup("norm", {1, 1, 1, 2}); }), "epsilon"));
  layer.epsilon = 1e-5f;
  layer.setup("norm", {1, 1, 1, 2});
  Tensor in({1, 1, 1, 2}), out;
  in[0] = 1, in[1] = 5;
  layer.forward(in, out, training);  // mean 3, variance 4, unbiased 8
  CHECK(out[0] == Approx(-1));
  CHECK(out[1] == Approx(1));
  in[0] = 2, in[1] = 4;
  layer.forward(in, out, training);  // mean 3, unbiased 2
  CHECK(layer.scale_factor[0] == 1.5f);
  CHECK(layer.mean[0] == 4.5f);
  CHECK(layer.variance[0] == 6);
  layer.forward(in, out, inference);  // mean 3, variance 4
  CHECK(out[0] == Approx(-0.5));
  layer.batch_statistics = false;
  layer.forward(in, out, training);
  CHECK(out[0] == Approx(-0.5));
  CHECK(layer.scale_factor[0] == 1.5f);
}

TEST_CASE("local response normalization trims its input and output") {
  Workspace work;
  Pass pass{{}, &work};
  const Tensor in = distinct({2, 5, 3, 4}, 1);
  Tensor expected, out;
  Lrn plain{.size = 3, .alpha = 0.5f},
      with_formats{.size = 3, .alpha = 0.5f, .formats = {.input = fixed4, .output = fixed8}};
  Tensor rounded = in;
  ristretto::trim(rounded.values(), ristretto::Trimmer{fixed4});
  plain.forward(rounded, expected, pass);
  ristretto::trim(expected.values(), ristretto::Trimmer{fixed8});
  with_formats.forward(in, out, pass);
  CHECK(same_bits(out, expected));
  pass.phase = {.training = true, .trim_activations = false};
  with_formats.forward(in, out, pass);
  plain.forward(in, expected, pass);
  CHECK(same_bits(out, expected));
}

TEST_CASE("concat joins channels and splits gradients") {
  Workspace work;
  Pass pass{{}, &work};
  Concat concat;
  const Tensor a = distinct({2, 1, 2, 3}, 1), b = distinct({2, 3, 2, 3}, 2);
  CHECK(concat.setup("concat", std::vector{a.shape(), b.shape()}) == Shape{2, 4, 2, 3});
  const std::vector<const Tensor*> ins{&a, &b};
  Tensor out, da(a.shape()), db(b.shape());
  concat.forward(ins, out, pass);
  CHECK(out.image(1)[5] == a.image(1)[5]);
  CHECK(out.image(1)[6] == b.image(1)[0]);
  concat.backward(out, 0, da, pass);
  concat.backward(out, 1, db, pass);
  CHECK(same_bits(a, da));
  CHECK(same_bits(b, db));
}

TEST_CASE("gradient and value of the softmax loss") {
  SoftmaxLoss loss;
  Tensor logits = distinct({3, 4, 1, 1}, 4), dlogits;
  const std::vector<int> labels{3, 0, 1};
  const auto value = [&] { return loss.forward(logits, labels); };
  value();
  loss.backward(labels, dlogits);
  const Tensor gradient = dlogits;
  CHECK(gradient_error(logits, gradient, 0.01f, value) < 1e-4);

  Tensor two({1, 2, 1, 1});
  two[1] = 1000;  // no overflow
  CHECK(loss.forward(two, std::vector{0}) == Approx(1000));
  two[1] = std::log(3.0f);
  CHECK(loss.forward(two, std::vector{1}) == Approx(std::log(4.0 / 3)));
  CHECK_THROWS_AS(loss.forward(two, std::vector{2}), std::invalid_argument);
  CHECK_THROWS_AS(loss.forward(two, std::vector{0, 1}), std::invalid_argument);
}

TEST_CASE("gradient and value of the divergence loss") {
  DivergenceLoss loss;
  Tensor logits = distinct({3, 4, 1, 1}, 4), dlogits;
  const Tensor wanted = distinct({3, 4, 1, 1}, 5);
  const auto value = [&] { return loss.forward(logits, wanted); };
  value();
  loss.backward(dlogits);
  const Tensor gradient = dlogits;
  CHECK(gradient_error(logits, gradient, 0.01f, value) < 1e-4);
  CHECK(loss.forward(wanted, wanted) == Approx(0).margin(1e-7));

  Tensor two({1, 2, 1, 1}), even({1, 2, 1, 1});
  two[1] = std::log(3.0f);
  CHECK(loss.forward(even, two) == Approx(0.25 * std::log(0.5) + 0.75 * std::log(1.5)));
  two[1] = 1000;  // no overflow
  CHECK(loss.forward(even, two) == Approx(std::log(2.0)));
  CHECK_THROWS_AS(loss.forward(even, logits), std::invalid_argument);
}

TEST_CASE("accuracy counts ties for the first class and never counts NaN") {
  Tensor logits({1, 4, 1, 1});
  const auto correct = [&](std::vector<float> x, int label, int k) {
    std::copy(x.begin(), x.end(), logits.data());
    return count_correct(logits, std::vector{label}, k);
  };
  CHECK(correct({1, 3, 2, 0}, 1, 1) == 1);
  CHECK(correct({1, 3, 2, 0}, 2, 1) == 0);
  CHECK(correct({1, 3, 2, 0}, 2, 2) == 1);
  CHECK(correct({3, 3, 2, 0}, 0, 1) == 1);
  CHECK(correct({3, 3, 2, 0}, 1, 1) == 0);
  CHECK(correct({NAN, NAN, NAN, NAN}, 0, 4) == 0);
  CHECK(correct({NAN, 1, 0, 0}, 1, 1) == 0);
  CHECK(correct({NAN, 1, 0, 0}, 0, 4) == 0);
  CHECK(correct({0, 1, 0, NAN}, 1, 2) == 1);
}

TEST_CASE("output sizes follow Caffe") {
  const auto pooled = [](int size, int kernel, int stride, int pad) {
    const Pooling p{.kernel = {kernel, kernel}, .stride = {stride, stride}, .pad = {pad, pad}};
    return p.output_shape({1, 1, size, size}).H;
  };
  CHECK(pooled(113, 3, 2, 0) == 56);
  CHECK(pooled(56, 3, 2, 0) == 28);
  CHECK(pooled(28, 3, 2, 0) == 14);
  CHECK(pooled(111, 3, 2, 0) == 55);
  CHECK(pooled(24, 2, 2, 0) == 12);
  CHECK(pooled(5, 2, 2, 0) == 3);  // ceil
  CHECK(pooled(5, 2, 2, 1) == 3);  // ceil says 4, but a fourth window would start in the trailing pad
  CHECK(pooled(4, 2, 2, 1) == 3);
  CHECK(pooled(7, 2, 4, 0) == 2);  // ceil says 3: a third would start at 8
  const Convolution conv1{.filters = 64, .kernel = {3, 3}, .stride = {2, 2}};
  CHECK(conv1.output_shape({1, 3, 227, 227}) == Shape{1, 64, 113, 113});
}

TEST_CASE("the mean divides by the window inside the padded image") {
  Workspace work;
  Pass pass{{}, &work};
  Pooling pool{.method = Pooling::Method::average, .kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
  Tensor in({1, 1, 4, 4}, 1), out;
  pool.forward(in, out, pass);
  REQUIRE(out.shape() == Shape{1, 1, 3, 3});
  CHECK(out[0] == Approx(4.0 / 9));  // begins in the leading pad: 3 x 3 of which 2 x 2 are ones
  CHECK(out[1] == Approx(6.0 / 9));
  CHECK(out[8] == Approx(1.0 / 4));  // [3, 5) x [3, 5): clipped to 2 x 2, one of them inside
}

TEST_CASE("maxima are the same in training and inference") {
  Workspace work;
  Pass training{{.training = true}, &work}, inference{{}, &work};
  const Tensor in = distinct({3, 5, 13, 11}, 6);
  Tensor a, b;
  for (const int pad : {0, 1}) {
    Pooling pool{.kernel = {3, 3}, .stride = {2, 2}, .pad = {pad, pad}};
    pool.forward(in, a, training);
    pool.forward(in, b, inference);
    CHECK(same_bits(a, b));
  }
}

TEST_CASE("relu keeps NaN") {
  Workspace work;
  Pass pass{{}, &work};
  Relu relu;
  Tensor x({1, 3, 1, 1});
  x[0] = -1, x[1] = NAN, x[2] = 2;
  relu.forward(x, x, pass);
  CHECK(x[0] == 0);
  CHECK(std::isnan(x[1]));
  CHECK(x[2] == 2);
}

TEST_CASE("a whole net agrees with an independent computation") {
  // Reference: complex-step derivatives in double precision, which know nothing of backpropagation.
  Net net({1, 2, 6, 6});
  net.add("conv", Convolution{.filters = 4, .kernel = {3, 3}, .pad = {1, 1}, .groups = 2});
  net.add("relu", Relu{});
  net.add("pool1", Pooling{.kernel = {3, 3}, .stride = {2, 2}});
  net.add("norm", Lrn{.size = 3, .alpha = 0.5f});
  net.add("left", Convolution{.filters = 3, .kernel = {1, 1}});
  net.add("right", Convolution{.filters = 2, .kernel = {3, 3}, .pad = {1, 1}}, {"norm"});
  net.add("relu_right", Relu{});
  net.add("concat", Concat{}, {"left", "relu_right"});
  net.add("pool2", Pooling{.method = Pooling::Method::average, .kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}});
  net.add("ip", InnerProduct{.outputs = 3});
  int tensor = 0;
  net.each_parameter([&](const std::string&, Parameter& p) {
    for (Index i = 0; i < p.value().size(); ++i) {
      p.edit()[i] = static_cast<float>((i * 37 + 11 * tensor) % 23 - 11) / 16;
    }
    ++tensor;
  });
  Tensor in({2, 2, 6, 6}), dlogits;
  for (Index i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * 29 % 31 - 15) / 8;
  const std::vector<int> labels{2, 0};

  SoftmaxLoss loss;
  const Tensor& logits = net.forward(in, {.training = true});
  const double expected[] = {-0.482192064, 0.949533163, -0.176792961, -0.449817439, 0.849039855, -0.19653648};
  for (Index i = 0; i < 6; ++i) CHECK(logits[i] == Approx(expected[i]).epsilon(1e-5));
  CHECK(loss.forward(logits, labels) == Approx(1.67848169154).epsilon(1e-6));
  loss.backward(labels, dlogits);
  net.backward(dlogits);

  const double weighted_sums[] = {4.377739935,  0.1319756913,    -4.81750422, -0.4282071644,
                                  -35.78707897, -0.005540924299, 1.306797369, 0.05150209987};
  const double first_values[][3] = {
      {-0.039316608, -0.073278527, -0.007822276}, {0.068746656, -0.0045465167, 0.0036014232},
      {-0.017904542, 0.01844769, -0.035776979},   {-0.010014297, -0.19407499, -0.010014297},
      {0.063438146, 0.064636678, 0.054556303},    {0.11960866, -0.062574793, 0},
      {-0.054140636, -0.059565464, -0.061184976}, {-0.33959709, 0.62769209, -0.28809499}};
  tensor = 0;
  net.each_parameter([&](const std::string& name, Parameter& p) {
    INFO(name);
    double sum = 0;
    for (Index i = 0; i < p.gradient.size(); ++i)
      sum += static_cast<double>(i + 1) * static_cast<double>(p.gradient[i]);
    CHECK(sum == Approx(weighted_sums[tensor]).margin(2e-5).epsilon(1e-5));
    for (Index i = 0; i < std::min(p.gradient.size(), Index{3}); ++i) {
      CHECK(p.gradient[i] == Approx(first_values[tensor][i]).margin(1e-6).epsilon(1e-5));
    }
    ++tensor;
  });
  net.keep_outputs(true);
  const Tensor out = net.forward(in);
  CHECK(same_bits(out, net.output("ip")));
  const auto conv = net.output("conv").values();  // the ReLU behind it works elsewhere
  CHECK(std::any_of(conv.begin(), conv.end(), [](float x) { return x < 0; }));
  CHECK(net.output("norm").shape() == Shape{2, 4, 3, 3});
}

TEST_CASE("the number of threads does not change a bit") {
  Tensor images = distinct({20, 1, 28, 28}, 3);
  std::vector<int> labels(20, 4);
  const auto trained = [&](int threads) {
    set_workers(threads);
    Net net = lenet({1, 1, 28, 28}, 10, 2);
    net.each_trimmed([](Node&, auto& layer) { layer.formats.weight = fixed8; });
    Solver solver = Sgd{.weight_decay = 5e-4};
    for (int i = 0; i < 3; ++i) train(net, solver, images, labels, {.seed = 1, .iteration = i});
    return net;
  };
  const int all = workers();
  const Net one = trained(1), two = trained(2), five = trained(5);
  set_workers(all);
  std::vector<Tensor> reference;
  one.each_parameter([&](const std::string&, const Parameter& p) { reference.push_back(p.value()); });
  for (const Net* net : {&two, &five}) {
    std::size_t i = 0;
    net->each_parameter([&](const std::string&, const Parameter& p) { CHECK(same_bits(p.value(), reference[i++])); });
  }
}

namespace {

/// Branches, every kind of layer, and a relu where a cut may fall.
Net many_layers() {
  Net net({1, 2, 11, 12});
  net.add("conv1", Convolution{.filters = 6, .kernel = {3, 3}, .pad = {2, 2}, .dilation = {2, 2}});
  net.add("norm1", BatchNorm{});
  net.add("scale1", Scale{.has_bias = true});
  net.add("relu1", Relu{.negative_slope = 0.125f});
  net.add("left", Convolution{.filters = 4, .kernel = {1, 1}}, {"relu1"});
  net.add("relu_left", Relu{});
  net.add("right", Convolution{.filters = 3, .kernel = {3, 3}, .pad = {1, 1}}, {"relu1"});
  net.add("concat", Concat{}, {"relu_left", "right"});
  net.add("tanh", Tanh{});
  net.add("up", Deconvolution{.filters = 7, .kernel = {2, 2}, .stride = {2, 2}});
  net.add("down", Pooling{.kernel = {2, 2}, .stride = {2, 2}});
  net.add("sum", Eltwise{.coefficients = {1, 0.5f}}, {"down", "concat"});
  net.add("lrn", Lrn{.size = 3});
  net.add("product", Eltwise{.operation = Eltwise::Operation::product}, {"lrn", "sum"});
  net.add("both", Concat{}, {"product", "sum"});
  net.add("sigmoid", Sigmoid{});
  net.add("drop", Dropout{});
  net.add("flat", Flatten{});
  net.add("ip", InnerProduct{.outputs = 5});
  net.add("prob", Softmax{});
  initialize(net, 3);
  return net;
}

}  // namespace

TEST_CASE("layers of all kinds: threads, kept outputs, memory used again and cuts do not change a bit") {
  const Tensor in = distinct({9, 2, 11, 12}, 4), small = distinct({2, 2, 11, 12}, 5);
  const std::vector<int> labels{0, 1, 2, 3, 4, 0, 1, 2, 3};
  const auto trained = [&](int threads) {
    set_workers(threads);
    Net net = many_layers();
    Solver solver = Sgd{.rate = {.base = 0.1}};
    for (int i = 0; i < 3; ++i) train(net, solver, in, labels, {.seed = 1, .iteration = i});
    return net;
  };
  const int all = workers();
  Net net = trained(1), two = trained(2), five = trained(5);
  const auto check_same = [&](Net& other) {
    std::vector<Tensor> reference;
    net.each_parameter([&](const std::string&, Parameter& p) { reference.push_back(p.value()); });
    net.each_statistic([&](const std::string&, Tensor& t) { reference.push_back(t); });
    std::size_t i = 0;
    other.each_parameter([&](const std::string&, Parameter& p) { CHECK(same_bits(p.value(), reference[i++])); });
    other.each_statistic([&](const std::string&, Tensor& t) { CHECK(same_bits(t, reference[i++])); });
    CHECK(i == reference.size());
  };
  check_same(two);
  check_same(five);
  CHECK(same_bits(net.forward(in), five.forward(in)));
  set_workers(all);
  CHECK(same_bits(net.forward(in), two.forward(in)));

  Net keeps = net;
  keeps.keep_outputs(true);
  const Tensor expected = net.forward(in);
  CHECK(same_bits(keeps.forward(in), expected));
  CHECK(keeps.output("concat").shape() == Shape{9, 7, 11, 12});
  CHECK(same_bits(net.output("prob"), expected));
  CHECK(contains(message_of([&] { net.output("concat"); }), "concat"));
  CHECK_THROWS_AS(net.output("sum"), std::logic_error);

  for (int first = 0; first < static_cast<int>(net.nodes().size()); ++first) {
    INFO(net.nodes()[static_cast<std::size_t>(first)].name);
    Cut cut{.first = first};
    Net a = net, b = net;
    CHECK(same_bits(a.forward(in, cut), expected));
    CHECK(cut.first <= first);
    CHECK(cut.first + 1 >= first);
    CHECK(same_bits(b.forward_from(cut), expected));  // in memory that no pass has set up
    a.forward(small);
    CHECK(same_bits(a.forward_from(cut), expected));

    Net c = net;  // from cut to cut, without what lies behind
    const Cut half = c.cut_at(first / 2, in), rest = c.cut_at(first, half), direct = c.cut_at(first, in);
    CHECK(same_bits(c.input_of(rest), c.input_of(direct)));
    CHECK(same_bits(c.forward_from(rest), expected));
    CHECK(same_bits(c.forward_from(direct), expected));
  }
  CHECK_THROWS_AS(net.cut_at(3, net.cut_at(5, in)), std::invalid_argument);
  CHECK_THROWS_AS(net.cut_at(100, in), std::invalid_argument);

  Cut cut{.first = 9};
  net.forward(in, cut);
  net.layer<Deconvolution>("up").weight.edit()[3] += 1;
  const Tensor changed = net.forward_from(cut);
  CHECK_FALSE(same_bits(changed, expected));
  CHECK(same_bits(net.forward(in), changed));
  Net other = toy_net();
  CHECK_THROWS_AS(other.forward_from(cut), std::invalid_argument);
  cut.first = 100;
  CHECK_THROWS_AS(net.forward(in, cut), std::invalid_argument);
  CHECK_THROWS_AS(net.forward_from(Cut{}), std::invalid_argument);
}

TEST_CASE("an image's output does not depend on its batch") {
  Net net = many_layers();
  const Tensor in = distinct({9, 2, 11, 12}, 4);
  const Tensor all = net.forward(in);
  Tensor one({1, 2, 11, 12});
  for (Index n = 0; n < 9; ++n) {
    std::copy_n(in.image(n), one.size(), one.data());
    const Tensor& out = net.forward(one);
    for (Index c = 0; c < 5; ++c) CHECK(out[c] == Approx(all.image(n)[c]));
  }
}

TEST_CASE("layers whose inputs write into a concat, formats and relus included, compute the same") {
  Net net = squeezenet(SqueezeNet::v1_1, 10, 1);
  const Tensor in = distinct({2, 3, 227, 227}, 1);
  net.each_trimmed([](Node&, auto& layer) {
    layer.formats = {.input = DynamicFixedPoint<>{4, 4}, .weight = fixed8, .output = DynamicFixedPoint<>{4, 4}};
  });
  Net keeps = net;
  keeps.keep_outputs(true);
  const Tensor expected = keeps.forward(in);
  CHECK(same_bits(net.forward(in), expected));
  CHECK(keeps.output("fire9/concat").shape() == Shape{2, 512, 14, 14});
  const auto position = [&](const std::string& name) {
    const auto nodes = net.nodes();
    return static_cast<int>(std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; }) -
                            nodes.begin());
  };
  for (const char* name : {"fire9/expand3x3", "fire9/relu_expand3x3", "fire9/concat"}) {
    Cut cut{.first = position(name)};
    net.forward(in, cut);
    CHECK(same_bits(net.forward_from(cut), expected));
  }
}

TEST_CASE("training may leave activations in float, and round parameters to nearest") {
  Workspace work;
  InnerProduct layer{.outputs = 10};
  layer.setup("layer", {4, 20, 1, 1});
  fill_parameters(layer);
  layer.formats = {.input = fixed4, .weight = fixed4, .output = fixed4, .training_rounding = {}};
  const Tensor in = distinct({4, 20, 1, 1}, 3);
  Tensor out, expected;
  Pass pass{{.training = true, .seed = 42, .step = 9, .trim_activations = false}, &work};
  layer.forward(in, out, pass);
  layer.formats = {.weight = fixed4};
  pass.phase = {};
  layer.forward(in, expected, pass);
  CHECK(same_bits(out, expected));
}

TEST_CASE("training lowers the loss") {
  Tensor images;
  std::vector<int> labels;
  make_toy(images, labels);
  const auto loss_after = [&](Solver solver, const Formats& formats) {
    Net net = toy_net();
    net.each_trimmed([&](Node&, auto& layer) { layer.formats = formats; });
    for (int i = 0; i < 60; ++i) train(net, solver, images, labels, {.seed = 3, .iteration = i});
    CHECK(count_correct(net.forward(images), labels) == 32);
    return SoftmaxLoss{}.forward(net.forward(images), labels);
  };
  CHECK(loss_after(Sgd{.rate = {.base = 0.05}}, {}) < 0.1);
  CHECK(loss_after(Nesterov{.rate = {.base = 0.05}}, {}) < 0.1);
  CHECK(loss_after(AdaGrad{.rate = {.base = 0.05}}, {}) < 0.1);
  CHECK(loss_after(RmsProp{.rate = {.base = 0.01}}, {}) < 0.1);
  CHECK(loss_after(Adam{.rate = {.base = 0.01}}, {}) < 0.1);
  CHECK(loss_after(
            Sgd{.rate = {.base = 0.05}},
            {.input = fixed8, .weight = fixed4, .bias = fixed8, .output = AnyFormat(DynamicFixedPoint<>{4, 4})}) < 0.2);
}

namespace {

Tensor trimmed(Tensor t, const AnyFormat& format) {
  ristretto::trim(t.values(), ristretto::Trimmer{format, ristretto::RoundNearest{}});
  return t;
}

template <class L>
void check_trimmed_layer(L layer, Shape shape) {
  Workspace work;
  Pass pass{{}, &work};
  const Tensor in = distinct(shape, 1), before = in;
  const Shape out_shape = layer.setup("layer", shape);
  fill_parameters(layer);
  const Tensor weight = layer.weight.value();

  L manual = layer;
  manual.weight.edit() = trimmed(layer.weight.value(), fixed4);
  manual.bias.edit() = trimmed(layer.bias.value(), fixed8);
  Tensor expected, out, din, expected_din;
  manual.forward(trimmed(in, fixed8), expected, pass);
  const Tensor dout = distinct(out_shape, 2);
  manual.backward(trimmed(in, fixed8), dout, &expected_din, pass);

  layer.formats = {.input = fixed8, .weight = fixed4, .bias = fixed8, .output = fixed4};
  layer.forward(in, out, pass);
  CHECK(same_bits(out, trimmed(expected, fixed4)));
  CHECK_FALSE(same_bits(out, expected));
  CHECK(same_bits(in, before));
  CHECK(same_bits(layer.weight.value(), weight));
  layer.backward(in, dout, &din, pass);  // straight through, with what forward computed with
  CHECK(same_bits(din, expected_din));
  CHECK(same_bits(layer.weight.gradient, manual.weight.gradient));

  layer.weight.edit()[0] = 0.5f;  // the copy follows
  manual.weight.edit()[0] = 0.5f;
  layer.forward(in, out, pass);
  manual.forward(trimmed(in, fixed8), expected, pass);
  CHECK(same_bits(out, trimmed(expected, fixed4)));
  layer.formats.weight = fixed8;  // and so does a new format
  layer.forward(in, out, pass);
  manual.weight.edit() = trimmed(layer.weight.value(), fixed8);
  manual.forward(trimmed(in, fixed8), expected, pass);
  CHECK(same_bits(out, trimmed(expected, fixed4)));
}

}  // namespace

TEST_CASE("a trimmed layer is a float layer on trimmed copies") {
  check_trimmed_layer(Convolution{.filters = 4, .kernel = {3, 3}, .pad = {1, 1}, .groups = 2}, {3, 2, 9, 7});
  check_trimmed_layer(Convolution{.filters = 4, .kernel = {1, 1}}, {2, 2, 9, 9});
  check_trimmed_layer(Convolution{.filters = 2, .kernel = {3, 3}}, {2, 2, 40, 40});
  check_trimmed_layer(Convolution{.filters = 20, .kernel = {3, 3}, .stride = {2, 2}, .dilation = {2, 2}},
                      {2, 2, 40, 40});
  check_trimmed_layer(Deconvolution{.filters = 4, .kernel = {3, 3}, .stride = {2, 2}, .groups = 2}, {3, 2, 9, 7});
  check_trimmed_layer(InnerProduct{.outputs = 200}, {3, 2, 9, 7});
}

TEST_CASE("output channels have scales of their own") {
  Workspace work;
  Pass pass{{}, &work};
  const auto check_rows = [&](auto layer, Shape in_shape) {
    layer.setup("layer", in_shape);
    fill_parameters(layer);
    const Tensor in = distinct(in_shape, 3), weight = layer.weight.value();
    layer.formats.weight = fixed4;
    for (int k = 0; k < weight.shape().N; ++k) layer.formats.weight_shifts.push_back(k % 5 - 3);
    Tensor out, expected = weight;
    layer.forward(in, out, pass);
    for (int k = 0; k < weight.shape().N; ++k) {
      const auto size = static_cast<std::size_t>(weight.shape().image());
      ristretto::trim(expected.values().subspan(static_cast<std::size_t>(k) * size, size),
                      ristretto::Trimmer{fixed4.scaled(k % 5 - 3)});
    }
    CHECK(same_bits(layer.weight.in_use(), expected));
    layer.formats.weight_shifts[0] = 2;  // the copy follows
    layer.forward(in, out, pass);
    CHECK_FALSE(same_bits(layer.weight.in_use(), expected));
    layer.formats.weight_shifts.pop_back();
    CHECK(contains(message_of([&] { layer.setup("layer", in_shape); }), "scales for channels"));
  };
  check_rows(Convolution{.filters = 6, .kernel = {3, 3}, .groups = 2}, {1, 4, 5, 5});
  check_rows(InnerProduct{.outputs = 7}, {2, 3, 4, 4});
  Deconvolution up{.filters = 2, .kernel = {2, 2}};
  up.formats.weight = fixed4;
  up.formats.weight_shifts = {0, 1};
  CHECK(contains(message_of([&] { up.setup("up", {1, 3, 4, 4}); }), "give it none"));

  InnerProduct trained{.outputs = 3};
  trained.setup("layer", {4, 20, 1, 1});
  fill_parameters(trained);
  trained.weight.number = 6;
  trained.formats.weight = fixed4;
  trained.formats.weight_shifts = {0, -1, -2};
  Tensor out, expected = trained.weight.value();
  Pass step{{.training = true, .seed = 42, .step = 9}, &work};
  trained.forward(distinct({4, 20, 1, 1}, 3), out, step);
  ristretto::trim_rows(expected.values(), ristretto::row_formats(fixed4, trained.formats.weight_shifts),
                       ristretto::RoundStochastic<>{{.seed = 42, .stream = (std::uint64_t{6} << 32) + 9}});
  CHECK(same_bits(trained.weight.in_use(), expected));
}

TEST_CASE("columns are what weights are multiplied with") {
  const auto check_columns = [](auto layer, Shape in_shape) {
    const Shape shape = layer.setup("layer", in_shape);
    fill_parameters(layer);
    layer.formats.input = fixed4;
    const Tensor in = distinct(in_shape, 3), other = distinct(in_shape, 4);
    Tensor out;
    Workspace work;
    Pass pass{{}, &work};
    layer.forward(in, out, pass);
    const Index depth = inputs_of_a_row(layer), rows = layer.weight.value().shape().N / groups_of(layer);
    CHECK(depth == layer.weight.value().shape().image());
    double squares = 0, expected_squares = 0, others = 0;
    Index positions = 0;
    each_columns(layer, in, &other, [&](int group, const Columns& columns, const Columns* of_other) {
      REQUIRE(columns.rows() == depth);
      REQUIRE(of_other);
      CHECK(of_other->cols() == columns.cols());
      others += of_other->squaredNorm();
      const ristretto::WeightRows weights =
          Eigen::Map<const ristretto::WeightRows>(layer.weight.value().data() + group * rows * depth, rows, depth);
      Eigen::MatrixXd y = weights.cast<double>() * columns;
      for (Index k = 0; k < rows; ++k) y.row(k).array() += static_cast<double>(layer.bias.value()[group * rows + k]);
      squares += y.squaredNorm();
      positions += columns.cols();
    });
    for (const float value : out.values()) expected_squares += static_cast<double>(value) * static_cast<double>(value);
    CHECK(positions == groups_of(layer) * shape.N * shape.plane());
    CHECK(squares == Approx(expected_squares).epsilon(1e-5));
    layer.formats.input.reset();
    double again = 0;
    each_columns(layer, other, nullptr, [&](int, const Columns& columns, const Columns* none) {
      CHECK(none == nullptr);
      again += columns.squaredNorm();
    });
    CHECK(again == others);  // the other batch is not trimmed
  };
  check_columns(Convolution{.filters = 4, .kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}, .groups = 2},
                {3, 2, 9, 7});
  check_columns(Convolution{.filters = 4, .kernel = {1, 1}}, {2, 3, 20, 20});
  check_columns(Convolution{.filters = 3, .kernel = {5, 5}}, {3, 40, 60, 60});  // in parts
  check_columns(InnerProduct{.outputs = 6}, {3, 2, 9, 7});
}

TEST_CASE("ties go to even or away from zero") {
  const AnyFormat whole = DynamicFixedPoint<8, 0>{}, fine = DynamicFixedPoint<8, 8>{};
  const ristretto::AnyRounding to_even = ristretto::RoundNearest{}, away = ristretto::RoundNearestAway{};
  Net net({1, 1, 1, 1});
  net.add("ip", InnerProduct{.outputs = 1, .has_bias = false});
  auto& ip = net.layer<InnerProduct>("ip");
  Tensor in({1, 1, 1, 1});
  const auto output = [&](float x, float w, Formats formats, const ristretto::AnyRounding& rounding) {
    ip.weight.edit()[0] = w;
    in[0] = x;
    ip.formats = formats;
    ip.formats.rounding = to_even;
    net.forward(in);  // leaves a trimmed copy of the weight
    ip.formats.rounding = rounding;
    return net.forward(in)[0];
  };
  for (const float sign : {1.0f, -1.0f}) {
    CHECK(output(sign * 2.5f, 1, {.input = whole}, to_even) == sign * 2);
    CHECK(output(sign * 2.5f, 1, {.input = whole}, away) == sign * 3);
    CHECK(output(1, sign * 2.5f, {.weight = whole}, to_even) == sign * 2);
    CHECK(output(1, sign * 2.5f, {.weight = whole}, away) == sign * 3);
    CHECK(output(1, sign * 2.5f, {.weight = fine, .output = whole}, to_even) == sign * 2);
    CHECK(output(1, sign * 2.5f, {.weight = fine, .output = whole}, away) == sign * 3);
  }
}

TEST_CASE("training trims parameters stochastically by (seed, tensor, step)") {
  Workspace work;
  InnerProduct layer{.outputs = 10};
  layer.setup("layer", {4, 20, 1, 1});
  fill_parameters(layer);
  layer.weight.number = 6;
  layer.formats.weight = fixed4;
  const Tensor in = distinct({4, 20, 1, 1}, 3);
  Tensor out;
  Pass pass{{.training = true, .seed = 42, .step = 9}, &work};
  layer.forward(in, out, pass);
  Tensor expected = layer.weight.value();
  ristretto::trim(
      expected.values(),
      ristretto::Trimmer{fixed4, ristretto::RoundStochastic<>{{.seed = 42, .stream = (std::uint64_t{6} << 32) + 9}}});
  CHECK(same_bits(layer.weight.in_use(), expected));
  pass.phase = {};
  layer.forward(in, out, pass);
  CHECK(same_bits(layer.weight.in_use(), trimmed(layer.weight.value(), fixed4)));
}

TEST_CASE("a training step is replayed from its seed") {
  Tensor images;
  std::vector<int> labels;
  make_toy(images, labels);
  const auto stepped = [&](std::uint64_t seed, int iteration) {
    Net net = toy_net();
    net.each_trimmed([](Node&, auto& layer) { layer.formats = {.input = fixed8, .weight = fixed4, .output = fixed8}; });
    Solver solver = Sgd{};
    train(net, solver, images, labels, {.seed = seed, .iteration = iteration});
    return net.layer<Convolution>("conv").weight.value();
  };
  CHECK(same_bits(stepped(1, 5), stepped(1, 5)));
  CHECK_FALSE(same_bits(stepped(1, 5), stepped(2, 5)));
  CHECK_FALSE(same_bits(stepped(1, 5), stepped(1, 6)));
}

TEST_CASE("dropout is replayed, and does nothing in inference") {
  Workspace work;
  Dropout dropout{.ratio = 0.25f, .number = 3};
  const Tensor in({4, 100, 10, 10}, 1);
  const auto dropped = [&](Phase phase) {
    Tensor out;
    Pass pass{phase, &work};
    dropout.forward(in, out, pass);
    return out;
  };
  const Tensor a = dropped({.training = true, .seed = 1, .step = 2});
  CHECK(same_bits(a, dropped({.training = true, .seed = 1, .step = 2})));
  CHECK_FALSE(same_bits(a, dropped({.training = true, .seed = 1, .step = 3})));
  CHECK(same_bits(in, dropped({})));
  const auto kept = static_cast<double>(std::count(a.values().begin(), a.values().end(), 1 / 0.75f));
  CHECK(kept + static_cast<double>(std::count(a.values().begin(), a.values().end(), 0.0f)) == 40000);
  CHECK(std::abs(kept - 30000) < 5 * std::sqrt(40000 * 0.25 * 0.75));
}

TEST_CASE("an input shared by two layers is trimmed for each alone") {
  Net net({1, 2, 4, 4});
  net.add("a", Convolution{.filters = 2, .kernel = {1, 1}}, {"data"});
  net.add("b", Convolution{.filters = 2, .kernel = {1, 1}}, {"a"});
  net.add("c", Convolution{.filters = 2, .kernel = {1, 1}}, {"a"});
  net.add("both", Concat{}, {"b", "c"});
  initialize(net, 7);
  net.keep_outputs(true);
  const Tensor in = distinct({2, 2, 4, 4}, 1);
  net.forward(in);
  const Tensor a = net.output("a"), c = net.output("c");
  net.layer<Convolution>("b").formats.input = DynamicFixedPoint<>{1, 0};
  net.forward(in);
  CHECK(same_bits(net.output("a"), a));
  CHECK(same_bits(net.output("c"), c));
}

TEST_CASE("no gradient pushes an output at an end of its format further out, whatever follows it") {
  // x = 1, output of the product w in fixed:2,6 with the upper end 1.984375
  const auto gradient = [](float w, const char* format, float from_above, bool drop = false) {
    Net net({1, 1, 1, 1});
    net.add("ip", InnerProduct{.outputs = 1, .has_bias = false});
    if (drop) net.add("drop", Dropout{.ratio = 0.5f});
    auto& ip = net.layer<InnerProduct>("ip");
    ip.weight.edit()[0] = w;
    ip.formats.output = ristretto::AnyFormat::parse(format);
    float sum = 0;
    for (std::uint32_t step = 0; step < 64; ++step) {
      net.forward(Tensor({1, 1, 1, 1}, 1.0f), {.training = true, .seed = 1, .step = step});
      net.backward(Tensor({1, 1, 1, 1}, from_above));
      sum += ip.weight.gradient[0] / 64;
    }
    return sum;
  };
  for (const float g : {-1.0f, 1.0f}) {  // descent goes up with -1, down with 1
    CHECK(gradient(1.2f, "fixed:2,6", g) == g);
    CHECK(gradient(1.2f, "fixed:2,6", g, true) / g > 0.5f);  // dropout keeps half of the steps and doubles them
  }
  CHECK(gradient(2.5f, "fixed:2,6", -1) == 0);
  CHECK(gradient(2.5f, "fixed:2,6", -1, true) == 0);
  CHECK(gradient(2.5f, "fixed:2,6", 1) == 1);
  CHECK(gradient(-2.5f, "fixed:2,6", 1) == 0);
  CHECK(gradient(-2.5f, "fixed:2,6", -1) == -1);
  CHECK(gradient(-3, "ufixed:2,2", 1) == 0);
  CHECK(gradient(-3, "ufixed:2,2", -1) == -1);
}

TEST_CASE("observation sees inputs, parameters and outputs") {
  Net net({1, 1, 8, 8});
  net.add("conv", Convolution{.filters = 4, .kernel = {3, 3}});
  net.add("relu", Relu{});
  net.add("ip", InnerProduct{.outputs = 2});
  initialize(net, 1);
  const Tensor in = distinct({3, 1, 8, 8}, 5);
  std::vector<LayerRanges> ranges;
  net.observe(in, ranges);
  net.observe(in, ranges);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0].name == "conv");
  CHECK(ranges[0].input.count() == 2 * 3 * 64);
  CHECK(ranges[0].input.max() == *std::max_element(in.values().begin(), in.values().end()));
  CHECK(ranges[0].weight.count() == 36);
  CHECK(ranges[0].output.min() < 0);  // before the relu that works in place
  CHECK(ranges[1].input.min() == 0);
  CHECK(ranges[1].input.max() == ranges[0].output.max());
  CHECK(ranges[1].output.count() == 2 * 3 * 2);
}

TEST_CASE("learning rates") {
  using P = LearningRate::Policy;
  CHECK(LearningRate{.policy = P::fixed, .base = 0.5}.at(1000) == 0.5);
  CHECK(LearningRate{.policy = P::step, .base = 1, .gamma = 0.1, .step_size = 10}.at(29) == Approx(0.01));
  const LearningRate multistep{.policy = P::multistep, .base = 1, .gamma = 0.5, .steps = {10, 20}};
  CHECK(multistep.at(9) == 1);
  CHECK(multistep.at(10) == 0.5);
  CHECK(multistep.at(20) == 0.25);
  CHECK(LearningRate{.policy = P::inv, .base = 0.01, .gamma = 1e-4, .power = 0.75}.at(10000) ==
        Approx(0.01 * std::pow(2, -0.75)));
  CHECK(LearningRate{.policy = P::exp, .base = 1, .gamma = 0.5}.at(3) == 0.125);
  CHECK(LearningRate{.policy = P::poly, .base = 1, .power = 2, .max_iterations = 10}.at(5) == 0.25);
  CHECK(LearningRate{.policy = P::sigmoid, .base = 1, .gamma = 2, .step_size = 5}.at(5) == 0.5);
  CHECK_THROWS_AS((LearningRate{.policy = P::step, .step_size = 0}.at(1)), std::invalid_argument);
}

TEST_CASE("solver steps agree with steps by hand") {
  const auto one_weight = [] {
    Net net({1, 1, 1, 1});
    net.add("ip", InnerProduct{.outputs = 1, .has_bias = false});
    Parameter& w = net.layer<InnerProduct>("ip").weight;
    w.edit()[0] = 1;
    w.gradient = Tensor({1, 1, 1, 1}, 0.5f);
    w.rate = 2;
    w.decay = 3;
    return net;
  };
  const auto value = [](Net& net) { return net.layer<InnerProduct>("ip").weight.value()[0]; };
  {
    Net net = one_weight();
    Solver solver = Sgd{.rate = {.base = 0.1}, .momentum = 0.5, .weight_decay = 0.1};
    step(solver, net, 0);  // v = 0.2 (0.5 + 0.3) = 0.16
    CHECK(value(net) == Approx(0.84));
    step(solver, net, 1);  // v = 0.08 + 0.2 (0.5 + 0.3 * 0.84) = 0.2304
    CHECK(value(net) == Approx(0.6096));
  }
  {
    Net net = one_weight();
    Solver solver = Adam{.rate = {.base = 0.1}, .weight_decay = 0.1};
    step(solver, net, 0);  // the first step has the length of the rate, 0.2
    CHECK(value(net) == Approx(0.8));
    // g = 0.5 + 0.3 * 0.8 = 0.74; m = 0.09 * 0.8 + 0.1 * 0.74, v = 0.001 (0.999 * 0.64 + 0.5476)
    step(solver, net, 1);
    const double m = 0.072 + 0.074, v = 0.001 * (0.999 * 0.64 + 0.5476);
    CHECK(value(net) == Approx(0.8 - 0.2 * std::sqrt(1 - 0.999 * 0.999) / (1 - 0.81) * m / (std::sqrt(v) + 1e-8)));
  }
  {
    Net net = one_weight();
    Solver solver = Nesterov{.rate = {.base = 0.1}, .momentum = 0.5, .weight_decay = 0.1};
    step(solver, net, 0);  // u = 0.2 (0.5 + 0.3) = 0.16, w = 1 - 1.5 * 0.16
    CHECK(value(net) == Approx(0.76));
    step(solver, net, 1);  // u = 0.08 + 0.2 (0.5 + 0.3 * 0.76) = 0.2256, w = 0.76 - (1.5 * 0.2256 - 0.08)
    CHECK(value(net) == Approx(0.5016));
    CHECK((*histories(solver)[0])[0][0] == Approx(0.2256));
  }
  {
    Net net = one_weight();
    Solver solver = AdaGrad{.rate = {.base = 0.1}, .epsilon = 0.1};
    step(solver, net, 0);  // h = 0.25
    CHECK(value(net) == Approx(1 - 0.2 * 0.5 / 0.6));
    step(solver, net, 1);  // h = 0.5
    CHECK(value(net) == Approx(1 - 0.2 * 0.5 / 0.6 - 0.2 * 0.5 / (std::sqrt(0.5) + 0.1)));
  }
  {
    Net net = one_weight();
    Solver solver = RmsProp{.rate = {.base = 0.1}, .rms_decay = 0.75, .epsilon = 0.1};
    step(solver, net, 0);  // h = 0.0625
    CHECK(value(net) == Approx(1 - 0.2 * 0.5 / 0.35));
    step(solver, net, 1);  // h = 0.75 * 0.0625 + 0.0625 = 0.109375
    CHECK(value(net) == Approx(1 - 0.2 * 0.5 / 0.35 - 0.2 * 0.5 / (std::sqrt(0.109375) + 0.1)));
  }
  {
    Net net = one_weight();
    Solver solver =
        Sgd{.rate = {.base = 0.1}, .momentum = 0, .weight_decay = 0.1, .regularization = Regularization::l1};
    step(solver, net, 0);  // 0.2 (0.5 + 0.3 sign(1))
    CHECK(value(net) == Approx(0.84));
    net.layer<InnerProduct>("ip").weight.edit()[0] = -1;
    step(solver, net, 0, 2);  // 0.2 (0.5 / 2 - 0.3)
    CHECK(value(net) == Approx(-0.99));
  }
  {
    Net net = one_weight();
    Solver solver = Sgd{.rate = {.base = 0.1}, .momentum = 0, .weight_decay = 0.1, .clip_gradients = 0.2};
    step(solver, net, 0);  // the gradient 0.5 becomes 0.2, before decay: 0.2 (0.2 + 0.3)
    CHECK(value(net) == Approx(0.9));
    std::get<Sgd>(solver).clip_gradients = 0.6;  // more than there is
    net.layer<InnerProduct>("ip").weight.gradient[0] = 0.5f;
    step(solver, net, 0);
    CHECK(value(net) == Approx(0.9 - 0.2 * (0.5 + 0.27)));
  }
  {  // the norm is that of all parameters together
    Net net({1, 1, 1, 1});
    net.add("a", Scale{});
    net.add("b", Scale{});
    net.layer<Scale>("a").weight.gradient = Tensor({1, 1, 1, 1}, 3);
    net.layer<Scale>("b").weight.gradient = Tensor({1, 1, 1, 1}, 4);
    Solver solver = Sgd{.rate = {.base = 1}, .momentum = 0, .clip_gradients = 1};
    step(solver, net, 0);
    CHECK(net.layer<Scale>("a").weight.value()[0] == Approx(0.4));
    CHECK(net.layer<Scale>("b").weight.value()[0] == Approx(0.2));
  }
  Net net = one_weight();
  net.layer<InnerProduct>("ip").weight.gradient = {};
  Solver solver = Sgd{};
  CHECK_THROWS_AS(step(solver, net, 0), std::invalid_argument);
  for (Solver bad : {Solver(Nesterov{.momentum = 1}), Solver(AdaGrad{.epsilon = 0}), Solver(RmsProp{.rms_decay = -1}),
                     Solver(Sgd{.clip_gradients = -1}), Solver(Adam{.beta1 = 1})}) {
    Net good = one_weight();
    CHECK_THROWS_AS(step(bad, good, 0), std::invalid_argument);
  }
}

TEST_CASE("gradients of several batches make one update") {
  Tensor images;
  std::vector<int> labels;
  make_toy(images, labels);
  Tensor halves[2] = {Tensor({16, 1, 8, 8}), Tensor({16, 1, 8, 8})};
  for (int i = 0; i < 2; ++i) std::copy_n(images.image(16 * i), halves[i].size(), halves[i].data());
  Net whole = toy_net(), parts = toy_net();
  Solver a = Sgd{.weight_decay = 0.01}, b = a;
  const double loss = train(whole, a, images, labels, {});
  const auto next = [&](int i) {
    return LabelledImages{halves[i], std::span(labels).subspan(static_cast<std::size_t>(16 * i), 16)};
  };
  CHECK(train(parts, b, 2, next, {}) == Approx(loss));
  const Tensor& x = whole.layer<Convolution>("conv").weight.value();
  const Tensor& y = parts.layer<Convolution>("conv").weight.value();
  CHECK_FALSE(same_bits(x, toy_net().layer<Convolution>("conv").weight.value()));
  for (Index i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(y[i]).margin(1e-6));
  CHECK_THROWS_AS(train(parts, b, 0, next, {}), std::invalid_argument);
}

TEST_CASE("a solver with its histories set goes on bit for bit") {
  Tensor images;
  std::vector<int> labels;
  make_toy(images, labels);
  for (const Solver& start : {Solver(Sgd{}), Solver(Nesterov{}), Solver(AdaGrad{}),
                              Solver(RmsProp{.rate = {.base = 1e-3}}), Solver(Adam{})}) {
    Net net = toy_net();
    Solver solver = start;
    for (int i = 0; i < 3; ++i) train(net, solver, images, labels, {.iteration = i});
    Net copy = net;
    Solver resumed = start;
    REQUIRE(histories(resumed).size() == histories(solver).size());
    for (std::size_t k = 0; k < histories(solver).size(); ++k) {
      CHECK(histories(solver)[k]->size() == 4);
      *histories(resumed)[k] = *histories(solver)[k];
    }
    train(net, solver, images, labels, {.iteration = 3});
    train(copy, resumed, images, labels, {.iteration = 3});
    CHECK(same_bits(net.layer<Convolution>("conv").weight.value(), copy.layer<Convolution>("conv").weight.value()));
  }
}

TEST_CASE("parameters survive a file, and bad files leave the net as it was") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("ristretto_cnn_test_" + std::to_string(std::random_device{}()));
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "toy.parameters").string();
  const Net saved = toy_net();
  save_parameters(saved, path);
  CHECK_FALSE(std::filesystem::exists(path + ".part"));

  Net net = toy_net();
  initialize(net, 99);
  const auto weight = [](Net& n) { return n.layer<Convolution>("conv").weight.value(); };
  const Tensor before = weight(net);
  load_parameters(net, path);
  Net original = saved;
  CHECK(same_bits(weight(net), weight(original)));
  CHECK_FALSE(same_bits(weight(net), before));

  initialize(net, 99);
  const auto size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 1);
  CHECK(contains(message_of([&] { load_parameters(net, path); }), "expected"));
  std::filesystem::resize_file(path, size + 1);
  CHECK(contains(message_of([&] { load_parameters(net, path); }), "found more"));
  std::ofstream(path) << "something else";
  CHECK(contains(message_of([&] { load_parameters(net, path); }), path));
  CHECK(same_bits(weight(net), before));
  Net other = lenet({1, 1, 28, 28}, 10, 1);
  save_parameters(saved, path);
  CHECK(contains(message_of([&] { load_parameters(other, path); }), "conv1.weight 20 1 5 5"));
  CHECK_THROWS_AS(load_parameters(net, path + ".absent"), std::runtime_error);
  CHECK_THROWS_AS(save_parameters(net, (folder / "absent" / "x").string()), std::runtime_error);

  Net normalized = many_layers(), loaded = many_layers();
  normalized.layer<BatchNorm>("norm1").mean[2] = 5;
  save_parameters(normalized, path);
  load_parameters(loaded, path);
  CHECK(loaded.layer<BatchNorm>("norm1").mean[2] == 5);
  std::filesystem::remove_all(folder);
}

TEST_CASE("bad nets are refused by name, value and remedy") {
  Net net({1, 3, 8, 8});
  const auto refused = [&](Layer layer, std::vector<std::string> inputs, const std::string& part) {
    const std::string message = message_of([&] { net.add("new", layer, inputs); });
    INFO(message);
    CHECK(contains(message, "new"));
    CHECK(contains(message, part));
  };
  refused(Convolution{.filters = 4, .groups = 2}, {}, "groups is 2");
  refused(Convolution{.filters = 0}, {}, "filters is 0");
  refused(Convolution{.filters = 4, .kernel = {9, 9}}, {}, "9x9");
  refused(Convolution{.filters = 4, .stride = {0, 1}}, {}, "0x1");
  refused(Pooling{.kernel = {2, 2}, .pad = {2, 2}}, {}, "2x2");
  refused(InnerProduct{.outputs = -1}, {}, "-1");
  refused(Lrn{.size = 4}, {}, "size is 4");
  refused(Dropout{.ratio = 1}, {}, "ratio");
  refused(Relu{.negative_slope = INFINITY}, {}, "negative_slope");
  refused(Convolution{.filters = 4, .kernel = {3, 3}, .dilation = {4, 1}}, {}, "4x1");
  refused(Convolution{.filters = 4, .dilation = {0, 1}}, {}, "dilation is 0x1");
  refused(Convolution{.filters = 4, .pad = {1 << 30, 1 << 30}}, {}, "pad is");
  refused(Convolution{.filters = 2147483647, .kernel = {8, 8}}, {}, "weight has shape");
  refused(Convolution{.filters = 4, .pad = {60000, 60000}}, {}, "an image of its output");
  refused(Deconvolution{.filters = 0}, {}, "filters is 0");
  refused(Deconvolution{.filters = 4, .kernel = {1, 1}, .pad = {4, 4}}, {}, "pad 4x4");
  refused(Deconvolution{.filters = 4, .groups = 2}, {}, "groups is 2");
  refused(Deconvolution{.filters = 4, .stride = {65536, 65536}}, {}, "an image of its output");
  refused(InnerProduct{.outputs = 2147483647}, {}, "weight has shape");
  refused(BatchNorm{.moving_average_fraction = 2}, {}, "moving_average_fraction");
  refused(BatchNorm{.mean = Tensor({2, 1, 1, 1})}, {}, "(2, 1, 1, 1)");
  refused(Eltwise{.coefficients = {1}}, {"data", "data"}, "1 coefficients for 2 inputs");
  refused(Eltwise{.operation = Eltwise::Operation::max, .coefficients = {1, 1}}, {"data", "data"}, "coefficients");
  refused(Relu{}, {"nobody"}, "nobody");
  refused(Relu{}, {"data", "data"}, "2 inputs");
  net.add("pool", Pooling{.stride = {2, 2}});
  refused(Concat{}, {"data", "pool"}, "(1, 3, 4, 4)");
  refused(Eltwise{}, {"data", "pool"}, "(1, 3, 4, 4)");
  Convolution wrong{.filters = 4};
  wrong.weight.edit() = Tensor({4, 2, 1, 1});
  refused(wrong, {}, "(4, 2, 1, 1)");
  CHECK_THROWS_AS(net.add("pool", Relu{}), std::invalid_argument);
  CHECK_THROWS_AS(net.forward(Tensor({1, 3, 8, 7})), std::invalid_argument);
  CHECK_THROWS_AS(net.layer<Relu>("pool"), std::invalid_argument);
  net.forward(Tensor({1, 3, 8, 8}));
  CHECK_THROWS_AS(net.backward(Tensor({1, 3, 4, 4})), std::logic_error);
  CHECK_THROWS_AS(Net({1, 0, 8, 8}), std::invalid_argument);
}

TEST_CASE("cifar10_full has its shapes") {
  Net net = cifar10_full({1, 3, 32, 32}, 10, 1);
  net.keep_outputs(true);
  CHECK(net.forward(Tensor({2, 3, 32, 32}, 1)).shape() == Shape{2, 10, 1, 1});
  CHECK(net.output("pool3").shape() == Shape{2, 64, 4, 4});
}
