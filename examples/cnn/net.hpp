// SPDX-License-Identifier: MIT
// Net: named layers in the order of their execution, and the memory between them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ristretto/range.hpp>

#include "cnn/layers.hpp"
#include "cnn/tensor.hpp"

namespace cnn {

/// One layer in a net. `inputs` are positions of earlier nodes; -1 is the input of the net.
struct Node {
  std::string name;
  Layer layer;
  std::vector<int> inputs;
  Shape shape;  // of the output for one image
};

/// What a Trimmed layer has met: the values of its input, parameters and output.
struct LayerRanges {
  std::string name;
  ristretto::Range input, weight, bias, output;
};

/// What the layers from `first` on read of those before, from one pass over a batch: enough to compute the rest again.
struct Cut {
  int first = 0;                 // position in the net
  std::vector<int> nodes{};      // positions of what is read, -1 for the input of the net; ascending
  std::vector<Tensor> values{};  // their values
};

class Net {
 public:
  /// A net without layers for images of this shape (N is ignored).
  explicit Net(Shape image, std::string input_name = "data");

  /// Appends a layer and returns its position. Without inputs it reads the layer added last. Throws
  /// std::invalid_argument for a name used before, an unknown input, or shapes that do not fit.
  int add(std::string name, Layer layer, std::vector<std::string> inputs = {});

  /// in (N, C, H, W) -> output of the last layer. The reference is good until the next pass. The memory is kept from
  /// pass to pass; in inference layers use it again as soon as its readers are done.
  const Tensor& forward(const Tensor& in, Phase phase = {});
  /// Gradients of all parameters, from that of the output of the last forward pass, which must have been for training.
  void backward(const Tensor& doutput);

  /// forward(in) in inference that also sets cut.nodes and cut.values, for cut.first; lowers that by one where it is a
  /// Relu which runs with the layer before it.
  const Tensor& forward(const Tensor& in, Cut& cut);
  /// The same output, computed from layer cut.first on: the bits of forward(in) as long as no layer before has changed.
  const Tensor& forward_from(const Cut& cut);

  /// What the layers from `first` on read, from a pass in inference over those before; the second computes the layers
  /// from the old cut to the new one.
  Cut cut_at(int first, const Tensor& in);
  Cut cut_at(int first, const Cut& from);
  /// The value in a cut that its first layer reads first.
  const Tensor& input_of(const Cut& cut) const;

  /// Whether passes in inference keep the output of every layer, as those in training do.
  void keep_outputs(bool keep);
  /// Output of a layer in the last forward pass. Unless outputs are kept in inference, that of the next layer where
  /// that one works in place. Throws std::logic_error where it was not kept.
  const Tensor& output(std::string_view name) const;

  /// A forward pass in inference that adds what each Trimmed layer meets to its ranges; gives `ranges` its entries when
  /// it is empty. The net computes as it is: without formats, in float.
  void observe(const Tensor& in, std::vector<LayerRanges>& ranges);

  /// Calls f(name, parameter) for all parameters in order, with names like "conv1.weight".
  void each_parameter(const std::function<void(const std::string&, Parameter&)>& f);
  void each_parameter(const std::function<void(const std::string&, const Parameter&)>& f) const;

  /// Calls f(name, tensor) for what training changes without gradients: of each BatchNorm "name.mean", "name.variance"
  /// and "name.scale_factor".
  void each_statistic(const std::function<void(const std::string&, Tensor&)>& f);
  void each_statistic(const std::function<void(const std::string&, const Tensor&)>& f) const;

  /// Calls f(node, layer) for each Convolution, Deconvolution and InnerProduct in order.
  template <class F>
  void each_trimmed(F&& f) {
    for (Node& node : nodes_) {
      const auto call = [&]<class L>(L& layer) {
        if constexpr (Trimmed<L>) f(node, layer);
      };
      std::visit(call, node.layer);
    }
  }

  /// The layer of this name and type, to be changed; settings that decide shapes must stay. Throws
  /// std::invalid_argument when there is none.
  template <class L>
  L& layer(std::string_view name) {
    if (L* found = std::get_if<L>(&nodes_[position(name)].layer)) return *found;
    throw std::invalid_argument(std::string(name) + ": the layer is of another type; ask for its own");
  }

  /// How often the weights of a node meet an input value, for one image.
  std::int64_t multiplies(const Node& node) const;
  /// The shape of its first input, for one image.
  Shape input_shape(const Node& node) const;

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
  /// What a pass asks of the memory.
  struct Layout {
    bool training = false, keeps = true;
    bool fuses = true;  // layers apply the relu behind them, and write where a Concat would copy to
    friend bool operator==(const Layout&, const Layout&) = default;
  };
  /// Where the output of a node is.
  struct Place {
    std::size_t memory =
        0;  // shared where a layer works in place and, if outputs are not kept, with those no longer read
    bool in_place = false;  // over its first input
    int concat = -1;        // the node whose channels, from first_channel on, it writes
    int first_channel = 0;
    bool kept = true;  // to the end of the pass
  };

  std::size_t position(std::string_view name) const;
  void check_input(const Tensor& in) const;
  void check_cut(const Cut& cut) const;
  Cut empty_cut(int first) const;
  void save(Cut& cut, const Tensor& in) const;
  std::vector<int> read_across(int first) const;
  void plan(Layout layout);
  void plan_concat(std::size_t concat, std::span<const int> readers);
  void plan_memory();
  const Tensor& value_of(int node, const Tensor& in) const;
  const Relu* fused_relu(std::size_t node) const;
  void run(std::size_t node, const Tensor& in);
  void run_back(std::size_t node);
  void run_back(std::size_t node, Memory& own);
  void take_gradient(Memory& memory);
  void save(int node, const Tensor& in, Tensor& value) const;
  void restore(int node, const Tensor& value);

  Shape image_;
  std::string input_name_;
  std::vector<Node> nodes_{};
  std::uint32_t parameters_ = 0, dropouts_ = 0;  // numbers given so far

  Layout layout_{};
  bool keep_outputs_ = false;
  std::vector<Place> places_{};  // per node. Empty: to be planned
  std::vector<bool> trained_{};  // per node: it or a layer before it has parameters
  std::vector<Memory> memory_{};
  Workspace work_{};
  Tensor input_{};               // of a training pass, for backward
  Tensor extra_{};               // a gradient before it is added to another
  std::vector<Tensor> spare_{};  // memory of gradients that are done
  Phase phase_{};
};

/// Sets weights with the xavier filler and biases to zero; each tensor draws from a stream of its own.
void initialize(Net& net, std::uint64_t seed);

/// Caffe's LeNet: conv 20 5x5, pool 2, conv 50 5x5, pool 2, ip 500, relu, ip `classes`.
Net lenet(Shape image, int classes, std::uint64_t seed);
/// Caffe's cifar10_full: three 5x5 convolutions with pooling and local response normalization, ip `classes`.
Net cifar10_full(Shape image, int classes, std::uint64_t seed);
/// SqueezeNet for (3, 227, 227), to its logits "pool10": conv1 is 7x7 and 96 filters in v1.0, 3x3 and 64 in v1.1.
enum class SqueezeNet { v1_0, v1_1 };
Net squeezenet(SqueezeNet version, int classes, std::uint64_t seed);

}  // namespace cnn
