// SPDX-License-Identifier: MIT
// Well-known nets.
#include "cnn/net.hpp"

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

namespace {

/// A squeeze to S channels, and its expansion by E 1x1 and E 3x3 filters.
void add_fire(Net& net, const std::string& name, int S, int E) {
  const auto convolution = [&](const std::string& part, const Convolution& layer, const std::string& input) {
    net.add(name + "/" + part, layer, input.empty() ? std::vector<std::string>{} : std::vector{name + "/" + input});
    net.add(name + "/relu_" + part, Relu{});
  };
  convolution("squeeze1x1", {.filters = S}, "");
  convolution("expand1x1", {.filters = E}, "relu_squeeze1x1");
  convolution("expand3x3", {.filters = E, .kernel = {3, 3}, .pad = {1, 1}}, "relu_squeeze1x1");
  net.add(name + "/concat", Concat{}, {name + "/relu_expand1x1", name + "/relu_expand3x3"});
}

}  // namespace

Net squeezenet(SqueezeNet version, int classes, std::uint64_t seed) {
  const bool v1_0 = version == SqueezeNet::v1_0;
  const Pooling pool{.kernel = {3, 3}, .stride = {2, 2}};
  const Convolution conv1{.filters = v1_0 ? 96 : 64, .kernel = v1_0 ? Extent{7, 7} : Extent{3, 3}, .stride = {2, 2}};
  const int squeeze[] = {16, 16, 32, 32, 48, 48, 64, 64};
  Net net({1, 3, 227, 227});
  net.add("conv1", conv1);
  net.add("relu_conv1", Relu{});
  net.add("pool1", pool);
  for (int fire = 2; fire <= 9; ++fire) {
    add_fire(net, "fire" + std::to_string(fire), squeeze[fire - 2], 4 * squeeze[fire - 2]);
    if (v1_0 ? fire == 4 || fire == 8 : fire == 3 || fire == 5) net.add("pool" + std::to_string(fire), pool);
  }
  net.add("drop9", Dropout{});
  net.add("conv10", Convolution{.filters = classes, .pad = v1_0 ? Extent{1, 1} : Extent{0, 0}});
  net.add("relu_conv10", Relu{});
  net.add("pool10", Pooling{.method = Pooling::Method::average, .global = true});
  initialize(net, seed);
  return net;
}

}  // namespace cnn
