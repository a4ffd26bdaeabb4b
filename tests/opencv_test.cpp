// SPDX-License-Identifier: MIT
// Nets of plain layers, as the tool writes them, in OpenCV's dnn module: it reads the files and computes the same.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <google/protobuf/text_format.h>
#include <opencv2/dnn.hpp>

#include <ristretto/random.hpp>

#include "caffe/build.hpp"
#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "catch.hpp"
#include "folder.hpp"

namespace {

constexpr const char* description = R"(
name: "plain"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 23 dim: 21 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 stride: 2 weight_filler { type: "xavier" }
    bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { local_size: 3 alpha: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "grouped" type: "Convolution" bottom: "pool" top: "grouped"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
layer { name: "one" type: "Convolution" bottom: "pool" top: "one"
  convolution_param { num_output: 6 kernel_size: 1 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "grouped" bottom: "one" top: "sum" }
layer { name: "sigmoid" type: "Sigmoid" bottom: "sum" top: "sigmoid" }
layer { name: "joined" type: "Concat" bottom: "sigmoid" bottom: "pool" top: "joined" }
layer { name: "up" type: "Deconvolution" bottom: "joined" top: "up"
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "ave" type: "Pooling" bottom: "up" top: "ave" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "ave" top: "ip"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } bias_filler { type: "constant" value: -0.2 } } }
)";

}  // namespace

TEST_CASE("OpenCV reads the files that are written and computes the same") {
  caffe::NetParameter net;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(description, &net));
  caffe_files::Model model = caffe_files::build(net, caffe::TEST);
  caffe_files::fill(model, 1);
  const checks::Folder folder;
  protobuf_files::write_text(model.description, folder / "net.prototxt");
  protobuf_files::write_binary(caffe_files::save_weights(model), folder / "net.caffemodel");

  const cnn::Shape shape{2, 3, 23, 21};
  cnn::Tensor in(shape);
  const ristretto::RandomStream random{.seed = 5};
  for (cnn::Index i = 0; i < in.size(); ++i) {
    in[i] = static_cast<float>(random.word(static_cast<std::uint64_t>(i)) >> 8) * 0x1p-22f - 2;
  }
  const std::vector<int> sizes{shape.N, shape.C, shape.H, shape.W};
  cv::dnn::Net opencv = cv::dnn::readNetFromCaffe(folder / "net.prototxt", folder / "net.caffemodel");
  opencv.enableFusion(false);  // a fused layer has the output of the next one
  opencv.setInput(cv::Mat(sizes, CV_32F, in.data()));
  model.net.keep_outputs(true);
  model.net.forward(in);
  for (const char* name : {"norm", "pool", "sum", "joined", "up", "ave", "ip"}) {
    INFO(name);
    const cv::Mat theirs = opencv.forward(name);
    const auto ours = model.net.output(name).values();
    REQUIRE(theirs.total() == ours.size());
    float difference = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      difference = std::max(difference, std::abs(ours[i] - theirs.ptr<float>()[i]));
    }
    CHECK(difference < 1e-5f);
  }
}
