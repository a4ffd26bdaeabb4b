// SPDX-License-Identifier: MIT
// What the commands of the tool share: options, nets and pictures.
#pragma once

#include <cstdint>
#include <string>

#include "caffe/build.hpp"
#include "caffe/files.hpp"
#include "caffe/pictures.hpp"
#include "quantizer/scores.hpp"

namespace CLI {
class App;
}

namespace tool {

// Exit codes beside 0.
inline constexpr int failed = 1, usage = 2, margin_missed = 3, interrupted_code = 130;

// ---- Options ----

/// Of all commands that run a net.
struct CommonOptions {
  std::string data{}, mean_file{};  // in place of what the net names; empty: what it names
  int batch_size = 0;               // 0: the net's
  int threads = 0;                  // 0: one per core
  std::uint64_t seed = 1;
  std::string gpu{};
  std::string json{}, csv{};  // files to write; empty: none
  bool quiet = false;
};

void add_options(CLI::App& command, CommonOptions& options);

/// Sets the number of threads and says what became of --gpu. The first thing that a command does.
void start(CommonOptions& options);

// ---- Nets and pictures ----

/// caffe_files::read_net, read_weights and read_solver, with their warnings on stderr.
caffe::NetParameter read_net(const std::string& path);
caffe::NetParameter read_weights(const std::string& path);
caffe::SolverParameter read_solver(const std::string& path);

struct Data {
  pictures::Source source;
  int batch_size = 0;
};

/// The pictures that --data names, or else the net's data layer of this phase, transformed as that layer says.
Data open_data(const caffe::NetParameter& net, caffe::Phase phase, const CommonOptions& options);

/// Whether a source has pictures for training and others for tests.
inline bool is_for_both(const std::string& source) {
  return source.starts_with("idx:") || source.starts_with("cifar10:");
}

/// The net with layers of plain types instead of those with formats; says on stderr which ones these were.
caffe::NetParameter in_float(const caffe::NetParameter& net);

/// The net of this phase for these pictures; notes go to stderr.
caffe_files::Model build(const caffe::NetParameter& net, caffe::Phase phase, const Data& data);

/// Copies weights to the layers of the same names, and says on stderr which layers of the file were not needed.
void load_weights(caffe_files::Model& model, const caffe::NetParameter& weights, const std::string& path);

/// So many batches from the first picture on, or all pictures; none twice, which stderr is told. The net computes no
/// more pictures at once than keep its activations in the caches.
quantizer::Selection selection_of(const Data& data, std::int64_t iterations);

}  // namespace tool
