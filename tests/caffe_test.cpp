// SPDX-License-Identifier: MIT
// Caffe's files and the nets that are built from them: small ones of our own.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "caffe/build.hpp"
#include "caffe/files.hpp"
#include "caffe/quantization.hpp"
#include "caffe/weights.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"

namespace rt = ristretto;
using namespace caffe_files;
using namespace protobuf_files;
using checks::contains;

namespace {

std::string runtime_message(auto f) { return checks::message_of<std::runtime_error>(f); }
std::string argument_message(auto f) { return checks::message_of<std::invalid_argument>(f); }

caffe::NetParameter parse(const std::string& text) {
  Warnings warnings;
  caffe::NetParameter net = parse_net(text, "net", warnings);
  REQUIRE(warnings.unknown_fields.empty());
  return net;
}

std::string layer(const std::string& name, const std::string& type, const std::string& bottom,
                  const std::string& more = "", const std::string& top = "") {
  return "layer { name: '" + name + "' type: '" + type + "' bottom: '" + bottom + "' top: '" +
         (top.empty() ? name : top) + "' " + more + " }\n";
}

std::string input(const std::string& sizes) {
  std::string dims;
  for (std::size_t at = 0; at < sizes.size();) {
    const std::size_t end = std::min(sizes.find(' ', at), sizes.size());
    dims += " dim: " + sizes.substr(at, end - at);
    at = end + 1;
  }
  return "layer { name: 'data' type: 'Input' top: 'data' input_param { shape {" + dims + " } } }\n";
}

Model built(const std::string& text, caffe::Phase phase = caffe::TEST) { return build(parse(text), phase); }

cnn::Tensor tensor(cnn::Shape shape, std::vector<float> values) {
  cnn::Tensor t(shape);
  REQUIRE(static_cast<std::size_t>(t.size()) == values.size());
  std::copy(values.begin(), values.end(), t.data());
  return t;
}

std::vector<float> values(const cnn::Tensor& t) { return {t.data(), t.data() + t.size()}; }

void set(Model& model, const std::string& name, const std::vector<float>& to) {
  bool found = false;
  model.net.each_parameter([&](const std::string& n, cnn::Parameter& p) {
    if (n != name) return;
    found = true;
    REQUIRE(static_cast<std::size_t>(p.value().size()) == to.size());
    std::copy(to.begin(), to.end(), p.edit().data());
  });
  REQUIRE(found);
}

constexpr const char* train_test = R"(
name: "small"
layer { name: "pictures" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.5 mirror: true }
  data_param { source: "train" batch_size: 3 backend: LMDB } }
layer { name: "pictures" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.5 }
  data_param { source: "test" batch_size: 2 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.25 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.25 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "scores" inner_product_param { num_output: 4 } }
layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "top1" include { phase: TEST } }
layer { name: "accuracy5" type: "Accuracy" bottom: "scores" bottom: "label" top: "top3" accuracy_param { top_k: 3 }
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
)";

}  // namespace

// ---- Text ----

TEST_CASE("unknown fields of a text are skipped, and listed with their places", "[files]") {
  Warnings warnings;
  const caffe::NetParameter net = parse_net(
      "name: 'n'\nlayer { name: 'a' type: 'ReLU'\n  colour: 3\n  shade { deep { er: 'x' } } relu_param { slope: 1 } "
      "}\n",
      "some.prototxt", warnings);
  CHECK(net.layer(0).type() == "ReLU");
  REQUIRE(warnings.unknown_fields.size() == 3);
  CHECK(contains(warnings.unknown_fields[0], "some.prototxt:3:"));
  CHECK(contains(warnings.unknown_fields[0], "LayerParameter has no field \"colour\""));
  CHECK(contains(warnings.unknown_fields[2], "ReLUParameter has no field \"slope\""));
  const std::string text = to_string(warnings);
  CHECK(contains(text, "colour"));
  CHECK(contains(text, "shade"));
  CHECK(to_string(Warnings{}).empty());
}

TEST_CASE("errors in a text name file, line and column", "[files]") {
  Warnings warnings;
  const auto message = [&](const std::string& text) {
    return runtime_message([&] { parse_net(text, "some.prototxt", warnings); });
  };
  CHECK(contains(message("name: 'n'\nlayer {\n  name: }\n"), "some.prototxt:3:9: "));
  CHECK(contains(message("layer { name: 'a'"), "some.prototxt:1:"));
  CHECK(contains(message("layer { pooling_param { pool: MEDIAN } }"), "MEDIAN"));
  CHECK(contains(message("layer { name: 'a' name: 'b' }"), "some.prototxt:1:"));
  CHECK(contains(message("layer { name: 3 }"), "some.prototxt:1:"));
  CHECK(contains(message("input_dim: 99999999999"), "some.prototxt:1:"));
  CHECK(contains(message("\x7f"
                         "ELF\x02"),
                 "some.prototxt:1:1"));
  CHECK(contains(message(std::string("name\0: 'n'", 10)), "zero at byte 4"));
  CHECK(contains(message(std::string(5 << 20, ' ')), "at most"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "a {";
  CHECK(contains(message(deep), "some.prototxt:1:"));
}

TEST_CASE("a solver's legacy type becomes its type", "[files]") {
  Warnings warnings;
  const auto solver = parse_solver("solver_type: ADAM base_lr: 0.5 stepvalue: 3 stepvalue: 5", "s", warnings);
  CHECK(solver.type() == "Adam");
  CHECK_FALSE(solver.has_solver_type());
  CHECK(solver.stepvalue_size() == 2);
  CHECK(parse_solver("", "s", warnings).type() == "SGD");
  CHECK(
      contains(runtime_message([&] { parse_solver("solver_type: ADAM type: 'SGD'", "s", warnings); }), "contradicts"));
}

TEST_CASE("V1 layers are brought up to date", "[files]") {
  const caffe::NetParameter net = parse(R"(
    layers { name: "d" type: DATA top: "data" top: "label" include { phase: TEST }
             data_param { source: "s" batch_size: 5 scale: 0.25 crop_size: 3 mirror: true mean_file: "m" backend: LMDB } }
    layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
             convolution_param { num_output: 3 kernel_size: 2 } }
    layers { name: "i" type: INNER_PRODUCT bottom: "c" top: "i" inner_product_param { num_output: 7 } }
    layers { name: "l" type: LRN bottom: "i" top: "l" lrn_param { local_size: 3 } }
    layers { name: "s" type: SOFTMAX_LOSS bottom: "l" bottom: "label" }
    layers { name: "x" type: EUCLIDEAN_LOSS } layers { name: "y" type: TANH } layers { name: "z" type: RELU })");
  REQUIRE(net.layers_size() == 0);
  REQUIRE(net.layer_size() == 8);
  CHECK(net.layer(0).type() == "Data");
  CHECK(net.layer(0).transform_param().scale() == 0.25f);
  CHECK(net.layer(0).transform_param().crop_size() == 3);
  CHECK(net.layer(0).transform_param().mirror());
  CHECK(net.layer(0).transform_param().mean_file() == "m");
  CHECK_FALSE(net.layer(0).data_param().has_scale());
  CHECK(net.layer(0).data_param().batch_size() == 5);
  CHECK(net.layer(0).include(0).phase() == caffe::TEST);
  CHECK(net.layer(1).type() == "Convolution");
  CHECK(net.layer(1).param(1).lr_mult() == 2);
  CHECK(net.layer(1).param(1).decay_mult() == 0);
  CHECK(net.layer(1).convolution_param().num_output() == 3);
  CHECK(net.layer(2).type() == "InnerProduct");
  CHECK(net.layer(3).type() == "LRN");
  CHECK(net.layer(4).type() == "SoftmaxWithLoss");
  CHECK(net.layer(5).type() == "EuclideanLoss");
  CHECK(net.layer(6).type() == "TanH");
  CHECK(net.layer(7).type() == "ReLU");
  CHECK(contains(runtime_message([] { parse("layers { layer { name: 'old' type: 'conv' } }"); }), "first format"));
  CHECK(contains(runtime_message([] { parse("layers { } layer { }"); }), "both"));
}

TEST_CASE("inputs of the net become a layer", "[files]") {
  const caffe::NetParameter net =
      parse("input: 'a' input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 layer { name: 'x' }");
  REQUIRE(net.layer_size() == 2);
  CHECK(net.layer(0).type() == "Input");
  CHECK(net.layer(0).input_param().shape(0).dim(3) == 4);
  CHECK(net.layer(1).name() == "x");
  CHECK(parse("input: 'a' input_shape { dim: 1 dim: 9 }").layer(0).input_param().shape(0).dim_size() == 2);
  CHECK(contains(runtime_message([] { parse("input: 'a' input_dim: 1"); }), "four input_dim"));
  CHECK(contains(runtime_message([] { parse("input_dim: 1"); }), "no \"input\""));
}

TEST_CASE("texts are written as they are read", "[files]") {
  const checks::Folder folder;
  const std::string path = folder / "file";
  const caffe::NetParameter net = parse(train_test);
  write_text(net, path);
  CHECK_FALSE(std::filesystem::exists(path + ".part"));
  Warnings warnings;
  CHECK(read_net(path, warnings).SerializeAsString() == net.SerializeAsString());
  CHECK(contains(checks::bytes_of(path),
                 "layer {\n  name: \"relu\"\n  type: \"ReLU\"\n  bottom: \"conv\"\n  top: \"conv\"\n}\n"));
  CHECK(contains(checks::bytes_of(path), "  include {\n    phase: TRAIN\n  }\n  transform_param {\n    scale: 0.5\n"));
  CHECK(contains(runtime_message([&] { write_text(net, path + "/no/folder"); }), "cannot be written"));
  std::filesystem::create_directory(path + ".part");  // nothing can be written there
  const std::string before = checks::bytes_of(path);
  CHECK(contains(runtime_message([&] { write_text(parse("name: 'other'"), path); }), "cannot be written"));
  CHECK(checks::bytes_of(path) == before);
  CHECK(contains(runtime_message([&] { read_net(path + ".none", warnings); }), "cannot be opened"));
  CHECK(contains(runtime_message([&] { read_net(folder.path.string(), warnings); }), "folder"));
}

// ---- Binary ----

TEST_CASE("weights with legacy shapes are brought up to date", "[files]") {
  caffe::NetParameter net;
  auto* blob = net.add_layers()->add_blobs();
  net.mutable_layers(0)->set_type(caffe::V1LayerParameter::INNER_PRODUCT);
  blob->set_num(1);
  blob->set_channels(1);
  blob->set_height(2);
  blob->set_width(3);
  for (int i = 0; i < 6; ++i) blob->add_data(static_cast<float>(i));
  Warnings warnings;
  const caffe::NetParameter read = parse_weights(net.SerializeAsString(), "w", warnings);
  REQUIRE(read.layer_size() == 1);
  const caffe::BlobProto& found = read.layer(0).blobs(0);
  REQUIRE(found.shape().dim_size() == 4);
  CHECK(found.shape().dim(3) == 3);
  CHECK_FALSE(found.has_width());
  CHECK(values_of(found, "w") == std::vector<float>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("damaged binary files are refused before memory is taken", "[files]") {
  Warnings warnings;
  const auto message = [&](const std::string& bytes) {
    return runtime_message([&] { parse_weights(bytes, "w.caffemodel", warnings); });
  };
  using namespace std::string_literals;
  // layer (field 100, wire type 2) of 4 GiB
  CHECK(contains(message("\xa2\x06\xff\xff\xff\xff\x0f"s), "expected 4294967295 bytes, found 0 at byte 7 in layer"));
  CHECK(contains(message("\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s), "expected 18446744073709551615 bytes"));
  CHECK(contains(message("\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s), "10 bytes"));
  CHECK(contains(message("\xa2\x06\x04\x3a\x02\x2a\x03"s), "layer.blobs"));
  CHECK(contains(message("\xa2\x06\x07\x3a\x05\x2a\x03\x00\x00\x00"s), "elements of 4 bytes"));
  CHECK(contains(message("\x02\x00"s), "the number 0"));
  CHECK(contains(message("\x0b"s), "wire type"));
  CHECK(contains(message("\x0a"s), "expected more of a number"));
  CHECK(contains(message("name: \"a text\""), "w.caffemodel"));
  std::string parts(6'000'010, '\0');  // as many empty layers as the file can hold
  for (std::size_t i = 0; i + 2 < parts.size(); i += 3) {
    parts[i] = '\xa2';
    parts[i + 1] = '\x06';
  }
  parts.resize(6'000'003);
  CHECK(contains(message(parts), "parts"));
}

TEST_CASE("unknown fields and values of a binary file are listed once", "[files]") {
  Warnings warnings;
  using namespace std::string_literals;
  const std::string twice = "\xa2\x06\x03\xf8\x7f\x05\xa2\x06\x03\xf8\x7f\x06"s;  // field 2047 of two layers
  CHECK(parse_weights(twice, "w", warnings).layer_size() == 2);
  CHECK(warnings.unknown_fields == std::vector<std::string>{"w: LayerParameter has no field 2047"});
  Warnings phase;
  parse_weights("\xa2\x06\x02\x50\x07"s, "w", phase);  // phase: 7
  CHECK(phase.unknown_fields == std::vector<std::string>{"w: LayerParameter has no field 10"});
}

// ---- Nets ----

TEST_CASE("the rules of phases, stages and levels choose the layers", "[build]") {
  const auto names = [](const std::string& rules, const std::string& state, caffe::Phase phase) {
    const caffe::NetParameter net = parse("state { " + state + " } layer { name: 'a' type: 'ReLU' " + rules + " }");
    return in_phase(net, phase).layer_size() == 1;
  };
  CHECK(names("", "", caffe::TEST));
  CHECK(names("include { phase: TEST }", "", caffe::TEST));
  CHECK_FALSE(names("include { phase: TEST }", "", caffe::TRAIN));
  CHECK(names("include { phase: TEST } include { phase: TRAIN }", "", caffe::TRAIN));
  CHECK_FALSE(names("exclude { phase: TEST }", "", caffe::TEST));
  CHECK(names("include { stage: 'deploy' }", "stage: 'deploy'", caffe::TEST));
  CHECK_FALSE(names("include { stage: 'deploy' }", "", caffe::TEST));
  CHECK_FALSE(names("include { stage: 'a' stage: 'b' }", "stage: 'a'", caffe::TEST));
  CHECK_FALSE(names("include { not_stage: 'a' }", "stage: 'a'", caffe::TEST));
  CHECK(names("include { min_level: 1 max_level: 3 }", "level: 3", caffe::TEST));
  CHECK_FALSE(names("include { min_level: 1 }", "", caffe::TEST));
  CHECK(contains(argument_message([&] { names("include { } exclude { }", "", caffe::TEST); }), "a: "));
}

TEST_CASE("a model says what its data, loss and accuracy layers are", "[build]") {
  const caffe::NetParameter net = parse(train_test);
  const DataLayer data = data_layer(net, caffe::TEST);
  CHECK(data.type == "Data");
  CHECK(data.source == "test");
  CHECK(data.batch_size == 2);
  CHECK(data.backend == caffe::DataParameter::LMDB);
  CHECK(data.transform.scale() == 0.5f);
  CHECK(data_layer(net, caffe::TRAIN).transform.mirror());

  const Model test = build(net, caffe::TEST, cnn::Shape{1, 1, 5, 5});
  CHECK(test.logits == "ip");
  CHECK(test.loss == "loss");
  REQUIRE(test.accuracies.size() == 2);
  CHECK(test.accuracies[0].name == "top1");
  CHECK(test.accuracies[0].input == "ip");
  CHECK(test.accuracies[1].top_k == 3);
  CHECK(test.net.output_shape() == cnn::Shape{1, 4, 1, 1});
  REQUIRE(test.net.nodes().size() == 3);  // without Dropout
  CHECK(test.net.nodes()[2].name == "ip");

  const Model train = build(net, caffe::TRAIN, cnn::Shape{1, 1, 5, 5});
  CHECK(train.net.nodes().size() == 4);
  CHECK(train.accuracies.empty());
  std::vector<std::pair<float, float>> rates;
  train.net.each_parameter([&](const std::string&, const cnn::Parameter& p) { rates.emplace_back(p.rate, p.decay); });
  CHECK(rates == std::vector<std::pair<float, float>>{{1.f, 1.f}, {2.f, 0.f}, {1.f, 1.f}, {1.f, 1.f}});

  CHECK(
      contains(argument_message([&] { build(net, caffe::TEST); }), "pictures: the shape of its pictures is not known"));
}

TEST_CASE("layers read the blob that was written last, also in place", "[build]") {
  // conv's blob is changed in place twice; 'b' and the sum read the last state.
  Model m = built(
      input("1 1 1 2") +
      layer("conv", "Convolution", "data", "convolution_param { num_output: 1 kernel_size: 1 }", "x") +
      layer("relu", "ReLU", "x", "", "x") + layer("b", "Scale", "x", "scale_param { bias_term: true }", "y") +
      "layer { name: 's' type: 'Split' bottom: 'y' top: 'y1' top: 'y2' }" +
      "layer { name: 'sum' type: 'Eltwise' bottom: 'y1' bottom: 'x' top: 'z' eltwise_param { coeff: 1 coeff: -1 } }");
  set(m, "conv.weight", {2});
  set(m, "conv.bias", {1});
  set(m, "b.weight", {3});
  set(m, "b.bias", {0.5f});
  const cnn::Tensor in = tensor({1, 1, 1, 2}, {1, -4});
  CHECK(values(m.net.forward(in)) == std::vector<float>{3 * 3 + 0.5f - 3, 0.5f});
  CHECK(m.net.nodes().size() == 4);
  CHECK(m.logits == "sum");
}

TEST_CASE("settings of layers arrive in the net", "[build]") {
  const Model m =
      built(input("1 4 20 22") +
            layer("c", "Convolution", "data",
                  "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 5 stride: 2 pad: 1 pad: 2 group: 2 "
                  "dilation: 2 bias_term: false engine: CUDNN }") +
            layer("d", "Deconvolution", "c", "convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 }") +
            layer("p", "Pooling", "d", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }") +
            layer("n", "LRN", "p", "lrn_param { local_size: 3 alpha: 2 beta: 0.5 k: 4 }") +
            layer("w", "LRN", "n", "lrn_param { norm_region: WITHIN_CHANNEL k: 4 }") + layer("sg", "Sigmoid", "w") +
            layer("th", "TanH", "sg") + layer("r", "ReLU", "th", "relu_param { negative_slope: 0.5 }") +
            layer("bn", "BatchNorm", "r", "batch_norm_param { eps: 0.5 moving_average_fraction: 0.75 }") +
            layer("f", "Flatten", "bn") +
            layer("ip", "InnerProduct", "f", "inner_product_param { num_output: 3 bias_term: false }") +
            layer("prob", "Softmax", "ip"));
  const auto get = [&]<class L>(const std::string& name, L) -> const L& {
    const auto nodes = m.net.nodes();
    const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const cnn::Node& n) { return n.name == name; });
    REQUIRE(at != nodes.end());
    return std::get<L>(at->layer);
  };
  const auto& c = get("c", cnn::Convolution{});
  CHECK(c.kernel == cnn::Extent{3, 5});
  CHECK(c.stride == cnn::Extent{2, 2});
  CHECK(c.pad == cnn::Extent{1, 2});
  CHECK(c.dilation == cnn::Extent{2, 2});
  CHECK(c.groups == 2);
  CHECK_FALSE(c.has_bias);
  CHECK(get("d", cnn::Deconvolution{}).kernel == cnn::Extent{4, 4});
  CHECK(get("p", cnn::Pooling{}).method == cnn::Pooling::Method::average);
  CHECK(get("n", cnn::Lrn{}).k == 4);
  CHECK(get("w", cnn::Lrn{}).k == 1);
  CHECK(get("w", cnn::Lrn{}).region == cnn::Lrn::Region::within_channel);
  CHECK(get("r", cnn::Relu{}).negative_slope == 0.5f);
  CHECK(get("bn", cnn::BatchNorm{}).epsilon == 0.5f);
  CHECK(get("bn", cnn::BatchNorm{}).moving_average_fraction == 0.75f);
  CHECK_FALSE(get("ip", cnn::InnerProduct{}).has_bias);
  CHECK(m.logits == "ip");
  CHECK(m.net.nodes().back().name == "ip");
  REQUIRE(m.notes.size() == 2);
  CHECK(contains(m.notes[0], "w: k is 1"));
  CHECK(contains(m.notes[1], "prob"));
}

TEST_CASE("what is not supported is an error that names the layer", "[build]") {
  const auto message = [](const std::string& layers, caffe::Phase phase = caffe::TEST) {
    return argument_message([&] { built(input("1 3 8 8") + layers, phase); });
  };
  const auto one = [&](const std::string& type, const std::string& more) {
    return message(layer("x", type, "data", more));
  };
  CHECK(contains(one("PReLU", ""), "x: type \"PReLU\" is not supported; what is: Accuracy"));
  CHECK(contains(one("", ""), "x: type \"\" is not supported"));
  CHECK(contains(message(layer("x", "ReLU", "nowhere")), "x: nothing before it writes its bottom \"nowhere\""));
  CHECK(contains(one("Concat", "concat_param { axis: 2 }"), "x: concat_param.axis"));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 1 kernel_size: 1 axis: 2 }"),
                 "x: convolution_param.axis"));
  CHECK(contains(one("Convolution", "convolution_param { kernel_size: 1 }"), "x: "));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 1 }"), "x: kernel is 0x0"));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 1 kernel_size: 9 }"), "x: "));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 1 kernel_size: 1 kernel_h: 1 }"),
                 "x: kernel_size is given twice"));
  CHECK(
      contains(one("Convolution", "convolution_param { num_output: 1 kernel_size: 1 stride: 0 }"), "x: stride is 0x0"));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 2 }"), "x: "));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 4000000000 kernel_size: 1 }"),
                 "x: num_output is 4000000000"));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 9000000 kernel_size: 8 }"),
                 "x: the net has too many parameters"));
  CHECK(contains(one("Convolution", "convolution_param { num_output: 2000000 kernel_size: 1 }"),
                 "x: its images are too large"));
  CHECK(contains(one("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 1 }"), "x: pool is STOCHASTIC"));
  CHECK(contains(one("Pooling", "pooling_param { kernel_size: 2 round_mode: FLOOR }"), "x: round_mode"));
  CHECK(contains(one("Pooling", ""), "x: kernel is 0x0"));
  CHECK(contains(one("InnerProduct", "inner_product_param { num_output: 1 transpose: true }"),
                 "x: inner_product_param.transpose"));
  CHECK(contains(one("InnerProduct", "inner_product_param { num_output: 1 axis: 2 }"), "x: inner_product_param.axis"));
  CHECK(contains(one("LRN", "lrn_param { local_size: 4 }"), "x: "));
  CHECK(contains(one("Softmax", "softmax_param { axis: 2 }"), "x: softmax_param.axis"));
  CHECK(contains(one("Flatten", "flatten_param { axis: 2 }"), "x: flatten_param"));
  CHECK(contains(one("Scale", "scale_param { axis: 0 }"), "x: scale_param"));
  CHECK(contains(one("BatchNorm", "batch_norm_param { use_global_stats: false }"), "x: use_global_stats"));
  CHECK(contains(one("Eltwise", "eltwise_param { coeff: 1 coeff: 2 }"), "x: 2 coeff"));
  CHECK(contains(one("ReLU", "phase: TRAIN"), "x: its phase is TRAIN"));
  CHECK(contains(one("ReLU", "bottom: 'data'"), "x: a layer of type ReLU with 2 bottoms"));
  CHECK(
      contains(message("layer { name: 'x' type: 'ReLU' bottom: 'data' top: 'x' propagate_down: false }", caffe::TRAIN),
               "x: propagate_down"));
  CHECK(contains(one("InnerProduct", "inner_product_param { num_output: 1 } param { name: 'w' }"),
                 "x: its parameter \"w\" is shared"));
  CHECK(contains(message(layer("x", "ReLU", "data") + layer("x", "ReLU", "x")), "x: the name is taken"));
  CHECK(contains(message("layer { name: 'x' type: 'Data' top: 'd' }"), "x: there is a second layer with data"));
  CHECK(contains(message(layer("x", "SoftmaxWithLoss", "data", "bottom: 'data'")), "x: \"data\" holds no labels"));
  CHECK(contains(message(""), "no layer that computes"));
  CHECK(contains(argument_message([] { built(layer("x", "ReLU", "data")); }), "no Data, ImageData or Input layer"));
  CHECK(contains(argument_message([] { built(input("1 3 100000 100000")); }), "data: "));
  CHECK(contains(argument_message([] { built(input("1 3 -1 2")); }), "data: its shape has a size of -1"));
  CHECK(contains(argument_message([] { build(parse(input("1 3 8 8")), caffe::TEST, cnn::Shape{1, 3, 9, 9}); }),
                 "data: the pictures are (1, 3, 9, 9), the net is made for (1, 3, 8, 8)"));
}

TEST_CASE("what neither loss nor accuracy reads is not computed", "[build]") {
  std::string text = train_test;
  text += layer("prob", "Softmax", "scores");
  const Model m = build(parse(text), caffe::TEST, cnn::Shape{1, 1, 5, 5});
  CHECK(m.net.nodes().back().name == "ip");
  REQUIRE(m.notes.size() == 1);
  CHECK(contains(m.notes[0], "prob"));
  const std::string two = text + "layer { name: 'loss2' type: 'SoftmaxWithLoss' bottom: 'scores' bottom: 'label' }";
  CHECK(contains(argument_message([&] { build(parse(two), caffe::TRAIN, cnn::Shape{1, 1, 5, 5}); }),
                 "loss2: the net has 2 losses"));
  CHECK(build(parse(two), caffe::TEST, cnn::Shape{1, 1, 5, 5}).notes.size() == 2);
}

// ---- Weights ----

TEST_CASE("weights are saved and loaded in Caffe's layout", "[weights]") {
  const caffe::NetParameter net = parse(train_test);
  Model a = build(net, caffe::TRAIN, cnn::Shape{1, 1, 5, 5});
  fill(a, 7);
  const caffe::NetParameter saved = save_weights(a);
  const checks::Folder folder;
  const std::string path = folder / "file";
  write_binary(saved, path);
  Warnings warnings;
  const caffe::NetParameter read = read_weights(path, warnings);
  CHECK(warnings.unknown_fields.empty());
  CHECK(read.layer(1).name() == "conv");
  REQUIRE(read.layer(1).blobs_size() == 2);
  const auto dims = [](const caffe::BlobProto& b) {
    return std::vector<std::int64_t>(b.shape().dim().begin(), b.shape().dim().end());
  };
  CHECK(dims(read.layer(1).blobs(0)) == std::vector<std::int64_t>{2, 1, 3, 3});
  CHECK(dims(read.layer(1).blobs(1)) == std::vector<std::int64_t>{2});
  CHECK(dims(read.layer(4).blobs(0)) == std::vector<std::int64_t>{4, 18});
  CHECK(read.layer(1).blobs(1).data(0) == 0.25f);

  Model b = build(net, caffe::TEST, cnn::Shape{1, 1, 5, 5});
  const Unmatched unmatched = load_weights(b, read);
  CHECK(unmatched.of_file.empty());
  CHECK(unmatched.of_net.empty());
  CHECK(save_weights(b).layer(4).blobs(0).SerializeAsString() == saved.layer(4).blobs(0).SerializeAsString());

  // Every cut of the file is refused, but for one between the last weights and the layer behind them.
  const std::string bytes = checks::bytes_of(path);
  int accepted = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Model c = build(net, caffe::TEST, cnn::Shape{1, 1, 5, 5});
    try {
      load_weights(c, parse_weights(bytes.substr(0, size), "cut", warnings));
      ++accepted;
    } catch (const std::exception&) {
    }
  }
  CHECK(accepted == 1);
}

TEST_CASE("weights that do not fit are refused and leave the net as it is", "[weights]") {
  const caffe::NetParameter net = parse(train_test);
  Model m = build(net, caffe::TEST, cnn::Shape{1, 1, 5, 5});
  fill(m, 7);
  const caffe::NetParameter good = save_weights(m);
  fill(m, 8);
  const std::string before = save_weights(m).SerializeAsString();
  const auto message = [&](auto change) {
    caffe::NetParameter weights = good;
    change(weights);
    return argument_message([&] { load_weights(m, weights); });
  };
  using caffe::NetParameter;
  CHECK(contains(message([](NetParameter& w) { w.mutable_layer(1)->mutable_blobs(0)->mutable_shape()->set_dim(0, 3); }),
                 "conv.weight: expected the shape (2, 1, 3, 3), found (3, 1, 3, 3)"));
  CHECK(contains(message([](NetParameter& w) { w.mutable_layer(1)->mutable_blobs(1)->add_data(1); }),
                 "conv.bias: 3 values for the shape (2)"));
  CHECK(contains(message([](NetParameter& w) { w.mutable_layer(1)->mutable_blobs()->RemoveLast(); }),
                 "conv: expected 2 blobs, found 1"));
  CHECK(contains(
      message([](NetParameter& w) { w.mutable_layer(1)->set_name("other"); }),
      "conv: there are no weights for it and 0 other layers; layers are matched by name; left over are: other"));
  CHECK(save_weights(m).SerializeAsString() == before);

  caffe::NetParameter other = good;
  other.mutable_layer(1)->set_name("other");
  const Unmatched unmatched = load_weights(m, other, true);
  CHECK(unmatched.of_file == std::vector<std::string>{"other"});
  CHECK(unmatched.of_net == std::vector<std::string>{"conv"});

  caffe::BlobProto huge;
  for (int i = 0; i < 5; ++i) huge.mutable_shape()->add_dim(std::int64_t{1} << 40);
  CHECK(contains(argument_message([&] { values_of(huge, "huge"); }), "huge: 0 values"));
  caffe::BlobProto doubles;
  doubles.mutable_shape()->add_dim(2);
  doubles.add_double_data(0.5);
  doubles.add_double_data(-3);
  CHECK(values_of(doubles, "d") == std::vector<float>{0.5f, -3});
}

TEST_CASE("fillers", "[weights]") {
  const auto filled = [](const std::string& filler, int outputs = 64) {
    Model m = built(input("1 3 4 4") + layer("c", "Convolution", "data",
                                             "convolution_param { num_output: " + std::to_string(outputs) +
                                                 " kernel_size: 4 weight_filler { " + filler + " } }"));
    fill(m, 3);
    std::vector<float> v;
    m.net.each_parameter([&](const std::string& n, cnn::Parameter& p) {
      if (n == "c.weight") v = values(p.value());
    });
    return v;
  };
  const auto moments = [](const std::vector<float>& v) {
    double mean = 0, square = 0;
    for (const float x : v) mean += x;
    mean /= static_cast<double>(v.size());
    for (const float x : v) square += (x - mean) * (x - mean);
    return std::pair(mean, std::sqrt(square / static_cast<double>(v.size())));
  };
  CHECK(filled("") == std::vector<float>(64 * 48, 0));
  CHECK(filled("value: 2") == std::vector<float>(64 * 48, 2));
  const auto uniform = filled("type: 'uniform' min: 1 max: 3");
  CHECK(*std::min_element(uniform.begin(), uniform.end()) >= 1);
  CHECK(*std::max_element(uniform.begin(), uniform.end()) <= 3);
  CHECK(std::abs(moments(uniform).first - 2) < 0.05);
  const auto gaussian = filled("type: 'gaussian' mean: 5 std: 2");
  CHECK(std::abs(moments(gaussian).first - 5) < 0.2);
  CHECK(std::abs(moments(gaussian).second - 2) < 0.1);
  CHECK(std::abs(moments(filled("type: 'xavier'")).second - 1 / std::sqrt(48.0)) < 0.01);
  CHECK(std::abs(moments(filled("type: 'xavier' variance_norm: FAN_OUT")).second - 1 / std::sqrt(1024.0)) < 0.002);
  CHECK(std::abs(moments(filled("type: 'msra'")).second - std::sqrt(2 / 48.0)) < 0.01);
  const auto ball = filled("type: 'positive_unitball'", 1);
  double sum = 0;
  for (const float x : ball) sum += x;
  CHECK(std::abs(sum - 1) < 1e-5);
  const auto bilinear = filled("type: 'bilinear'", 1);
  CHECK(std::vector<float>(bilinear.begin(), bilinear.begin() + 4) ==
        std::vector<float>{0.0625f, 0.1875f, 0.1875f, 0.0625f});
  CHECK(contains(argument_message([&] { filled("type: 'magic'"); }), "c: filler \"magic\""));
  CHECK(contains(argument_message([&] { filled("type: 'gaussian' sparse: 3"); }), "c: filler with sparse"));
}

TEST_CASE("batch normalization is folded into the layer before", "[weights]") {
  const std::string text =
      input("1 2 5 5") +
      layer("c", "Convolution", "data",
            "convolution_param { num_output: 3 kernel_size: 2 bias_term: false weight_filler { type: 'xavier' } }") +
      layer("bn", "BatchNorm", "c", "", "c") + layer("sc", "Scale", "c", "scale_param { bias_term: true }", "y") +
      layer("r", "ReLU", "y", "", "y") +
      layer("ip", "InnerProduct", "y", "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } }") +
      layer("bn2", "BatchNorm", "ip");
  const caffe::NetParameter net = parse(text);
  Model m = build(net, caffe::TEST);
  fill(m, 1);
  caffe::NetParameter weights = save_weights(m);
  const auto assign = [&](int l, int b, std::vector<float> v) {
    weights.mutable_layer(l)->mutable_blobs(b)->mutable_data()->Assign(v.begin(), v.end());
  };
  for (const int l : {2, 6}) {
    assign(l, 0, {0.5f, -1, 2});
    assign(l, 1, {1, 2, 3});
    assign(l, 2, {2});
  }
  assign(3, 0, {2, 3, -1});
  assign(3, 1, {0.5f, 0, 1});
  load_weights(m, weights);

  const Folded folded = fold_batch_norm(net, weights);
  CHECK(folded.layers == std::vector<std::string>{"bn", "sc", "bn2"});
  CHECK(folded.net.layer_size() == 4);
  Model f = build(folded.net, caffe::TEST);
  CHECK(load_weights(f, folded.weights).of_file.empty());
  cnn::Tensor in(cnn::Shape{2, 2, 5, 5});
  for (cnn::Index i = 0; i < in.size(); ++i) in[i] = std::sin(static_cast<float>(i));
  const std::vector<float> expected = values(m.net.forward(in)), found = values(f.net.forward(in));
  REQUIRE(expected.size() == found.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(expected[i] - found[i]) < 1e-5f);

  // not where another layer reads what is normalized
  const caffe::NetParameter shared =
      parse(input("1 2 5 5") + layer("c", "Convolution", "data", "convolution_param { num_output: 3 kernel_size: 2 }") +
            layer("bn", "BatchNorm", "c") + "layer { name: 's' type: 'Eltwise' bottom: 'c' bottom: 'bn' top: 's' }");
  Model s = build(shared, caffe::TEST);
  CHECK(fold_batch_norm(shared, save_weights(s)).layers.empty());
}

// ---- Ristretto ----

namespace {

cnn::Formats read_formats(const std::string& type, const std::string& quantization) {
  return formats_of(parse(layer("x", type, "data", "quantization_param { " + quantization + " }")).layer(0));
}

using Minifloat2016 = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ristretto2016>;

}  // namespace

TEST_CASE("quantization_param names formats", "[quantization]") {
  const rt::AnyFormat in = rt::DynamicFixedPoint<>(4, 4), out = rt::DynamicFixedPoint<>(11, -3),
                      weight = rt::DynamicFixedPoint<>(-2, 4), none = rt::DynamicFixedPoint<>(16, 16);
  const std::string widths = "bw_layer_in: 8 fl_layer_in: 4 bw_layer_out: 8 fl_layer_out: -3 ";
  CHECK(read_formats("ConvolutionRistretto", widths + "bw_params: 2 fl_params: 4") ==
        cnn::Formats{in, weight, weight, out});
  CHECK(read_formats("FcRistretto", widths) == cnn::Formats{in, {}, {}, out});
  CHECK(read_formats("FcRistretto", "bw_params: 32") == cnn::Formats{{}, none, none, {}});
  CHECK(read_formats("FcRistretto", "") == cnn::Formats{});
  CHECK(read_formats("InnerProduct", widths) == cnn::Formats{});
  const rt::AnyFormat mini = Minifloat2016(3, 4);
  CHECK(read_formats("DeconvolutionRistretto", "precision: MINIFLOAT mant_bits: 3 exp_bits: 4") ==
        cnn::Formats{mini, mini, mini, mini});
  CHECK(read_formats("LRNRistretto", "precision: MINIFLOAT mant_bits: 3 exp_bits: 4") ==
        cnn::Formats{mini, {}, {}, mini});
  CHECK(read_formats("FcRistretto", widths + "precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -6 exp_max: 1") ==
        cnn::Formats{in, rt::AnyFormat(rt::PowerOfTwo<>(-6, 1)), {}, out});
  CHECK(read_formats("FcRistretto", "precision: INTEGER_POWER_OF_2_WEIGHTS").weight ==
        rt::AnyFormat(rt::PowerOfTwo<>(-8, -1)));
  CHECK(
      read_formats("FcRistretto",
                   widths + "format_bias: 'fixed:3,5' format_layer_out: 'ufixed:4,4' training_rounding: NEAREST") ==
      cnn::Formats{
          in, {}, rt::AnyFormat(rt::DynamicFixedPoint<>(3, 5)), rt::AnyFormat(rt::UnsignedFixedPoint<>(4, 4)), {}, {}});

  CHECK(read_formats("FcRistretto", "bw_params: 4 fl_params: 3 shift_params: '0,-1,12'") ==
        cnn::Formats{.weight = rt::DynamicFixedPoint<>(1, 3),
                     .bias = rt::DynamicFixedPoint<>(1, 3),
                     .weight_shifts = {0, -1, 12}});

  const auto message = [](const std::string& q) { return argument_message([&] { read_formats("FcRistretto", q); }); };
  for (const char* bad : {"", ",", "1,", "1,,2", "1;2", "x", "1 2", "99999999999"}) {
    CHECK(contains(message("bw_params: 4 shift_params: '" + std::string(bad) + "'"),
                   "x: quantization_param: shift_params"));
  }
  CHECK(contains(message("bw_params: 4 shift_params: '200'"), "x: quantization_param: "));
  CHECK(contains(message("bw_layer_in: 4 shift_params: '1'"), "not trimmed"));
  CHECK(contains(message("bw_params: 33"), "x: quantization_param: a width of 33 bits"));
  CHECK(contains(message("bw_params: 0"), "x: quantization_param: a width of 0 bits"));
  CHECK(contains(message("bw_layer_in: 8 fl_layer_in: -2147483648"), "x: quantization_param: a fractional length"));
  CHECK(contains(message("precision: MINIFLOAT mant_bits: 4000000000"), "x: quantization_param: "));
  CHECK(contains(message("precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: 3 exp_max: 2"), "x: quantization_param: "));
  CHECK(contains(message("format_bias: 'fixed:'"), "x: quantization_param: "));
  CHECK(contains(message("rounding_scheme: STOCHASTIC"), "x: quantization_param: rounding_scheme"));
}

TEST_CASE("formats are written such that they are read back", "[quantization]") {
  const caffe::NetParameter net =
      parse(input("1 3 8 8") + layer("c", "Convolution", "data", "convolution_param { num_output: 1 kernel_size: 1 }") +
            layer("n", "LRN", "c") + layer("ip", "InnerProduct", "n", "inner_product_param { num_output: 2 }"));
  const std::vector<std::optional<rt::AnyFormat>> formats{std::nullopt,
                                                          rt::DynamicFixedPoint<>(3, 5),
                                                          rt::DynamicFixedPoint<>(16, 16),
                                                          rt::UnsignedFixedPoint<>(2, 6),
                                                          Minifloat2016(3, 4),
                                                          rt::Minifloat<>(2, 5),
                                                          rt::PowerOfTwo<>(-8, -1),
                                                          rt::PowerOfTwoOrZero<>(-6, 0)};
  int cases = 0, wrong = 0;
  for (const Precision mode :
       {caffe::QuantizationParameter::DYNAMIC_FIXED_POINT, caffe::QuantizationParameter::MINIFLOAT,
        caffe::QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS}) {
    for (const auto& in : formats) {
      for (const auto& weight : formats) {
        for (const auto& bias : formats) {
          for (const auto& out : {formats[0], formats[1], formats[3], formats[4]}) {
            const LayerFormats both[] = {{"c", {in, weight, bias, out}}, {"n", {in, {}, {}, out}}};
            const caffe::NetParameter q = parse(to_text(quantized(net, both, mode)));
            ++cases;
            wrong += formats_of(q.layer(1)) != both[0].formats || formats_of(q.layer(2)) != both[1].formats;
            wrong += formats_of(q.layer(3)) != cnn::Formats{};
          }
        }
      }
    }
  }
  CHECK(cases == 3 * 8 * 8 * 8 * 4);
  CHECK(wrong == 0);
}

TEST_CASE("written nets have Ristretto's own fields where those suffice", "[quantization]") {
  const caffe::NetParameter net =
      parse(input("1 3 8 8") + layer("ip", "InnerProduct", "data", "inner_product_param { num_output: 2 }") +
            layer("r", "ReLU", "ip"));
  const rt::AnyFormat in = rt::DynamicFixedPoint<>(4, 4), weight = rt::DynamicFixedPoint<>(1, 7),
                      out = rt::DynamicFixedPoint<>(7, 1);
  const auto text = [&](const cnn::Formats& f, Precision mode) {
    const LayerFormats one[] = {{"ip", f}};
    const caffe::NetParameter q = quantized(net, one, mode);
    CHECK(q.layer(1).type() == "FcRistretto");
    CHECK(q.layer(1).inner_product_param().num_output() == 2);
    return q.layer(1).quantization_param().ShortDebugString();
  };
  using Q = caffe::QuantizationParameter;
  CHECK(text({in, weight, weight, out}, Q::DYNAMIC_FIXED_POINT) ==
        "bw_layer_in: 8 bw_layer_out: 8 bw_params: 8 fl_layer_in: 4 fl_layer_out: 1 fl_params: 7");
  CHECK(text({{}, weight, weight, {}}, Q::DYNAMIC_FIXED_POINT) == "bw_params: 8 fl_params: 7");
  CHECK(text({in, weight, out, rt::AnyFormat(rt::UnsignedFixedPoint<>(7, 1))}, Q::DYNAMIC_FIXED_POINT) ==
        "bw_layer_in: 8 bw_params: 8 fl_layer_in: 4 fl_params: 7 format_bias: \"fixed:7,1\" format_layer_out: "
        "\"ufixed:7,1\"");
  const rt::AnyFormat mini = Minifloat2016(2, 5);
  CHECK(text({mini, mini, mini, mini}, Q::MINIFLOAT) == "precision: MINIFLOAT mant_bits: 2 exp_bits: 5");
  CHECK(text({in, rt::AnyFormat(rt::PowerOfTwo<>(-8, -1)), {}, out}, Q::INTEGER_POWER_OF_2_WEIGHTS) ==
        "precision: INTEGER_POWER_OF_2_WEIGHTS bw_layer_in: 8 bw_layer_out: 8 fl_layer_in: 4 fl_layer_out: 1 exp_min: "
        "-8 exp_max: -1");

  CHECK(text({.weight = weight, .bias = weight, .weight_shifts = {0, -3}}, Q::DYNAMIC_FIXED_POINT) ==
        "bw_params: 8 fl_params: 7 shift_params: \"0,-3\"");

  const LayerFormats plain[] = {{"ip", {}}}, relu[] = {{"r", {in, {}, {}, {}}}};
  const LayerFormats trimmed[] = {{"ip", {in, weight, weight, out}}};
  const caffe::NetParameter back =
      quantized(quantized(net, trimmed, Q::DYNAMIC_FIXED_POINT), plain, Q::DYNAMIC_FIXED_POINT);
  CHECK(back.SerializeAsString() == net.SerializeAsString());
  CHECK(contains(argument_message([&] { quantized(net, relu, Q::DYNAMIC_FIXED_POINT); }),
                 "r: the net has no such layer"));
}

TEST_CASE("Ristretto layers compute in their formats and keep their weights", "[quantization]") {
  Model m = built(input("1 1 1 2") +
                  layer("ip", "FcRistretto", "data",
                        "inner_product_param { num_output: 1 } quantization_param { bw_layer_in: 4 fl_layer_in: 1 "
                        "bw_layer_out: 6 fl_layer_out: 1 bw_params: 4 fl_params: 2 }"));
  set(m, "ip.weight", {0.3f, -0.7f});
  set(m, "ip.bias", {0.2f});
  // inputs 1.5 and 2 (from 1.4 and 2.1), weights 0.25 and -0.75, bias 0.25: -0.875, trimmed to -1
  CHECK(values(m.net.forward(tensor({1, 1, 1, 2}, {1.4f, 2.1f}))) == std::vector<float>{-1});
  const caffe::NetParameter saved = save_weights(m);
  CHECK(saved.layer(1).type() == "FcRistretto");
  CHECK(saved.layer(1).blobs(0).data(0) == 0.3f);
}
