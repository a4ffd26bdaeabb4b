// SPDX-License-Identifier: MIT
// Published nets with their weights beside what other engines compute, in the folder data/ of RISTRETTO_DATA.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/span.hpp>

#include "caffe/build.hpp"
#include "caffe/files.hpp"
#include "caffe/pictures.hpp"
#include "caffe/quantization.hpp"
#include "caffe/weights.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "pictures/data.hpp"
#include "pictures/xz_file.hpp"

namespace rt = ristretto;
using namespace caffe_files;
using namespace pictures;
using namespace protobuf_files;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RISTRETTO_TEST_SANITIZED
#endif
#endif

namespace {

#if defined(RISTRETTO_TEST_SANITIZED) || defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// The lines of a table, split at the commas, without the first.
std::vector<std::vector<std::string>> table(const std::string& path) {
  std::ifstream in(path);
  REQUIRE(in);
  std::vector<std::vector<std::string>> rows;
  std::string line, field;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream fields(line);
    while (std::getline(fields, field, ',')) row.push_back(field);
  }
  return rows;
}

caffe::NetParameter read_net(const std::string& path) {
  Warnings warnings;
  caffe::NetParameter net = caffe_files::read_net(path, warnings);
  CHECK(to_string(warnings) == "");
  return net;
}

Model load(const std::string& net, const std::string& weights, caffe::Phase phase,
           std::optional<cnn::Shape> image = {}) {
  Warnings warnings;
  Model model = build(read_net(net), phase, image);
  const Unmatched unmatched = load_weights(model, read_weights(weights, warnings));
  CHECK(to_string(warnings) == "");
  CHECK(unmatched.of_file.empty());
  model.net.keep_outputs(true);
  return model;
}

/// The largest distance of a net's scores for the first pictures from a table with them in its last columns.
double distance(Model& model, const cnn::Tensor& in, const std::vector<std::vector<std::string>>& rows) {
  model.net.forward(in);
  const cnn::Tensor& found = model.net.output(model.logits);
  const auto classes = static_cast<std::size_t>(found.shape().image());
  REQUIRE(rows.size() >= static_cast<std::size_t>(in.shape().N));
  double largest = 0;
  for (int n = 0; n < in.shape().N; ++n) {
    const std::vector<std::string>& row = rows[static_cast<std::size_t>(n)];
    REQUIRE(row.size() >= classes);
    for (std::size_t c = 0; c < classes; ++c) {
      const double d = std::abs(std::stod(row[row.size() - classes + c]) - static_cast<double>(found.image(n)[c]));
      largest = std::max(largest, std::isnan(d) ? INFINITY : d);
    }
  }
  return largest;
}

int count_argmax(Model& model, const cnn::Tensor& in, std::size_t first,
                 const std::vector<std::vector<std::string>>& rows) {
  model.net.forward(in);
  const cnn::Tensor& found = model.net.output(model.logits);
  int equal = 0;
  for (int n = 0; n < in.shape().N; ++n) {
    const float* x = found.image(n);
    equal +=
        std::stol(rows[first + static_cast<std::size_t>(n)][2]) == std::max_element(x, x + found.shape().image()) - x;
  }
  return equal;
}

/// Scores 10,000 pictures beside a table of what another engine gave for them.
struct Agreement {
  int right = 0, equal = 0;  // pictures; equal: with the table's argmax
  double distance = 0;       // of the first 100
};
Agreement compare(Model& model, const Dataset& data, const Preprocessing& pixels,
                  const std::vector<std::vector<std::string>>& rows) {
  REQUIRE(rows.size() == 10000);
  Agreement found;
  Batch batch;
  std::vector<int> indices(100);
  for (std::size_t first = 0; first < 10000; first += 100) {
    for (std::size_t i = 0; i < 100; ++i) indices[i] = static_cast<int>(first + i);
    fill(batch, data, indices, pixels);
    if (first == 0) found.distance = distance(model, batch.images, rows);
    found.equal += count_argmax(model, batch.images, first, rows);
    found.right += cnn::count_correct(model.net.output(model.logits), batch.labels);
  }
  return found;
}

}  // namespace

TEST_CASE("all descriptions are built and solvers read") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  int nets = 0, solvers = 0;
  Warnings warnings;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".prototxt") || path.find("/nets/") != std::string::npos) continue;  // nets: see below
    INFO(path);
    if (path.find("solver") != std::string::npos) {
      CHECK(caffe_files::read_solver(path, warnings).has_base_lr());
      ++solvers;
    } else {
      const caffe::NetParameter net = caffe_files::read_net(path, warnings);
      const cnn::Shape image = path.find("lenet") != std::string::npos     ? cnn::Shape{1, 1, 28, 28}
                               : path.find("cifar10") != std::string::npos ? cnn::Shape{1, 3, 32, 32}
                                                                           : cnn::Shape{1, 3, 227, 227};
      for (const caffe::Phase phase : {caffe::TEST, caffe::TRAIN}) {
        Model model = build(net, phase, image);
        CHECK(model.net.nodes().back().name == model.logits);
        fill(model, 1);
        CHECK(load_weights(model, save_weights(model)).of_net.empty());
      }
      ++nets;
    }
  }
  CHECK(to_string(warnings) == "");
  std::printf("%d nets, %d solvers\n", nets, solvers);
  CHECK(nets >= 14);
  CHECK(solvers >= 12);
  const auto demo = caffe_files::read_solver(data + "ristretto-demo/solver_finetune.prototxt", warnings);
  CHECK(demo.type() == "Adam");
  CHECK(demo.iter_size() == 32);
}

TEST_CASE("published descriptions are built, or refused as what this program cannot do") {
  const std::string nets = checks::published("data/nets/caffe");
  if (nets.empty()) return;
  int built = 0, refused = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(nets)) {
    if (entry.path().extension() != ".prototxt") continue;
    INFO(entry.path().string());
    Warnings warnings;
    try {
      build(caffe_files::read_net(entry.path().string(), warnings), caffe::TEST, cnn::Shape{1, 3, 224, 224});
      ++built;
    } catch (const std::invalid_argument&) {
      ++refused;
    } catch (const std::runtime_error&) {  // of the file itself; whatever else is thrown fails the test
      ++refused;
    }
  }
  std::printf("%d published descriptions are built, %d refused\n", built, refused);
  CHECK(built > 0);
}

TEST_CASE("LeNet scores MNIST as published") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const Dataset mnist = read_idx(data + "mnist/t10k-images-idx3-ubyte.gz", data + "mnist/t10k-labels-idx1-ubyte.gz");
  struct Case {
    const char *weights, *reference;
    int right;
  };
  for (const Case& c : {Case{"lenet_iter_10000", "reference_test.csv", 9909},
                        Case{"lenet_iter_10000_v1format", "reference_test_v1format.csv", 9905}}) {
    Model model = load(data + "lenet/lenet_train_test.prototxt", data + "lenet/" + c.weights + ".caffemodel",
                       caffe::TEST, cnn::Shape{1, 1, 28, 28});
    CHECK(model.logits == "ip2");
    REQUIRE(model.data.transform.scale() == 0.00390625f);
    const auto rows = table(data + "lenet/" + c.reference);
    const Agreement found = compare(model, mnist, {.scale = model.data.transform.scale()}, rows);
    std::printf("%s: %.2f %%, argmax equal on %d of 10000, logits of 100 within %.2g\n", c.weights, found.right / 100.0,
                found.equal, found.distance);
    CHECK(std::abs(found.right - c.right) <= 2);
    CHECK(found.equal >= 9998);
    CHECK(found.distance < 1e-4);
  }
}

TEST_CASE("cifar10_full scores as published") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const auto bytes = read_xz_file(data + "cifar10/test_batch.bin.xz");
  Dataset cifar;
  append_cifar10(cifar, bytes, "test_batch");
  Model model = load(data + "cifar10_full/cifar10_full_train_test.prototxt",
                     data + "cifar10_full/cifar10_full_iter_70000.caffemodel", caffe::TEST, cnn::Shape{1, 3, 32, 32});
  CHECK(model.data.transform.mean_file() == "examples/cifar10/mean.binaryproto");
  const caffe::BlobProto mean = read_blob(data + "cifar10_full/mean.binaryproto");
  const auto rows = table(data + "cifar10_full/reference_test_full.csv");
  const Agreement found = compare(model, cifar, {.mean = values_of(mean, "mean")}, rows);
  std::printf("cifar10_full: %.2f %%, argmax equal on %d of 10000, logits of 100 within %.2g\n", found.right / 100.0,
              found.equal, found.distance);
  CHECK(std::abs(found.right - 7941) <= 2);
  CHECK(found.equal >= 9998);
  CHECK(found.distance < 1e-4);
}

namespace {

/// Compares the least and the greatest value that every layer has for the first picture, and for all 20.
double compare_blobs(Model& model, const cnn::Tensor& in, const std::vector<std::vector<std::string>>& rows,
                     std::size_t columns) {
  std::vector<cnn::LayerRanges> ranges;
  model.net.observe(in, ranges);
  std::map<std::string, std::pair<float, float>> ends;  // of the convolutions, before what works in place behind them
  for (const cnn::LayerRanges& r : ranges) ends[r.name] = {r.output.min(), r.output.max()};
  model.net.forward(in);
  double largest = 0;
  int compared = 0;
  for (const std::vector<std::string>& row : rows) {
    const std::string &name = row[0], &type = row[1];
    if (type == "Input" || type == "Dropout" || type == "Softmax") continue;
    INFO(name);
    if (!ends.contains(name)) {
      const auto found = model.net.output(name).values();
      ends[name] = {*std::min_element(found.begin(), found.end()), *std::max_element(found.begin(), found.end())};
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const double expected = std::stod(row[columns + i]), found = i == 0 ? ends[name].first : ends[name].second;
      const double d = std::abs(found - expected) / std::max(1.0, std::abs(expected));
      largest = std::max(largest, std::isnan(d) ? INFINITY : d);
    }
    ++compared;
  }
  CHECK(compared >= 60);
  return largest;
}

}  // namespace

TEST_CASE("SqueezeNet computes what the reference computes") {
  const std::string folder = checks::published("data");
  if (folder.empty()) return;
  const std::string data = folder + "squeezenet/";
  const auto pixels = read_xz_file(data + "reference_inputs_20x3x227x227_bgr_u8.bin.xz");
  const cnn::Shape shape{20, 3, 227, 227};
  REQUIRE(pixels.size() == static_cast<std::size_t>(shape.size()));
  constexpr float means[] = {104, 117, 123};
  cnn::Tensor in(shape), one(shape.with_batch(1));
  for (cnn::Index i = 0; i < in.size(); ++i) in[i] = pixels[static_cast<std::size_t>(i)] - means[i / shape.plane() % 3];
  std::copy_n(in.data(), one.size(), one.data());

  struct Case {
    const char *net, *weights, *suffix;
  };
  for (const Case& c : {Case{"squeezenet_v1.1", "squeezenet_v1.1", ""},
                        Case{"squeezenet_v1.0", "squeezenet_v1.0_deepcompression", "_v1.0"}}) {
    Model model = load(data + c.net + "_deploy.prototxt", data + c.weights + ".caffemodel", caffe::TEST);
    CHECK(model.logits == "pool10");
    CHECK(model.net.nodes().back().name == "pool10");
    auto rows = table(data + "reference_dev_first20" + c.suffix + ".csv");
    std::erase_if(rows, [](const auto& row) { return row[1] != "logit"; });
    const double logits = distance(model, in, rows);
    const auto blobs = table(data + "reference_blobs" + c.suffix + ".csv");
    const double first = compare_blobs(model, one, blobs, 6), all = compare_blobs(model, in, blobs, 9);
    std::printf("%s: logits within %.2g, ends of blobs within %.2g of the first picture, %.2g of all 20\n", c.net,
                logits, first, all);
    CHECK(logits < 1e-3);
    CHECK(first < 1e-4);
    CHECK(all < 1e-4);

    // the description for training and testing is the same net
    const Model train = build(read_net(data + c.net + "_train_val.prototxt"), caffe::TRAIN, shape);
    CHECK(train.logits == "pool10");
    CHECK(train.loss == "loss");
    Model test = load(data + c.net + "_train_val.prototxt", data + c.weights + ".caffemodel", caffe::TEST, shape);
    CHECK(test.accuracies.size() == 2);
    CHECK(distance(test, in, rows) == logits);
  }
}

TEST_CASE("SqueezeNet decides as the reference on 500 pictures") {
  const std::string folder = checks::published("data");
  if (folder.empty()) return;
  const std::string data = folder + "squeezenet/";
  constexpr int pictures = sanitized ? 60 : 500;  // slow there
  struct Case {
    const char *net, *weights, *reference;
  };
  for (const Case& c : {Case{"squeezenet_v1.1", "squeezenet_v1.1", "reference_dev.csv"},
                        Case{"squeezenet_v1.0", "squeezenet_v1.0_deepcompression", "reference_dev_v1.0.csv"}}) {
    Model model = load(data + c.net + "_deploy.prototxt", data + c.weights + ".caffemodel", caffe::TEST);
    Source source = open_source("images:" + folder + "imagenet1k-sample/dev/labels.txt",
                                {.transform = {.crop_size = 227, .mean_values = {104, 117, 123}}});
    const auto rows = table(data + c.reference);
    REQUIRE(rows.size() == 500);
    REQUIRE(source.size == 500);
    Batch batch;
    int equal = 0;
    for (int first = 0; first < pictures; first += 10) {
      source.read(first, 10, batch);
      equal += count_argmax(model, batch.images, static_cast<std::size_t>(first), rows);
    }
    std::printf("%s: argmax equal on %d of %d pictures\n", c.net, equal, pictures);
    CHECK(equal >= pictures - 1);
  }
}

TEST_CASE("LeNet's trimmed weights are the library's trim of its weights, in each mode") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  using Q = caffe::QuantizationParameter;
  struct Case {
    Q::Precision mode;
    rt::AnyFormat weight, bias;
  };
  const std::string weights = data + "lenet/lenet_iter_10000.caffemodel";
  const caffe::NetParameter plain = read_net(data + "lenet/lenet_train_test.prototxt");
  const cnn::Shape image{1, 1, 28, 28};
  const Model in_float = load(data + "lenet/lenet_train_test.prototxt", weights, caffe::TEST, image);
  std::map<std::string, std::vector<float>> expected;
  for (const Case& c :
       {Case{Q::DYNAMIC_FIXED_POINT, rt::DynamicFixedPoint<>{-1, 5}, rt::DynamicFixedPoint<>{-1, 9}},
        Case{Q::MINIFLOAT, rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::finite>{2, 3}, rt::Float8E4M3FN{}},
        Case{Q::INTEGER_POWER_OF_2_WEIGHTS, rt::PowerOfTwo<>{-8, -1}, rt::DynamicFixedPoint<>{1, 7}}}) {
    std::vector<LayerFormats> formats;
    for (const char* name : {"conv1", "conv2", "ip1", "ip2"}) {
      formats.push_back({name, {.weight = c.weight, .bias = c.bias}});
    }
    Model model = build(quantized(plain, formats, c.mode), caffe::TEST, image);
    Warnings warnings;
    load_weights(model, read_weights(weights, warnings));
    model.net.forward(cnn::Tensor(image));

    in_float.net.each_parameter([&](const std::string& name, const cnn::Parameter& parameter) {
      const auto values = parameter.value().values();
      std::vector<float> trimmed(values.begin(), values.end());
      rt::trim(trimmed, rt::Trimmer{name.ends_with(".bias") ? c.bias : c.weight});
      expected[name] = trimmed;
    });
    int compared = 0;
    std::as_const(model.net).each_parameter([&](const std::string& name, const cnn::Parameter& parameter) {
      INFO(c.weight << " " << name);
      const auto values = parameter.in_use().values();
      const std::vector<float>& wanted = expected.at(name);
      REQUIRE(values.size() == wanted.size());
      CHECK(std::memcmp(values.data(), wanted.data(), values.size_bytes()) == 0);
      CHECK(std::memcmp(values.data(), parameter.value().data(), values.size_bytes()) != 0);
      ++compared;
    });
    CHECK(compared == 8);
  }
}

TEST_CASE("Ristretto's own nets name their formats") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const auto golden = read_net(data + "lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt");
  Model lenet = load(data + "lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt",
                     data + "lenet/lenet_iter_10000.caffemodel", caffe::TEST, cnn::Shape{1, 1, 28, 28});
  const auto& conv1 = lenet.net.layer<cnn::Convolution>("conv1").formats;
  CHECK(conv1.input == rt::AnyFormat(rt::DynamicFixedPoint<>(0, 4)));
  CHECK(conv1.weight == rt::AnyFormat(rt::DynamicFixedPoint<>(1, 1)));
  CHECK(conv1.bias == conv1.weight);
  CHECK(conv1.output == rt::AnyFormat(rt::DynamicFixedPoint<>(2, 2)));
  CHECK(lenet.net.layer<cnn::InnerProduct>("ip2").formats.output == rt::AnyFormat(rt::DynamicFixedPoint<>(5, -1)));

  // written again, they are the same files
  const auto rewritten = [](const caffe::NetParameter& net) {
    std::vector<LayerFormats> formats;
    for (const caffe::LayerParameter& layer : net.layer()) {
      if (is_ristretto(layer.type())) formats.push_back({layer.name(), formats_of(layer)});
    }
    return to_text(quantized(net, formats, caffe::QuantizationParameter::DYNAMIC_FIXED_POINT));
  };
  const auto text = [](const std::string& path) { return protobuf_files::read_file(path, 1 << 20); };
  CHECK(rewritten(golden) == text(data + "lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt"));

  const std::string demo = data + "ristretto-demo/quantized.prototxt";
  CHECK(rewritten(read_net(demo)) == text(demo));
  Model squeezenet = load(demo, data + "squeezenet/squeezenet_v1.0_deepcompression.caffemodel", caffe::TEST,
                          cnn::Shape{1, 3, 227, 227});
  int layers = 0;
  squeezenet.net.each_trimmed([&](const cnn::Node&, auto& layer) {
    layers += layer.formats.input && layer.formats.weight && layer.formats.bias && layer.formats.output;
  });
  CHECK(layers == 26);
  CHECK(build(read_net(demo), caffe::TRAIN, cnn::Shape{1, 3, 227, 227}).loss == "loss");
  CHECK(squeezenet.data.transform.crop_size() == 227);
  CHECK(squeezenet.data.transform.mean_value_size() == 3);
  CHECK(squeezenet.data.batch_size == 25);
}
