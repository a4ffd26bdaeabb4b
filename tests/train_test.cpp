// SPDX-License-Identifier: MIT
// ristretto train: runs that are cut and go on, what it prints, refuses and keeps; published nets in the folder data/
// of RISTRETTO_DATA.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "caffe/files.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"
#include "quantizer/interruption.hpp"
#include "tool/train.hpp"

namespace fs = std::filesystem;
using checks::bytes_of;
using checks::contains;
using tool::TrainOptions;

namespace {

// ---- A small net and its data ----

std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

/// Pictures of 8 x 8: a bright bar whose place is the label, on a pattern.
void write_digits(const checks::Folder& folder, const std::string& prefix, std::uint32_t count) {
  std::string images = big_endian(0x803) + big_endian(count) + big_endian(8) + big_endian(8),
              labels = big_endian(0x801) + big_endian(count);
  for (std::uint32_t n = 0; n < count; ++n) {
    const std::uint32_t label = n * 7 % 4;
    labels += static_cast<char>(label);
    for (std::uint32_t i = 0; i < 64; ++i) {
      images += static_cast<char>((i / 16 == label ? 150 : 0) + (n * 31 + i * i * 13 + n * i) % 90);
    }
  }
  folder.write(prefix + "-images-idx3-ubyte", images);
  folder.write(prefix + "-labels-idx1-ubyte", labels);
}

std::string param(bool quantized, int fraction) {
  if (!quantized) return "";
  return " quantization_param { precision: DYNAMIC_FIXED_POINT bw_layer_in: 6 bw_layer_out: 6 bw_params: 4"
         " fl_layer_in: 3 fl_layer_out: 3 fl_params: " +
         std::to_string(fraction) + " }";
}

/// With everything that a run remembers: momentum, batch statistics, dropout, stochastic rounding.
std::string small_net(bool quantized) {
  const std::string conv = quantized ? "ConvolutionRistretto" : "Convolution",
                    fc = quantized ? "FcRistretto" : "InnerProduct";
  const auto data = [](const std::string& phase, int batch) {
    return "layer { name: 'pictures' type: 'Data' top: 'data' top: 'label' include { phase: " + phase +
           " } transform_param { scale: 0.00390625 crop_size: 7 mirror: true }"
           " data_param { source: 'nowhere' backend: LMDB batch_size: " +
           std::to_string(batch) + " } }\n";
  };
  return data("TRAIN", 4) + data("TEST", 10) + "layer { name: 'conv' type: '" + conv +
         "' bottom: 'data' top: 'conv' convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "
         "'xavier' } }" +
         param(quantized, 3) +
         " param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 } }\n"
         "layer { name: 'norm' type: 'BatchNorm' bottom: 'conv' top: 'norm' }\n"
         "layer { name: 'scale' type: 'Scale' bottom: 'norm' top: 'scale' scale_param { bias_term: true } }\n"
         "layer { name: 'relu' type: 'ReLU' bottom: 'scale' top: 'scale' }\n"
         "layer { name: 'drop' type: 'Dropout' bottom: 'scale' top: 'scale' dropout_param { dropout_ratio: 0.2 } }\n"
         "layer { name: 'ip' type: '" +
         fc + "' bottom: 'scale' top: 'ip' inner_product_param { num_output: 4 weight_filler { type: 'xavier' } }" +
         param(quantized, 4) +
         " }\n"
         "layer { name: 'accuracy' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'accuracy' include { phase: TEST "
         "} }\n"
         "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' }\n";
}

const std::string sgd = "base_lr: 0.05 momentum: 0.9 weight_decay: 0.001 lr_policy: 'step' gamma: 0.5 stepsize: 8 ";

/// A folder with data and net, and what runs in it.
struct Place {
  checks::Folder folder{};

  Place() {
    write_digits(folder, "train", 50);
    write_digits(folder, "t10k", 25);
    folder.write("net.prototxt", small_net(false));
    folder.write("quantized.prototxt", small_net(true));
  }

  /// Options for a solver with these lines; its net is in the folder, and so are its snapshots, called `name`.
  TrainOptions solver(const std::string& name, const std::string& lines, const std::string& net = "net.prototxt") {
    TrainOptions o;
    o.solver = folder.write(name + ".prototxt", "net: '" + net + "' snapshot_prefix: '" + folder / name + "' " + lines);
    o.common.data = "idx:" + folder.path.string();
    o.common.quiet = true;
    return o;
  }
};

struct Ended {
  int code = 0;
  std::string out{};
};

Ended run(const TrainOptions& o) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  Ended ended;
  try {
    ended.code = tool::train(o, file);
  } catch (...) {
    std::fclose(file);
    throw;
  }
  std::rewind(file);
  for (int c = 0; (c = std::fgetc(file)) != EOF;) ended.out += static_cast<char>(c);
  std::fclose(file);
  return ended;
}

/// A state without the path of its weights.
std::string state_of(const std::string& path) {
  caffe::SolverState state = caffe_files::read_solver_state(path);
  state.clear_learned_net();
  return state.SerializeAsString();
}

/// What a run is refused for.
std::string refusal(const TrainOptions& o) {
  try {
    run(o);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Weights and state of two runs, bit for bit.
void check_same(const std::string& a, const std::string& b) {
  CHECK((bytes_of(a + ".caffemodel") == bytes_of(b + ".caffemodel")));
  CHECK((state_of(a + ".solverstate") == state_of(b + ".solverstate")));
}

}  // namespace

// ---- Going on ----

TEST_CASE("a run that is cut and goes on ends with the same bits") {
  const std::string method = GENERATE(
      as<std::string>{}, sgd, sgd + "type: 'Nesterov' clip_gradients: 1 ",
      "type: 'AdaGrad' base_lr: 0.02 lr_policy: 'inv' gamma: 0.01 power: 0.75 weight_decay: 0.001 ",
      "type: 'RMSProp' base_lr: 0.002 lr_policy: 'multistep' gamma: 0.5 stepvalue: 5 stepvalue: 12 rms_decay: 0.9 ",
      "solver_type: ADAM base_lr: 0.005 lr_policy: 'poly' power: 1 momentum: 0.9 regularization_type: 'L1' "
      "weight_decay: 0.0001 ");
  const bool quantized = GENERATE(false, true);
  CAPTURE(method, quantized);
  Place place;
  const std::string net = quantized ? "quantized.prototxt" : "net.prototxt";
  const std::string lines = method + "iter_size: 2 max_iter: 20 test_iter: 2 test_interval: 5 random_seed: 7 ";
  CHECK(run(place.solver("whole", lines, net)).code == 0);

  CHECK(run(place.solver("parts", lines + "snapshot: 10", net)).code == 0);
  for (const char* late : {"_iter_20.caffemodel", "_iter_20.solverstate"}) fs::remove(place.folder / "parts" + late);
  TrainOptions rest = place.solver("parts", lines + "snapshot: 10", net);
  rest.snapshot = place.folder / "parts_iter_10.solverstate";
  CHECK(run(rest).code == 0);
  check_same(place.folder / "whole_iter_20", place.folder / "parts_iter_20");
  CHECK((bytes_of(place.folder / "whole_best.caffemodel") == bytes_of(place.folder / "parts_best.caffemodel")));
}

TEST_CASE("Ctrl-C leaves a snapshot from which the run goes on") {
  Place place;
  const std::string lines = sgd + "iter_size: 3 snapshot_after_train: true max_iter: ";
  std::thread finger([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    quantizer::interrupted() = true;
  });
  const Ended ended = run(place.solver("cut", lines + "1000000"));
  finger.join();
  quantizer::interrupted() = false;
  CHECK(ended.code == tool::interrupted_code);
  CHECK(contains(ended.out, "solver state"));
  std::string state;
  for (const auto& entry : fs::directory_iterator(place.folder.path)) {
    if (entry.path().extension() == ".solverstate") state = entry.path().string();
  }
  REQUIRE(!state.empty());
  const std::string end = std::to_string(caffe_files::read_solver_state(state).iter() + 3);

  TrainOptions rest = place.solver("cut", lines + end);
  rest.snapshot = state;
  CHECK(run(rest).code == 0);
  CHECK(run(place.solver("whole", lines + end)).code == 0);
  check_same(place.folder / "whole_iter_" + end, place.folder / "cut_iter_" + end);
}

TEST_CASE("a snapshot that was moved finds its weights beside it") {
  Place place;
  const std::string lines = sgd + "max_iter: ";
  run(place.solver("first", lines + "2"));
  run(place.solver("whole", lines + "4"));
  fs::create_directory(place.folder / "moved");
  for (const std::string ending : {".caffemodel", ".solverstate"}) {
    fs::rename(place.folder / "first_iter_2" + ending, place.folder / "moved/first_iter_2" + ending);
  }
  TrainOptions rest = place.solver("second", lines + "4");
  rest.snapshot = place.folder / "moved/first_iter_2.solverstate";
  CHECK(run(rest).code == 0);
  check_same(place.folder / "whole_iter_4", place.folder / "second_iter_4");
}

TEST_CASE("a state has Caffe's layout") {
  Place place;
  run(place.solver("adam", "type: 'Adam' base_lr: 0.01 lr_policy: 'step' gamma: 0.1 stepsize: 2 max_iter: 5"));
  const caffe::SolverState state = caffe_files::read_solver_state(place.folder / "adam_iter_5.solverstate");
  CHECK(state.iter() == 5);
  CHECK(state.learned_net() == place.folder / "adam_iter_5.caffemodel");
  CHECK(state.current_step() == 2);
  // Twice conv's two, three of the normalization, the scale's two and ip's two.
  REQUIRE(state.history_size() == 18);
  const auto sizes = [&](int i) {
    const auto& dim = state.history(i).shape().dim();
    return std::vector<std::int64_t>(dim.begin(), dim.end());
  };
  CHECK(sizes(0) == std::vector<std::int64_t>{6, 1, 3, 3});
  CHECK(sizes(4) == std::vector<std::int64_t>{1});
  CHECK(sizes(9 + 7) == std::vector<std::int64_t>{4, 150});
  CHECK(state.history(2).data(0) == 0.0f);
  CHECK(state.history(9).data(0) > 0.0f);
}

// ---- What it says and keeps ----

TEST_CASE("training learns, says so, and keeps the best") {
  Place place;
  const bool quantized = GENERATE(false, true);
  TrainOptions o = place.solver("run",
                                sgd +
                                    "max_iter: 120 display: 50 average_loss: 10 test_iter: 100 "
                                    "test_interval: 60 test_initialization: false snapshot: 100",
                                quantized ? "quantized.prototxt" : "net.prototxt");
  o.shuffle = true;
  o.common.json = place.folder / "run.json";
  o.common.csv = place.folder / "run.csv";
  const Ended ended = run(o);
  CHECK(ended.code == 0);
  CAPTURE(ended.out);
  for (const char* words :
       {"Iteration 0, loss = ", ", lr = 0.05\n",
        "Iteration 100, loss = ", "Iteration 60, Testing net (#0)\n    Test net output #0: accuracy = ",
        "    Test net output #1: loss = ", "Iteration 120, Testing net (#0)", "Best: accuracy = "}) {
    CAPTURE(words);
    CHECK(contains(ended.out, words));
  }
  CHECK(!contains(ended.out, "Iteration 0, Testing"));
  const std::string best = ended.out.substr(ended.out.find("Best: accuracy = ") + 17);
  CHECK(std::stod(best) > 0.8);
  CHECK(contains(bytes_of(o.common.json), "\"best\""));
  CHECK(contains(bytes_of(o.common.csv), "120,test 0 accuracy,"));
  for (const char* file : {"run_best.caffemodel", "run_iter_100.solverstate", "run_iter_120.caffemodel"}) {
    CHECK(fs::exists(place.folder / file));
  }
  CHECK(!fs::exists(place.folder / "run_iter_60.caffemodel"));
}

TEST_CASE("activations can stay in float while training, and threads change nothing") {
  Place place;
  const auto end = [&](const std::string& name, bool float_activations, int threads) {
    TrainOptions o = place.solver(name, sgd + "max_iter: 5", "quantized.prototxt");
    o.float_activations = float_activations;
    o.common.threads = threads;
    CHECK(run(o).code == 0);
    return bytes_of(place.folder / name + "_iter_5.caffemodel");
  };
  const std::string trimmed = end("a", false, 1);
  CHECK((trimmed == end("b", false, 2)));
  CHECK((trimmed != end("c", true, 1)));
}

TEST_CASE("the option mirror is that of transform_param, for the pictures that are trained on") {
  Place place;
  std::string plain = bytes_of(place.folder / "net.prototxt");
  for (std::size_t at; (at = plain.find(" mirror: true")) != std::string::npos;) plain.erase(at, 13);
  place.folder.write("plain.prototxt", plain);
  const auto end = [&](const std::string& name, const std::string& net, bool mirror) {
    TrainOptions o = place.solver(name, sgd + "max_iter: 5", net);
    o.mirror = mirror;
    CHECK(run(o).code == 0);
    return state_of(place.folder / name + "_iter_5.solverstate");
  };
  const std::string said = end("a", "net.prototxt", false);
  CHECK((said == end("b", "plain.prototxt", true)));
  CHECK((said != end("c", "plain.prototxt", false)));

  const auto tested = [&](bool mirror) {
    TrainOptions o = place.solver("tested", sgd + "max_iter: 0 test_iter: 2 test_interval: 1", "plain.prototxt");
    o.mirror = mirror;
    return run(o).out;
  };
  CHECK(contains(tested(false), "Testing net"));
  CHECK(tested(true) == tested(false));
}

TEST_CASE("weights are taken by the names of layers, the rest starts from fillers") {
  Place place;
  run(place.solver("first", sgd + "max_iter: 3"));
  const std::string weights = place.folder / "first_iter_3.caffemodel";
  TrainOptions o = place.solver("second", sgd + "max_iter: 0 test_iter: 1 test_interval: 1");
  o.weights = weights;
  CHECK(contains(run(o).out, "Iteration 0, Testing"));
  CHECK((bytes_of(place.folder / "second_best.caffemodel") == bytes_of(weights)));

  std::string other = small_net(false);
  other.replace(other.find("name: 'ip'"), 10, "name: 'other'");
  place.folder.write("other.prototxt", other);
  TrainOptions tuned = place.solver("tuned", sgd + "max_iter: 1", "other.prototxt");
  tuned.weights = weights;
  CHECK(run(tuned).code == 0);
  tuned.weights = place.folder.write("none.caffemodel", "");
  CHECK(contains(refusal(tuned), "none.caffemodel: expected weights of the net's layers, found none"));
  tuned.weights = place.folder / "absent.caffemodel";
  CHECK(contains(refusal(tuned), "absent.caffemodel"));
}

TEST_CASE("two batches of an iteration are one of twice the size") {
  Place place;
  std::istringstream lines(small_net(false));
  std::string net, line;
  while (std::getline(lines, line)) {  // without what depends on the rest of its batch
    if (contains(line, "'norm'") && contains(line, "BatchNorm")) continue;
    if (contains(line, "Dropout")) continue;
    if (contains(line, "bottom: 'norm'")) line.replace(line.find("bottom: 'norm'"), 14, "bottom: 'conv'");
    net += line + '\n';
  }
  place.folder.write("plain.prototxt", net);
  const auto losses = [&](const std::string& name, const std::string& iter_size, int batch_size) {
    TrainOptions o = place.solver(name, sgd + "max_iter: 30 display: 1 iter_size: " + iter_size, "plain.prototxt");
    o.common.batch_size = batch_size;
    std::vector<double> found;
    std::istringstream out(run(o).out);
    for (std::string text; std::getline(out, text);) {
      if (contains(text, ", loss = ")) found.push_back(std::stod(text.substr(text.find(", loss = ") + 9)));
    }
    return found;
  };
  const std::vector<double> a = losses("a", "1", 6), b = losses("b", "2", 3);
  REQUIRE(a.size() == 30);
  REQUIRE(b.size() == 30);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(1e-3));
}

// ---- What it refuses ----

TEST_CASE("solvers that cannot be run are refused before anything is read") {
  Place place;
  struct Case {
    std::string lines, words;
  };
  const std::string good = "base_lr: 0.1 lr_policy: 'fixed' max_iter: 1 ";
  const auto c = GENERATE_COPY(values<Case>({
      {good + "type: 'AdaDelta'", "type is \"AdaDelta\"; choose SGD, Nesterov, AdaGrad, RMSProp or Adam"},
      {good + "solver_type: ADADELTA", "type is \"AdaDelta\""},
      {good + "type: 'AdaGrad' momentum: 0.9", "momentum is 0.9; AdaGrad has none"},
      {good + "momentum: 1", "momentum is 1; choose a number in [0, 1)"},
      {good + "regularization_type: 'L3'", "regularization_type is \"L3\"; choose L1 or L2"},
      {good + "iter_size: 0", "iter_size is 0; choose at least 1"},
      {good + "snapshot_format: HDF5", "HDF5; use BINARYPROTO"},
      {good + "delta: 0", "delta is 0"},
      {good + "base_lr: nan", "base_lr"},
      {"base_lr: 0.1 lr_policy: 'fixed'", "no max_iter"},
      {"lr_policy: 'fixed' max_iter: 1", "no base_lr"},
      {"base_lr: 0.1 max_iter: 1 lr_policy: 'cosine'", "lr_policy is \"cosine\"; choose fixed, step"},
      {"base_lr: 0.1 max_iter: 1 lr_policy: 'step' gamma: 0.1", "lr_policy step needs stepsize"},
      {"base_lr: 0.1 max_iter: 1 lr_policy: 'step' gamma: 0.1 stepsize: 0", "stepsize is 0"},
      {"base_lr: 0.1 max_iter: 1 lr_policy: 'multistep' gamma: 0.1 stepvalue: 3 stepvalue: 2", "do not ascend"},
      {good + "train_net: 'x'", "names 2 nets to train"},
      {good + "test_iter: 1", "no test_interval"},
      {good + "test_net: 'net.prototxt' test_interval: 1", "0 test_iter for 1 nets"},
      {good + "test_iter: 1 test_interval: 1 test_state {} test_state {}", "2 test_state for 1 nets"},
  }));
  CAPTURE(c.lines);
  const std::string text = refusal(place.solver("bad", c.lines));
  CAPTURE(text);
  CHECK(contains(text, "bad.prototxt"));
  CHECK(contains(text, c.words));
}

TEST_CASE("paths that lead nowhere are refused before training") {
  Place place;
  const std::string good = sgd + "max_iter: 1 ";
  CHECK(contains(refusal(place.solver("s", good, "absent.prototxt")), "net \"absent.prototxt\" cannot be found"));
  TrainOptions o = place.solver("s", good);
  o.snapshot_prefix = place.folder / "absent/net";
  CHECK(contains(refusal(o), "absent is not a folder"));
  o = place.solver("s", good + "weights: 'absent.caffemodel'");
  CHECK(contains(refusal(o), "weights \"absent.caffemodel\" cannot be found"));
  o = place.solver("s", good);
  o.common.data = "";
  CHECK(contains(refusal(o), "--data"));
  o.common.data = "idx:" + (place.folder / "absent");
  CHECK(contains(refusal(o), "absent"));
  // In a solver's folder only: found by its last part.
  o = place.solver("s", good, "models/elsewhere/net.prototxt");
  CHECK(run(o).code == 0);
}

TEST_CASE("states that are damaged or of something else are refused") {
  Place place;
  run(place.solver("good", sgd + "max_iter: 2"));
  const std::string state = place.folder / "good_iter_2.solverstate", bytes = bytes_of(state);
  TrainOptions o = place.solver("rest", sgd + "max_iter: 4");
  const auto refused = [&](const std::string& file) {
    o.snapshot = file;
    const std::string text = refusal(o);
    CHECK(contains(text, fs::path(file).filename().string()));
    return text;
  };
  for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 60) {
    CAPTURE(size);
    CHECK(!refused(place.folder.write("cut.solverstate", bytes.substr(0, size))).empty());
  }
  CHECK(contains(refused(place.folder / "good_iter_2.caffemodel"), "expected"));
  CHECK(contains(refused(place.folder / "net.prototxt"), "net.prototxt"));
  CHECK(contains(refused(place.folder / "absent.solverstate"), "cannot be opened"));

  o = place.solver("rest", "type: 'Adam' base_lr: 0.01 lr_policy: 'fixed' max_iter: 4");
  CHECK(contains(refused(state), "expected 18 tensors of history, 2 for each of the net's 9, found 9"));
  o = place.solver("rest", sgd + "max_iter: 1");
  CHECK(contains(refused(state), "expected an iteration up to max_iter, 1, found 2"));
  std::string wider = small_net(false);
  wider.replace(wider.find("num_output: 6"), 13, "num_output: 8");
  place.folder.write("wider.prototxt", wider);
  o = place.solver("rest", sgd + "max_iter: 4", "wider.prototxt");
  CHECK(contains(refused(state), "conv.blobs[0]: expected the shape (8, 1, 3, 3), found (6, 1, 3, 3)"));

  o = place.solver("rest", sgd + "max_iter: 4");
  place.folder.write("good_iter_2.caffemodel", bytes_of(place.folder / "good_iter_2.caffemodel").substr(0, 500));
  o.snapshot = state;
  CHECK(contains(refusal(o), "good_iter_2.caffemodel"));
  fs::remove(place.folder / "good_iter_2.caffemodel");
  CHECK(contains(refused(state), "expected its weights as"));
}

TEST_CASE("labels beyond the classes and losses that are no number end a run") {
  Place place;
  std::string fewer = small_net(false);
  fewer.replace(fewer.find("num_output: 4"), 13, "num_output: 3");
  place.folder.write("fewer.prototxt", fewer);
  CHECK(contains(refusal(place.solver("s", sgd + "max_iter: 9", "fewer.prototxt")), "has the label 3"));
  const std::string wild = "base_lr: 1e30 lr_policy: 'fixed' max_iter: 50";
  CHECK(contains(refusal(place.solver("s", wild)), "lower base_lr"));
}
