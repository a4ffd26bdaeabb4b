// SPDX-License-Identifier: MIT
// ristretto train: from a solver's file to snapshots.
#include "tool/train.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "cnn/progress.hpp"
#include "quantizer/interruption.hpp"
#include "result_file.hpp"
#include "tool/choice.hpp"
#include "tool/snapshot.hpp"
#include "tool/solver_file.hpp"
#include "tool/training.hpp"

namespace tool {
namespace {

using caffe::SolverParameter;

// ---- Preparing ----

SolverParameter read_settings(const TrainOptions& o) {
  SolverParameter s = read_solver(o.solver);
  if (o.max_iter >= 0) s.set_max_iter(o.max_iter);
  if (!o.snapshot_prefix.empty()) s.set_snapshot_prefix(o.snapshot_prefix);
  if (!o.model.empty()) {
    s.clear_train_net();
    s.clear_train_net_param();
    s.clear_test_net();
    s.clear_test_net_param();
    s.clear_net_param();
    s.set_net(std::filesystem::absolute(o.model).string());
  }
  if (o.test_iter == 0) {
    s.clear_test_iter();
    s.clear_test_net();
    s.clear_test_net_param();
    s.clear_test_state();
  }
  if (o.test_iter > 0) std::fill(s.mutable_test_iter()->begin(), s.mutable_test_iter()->end(), o.test_iter);
  return s;
}

/// The pictures of a test: those of --test_data, or of a folder that --data names and that has some for both.
Data open_test_data(const caffe::NetParameter& net, const TrainOptions& o, std::uint64_t seed) {
  CommonOptions options = o.common;
  options.batch_size = 0;
  options.seed = seed;
  options.data = !o.test_data.empty() ? o.test_data : is_for_both(o.common.data) ? o.common.data : "";
  try {
    return open_data(net, caffe::TEST, options);
  } catch (const std::exception& error) {
    throw std::runtime_error(
        fmt::format("{}\nThat is for the tests: --test_data stands for --data there, and "
                    "--test_iter=0 trains without them",
                    error.what()));
  }
}

Test open_test(const Nets::Test& said, const TrainOptions& o, std::uint64_t seed) {
  Data data = open_test_data(said.net, o, seed);
  caffe_files::Model model = build(said.net, caffe::TEST, data);
  const quantizer::Selection selection = selection_of(data, said.iterations);
  return {std::move(model), std::move(data), selection};
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

/// Where the weights come from: --weights, or else the solver.
std::vector<std::string> weights_of(const SolverParameter& s, const TrainOptions& o) {
  if (!o.weights.empty()) return split(o.weights);
  std::vector<std::string> files;
  for (const std::string& list : s.weights()) {
    for (const std::string& path : split(list)) files.push_back(located(path, o.solver, "weights"));
  }
  return files;
}

/// Fillers first; then what the files have for the net's layers.
void set_weights(caffe_files::Model& model, std::uint64_t seed, const std::vector<std::string>& files) {
  fill(model, seed);
  if (files.empty()) return;
  caffe::NetParameter all;
  for (const std::string& path : files) all.mutable_layer()->MergeFrom(read_weights(path).layer());
  const std::string names = fmt::format("{}", fmt::join(files, ","));
  try {
    const caffe_files::Unmatched unmatched = caffe_files::load_weights(model, all, true);
    const auto with_weights = std::count_if(all.layer().begin(), all.layer().end(),
                                            [](const caffe::LayerParameter& l) { return l.blobs_size() > 0; });
    if (static_cast<std::ptrdiff_t>(unmatched.of_file.size()) == with_weights) {
      throw std::invalid_argument("expected weights of the net's layers, found none; layers are matched by name");
    }
    if (!unmatched.of_net.empty()) {
      fmt::print(stderr, "note: {}: no weights for {}: they start from their fillers\n", names,
                 fmt::join(unmatched.of_net, ", "));
    }
    if (!unmatched.of_file.empty()) {
      fmt::print(stderr, "note: {}: not used, as the net has no such layers: {}\n", names,
                 fmt::join(unmatched.of_file, ", "));
    }
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(names + ": " + error.what());
  }
}

std::uint64_t seed_of(const SolverParameter& s, const TrainOptions& o) {
  return !o.has_seed && s.random_seed() >= 0 ? static_cast<std::uint64_t>(s.random_seed()) : o.common.seed;
}

/// The net without formats, with the weights of a file, or of "float", those that the training starts from.
caffe_files::Model teacher_of(const caffe::NetParameter& net, const Data& data, const SolverParameter& s,
                              const TrainOptions& o) {
  caffe_files::Model teacher = build(in_float(net), caffe::TRAIN, data);
  const std::vector<std::string> files = o.teacher == "float" ? weights_of(s, o) : std::vector{o.teacher};
  if (files.empty()) throw std::invalid_argument("--teacher=float needs weights: name them with --weights");
  caffe::NetParameter all;
  for (const std::string& path : files) all.mutable_layer()->MergeFrom(read_weights(path).layer());
  load_weights(teacher, all, fmt::format("{}", fmt::join(files, ",")));
  return teacher;
}

/// Without chance in what the layers compute, beside the rounding of weights.
void remove_dropout(cnn::Net& net) {
  for (const cnn::Node& node : net.nodes()) {
    if (std::holds_alternative<cnn::Dropout>(node.layer)) net.layer<cnn::Dropout>(node.name).ratio = 0;
  }
}

Training prepare(const SolverParameter& s, const TrainOptions& o) {
  cnn::Solver solver = solver_of(s, o.solver);
  const Nets nets = nets_of(s, o.solver);
  CommonOptions options = o.common;
  options.seed = seed_of(s, o);
  Data data = open_data(nets.train, caffe::TRAIN, options);
  data.source.how.shuffle |= o.shuffle;
  data.source.how.transform.mirror |= o.mirror;
  caffe_files::Model model = build(nets.train, caffe::TRAIN, data);
  if (model.loss.empty()) {
    throw std::invalid_argument(
        o.solver + ": its net has no SoftmaxWithLoss layer for the phase TRAIN; add one that reads its scores");
  }
  if (static_cast<double>(s.max_iter()) * s.iter_size() * data.batch_size > 0x1p62) {
    throw std::invalid_argument(
        fmt::format("{}: {} iterations of {} batches of {} pictures are more than can be "
                    "counted; lower max_iter or iter_size",
                    o.solver, s.max_iter(), s.iter_size(), data.batch_size));
  }
  Training t{.model = std::move(model), .data = std::move(data), .solver = std::move(solver)};
  if (o.stochastic) {
    std::optional<ristretto::AnyRounding> rounding;
    if (*o.stochastic) rounding = ristretto::RoundStochastic<>{};
    t.model.net.each_trimmed([&](cnn::Node&, auto& layer) { layer.formats.training_rounding = rounding; });
  }
  if (!o.teacher.empty()) {
    t.teacher.emplace(teacher_of(nets.train, t.data, s, o));
    remove_dropout(t.model.net);
  }
  t.batches = s.iter_size();
  t.trim_activations = !o.float_activations;
  t.position.seed = options.seed;
  for (const Nets::Test& test : nets.tests) t.tests.push_back(open_test(test, o, options.seed));
  if (!o.snapshot.empty()) {
    if (!o.weights.empty()) fmt::print(stderr, "note: the weights are those of {}, not --weights\n", o.snapshot);
    t.position = read_snapshot(o.snapshot, t.model, t.solver);
    if (t.position.iteration > s.max_iter()) {
      throw std::runtime_error(fmt::format("{}: expected an iteration up to max_iter, {}, found {}; raise max_iter",
                                           o.snapshot, s.max_iter(), t.position.iteration));
    }
    if (t.position.seed != options.seed) {
      fmt::print(stderr, "note: {} is of a run with seed {}, this one has {}\n", o.snapshot, t.position.seed,
                 options.seed);
      t.position.seed = options.seed;
    }
  } else {
    set_weights(t.model, options.seed, weights_of(s, o));
  }
  return t;
}

// ---- Running ----

/// Runs a training to its end, and writes what happens.
class Run {
 public:
  Run(const SolverParameter& settings, const TrainOptions& o, Training& training, std::string prefix, std::FILE* out)
      : s_(settings), o_(o), t_(training), prefix_(std::move(prefix)), out_(out) {
    if (!o.common.quiet) {
      progress_.emplace("train", (s_.max_iter() - t_.position.iteration) * t_.pictures());
    }
    first_ = t_.position.iteration;
  }

  int finish() {
    try {
      while (t_.position.iteration < s_.max_iter()) iterate();
      if (s_.snapshot_after_train() && !saved_ && t_.position.iteration > first_) save();
      test();
    } catch (const quantizer::Interrupted&) {
      if (!saved_) save();
      log_["interrupted"] = true;
      if (progress_) progress_->clear();
      fmt::print(stderr, "interrupted before iteration {}; to go on: the same command with --snapshot={}\n",
                 t_.position.iteration, snapshot_at(prefix_, t_.position.iteration).state);
      say_best();
      return interrupted_code;
    }
    say_best();
    return 0;
  }

  nlohmann::ordered_json log_ = nlohmann::ordered_json::object();
  std::string csv_ = "iteration,name,value\n";

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (progress_) progress_->clear();
    fmt::print(out_, format, std::forward<Args>(args)...);
    std::fflush(out_);
  }

  void record(int iteration, const std::string& name, double value) {
    csv_ += fmt::format("{},{},{}\n", iteration, name, value);
  }

  std::string best_file() const { return prefix_ + "_best.caffemodel"; }

  void iterate() {
    const int i = t_.position.iteration;
    if (s_.test_interval() > 0 && i % s_.test_interval() == 0 && (i > 0 || s_.test_initialization())) test();
    const double rate = t_.learning_rate();
    losses_.push_back(t_.step());
    saved_ = false;
    if (losses_.size() > static_cast<std::size_t>(s_.average_loss())) losses_.pop_front();
    if (s_.display() > 0 && i % s_.display() == 0) {
      const double loss = std::accumulate(losses_.begin(), losses_.end(), 0.0) / static_cast<double>(losses_.size());
      say("Iteration {}, loss = {:g}, lr = {:g}\n", i, loss, rate);
      record(i, "loss", loss);
      record(i, "lr", rate);
      log_["iterations"].push_back({{"iteration", i}, {"loss", loss}, {"lr", rate}});
    }
    if (progress_) progress_->at((t_.position.iteration - first_) * t_.pictures());
    if (s_.snapshot() > 0 && t_.position.iteration % s_.snapshot() == 0) save();
  }

  void test() {
    if (t_.tests.empty()) return;
    const int i = t_.position.iteration;
    if (progress_) progress_->clear();
    const std::vector<quantizer::Scores> all = t_.test(o_.common.quiet);
    for (std::size_t n = 0; n < all.size(); ++n) {
      say("Iteration {}, Testing net (#{})\n", i, n);
      nlohmann::ordered_json entry{{"iteration", i}, {"net", n}, {"pictures", all[n].pictures}};
      int output = 0;
      const auto write = [&](const quantizer::Score& score, bool loss) {
        const std::string tail = loss ? fmt::format(" (* 1 = {:g} loss)", score.value) : "";
        say("    Test net output #{}: {} = {:g}{}\n", output++, score.name, score.value, tail);
        record(i, fmt::format("test {} {}", n, score.name), score.value);
        entry["scores"][score.name] = score.value;
      };
      for (const quantizer::Score& score : all[n].accuracies) write(score, false);
      for (const quantizer::Score& score : all[n].losses) write(score, true);
      log_["tests"].push_back(std::move(entry));
    }
    if (t_.last_is_best) protobuf_files::write_binary(save_weights(t_.model), best_file());
  }

  void save() {
    const Snapshot files = write_snapshot(prefix_, t_.model, t_.solver, t_.position);
    saved_ = true;
    say("Snapshotting to binary proto file {}\nSnapshotting solver state to binary proto file {}\n", files.weights,
        files.state);
    log_["snapshot"] = {{"weights", files.weights}, {"state", files.state}};
  }

  void say_best() {
    if (!t_.position.best) return;
    const auto [score, iteration] = *t_.position.best;
    const std::string& name = t_.tests.empty() ? "accuracy" : t_.tests.front().model.accuracies.front().name;
    say("Best: {} = {:g} at iteration {}, in {}\n", name, score, iteration, best_file());
    log_["best"] = {{"score", score}, {"iteration", iteration}, {"weights", best_file()}};
  }

  const SolverParameter& s_;
  const TrainOptions& o_;
  Training& t_;
  std::string prefix_;
  std::FILE* out_;
  std::optional<cnn::Progress> progress_{};
  std::deque<double> losses_{};  // of the last iterations
  int first_ = 0;
  bool saved_ = false;  // as things stand
};

}  // namespace

int train(TrainOptions o, std::FILE* out) {
  start(o.common);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv");
  const SolverParameter settings = read_settings(o);
  if (settings.has_solver_mode() && settings.solver_mode() == SolverParameter::GPU && o.common.gpu.empty()) {
    fmt::print(stderr, "note: {}: solver_mode GPU: everything is computed on the host\n", o.solver);
  }
  solver_of(settings, o.solver);  // says what is wrong before anything is opened
  std::string prefix = snapshot_prefix(settings, o.solver);
  Training training = prepare(settings, o);
  const auto begin = std::chrono::steady_clock::now();
  Run run(settings, o, training, std::move(prefix), out);
  const int code = run.finish();

  nlohmann::ordered_json result{{"command", "train"}, {"solver", o.solver}, {"seed", training.position.seed}};
  result["threads"] = o.common.threads;
  result["iteration"] = training.position.iteration;
  result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.update(run.log_);
  json.write(result.dump(2) + "\n");
  csv.write(run.csv_);
  return code;
}

std::function<int()> add_train(CLI::App& app) {
  auto o = std::make_shared<TrainOptions>();
  CLI::App& command = *app.add_subcommand("train", "trains or fine-tunes a net");
  command.add_option("--solver", o->solver, "what to train and how (.prototxt)")->required();
  command.add_option("--weights", o->weights, "weights to start from (.caffemodel), several with commas between");
  command.add_option("--snapshot", o->snapshot, "state of an earlier run to go on from (.solverstate)");
  command.add_option("--model", o->model, "description of the net in place of the solver's");
  command.add_option("--snapshot_prefix", o->snapshot_prefix, "where snapshots go in place of the solver's");
  command.add_option("--test_data", o->test_data, "pictures of the tests, as --data for training");
  command.add_option("--max_iter", o->max_iter, "iterations in place of the solver's")->check(CLI::Range(0, 1 << 30));
  command.add_option("--test_iter", o->test_iter, "batches of a test in place of the solver's; 0: no tests")
      ->check(CLI::Range(0, 1 << 30));
  command.add_flag("--float_activations", o->float_activations,
                   "train quantized nets with activations in float, as the original did");
  command.add_option("--teacher", o->teacher,
                     "learn to score as the net in float does, without labels and dropout: \"float\", for the weights "
                     "that the training starts from, or a file of others (.caffemodel)");
  static const std::map<std::string, bool> roundings{{"nearest", false}, {"stochastic", true}};
  add_choice(command, "--training_rounding", roundings, o->stochastic,
             "how weights are rounded in training, in place of what the description says");
  command.add_flag("--shuffle", o->shuffle, "a new order of the pictures in every epoch");
  command.add_flag("--mirror", o->mirror, "mirror each picture with probability 1/2, as transform_param can say, too");
  add_options(command, o->common);
  const CLI::Option* seed = command.get_option("--seed");
  return [o, seed] {
    o->has_seed = seed->count() > 0;
    return train(*o);
  };
}

}  // namespace tool
