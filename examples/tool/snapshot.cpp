// SPDX-License-Identifier: MIT
// Reading and writing snapshots.
#include "tool/snapshot.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "tool/common.hpp"

namespace tool {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& file, const std::string& problem) {
  throw std::runtime_error(file + ": " + problem);
}

/// One tensor of a history as Caffe has it: it keeps them for the statistics of a BatchNorm, too, always 0.
struct Slot {
  std::string name{};  // "conv1.blobs[0]"
  caffe::BlobShape shape{};
  bool is_statistic = false;
};

std::vector<Slot> slots_of(const caffe::NetParameter& weights) {
  std::vector<Slot> slots;
  for (const caffe::LayerParameter& layer : weights.layer()) {
    for (int i = 0; i < layer.blobs_size(); ++i) {
      slots.push_back(
          {fmt::format("{}.blobs[{}]", layer.name(), i), layer.blobs(i).shape(), layer.type() == "BatchNorm"});
    }
  }
  return slots;
}

/// The sizes without leading ones, which older files have more of.
std::vector<std::int64_t> significant(const caffe::BlobShape& shape) {
  const auto first = std::find_if(shape.dim().begin(), shape.dim().end(), [](std::int64_t d) { return d != 1; });
  return {first, shape.dim().end()};
}

std::string text_of(const caffe::BlobShape& shape) { return fmt::format("({})", fmt::join(shape.dim(), ", ")); }

std::int64_t size_of(const caffe::BlobShape& shape) {
  std::int64_t size = 1;
  for (const std::int64_t d : shape.dim()) size *= d;
  return size;
}

/// How often the policy has lowered the rate, as Caffe counts: in the last iteration.
int steps_done(const cnn::LearningRate& rate, int iteration) {
  const int last = std::max(iteration - 1, 0);
  if (rate.policy == cnn::LearningRate::Policy::step) return last / rate.step_size;
  if (rate.policy != cnn::LearningRate::Policy::multistep) return 0;
  return static_cast<int>(std::upper_bound(rate.steps.begin(), rate.steps.end(), last) - rate.steps.begin());
}

/// The weights that a state names: there, or in the folder of the state.
std::string weights_of(const caffe::SolverState& state, const std::string& path) {
  const fs::path named = state.learned_net(), beside = fs::path(path).parent_path() / named.filename();
  std::error_code error;
  if (fs::exists(named, error)) return named.string();
  if (fs::exists(beside, error)) return beside.string();
  fail(path, fmt::format("expected its weights as {} or {}, found neither", named.string(), beside.string()));
}

using History = std::vector<cnn::Tensor>;

/// The histories in a state, one after the other, without the slots of statistics.
std::vector<History> histories_in(const caffe::SolverState& state, const std::string& path,
                                  const caffe_files::Model& model, std::size_t count) {
  const std::vector<Slot> slots = slots_of(save_weights(model));
  const std::size_t expected = count * slots.size(), found = static_cast<std::size_t>(state.history_size());
  if (found != expected) {
    fail(path, fmt::format("expected {} tensors of history, {} for each of the net's {}, found {}; "
                           "is it of another net or another type of solver?",
                           expected, count, slots.size(), found));
  }
  std::vector<cnn::Shape> shapes;
  model.net.each_parameter([&](const std::string&, const cnn::Parameter& p) { shapes.push_back(p.value().shape()); });
  std::vector<History> all(count);
  for (std::size_t i = 0; i < expected; ++i) {
    const Slot& slot = slots[i % slots.size()];
    const caffe::BlobProto& blob = state.history(static_cast<int>(i));
    if (significant(blob.shape()) != significant(slot.shape)) {
      fail(path, fmt::format("history {} is of {}: expected the shape {}, found {}; is it of another net?", i,
                             slot.name, text_of(slot.shape), text_of(blob.shape())));
    }
    const std::vector<float> values = caffe_files::values_of(blob, fmt::format("{}: history {}", path, i));
    if (slot.is_statistic) continue;
    History& history = all[i / slots.size()];
    cnn::Tensor& tensor = history.emplace_back(shapes[history.size()]);
    std::copy(values.begin(), values.end(), tensor.data());
  }
  return all;
}

}  // namespace

Snapshot snapshot_at(const std::string& prefix, int iteration) {
  const std::string stem = fmt::format("{}_iter_{}", prefix, iteration);
  return {stem + ".caffemodel", stem + ".solverstate"};
}

Snapshot write_snapshot(const std::string& prefix, const caffe_files::Model& model, cnn::Solver& solver,
                        const Position& position) {
  const Snapshot files = snapshot_at(prefix, position.iteration);
  const caffe::NetParameter weights = save_weights(model);
  caffe::SolverState state;
  state.set_iter(position.iteration);
  state.set_learned_net(files.weights);
  state.set_current_step(std::visit([&](const auto& s) { return steps_done(s.rate, position.iteration); }, solver));
  state.set_seed(position.seed);
  if (position.best) {
    state.set_best_score(position.best->score);
    state.set_best_iter(position.best->iteration);
  }
  const std::vector<Slot> slots = slots_of(weights);
  for (const History* history : histories(solver)) {
    std::size_t next = 0;
    for (const Slot& slot : slots) {
      caffe::BlobProto& blob = *state.add_history();
      *blob.mutable_shape() = slot.shape;
      const cnn::Tensor* values = slot.is_statistic || history->empty() ? nullptr : &(*history)[next++];
      if (values != nullptr) {
        blob.mutable_data()->Add(values->data(), values->data() + values->size());
      } else {
        blob.mutable_data()->Resize(static_cast<int>(size_of(slot.shape)), 0.0f);
      }
    }
  }
  fs::remove(files.state);  // one of an earlier run would not belong to the new weights
  protobuf_files::write_binary(weights, files.weights);
  protobuf_files::write_binary(state, files.state);
  return files;
}

Position read_snapshot(const std::string& path, caffe_files::Model& model, cnn::Solver& solver) {
  const caffe::SolverState state = caffe_files::read_solver_state(path);
  if (!state.has_iter() || !state.has_learned_net()) {
    fail(path, fmt::format("expected a solver's state, found no {}; name a .solverstate file",
                           state.has_iter() ? "learned_net" : "iter"));
  }
  if (state.iter() < 0) fail(path, fmt::format("expected an iteration from 0 on, found {}", state.iter()));
  const std::vector<History*> all = histories(solver);
  std::vector<History> read = histories_in(state, path, model, all.size());

  const std::string weights = weights_of(state, path);
  const caffe::NetParameter found = read_weights(weights);
  try {
    caffe_files::load_weights(model, found);
  } catch (const std::invalid_argument& error) {
    fail(weights, error.what());
  }
  for (std::size_t i = 0; i < all.size(); ++i) *all[i] = std::move(read[i]);
  Position position{.iteration = state.iter(), .seed = state.seed()};
  if (state.has_best_score()) position.best = Best{state.best_score(), state.best_iter()};
  return position;
}

}  // namespace tool
