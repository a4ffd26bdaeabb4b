// SPDX-License-Identifier: MIT
// What the commands of the tool share: options, data, scores, interruption.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "caffe/build.hpp"
#include "caffe/files.hpp"
#include "caffe/pictures.hpp"
#include "cnn/layers.hpp"
#include "pictures/data.hpp"

namespace CLI {
class App;
}

namespace tool {

// Exit codes beside 0.
inline constexpr int failed = 1, usage = 2, margin_missed = 3, interrupted_code = 130;

// ---- Interruption ----

/// Set by Ctrl-C.
inline std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag = false;
  return flag;
}
struct Interrupted {};
inline void stop_if_interrupted() {
  if (interrupted()) throw Interrupted{};
}

// ---- Options ----

/// Of all commands that run a net.
struct Options {
  std::string data{}, mean_file{};  // in place of what the net names; empty: what it names
  int batch_size = 0;               // 0: the net's
  int threads = 0;                  // 0: one per core
  std::uint64_t seed = 1;
  std::string gpu{};
  std::string json{}, csv{};  // files to write; empty: none
  bool quiet = false;
};

void add_options(CLI::App& command, Options& options);

/// Sets the number of threads and says what became of --gpu. The first thing that a command does.
void start(Options& options);

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
Data open_data(const caffe::NetParameter& net, caffe::Phase phase, const Options& options);

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

// ---- Scores ----

struct Score {
  std::string name{};
  double value = 0;
};

/// What a net scored.
struct Scores {
  std::int64_t pictures = 0;
  std::vector<Score> accuracies{};         // shares of the pictures
  std::vector<Score> losses{};             // one or none: the mean over the pictures
  std::vector<std::vector<bool>> right{};  // of each accuracy: which pictures
  double seconds = 0;
};

/// Appends for each picture whether its label is among the k largest scores. Throws std::runtime_error for a label
/// beyond the net's classes.
void add_hits(const cnn::Tensor& scores, std::span<const int> labels, int top_k, std::vector<bool>& right);

/// Adds up scores batch by batch.
class Tally {
 public:
  /// Lets the net keep the outputs that the scores are made from.
  explicit Tally(caffe_files::Model& model);

  /// Adds those of the net's last forward pass. Throws as add_hits.
  void add(std::span<const int> labels);
  Scores scores() const;

 private:
  caffe_files::Model& model_;
  cnn::SoftmaxLoss softmax_{};
  std::int64_t pictures_ = 0;
  double loss_ = 0;
  std::vector<std::vector<bool>> right_{};  // of each accuracy
};

/// Which pictures are scored.
struct Part {
  std::int64_t first = 0, count = 0;
  int batch_size = 1;  // how many the net computes at once, which changes no score
};

/// So many batches from the first picture on, or all pictures; none twice, which stderr is told. The net computes no
/// more pictures at once than keep its activations in the caches.
Part part_of(const Data& data, std::int64_t iterations);

/// Scores a net. No title, no progress. Throws Interrupted.
Scores evaluate(caffe_files::Model& model, pictures::Source& source, const Part& part, const std::string& title);

}  // namespace tool
