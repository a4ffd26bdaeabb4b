// SPDX-License-Identifier: MIT
// Repairs of whole nets: what they leave alone, what they improve, threads; walks through nets; journals.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "candidates.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"
#include "formats.hpp"
#include "journal.hpp"
#include "parallel.hpp"
#include "pictures.hpp"
#include "repair.hpp"

using checks::contains;
using namespace cnn;

namespace {

namespace rt = ristretto;

constexpr Shape image{1, 3, 20, 20};

/// Branches as in SqueezeNet, groups, a layer that nothing repairs, and one that is fully connected.
Net small_net() {
  Net net(image);
  net.add("conv1", Convolution{.filters = 8, .kernel = {3, 3}, .pad = {1, 1}});
  net.add("relu1", Relu{});
  net.add("pool1", Pooling{});
  net.add("squeeze", Convolution{.filters = 6, .kernel = {1, 1}});
  net.add("relu_s", Relu{});
  net.add("left", Convolution{.filters = 5, .kernel = {1, 1}}, {"relu_s"});
  net.add("relu_l", Relu{});
  net.add("right", Convolution{.filters = 7, .kernel = {3, 3}, .pad = {1, 1}}, {"relu_s"});
  net.add("relu_r", Relu{});
  net.add("concat", Concat{}, {"relu_l", "relu_r"});
  net.add("grouped", Convolution{.filters = 8, .kernel = {3, 3}, .groups = 4});
  net.add("relu_g", Relu{});
  net.add("up", Deconvolution{.filters = 4, .kernel = {2, 2}, .stride = {2, 2}});
  net.add("ip", InnerProduct{.outputs = 10});
  initialize(net, 7);
  float more = 0.01f;
  net.each_trimmed([&](Node&, auto& layer) {
    for (float& value : layer.bias.edit().values()) value = more = -1.01f * more;
    Tensor& weight = layer.weight.edit();
    const Index plane = weight.shape().plane(), row = weight.shape().image();
    for (Index i = 0; i < weight.size(); ++i) weight[i] *= std::ldexp(1.0f, static_cast<int>(i % row / plane) % 4 - 2);
  });
  return net;
}

/// Pictures without files.
caffe_files::Source made_pictures() {
  Dataset data{.shape = image.with_batch(30), .pixels = {}, .labels = std::vector<int>(30)};
  checks::Patterns patterns;
  std::uint32_t value = 0;
  for (Index i = 0; i < data.shape.size(); ++i) {
    value = (3 * value + (patterns.next() >> 24)) / 4;  // neighbours are alike
    data.pixels.push_back(static_cast<std::uint8_t>(value));
  }
  caffe_files::Source source;
  source.name = "made";
  source.how.transform.scale = 1.0f / 128;
  source.size = 30;
  source.stored = source.image = image;
  source.pictures = std::move(data);
  return source;
}

void set_formats(Net& net, int bits) {
  net.each_trimmed([&]<class L>(Node&, L& layer) {
    layer.formats.input = rt::DynamicFixedPoint<>(3, 5);
    layer.formats.weight = rt::DynamicFixedPoint<>(0, bits);
    layer.formats.bias = rt::DynamicFixedPoint<>(2, 14);
    if constexpr (!std::is_same_v<L, Deconvolution>) {
      layer.formats.weight_shifts.assign(static_cast<std::size_t>(layer.weight.value().shape().N), 0);
    }
  });
}

/// The mean squared difference of the outputs of two nets.
double distance(Net& a, Net& b, tool::Pictures& pictures) {
  double sum = 0;
  for (std::size_t i = 0; i < pictures.batches(); ++i) {
    const Tensor x = a.forward(pictures.batch(i).images);
    const Tensor& y = b.forward(pictures.batch(i).images);
    for (Index k = 0; k < x.size(); ++k) sum += std::pow(static_cast<double>(x[k]) - static_cast<double>(y[k]), 2);
  }
  return sum;
}

bool same(const std::vector<tool::LayerState>& a, const std::vector<tool::LayerState>& b) {
  const auto bits = [](const Tensor& x, const Tensor& y) {
    return x.shape() == y.shape() && std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.size()) * 4) == 0;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return x.formats == y.formats && bits(x.values->weight, y.values->weight) && bits(x.values->bias, y.values->bias);
  });
}

}  // namespace

TEST_CASE("equalizing leaves what a net computes in float") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 30, .batch_size = 8});
  for (const bool per_channel : {false, true}) {
    Net net = small_net(), before = net;
    CHECK(tool::equalize(net, per_channel, {}) == 2);  // conv1 and squeeze; nothing behind groups and transposes
    CHECK(distance(net, before, pictures) == 0);       // powers of two: the bits
    bool changed = false;
    const auto a = tool::states_of(net), b = tool::states_of(before);
    for (std::size_t i = 0; i < a.size(); ++i) changed |= !same({a[i]}, {b[i]});
    CHECK(changed);
  }
}

TEST_CASE("equalizing knows a layer that is joined twice, and leaves what is kept") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 10, .batch_size = 8});
  Net net(image);
  net.add("conv1", Convolution{.filters = 4, .kernel = {3, 3}});
  net.add("other", Convolution{.filters = 3, .kernel = {3, 3}}, {"data"});
  net.add("twice", Concat{}, {"conv1", "other", "conv1"});
  net.add("conv2", Convolution{.filters = 5, .kernel = {1, 1}});
  initialize(net, 3);
  Tensor& weight = net.layer<Convolution>("conv2").weight.edit();
  for (Index i = 0; i < weight.size(); ++i) weight[i] = std::ldexp(weight[i], static_cast<int>(3 * (i % 11 % 7)));
  for (const bool per_channel : {false, true}) {
    const auto conv1_of = [](Net& n) { return n.layer<Convolution>("conv1").weight.value().values(); };
    Net equalized = net, left = net;
    CHECK(tool::equalize(equalized, per_channel, {}) > 0);
    CHECK(distance(equalized, net, pictures) == 0);
    CHECK(!std::ranges::equal(conv1_of(equalized), conv1_of(net)));
    const std::vector<std::string> kept{"conv1"};
    tool::equalize(left, per_channel, kept);
    CHECK(std::ranges::equal(conv1_of(left), conv1_of(net)));
  }
}

TEST_CASE("the relu behind a layer may come after max pooling, and nothing else reads the layer") {
  const auto found = [](cnn::Layer between, bool has_other_reader) {
    Net net(image);
    const int conv = net.add("conv", Convolution{.filters = 4, .kernel = {3, 3}});
    if (!std::holds_alternative<Relu>(between)) net.add("between", std::move(between));
    net.add("relu", Relu{});
    if (has_other_reader) net.add("other", Convolution{.filters = 4, .kernel = {3, 3}}, {"conv"});
    return tool::relu_behind(net, conv) != nullptr;
  };
  CHECK(found(Relu{}, false));
  CHECK(found(Pooling{}, false));
  CHECK(!found(Pooling{.method = Pooling::Method::average}, false));
  CHECK(!found(Lrn{}, false));
  CHECK(!found(Relu{}, true));
  CHECK(!found(Pooling{}, true));
}

TEST_CASE("what a relu drops counts where an accuracy reads it") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 8, .batch_size = 8});
  caffe_files::Model model{.net = small_net(), .logits = "ip"};
  CHECK(tool::observe(model, pictures, {}, "").front().ranges.output.min() == 0);
  model.accuracies.push_back({.name = "beside", .input = "conv1"});
  CHECK(tool::observe(model, pictures, {}, "").front().ranges.output.min() < 0);
}

TEST_CASE("scores get the format that leaves their softmax nearest") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 30, .batch_size = 8});
  caffe_files::Model model{.net = small_net(), .logits = "ip"};
  for (float& w : model.net.layer<InnerProduct>("ip").weight.edit().values()) w *= 20;  // sure of some pictures
  const auto layers = tool::observe(model, pictures, {}, "");
  REQUIRE(layers.size() == 7);
  for (const auto& layer : layers) CHECK(layer.scores.empty() == (layer.name != "ip"));

  auto without = layers;
  without.back().scores.clear();
  const auto divergence = [&](const rt::AnyFormat& format) {
    double sum = 0;
    for (const Tensor& wanted : layers.back().scores) {
      Tensor found = wanted;
      rt::trim(found.values(), rt::Trimmer{format});
      sum += DivergenceLoss().forward(found, wanted) * static_cast<double>(wanted.shape().N);
    }
    return sum;
  };
  for (const int bits : {2, 3, 4, 8}) {
    const tool::LayerWidths widths{.activations = bits};
    const auto best = *tool::formats_for(layers, layers.size() - 1, {}, widths).output;
    const auto least_squares = *tool::formats_for(without, layers.size() - 1, {}, widths).output;
    CAPTURE(bits, to_string(best), to_string(least_squares));
    CHECK(divergence(best) <= divergence(least_squares));
    if (bits == 2) CHECK(divergence(best) < 0.9 * divergence(least_squares));
    for (const int shift : {-1, 1}) CHECK(divergence(best) <= divergence(best.scaled(shift)));
    const auto with_sign = *tool::formats_for(layers, layers.size() - 1, {.is_unsigned = false}, widths).output;
    CHECK(with_sign.lowest() < 0);
  }
  for (const auto rule : {rt::RangeRule::ristretto2016, rt::RangeRule::max_abs}) {
    CHECK(tool::observe(model, pictures, {.ranges = rule}, "").back().scores.empty());
  }
}

TEST_CASE("repairs bring a trimmed net closer to the one in float, each of them") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 30, .batch_size = 8});
  Net reference = small_net();
  const auto repaired = [&](const tool::Repair& how) {
    Net net = reference;
    set_formats(net, 3);
    tool::repair(net, reference, pictures, how, "");
    return net;
  };
  Net plain = repaired({}), biased = repaired({.bias = true}), compensated = repaired({.compensate = true}),
      both = repaired({.compensate = true, .bias = true});
  const double rounded = distance(plain, reference, pictures);
  CHECK(distance(biased, reference, pictures) < rounded);
  CHECK(distance(compensated, reference, pictures) < 0.5 * rounded);
  CHECK(distance(both, reference, pictures) < 0.5 * rounded);

  // Weights are numbers of their formats, so that what is read from a file is what was found.
  both.each_trimmed([&]<class L>(Node&, L& layer) {
    if constexpr (std::is_same_v<L, Deconvolution>) return;
    Parameter p;
    p.edit() = layer.weight.value();
    p.prepare(layer.formats.weight, {}, Rounding::stochastic, Ties::to_even, layer.formats.weight_shifts);
    CHECK(std::equal(p.in_use().values().begin(), p.in_use().values().end(), layer.weight.value().values().begin()));
  });
  // The layer that nothing compensates keeps its weights.
  CHECK(std::ranges::equal(both.layer<Deconvolution>("up").weight.value().values(),
                           reference.layer<Deconvolution>("up").weight.value().values()));
}

TEST_CASE("repairs have the same bits for any number of threads and memory") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 12, .batch_size = 8});
  const int all = workers();
  const auto repaired = [&](int threads) {
    set_workers(threads);
    Net reference = small_net(), net = reference;
    set_formats(net, 3);
    tool::repair(net, reference, pictures, {.compensate = true, .bias = true}, "");
    return tool::states_of(net);
  };
  const auto one = repaired(1), two = repaired(2);
  CHECK(same(one, two));
  CHECK(same(one, repaired(3)));
  set_workers(all);

  Net net = small_net(), other = net;
  tool::Walk kept(net, pictures), computed(other, pictures, 0);
  for (const int position : {0, 3, 5, 7, 10, 13}) {
    for (std::size_t b = 0; b < pictures.batches(); ++b) {
      const Tensor x = kept.input(position, b);
      CHECK(std::ranges::equal(x.values(), computed.input(position, b).values()));
    }
  }
}

TEST_CASE("layers that are repaired alone are those of a net whose other layers stay in float") {
  auto source = made_pictures();
  tool::Pictures pictures(source, {.count = 12, .batch_size = 8});
  Net reference = small_net(), trimmed = reference;
  set_formats(trimmed, 3);
  std::vector<std::vector<tool::LayerState>> all;
  for (const tool::LayerState& state : tool::states_of(trimmed)) all.push_back({state});
  const tool::Repair how{.compensate = true, .bias = true, .retarget = false};
  tool::repair_alone(reference, pictures, how, all, "");

  std::size_t i = 0;
  reference.each_trimmed([&](Node& node, auto& layer) {
    using L = std::remove_cvref_t<decltype(layer)>;
    Net net = reference;
    net.layer<L>(node.name).formats = trimmed.layer<L>(node.name).formats;
    net.layer<L>(node.name).formats.input.reset();
    tool::Repair only = how;
    tool::repair(net, reference, pictures, only, "");
    const auto expected = tool::states_of(net)[i];
    INFO(node.name);
    CHECK(std::ranges::equal(all[i][0].values->weight.values(), expected.values->weight.values()));
    CHECK(all[i][0].formats.weight_shifts == expected.formats.weight_shifts);
    ++i;
  });
}

TEST_CASE("what a concat joins has one range") {
  Net net = small_net();
  std::vector<tool::LayerStatistics> layers;
  net.each_trimmed([&](Node& node, auto&) {
    layers.push_back({.name = node.name, .position = static_cast<int>(&node - net.nodes().data())});
    layers.back().ranges.output.observe(std::vector<float>{0, static_cast<float>(layers.size())});
  });
  tool::share_ranges_of_concats(net, layers);
  for (const tool::LayerStatistics& l : layers) {
    const bool joined = l.name == "left" || l.name == "right";
    CHECK(l.ranges.output.max() == (joined ? 4 : static_cast<float>(&l - layers.data() + 1)));
    CHECK(l.ranges.output.count() == (joined ? 4 : 2));
  }
}

TEST_CASE("a journal goes on after its last whole line, and is of one search") {
  const checks::Folder folder;
  const std::string path = folder / "journal";
  const tool::Hits a{{true, false, true}, 0.25}, b{{false, false, true}, 1.0 / 3};
  {
    tool::Journal journal(path, "a search", 3);
    CHECK(journal.find("8/8 8/8") == nullptr);
    CHECK(journal.add("8/8 8/8", a)->right == a.right);
    journal.add("4/8 8/8", b);
    journal.add("4/8 8/8", b);  // known
    CHECK(contains(checks::message_of<std::runtime_error>([&] { journal.add("4/8 8/8", a); }), "other results"));
  }
  const std::string whole = checks::bytes_of(path);
  {
    tool::Journal journal(path, "a search", 3);
    REQUIRE(journal.find("4/8 8/8") != nullptr);
    CHECK(journal.find("4/8 8/8")->right == b.right);
    CHECK(journal.find("4/8 8/8")->divergence == b.divergence);  // the bits
    CHECK(journal.find("8/8 8/8")->divergence == a.divergence);
  }
  CHECK(checks::bytes_of(path) == whole);
  for (std::size_t size = 0; size < whole.size(); ++size) {  // cut anywhere
    folder.write("cut", whole.substr(0, size));
    tool::Journal journal(folder / "cut", "a search", 3);
    if (!journal.find("8/8 8/8")) journal.add("8/8 8/8", a);
    if (!journal.find("4/8 8/8")) journal.add("4/8 8/8", b);
    CHECK(checks::bytes_of(folder / "cut") == whole);
  }
  const auto message = [&](const std::string& bytes) {
    folder.write("bad", bytes);
    return checks::message_of<std::runtime_error>([&] { tool::Journal(folder / "bad", "a search", 3); });
  };
  CHECK(contains(message("another search\n"), "of another search"));
  CHECK(contains(message("a search\nnonsense\n"), "line 2"));
  CHECK(contains(message("a search\n0.5\t10x\tkey\n"), "line 2"));
  CHECK(contains(message("a search\nnan\t101\tkey\n"), "line 2"));
  CHECK(contains(message("a search\n0.5\t1011\tkey\n"), "with 3 pictures"));
  CHECK(contains(message("a note"), "of another search"));
  CHECK(checks::bytes_of(folder / "bad") == "a note");
  CHECK(contains(checks::message_of<std::runtime_error>([&] { tool::Journal(folder / "", "a search", 3); }),
                 "is a folder"));
  CHECK(contains(checks::message_of<std::runtime_error>([&] { tool::Journal(folder / "no/such", "a search", 3); }),
                 "cannot be written"));
  tool::Journal("", "nothing", 3).add("key", a);
}
