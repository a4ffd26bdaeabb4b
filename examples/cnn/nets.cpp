// SPDX-License-Identifier: MIT
// Two well-known nets.
#include "net.hpp"

namespace cnn {
namespace {

constexpr std::uint64_t first_values = 0xFFFFFFFE'00000000;  // a stream per tensor, none of those that trim it

}  // namespace

void initialize(Net& net, std::uint64_t seed) {
  net.each_trimmed([&](Node&, auto& layer) {
    fill_xavier(layer.weight.edit(), {.seed = seed, .stream = first_values | layer.weight.number});
    for (float& b : layer.bias.edit().values()) b = 0;
  });
}

Net lenet(Shape image, int classes, std::uint64_t seed) {
  const Pooling pool{.kernel = {2, 2}, .stride = {2, 2}};
  Net net(image);
  net.add("conv1", Convolution{.filters = 20, .kernel = {5, 5}});
  net.add("pool1", pool);
  net.add("conv2", Convolution{.filters = 50, .kernel = {5, 5}});
  net.add("pool2", pool);
  net.add("ip1", InnerProduct{.outputs = 500});
  net.add("relu1", Relu{});
  net.add("ip2", InnerProduct{.outputs = classes});
  initialize(net, seed);
  net.each_trimmed([](Node&, auto& layer) { layer.bias.rate = 2; });
  return net;
}

Net cifar10_full(Shape image, int classes, std::uint64_t seed) {
  using enum Pooling::Method;
  const auto convolution = [](int filters) { return Convolution{.filters = filters, .kernel = {5, 5}, .pad = {2, 2}}; };
  const Lrn norm{.size = 3, .alpha = 5e-5f, .beta = 0.75f, .region = Lrn::Region::within_channel};
  Net net(image);
  net.add("conv1", convolution(32));
  net.add("pool1", Pooling{.method = max, .kernel = {3, 3}, .stride = {2, 2}});
  net.add("relu1", Relu{});
  net.add("norm1", norm);
  net.add("conv2", convolution(32));
  net.add("relu2", Relu{});
  net.add("pool2", Pooling{.method = average, .kernel = {3, 3}, .stride = {2, 2}});
  net.add("norm2", norm);
  net.add("conv3", convolution(64));
  net.add("relu3", Relu{});
  net.add("pool3", Pooling{.method = average, .kernel = {3, 3}, .stride = {2, 2}});
  net.add("ip1", InnerProduct{.outputs = classes});
  net.each_trimmed([&](Node& node, auto& layer) {
    const float deviation = node.name == "conv1" ? 1e-4f : 1e-2f;
    fill_gaussian(layer.weight.edit(), deviation, {.seed = seed, .stream = first_values | layer.weight.number});
    layer.bias.rate = node.name == "conv3" ? 1 : 2;
    layer.bias.decay = node.name == "ip1" ? 0 : 1;
  });
  net.layer<InnerProduct>("ip1").weight.decay = 250;
  return net;
}

}  // namespace cnn
