// SPDX-License-Identifier: MIT
// Small good files to begin with, for each reader.
#include "seeds.hpp"

#include <zlib.h>

#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "readers.hpp"
#include "sample_files.hpp"

namespace fuzz {
namespace {

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<std::string> nets() {
  const std::string data = R"(layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.5 mirror: true crop_size: 8 mean_value: 104 mean_value: 117 mean_value: 123 }
  data_param { source: "train_lmdb" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  image_data_param { source: "list.txt" batch_size: 2 new_height: 9 new_width: 9 root_folder: "/" shuffle: true } }
)";
  return {small_net, data + R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 decay_mult: 0 }
  convolution_param { num_output: 4 pad: 1 kernel_h: 3 kernel_w: 3 stride: 2 group: 1 dilation: 2 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { eps: 1e-4 } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.1 } }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { local_size: 3 alpha: 5e-5 beta: 0.75 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "a" type: "Sigmoid" bottom: "pool" top: "a" }
layer { name: "b" type: "TanH" bottom: "pool" top: "b" }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layer { name: "concat" type: "Concat" bottom: "sum" bottom: "a" top: "concat" }
layer { name: "drop" type: "Dropout" bottom: "concat" top: "concat" dropout_param { dropout_ratio: 0.3 } }
layer { name: "ip" type: "InnerProduct" bottom: "concat" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "top5" type: "Accuracy" bottom: "ip" bottom: "label" top: "top5" accuracy_param { top_k: 2 }
  include { phase: TEST not_stage: "fast" } }
)",
          data + R"(
layer { name: "conv" type: "ConvolutionRistretto" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } quantization_param { precision: DYNAMIC_FIXED_POINT
  bw_layer_in: 8 fl_layer_in: 0 bw_layer_out: 8 fl_layer_out: -2 bw_params: 4 fl_params: 5 rounding_scheme: STOCHASTIC } }
layer { name: "ip" type: "FcRistretto" bottom: "conv" top: "ip" inner_product_param { num_output: 2 }
  quantization_param { precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -8 exp_max: -1 bw_layer_in: 8 fl_layer_in: 1 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
)",
          R"(name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  convolution_param { num_output: 2 kernel_size: 3 } }
layers { name: "up" type: DECONVOLUTION bottom: "conv" top: "up" convolution_param { num_output: 2 kernel_size: 2 } }
layers { name: "flat" type: FLATTEN bottom: "up" top: "flat" }
layers { name: "prob" type: SOFTMAX bottom: "flat" top: "prob" }
)"};
}

std::vector<std::string> weight_files() {
  caffe_files::Warnings warnings;
  caffe_files::Model model = caffe_files::build(caffe_files::parse_net(small_net, "small", warnings), caffe::TEST);
  caffe_files::fill(model, 1);
  const caffe::NetParameter net = caffe_files::save_weights(model);
  caffe::NetParameter old, normalized = net;
  for (const caffe::LayerParameter& layer : net.layer()) {
    caffe::V1LayerParameter& legacy = *old.add_layers();
    legacy.set_name(layer.name());
    legacy.set_type(layer.name() == "conv" ? caffe::V1LayerParameter::CONVOLUTION
                                           : caffe::V1LayerParameter::INNER_PRODUCT);
    for (caffe::BlobProto blob : layer.blobs()) {
      std::vector<int> sizes(4 - static_cast<std::size_t>(blob.shape().dim_size()), 1);
      for (const std::int64_t size : blob.shape().dim()) sizes.push_back(static_cast<int>(size));
      blob.clear_shape();
      blob.set_num(sizes[0]);
      blob.set_channels(sizes[1]);
      blob.set_height(sizes[2]);
      blob.set_width(sizes[3]);
      *legacy.add_blobs() = blob;
    }
  }
  caffe::LayerParameter batch_norm;
  batch_norm.set_name("bn");
  batch_norm.set_type("BatchNorm");
  batch_norm.add_bottom("conv");
  batch_norm.add_top("conv");
  for (const int size : {2, 2, 1}) {
    caffe::BlobProto& blob = *batch_norm.add_blobs();
    blob.mutable_shape()->add_dim(size);
    for (int i = 0; i < size; ++i) blob.add_data(1);
  }
  *normalized.add_layer() = batch_norm;
  return {net.SerializeAsString(), old.SerializeAsString(), normalized.SerializeAsString()};
}

std::string blob_file() {
  caffe::BlobProto blob;
  for (const int dim : {1, 3, 2, 2}) blob.mutable_shape()->add_dim(dim);
  for (int i = 0; i < 12; ++i) blob.add_data(static_cast<float>(i));
  return blob.SerializeAsString();
}

std::string state_file() {
  caffe::SolverState state;
  state.set_iter(100);
  state.set_learned_net("snapshot_iter_100.caffemodel");
  state.set_current_step(2);
  state.add_history()->ParseFromString(blob_file());
  return state.SerializeAsString();
}

}  // namespace

std::map<std::string, std::vector<std::string>> all_seeds() {
  std::map<std::string, std::vector<std::string>> seeds;
  seeds["prototxt"] = seeds["build"] = nets();
  seeds["solver"] = {
      R"(net: "train_val.prototxt" test_iter: 100 test_interval: 500 base_lr: 0.01 lr_policy: "step"
gamma: 0.1 stepsize: 100 stepvalue: 7 max_iter: 1000 momentum: 0.9 momentum2: 0.999 weight_decay: 5e-4 iter_size: 2
snapshot: 100 snapshot_prefix: "small" solver_mode: GPU random_seed: 42 type: "Adam" clip_gradients: 35)",
      R"(train_net: "a" test_net: "b" solver_type: ADAM lr_policy: "inv" power: .75 regularization_type: "L1")"};
  seeds["caffemodel"] = weight_files();
  seeds["solverstate"] = {state_file()};
  seeds["mean"] = {blob_file()};
  caffe::Datum floats;
  floats.ParseFromString(samples::datum(2, 3, 2, 2));
  floats.clear_data();
  for (int i = 0; i < 12; ++i) floats.add_float_data(0.5f);
  seeds["datum"] = {samples::datum(1, 3, 2, 2), floats.SerializeAsString(),
                    samples::encoded_datum(3, samples::png(3, 2, 2))};
  seeds["lmdb"] = {samples::small_lmdb(seeds["datum"]),
                   samples::small_lmdb({samples::datum(1, 1, 20, 20), samples::datum(2, 1, 10, 10),
                                        samples::datum(3, 1, 9, 9), samples::datum(4, 1, 8, 8)})};
  seeds["jpeg"] = {samples::jpeg(9, 17), samples::jpeg(8, 8, {.colours = JCS_GRAYSCALE, .quality = 50}),
                   samples::jpeg(17, 9, {.progressive = true}), samples::jpeg(8, 8, {.arithmetic = true}),
                   samples::jpeg(8, 8, {.colours = JCS_CMYK, .progressive = true, .arithmetic = true})};
  seeds["png"] = {samples::png(3, 5, 4),
                  samples::png(samples::pattern_pixels(1, 9, 9), 9, 9, {PNG_COLOR_TYPE_GRAY, 8, true}),
                  samples::png({3, 200}, 1, 2, {PNG_COLOR_TYPE_PALETTE, 8}),
                  samples::png({0b10100000}, 1, 3, {PNG_COLOR_TYPE_GRAY, 1}),
                  samples::png({1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, {PNG_COLOR_TYPE_RGB_ALPHA, 16})};
  seeds["idx"] = {samples::idx_images(2), samples::idx_labels(2), gzip(samples::idx_images(2))};
  seeds["cifar10"] = {samples::cifar_record(3), gzip(samples::cifar_record(4) + samples::cifar_record(5))};
  seeds["xz"] = {samples::xz("some text that is some text"), samples::xz("") + samples::xz("a")};
  return seeds;
}

}  // namespace fuzz
