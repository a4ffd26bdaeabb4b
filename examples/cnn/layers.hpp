// SPDX-License-Identifier: MIT
// The layers: plain structs with their settings and parameters as members, forward and backward side by side.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "cnn/parameter.hpp"
#include "cnn/tensor.hpp"

namespace cnn {

/// Scratch memory that the layers of a net share; each pass over a layer overwrites what the last one left.
struct Workspace {
  struct PerThread {
    Buffer columns{}, tile{};
  };
  std::vector<PerThread> threads{};
  Tensor input{};    // trimmed copy of a layer's input
  Buffer partial{};  // gradients of parts of a batch, before they are summed in fixed order
};

struct Relu;

/// What a layer is told about the pass beside its data.
struct Pass {
  Phase phase{};
  Workspace* work = nullptr;
  const Relu* relu = nullptr;  // a Convolution applies it to what it has computed, while that is in the cache
  int channels = 0;            // 0: out is the layer's own. Else a Convolution writes its channels, from first_channel
  int first_channel = 0;       // on, into an `out` of so many
};

// Every layer has
//   Shape setup(name, in)            checks the settings, allocates parameters that are still empty, returns the shape
//                                    of the output; throws std::invalid_argument naming the layer
//   void forward(in, out, pass)      sets out
//   void backward(in, dout, din, pass)  sets parameter gradients and din; follows the forward pass of the same input
// Shapes are (N, C, H, W). Gradients go straight through a trim, but not where they would push an output at an end of
// its format further out.

/// Cross-correlation, C input to K output channels in `groups` independent parts. Caffe's weight layout.
struct Convolution {
  int filters = 0;  // K
  Extent kernel{1, 1};
  Extent stride{1, 1};
  Extent pad{0, 0};
  Extent dilation{1, 1};  // distance of the values that neighbouring weights meet
  int groups = 1;
  bool has_bias = true;
  Parameter weight{};  // (K, C / groups, R, S)
  Parameter bias{};    // (K, 1, 1, 1); empty without bias
  Formats formats{};

  Shape setup(std::string_view name, Shape in);
  Shape output_shape(Shape in) const noexcept;
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  /// din may be null: then no gradient of the input is computed.
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// The transpose of a convolution from K to C channels: each input value spreads a kernel over the output, which is
/// (H - 1) stride - 2 pad + dilation (R - 1) + 1 high. Caffe's weight layout.
struct Deconvolution {
  int filters = 0;  // K
  Extent kernel{1, 1};
  Extent stride{1, 1};
  Extent pad{0, 0};
  Extent dilation{1, 1};
  int groups = 1;
  bool has_bias = true;
  Parameter weight{};  // (C, K / groups, R, S)
  Parameter bias{};    // (K, 1, 1, 1); empty without bias
  Formats formats{};

  Shape setup(std::string_view name, Shape in);
  Shape output_shape(Shape in) const noexcept;
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// A matrix product with the whole image as one vector. Caffe's weight layout.
struct InnerProduct {
  int outputs = 0;  // K
  bool has_bias = true;
  Parameter weight{};  // (K, C * H * W, 1, 1)
  Parameter bias{};    // (K, 1, 1, 1); empty without bias
  Formats formats{};

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// Maximum or mean of windows. Caffe's rule: the number of windows is rounded up, so the last one may hang over, but it
/// starts inside the image or its leading pad; the mean divides by the part of the window inside the padded image.
struct Pooling {
  enum class Method { max, average };

  Method method = Method::max;
  Extent kernel{2, 2};
  Extent stride{1, 1};
  Extent pad{0, 0};
  bool global = false;  // one window over the whole plane; kernel, stride and pad are ignored

  Shape setup(std::string_view name, Shape in);
  Shape output_shape(Shape in) const noexcept;
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);

  std::vector<std::int32_t> winner{};  // position in its plane of each maximum; only the training forward sets it
};

/// x, or x * negative_slope where x < 0; NaN stays NaN. in and out may be one tensor, with a slope below 0 only in
/// inference, and so may dout and din.
struct Relu {
  float negative_slope = 0;

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// Local response normalization: in * (k + alpha / n * sum of in^2 over the region)^-beta, where n is the number of
/// elements of a whole region: `size` channels, or size x size positions of one channel. Source: Caffe's LRN layer.
struct Lrn {
  enum class Region { across_channels, within_channel };

  int size = 5;  // odd
  float alpha = 1;
  float beta = 0.75f;
  float k = 1;
  Region region = Region::across_channels;
  Formats formats{};  // of its input and output

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// In training sets each element to zero with probability `ratio` and scales the rest by 1 / (1 - ratio). Element i is
/// kept by the random word i of stream = number * 2^32 + step. in and out may be one tensor, and so may dout and din.
struct Dropout {
  float ratio = 0.5f;
  std::uint32_t number = 0;

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// 1 / (1 + e^-x). in and out may be one tensor in inference, and so may dout and din.
struct Sigmoid {
  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// The hyperbolic tangent. in and out may be one tensor in inference, and so may dout and din.
struct Tanh {
  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// The channels of each position as probabilities: e^x / sum of e^x. in and out may be one tensor in inference.
struct Softmax {
  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// The whole image as one vector: (N, C, H, W) -> (N, C H W, 1, 1). in and out may be one tensor.
struct Flatten {
  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// (x - mean) / sqrt(variance + epsilon) of each channel. In training, mean and variance are those of the batch; in
/// inference, or without batch_statistics, those of the past. in and out may be one tensor in inference.
struct BatchNorm {
  float epsilon = 1e-5f;
  float moving_average_fraction = 0.999f;  // of the past that a training step keeps
  bool batch_statistics = true;            // in training
  Tensor mean{}, variance{};               // (C, 1, 1, 1): of the past, times scale_factor
  Tensor scale_factor{};                   // (1, 1, 1, 1): 0 before training; 1 where mean and variance are plain

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);

  Tensor used_mean{}, used_inverse{};  // (C, 1, 1, 1): of the last forward, for backward; inverse: 1 / sqrt(...)
};

/// x * weight + bias of each channel. in and out may be one tensor in inference. setup makes weights of 1.
struct Scale {
  bool has_bias = false;
  Parameter weight{};  // (C, 1, 1, 1)
  Parameter bias{};    // (C, 1, 1, 1); empty without bias

  Shape setup(std::string_view name, Shape in);
  void forward(const Tensor& in, Tensor& out, Pass& pass);
  void backward(const Tensor& in, const Tensor& dout, Tensor* din, Pass& pass);
};

/// The sum (each times its coefficient), the product or the maximum of several inputs of one shape.
struct Eltwise {
  enum class Operation { sum, product, max };

  Operation operation = Operation::sum;
  std::vector<float> coefficients{};  // for sums; empty: all 1

  Shape setup(std::string_view name, std::span<const Shape> ins);
  void forward(std::span<const Tensor* const> ins, Tensor& out, Pass& pass);
  /// din: the gradient of input number `which`. The gradient of a maximum goes to the first input that has it.
  void backward(std::span<const Tensor* const> ins, const Tensor& dout, std::size_t which, Tensor& din);
};

/// The channels of several inputs, one after the other.
struct Concat {
  Shape setup(std::string_view name, std::span<const Shape> ins);
  void forward(std::span<const Tensor* const> ins, Tensor& out, Pass& pass);
  /// din: the gradient, of known shape, of the input whose channels begin at first_channel.
  void backward(const Tensor& dout, int first_channel, Tensor& din, Pass& pass);
};

using Layer = std::variant<Convolution, InnerProduct, Pooling, Relu, Lrn, Dropout, Concat, Deconvolution, Sigmoid, Tanh,
                           Softmax, Flatten, BatchNorm, Scale, Eltwise>;

/// A layer with parameters that training changes; one that trims activations; one that does both, and trims parameters.
template <class L>
concept Trained = requires(L& layer) { layer.weight.gradient; };
template <class L>
concept HasFormats = requires(L& layer) { layer.formats; };
template <class L>
concept Trimmed = Trained<L> && HasFormats<L>;

/// Softmax and log loss, the mean over the batch. Stands behind a net, not in it.
struct SoftmaxLoss {
  Tensor probabilities{};

  /// logits (N, C, 1, 1), labels N numbers in [0, C) -> loss
  double forward(const Tensor& logits, std::span<const int> labels);
  /// -> dlogits (N, C, 1, 1), for the logits of the last forward
  void backward(std::span<const int> labels, Tensor& dlogits) const;
};

/// The Kullback-Leibler divergence of the softmax of logits from that of the logits that are wanted, the mean over the
/// batch. Stands behind a net, not in it.
struct DivergenceLoss {
  Tensor found{}, wanted{};  // probabilities

  /// Both (N, C, 1, 1) -> loss
  double forward(const Tensor& logits, const Tensor& wanted_logits);
  /// -> dlogits (N, C, 1, 1), for the logits of the last forward
  void backward(Tensor& dlogits) const;
};

/// How many images have their label among the k largest logits. Among equal logits the first counts as the larger, and
/// a NaN as larger than every number: a net that computes NaN is never right.
int count_correct(const Tensor& logits, std::span<const int> labels, int k = 1);

}  // namespace cnn
