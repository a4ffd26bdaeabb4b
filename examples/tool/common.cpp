// SPDX-License-Identifier: MIT
// Options, nets and pictures.
#include "tool/common.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "caffe/quantization.hpp"
#include "caffe/weights.hpp"
#include "cnn/parallel.hpp"

namespace tool {
namespace {

constexpr int usual_batch = 50;  // where neither the net nor --batch_size says one
constexpr std::string_view sources = "idx:FOLDER, cifar10:FOLDER, images:LIST or lmdb:FOLDER";

template <class Read>
auto with_warnings(Read read, const std::string& path) {
  caffe_files::Warnings warnings;
  auto message = read(path, warnings);
  if (const std::string text = to_string(warnings); !text.empty()) fmt::print(stderr, "warning: {}\n", text);
  return message;
}

/// "conv1, conv2, conv3 and 12 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > most ? text + fmt::format(" and {} more", names.size() - most) : text;
}

}  // namespace

void add_options(CLI::App& command, CommonOptions& o) {
  command.add_option("--data", o.data, fmt::format("pictures in place of the net's source: {}", sources));
  command.add_option("--mean_file", o.mean_file, "mean image in place of the one that the net names");
  command.add_option("--batch_size", o.batch_size, "pictures in a batch; by default as the net says")
      ->check(CLI::Range(1, 1 << 16));
  command.add_option("--threads", o.threads, "0: one per core")->check(CLI::Range(0, 1024));
  command.add_option("--seed", o.seed, "of all that is random");
  command.add_option("--gpu", o.gpu, "accepted and ignored: everything is computed on the host");
  command.add_option("--json", o.json, "where to write the results as JSON");
  command.add_option("--csv", o.csv, "where to write the results as CSV");
  command.add_flag("--quiet", o.quiet, "no progress on stderr");
}

void start(CommonOptions& o) {
  o.threads = cnn::set_workers(o.threads);
  if (!o.gpu.empty()) {
    fmt::print(stderr, "--gpu={}: nets are computed on the host, with {} threads\n", o.gpu, o.threads);
  }
}

caffe::NetParameter read_net(const std::string& path) { return with_warnings(caffe_files::read_net, path); }
caffe::NetParameter read_weights(const std::string& path) { return with_warnings(caffe_files::read_weights, path); }
caffe::SolverParameter read_solver(const std::string& path) { return with_warnings(caffe_files::read_solver, path); }

Data open_data(const caffe::NetParameter& net, caffe::Phase phase, const CommonOptions& o) {
  caffe_files::DataLayer layer = caffe_files::data_layer(net, phase);
  const std::string own = layer.source.empty() ? "" : source_of(layer);
  if (o.data.empty() && own.empty()) {
    throw std::invalid_argument(
        fmt::format("{}: the net names no pictures; name some with --data={}", layer.name, sources));
  }
  if (!o.mean_file.empty()) {
    layer.transform.clear_mean_value();
    layer.transform.set_mean_file(o.mean_file);
  }
  pictures::SourceOptions how = options_of(layer, phase == caffe::TRAIN);
  how.seed = o.seed;
  const int of_net = layer.batch_size > 0 ? layer.batch_size : usual_batch;
  const int batch_size = o.batch_size > 0 ? o.batch_size : of_net;
  if (!o.data.empty()) {
    how.root_folder.clear();
    return {caffe_files::open_source(o.data, how), batch_size};
  }
  try {
    return {caffe_files::open_source(own, how), batch_size};
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}\n--data={} names other pictures", error.what(), sources));
  }
}

caffe::NetParameter in_float(const caffe::NetParameter& net) {
  caffe::NetParameter plain = net;
  std::string names;
  for (caffe::LayerParameter& layer : *plain.mutable_layer()) {
    if (!caffe_files::is_ristretto(layer.type())) continue;
    names += " " + layer.name();
    layer.set_type(caffe_files::plain_type(layer.type()));
    layer.clear_quantization_param();
  }
  if (!names.empty()) fmt::print(stderr, "note: without the formats of the net:{}\n", names);
  return plain;
}

caffe_files::Model build(const caffe::NetParameter& net, caffe::Phase phase, const Data& data) {
  caffe_files::Model model = caffe_files::build(net, phase, data.source.image);
  for (const std::string& note : model.notes) fmt::print(stderr, "note: {}\n", note);
  return model;
}

void load_weights(caffe_files::Model& model, const caffe::NetParameter& weights, const std::string& path) {
  caffe_files::Unmatched unmatched;
  try {
    unmatched = caffe_files::load_weights(model, weights);
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
  if (unmatched.of_file.empty()) return;
  fmt::print(stderr, "note: {}: the net has no layers for the weights of {}\n", path, listed(unmatched.of_file));
}

quantizer::Selection selection_of(const Data& data, std::int64_t iterations) {
  const std::int64_t size = data.source.size, asked = iterations > 0 ? iterations * data.batch_size : size;
  if (asked > size) {
    fmt::print(stderr, "note: {} batches of {} are {} pictures, but {} has {}: each is scored once\n", iterations,
               data.batch_size, asked, data.source.name, size);
  }
  constexpr std::int64_t floats_at_once = 1'300'000;  // of pictures: 8 of SqueezeNet's, 1658 of LeNet's
  const auto fitting =
      static_cast<int>(std::clamp<std::int64_t>(floats_at_once / data.source.image.image(), 1, 1 << 16));
  return {.count = std::min(asked, size), .batch_size = std::min(data.batch_size, fitting)};
}

}  // namespace tool
