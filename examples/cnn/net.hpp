// SPDX-License-Identifier: MIT
// Net: named layers in the order of their execution, and the memory between them.
#pragma once

#include <functional>
#include <ristretto/range.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layers.hpp"
#include "tensor.hpp"

namespace cnn {

/// One layer in a net. `inputs` are positions of earlier nodes; -1 is the input of the net.
struct Node {
  std::string name;
  Layer layer;
  std::vector<int> inputs;
  Shape shape;  // of the output for one image
};

/// What a Convolution or InnerProduct has met: the values of its input, parameters and output.
struct LayerRanges {
  std::string name;
  ristretto::Range input, weight, bias, output;
};

class Net {
 public:
  /// A net without layers for images of this shape (N is ignored).
  explicit Net(Shape image, std::string input_name = "data");

  /// Appends a layer and returns its position. Without inputs it reads the layer added last. Throws
  /// std::invalid_argument for a name used before, an unknown input, or shapes that do not fit.
  int add(std::string name, Layer layer, std::vector<std::string> inputs = {});

  /// in (N, C, H, W) -> output of the last layer. The reference is good until the next pass. The memory is kept from
  /// pass to pass; a Relu that is the only reader of its input works in place.
  const Tensor& forward(const Tensor& in, Phase phase = {});
  /// Gradients of all parameters, from that of the output of the last forward pass, which must have been for training.
  void backward(const Tensor& doutput);
  /// Output of a layer in the last forward pass; where the next layer works in place, the output of that one.
  const Tensor& output(std::string_view name) const;

  /// A forward pass in inference that adds what each Convolution and InnerProduct meets to its ranges; gives `ranges`
  /// its entries when it is empty. The net computes as it is: without formats, in float.
  void observe(const Tensor& in, std::vector<LayerRanges>& ranges);

  /// Calls f(name, parameter) for all parameters in order, with names like "conv1.weight".
  void each_parameter(const std::function<void(const std::string&, Parameter&)>& f);
  void each_parameter(const std::function<void(const std::string&, const Parameter&)>& f) const;

  /// Calls f(node, layer) for each Convolution and InnerProduct in order.
  template <class F>
  void each_trimmed(F&& f) {
    for (Node& node : nodes_) {
      if (auto* convolution = std::get_if<Convolution>(&node.layer)) f(node, *convolution);
      if (auto* product = std::get_if<InnerProduct>(&node.layer)) f(node, *product);
    }
  }

  /// The layer of this name and type, to be changed; settings that decide shapes must stay. Throws
  /// std::invalid_argument when there is none.
  template <class L>
  L& layer(std::string_view name) {
    if (L* found = std::get_if<L>(&nodes_[position(name)].layer)) return *found;
    throw std::invalid_argument(std::string(name) + ": the layer is of another type; ask for its own");
  }

  std::span<const Node> nodes() const noexcept { return nodes_; }
  const std::string& input_name() const noexcept { return input_name_; }
  Shape input_shape() const noexcept { return image_; }
  /// For one image.
  Shape output_shape() const noexcept { return nodes_.empty() ? image_ : nodes_.back().shape; }

 private:
  struct Memory {
    Tensor value{}, gradient{};
    bool has_gradient = false;  // in the running backward pass
  };

  std::size_t position(std::string_view name) const;
  void plan();
  const Tensor& value_of(int node, const Tensor& in) const;
  void run(std::size_t node, const Tensor& in);
  void run_back(std::size_t node);

  Shape image_;
  std::string input_name_;
  std::vector<Node> nodes_{};
  std::uint32_t parameters_ = 0, dropouts_ = 0;  // numbers given so far

  std::vector<std::size_t> memory_of_{};  // per node; shared where a layer works in place. Empty: to be planned
  std::vector<bool> trained_{};           // per node: it or a layer before it has parameters
  std::vector<Memory> memory_{};
  Workspace work_{};
  Tensor input_{};  // of a training pass, for backward
  Tensor extra_{};  // a gradient before it is added to another
  Phase phase_{};
};

/// Sets weights with the xavier filler and biases to zero; each tensor draws from a stream of its own.
void initialize(Net& net, std::uint64_t seed);

/// Caffe's LeNet: conv 20 5x5, pool 2, conv 50 5x5, pool 2, ip 500, relu, ip `classes`.
Net lenet(Shape image, int classes, std::uint64_t seed);
/// Caffe's cifar10_full: three 5x5 convolutions with pooling and local response normalization, ip `classes`.
Net cifar10_full(Shape image, int classes, std::uint64_t seed);

}  // namespace cnn
