// SPDX-License-Identifier: MIT
// ristretto quantize: its options, and what it does with the files that they name.
#include "tool/quantize.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "caffe/quantization.hpp"
#include "caffe/weights.hpp"
#include "quantizer/interruption.hpp"
#include "quantizer/names.hpp"
#include "quantizer/quantize.hpp"
#include "result_file.hpp"
#include "tool/choice.hpp"
#include "tool/common.hpp"

namespace tool {
namespace {

namespace qz = quantizer;

constexpr int range_batches = 10;  // as the original

struct QuantizeOptions {
  std::string model{}, weights{}, quantized{};  // files
  std::string repaired{};                       // file for the weights; empty: beside the description
  std::string ranges_data{};                    // pictures for the ranges; empty: as --data, for training
  int calibration = 0;                          // of them; 0: so many batches as usual
  int iterations = 0;                           // batches to score; 0: all pictures
  std::optional<cnn::Ties> ties{};
  std::optional<qz::Repair> repair{};
  std::optional<bool> per_channel{}, is_unsigned{};
  std::optional<qz::Cost> cost{};
  qz::Options search{};
  CommonOptions common{};
};

/// Where weights are written without an option.
std::string beside(const std::string& description) {
  return std::filesystem::path(description).replace_extension(".caffemodel").string();
}

/// Results replace neither what was read nor each other.
void check_files(const QuantizeOptions& o) {
  const auto real = [](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path));
  };
  struct File {
    const char* option;
    std::string path;
  };
  std::vector<File> others{{"--model", o.model}, {"--weights", o.weights}};
  for (const File& written :
       {File{"--model_quantized", o.quantized}, File{"--weights_quantized", o.repaired}, File{"--json", o.common.json},
        File{"--csv", o.common.csv}, File{"--journal", o.search.journal}}) {
    if (written.path.empty()) continue;
    for (const File& other : others) {
      if (real(other.path) != real(written.path)) continue;
      throw std::invalid_argument(fmt::format("{} would overwrite {}, which {} names; name another file",
                                              written.option, other.path, other.option));
    }
    others.push_back(written);
  }
}

/// What is there only beside something else.
void check_combinations(const QuantizeOptions& o) {
  const qz::Options& s = o.search;
  const bool is_original = s.rule.is_original();
  if (is_original && (s.rule.per_channel || s.rule.is_unsigned)) {
    throw std::invalid_argument("--ranges=ristretto2016 knows neither --per_channel nor --unsigned; leave them out");
  }
  if (is_original && s.by_layer) {
    throw std::invalid_argument("--search=layers does not go with --ranges=ristretto2016; choose other ranges");
  }
  if (!s.by_layer && (o.cost || s.time_budget > 0 || !s.journal.empty())) {
    throw std::invalid_argument(
        "--cost, --time_budget and --journal are of --search=layers; add that, or leave them out");
  }
  if (!s.bits.empty() && (s.by_layer || !s.widths.empty())) {
    throw std::invalid_argument("--bits is instead of a search; leave out --search and --widths");
  }
  const bool has_one = is_original && s.rule.mode == qz::TrimmingMode::minifloat;
  if (has_one && std::any_of(s.bits.begin(), s.bits.end(), [&](int b) { return b != s.bits.front(); })) {
    throw std::invalid_argument("--ranges=ristretto2016 has one minifloat for the whole net; give --bits one width");
  }
}

/// Fills in what other options decide.
void complete(QuantizeOptions& o) {
  qz::Options& s = o.search;
  const bool is_original = s.rule.is_original();
  s.rule = qz::usual_rule(s.rule.mode, s.rule.ranges);
  s.rule.ties = o.ties.value_or(s.rule.ties);
  s.rule.per_channel = o.per_channel.value_or(s.rule.per_channel);
  s.rule.is_unsigned = o.is_unsigned.value_or(s.rule.is_unsigned);
  s.repair = o.repair.value_or(is_original ? qz::Repair{} : qz::Repair{.compensate = true, .bias = true});
  s.cost = o.cost.value_or(qz::Cost::weight_bits);
  s.quiet = o.common.quiet;
  s.labels = {o.model, o.weights, o.common.seed, o.common.threads};
  if (o.repaired.empty() && s.repair.any()) o.repaired = beside(o.quantized);
  check_combinations(o);
  check_files(o);
}

// ---- Nets and pictures ----

/// The pictures that ranges are observed in: those for training, or, where the net names none, those of the test.
Data open_range_data(const caffe::NetParameter& net, const QuantizeOptions& o) {
  CommonOptions common = o.common;
  if (!o.ranges_data.empty()) common.data = o.ranges_data;
  bool has_training = true;
  try {
    caffe_files::data_layer(net, caffe::TRAIN);
  } catch (const std::invalid_argument&) {
    has_training = false;
  }
  return open_data(net, has_training ? caffe::TRAIN : caffe::TEST, common);
}

qz::Selection calibration_of(const Data& data, const QuantizeOptions& o) {
  qz::Selection selection = selection_of(data, range_batches);
  if (o.calibration > 0) selection.count = std::min<std::int64_t>(o.calibration, data.source.size);
  return selection;
}

/// Folders of IDX and CIFAR-10 files have other pictures for training; lists and databases do not.
bool are_same(const pictures::Source& a, const pictures::Source& b) {
  return a.name == b.name && (!is_for_both(a.name) || a.how.training == b.how.training);
}

/// The description with the formats of a result.
caffe::NetParameter quantized(const caffe::NetParameter& net, const qz::Results& results, qz::TrimmingMode mode) {
  using caffe::QuantizationParameter;
  const std::map<qz::TrimmingMode, QuantizationParameter::Precision> modes{
      {qz::TrimmingMode::dynamic_fixed_point, QuantizationParameter::DYNAMIC_FIXED_POINT},
      {qz::TrimmingMode::minifloat, QuantizationParameter::MINIFLOAT},
      {qz::TrimmingMode::integer_power_of_2_weights, QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS}};
  std::vector<caffe_files::LayerFormats> named;
  for (const qz::LayerResult& l : results.layers) named.push_back({l.layer.name, l.row.formats});
  return caffe_files::quantized(net, named, modes.at(mode));
}

/// Says what ended the work early. Returns the exit code; throws it again where nothing was found.
int say_stopped(const qz::Results& results) {
  try {
    if (results.stopped) std::rethrow_exception(results.stopped);
    return 0;
  } catch (const qz::Interrupted&) {
    fmt::print(stderr, "\nristretto: interrupted; what was found so far:\n");
    return interrupted_code;
  } catch (const std::exception& error) {
    if (!results.chosen) throw;
    fmt::print(stderr, "\nristretto: {}; what was found so far:\n", error.what());
    return failed;
  }
}

int quantize(QuantizeOptions& o) {
  start(o.common);
  complete(o);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv"), quantized_file(o.quantized, "--model_quantized");
  ResultFile weights_file(o.repaired, "--weights_quantized");
  const caffe::NetParameter net = in_float(read_net(o.model));
  Data data = open_data(net, caffe::TEST, o.common);
  const qz::Selection selection = selection_of(data, o.iterations);
  caffe_files::Model model = build(net, caffe::TEST, data);
  if (model.accuracies.empty()) {
    throw std::invalid_argument("the net has no Accuracy layer in the phase TEST; add one that reads its scores");
  }
  Data range_data = open_range_data(net, o);
  const qz::Selection calibration = calibration_of(range_data, o);
  load_weights(model, read_weights(o.weights), o.weights);
  const bool same = are_same(data.source, range_data.source);
  if (same) {
    fmt::print(stderr,
               "note: ranges{} come from the pictures that score, which flatters the net; name others with "
               "--ranges_data\n",
               o.search.repair.any() ? " and repairs" : "");
  }
  const qz::Results results =
      qz::quantize(model, {{data.source, selection}, {range_data.source, calibration}, same}, o.search);
  int status = say_stopped(results);
  print_report(o.search, results);
  if (results.chosen) {
    quantized_file.write(protobuf_files::to_text(quantized(net, results, o.search.rule.mode)));
    if (!o.repaired.empty()) {
      set_states(model.net, results.chosen->state);
      weights_file.write(save_weights(model).SerializeAsString());
    }
  }
  json.write(json_text(o.search, results));
  csv.write(csv_text(o.search, results));
  if (results.chosen) {
    const std::string both = o.repaired.empty() ? "" : fmt::format(", {} its weights", o.repaired);
    fmt::print(stderr, "{} holds the net{}\n", o.quantized, both);
  } else {
    fmt::print(stderr, "{} is not written: nothing was found yet\n", o.quantized);
  }
  if (status == 0 && !results.chosen->row.within_margin) status = margin_missed;
  return status;
}

// ---- Options ----

/// The repairs that --repair names.
qz::Repair repair_of(const std::vector<std::string>& names) {
  qz::Repair repair;
  for (const std::string& name : names) {
    if (name == "none" && names.size() > 1) throw CLI::ValidationError("--repair", "none goes with nothing else");
    repair.equalize |= name == "equalize" || name == "all";
    repair.compensate |= name == "compensate" || name == "all";
    repair.bias |= name == "bias" || name == "all";
  }
  return repair;
}

/// Two flags, of which one at most is given.
void add_either(CLI::App& command, std::optional<bool>& value, const char* on, const char* on_text, const char* off,
                const char* off_text) {
  auto* first = command.add_flag_callback(on, [&value] { value = true; }, on_text);
  auto* second = command.add_flag_callback(off, [&value] { value = false; }, off_text);
  first->excludes(second);
}

void add_files(CLI::App& command, QuantizeOptions& o) {
  command.add_option("--model", o.model, "description of the net (.prototxt)")->required();
  command.add_option("--weights", o.weights, "its weights (.caffemodel)")->required();
  command.add_option("--model_quantized", o.quantized, "where to write the description of the quantized net")
      ->required();
  command.add_option("--weights_quantized", o.repaired,
                     "where to write the repaired weights; by default beside the description, as .caffemodel");
}

void add_formats(CLI::App& command, QuantizeOptions& o) {
  add_choice(command, "--trimming_mode", qz::trimming_modes(), o.search.rule.mode, "how weights are trimmed")
      ->required();
  add_choice(command, "--ranges", qz::range_rules, o.search.rule.ranges,
             "how formats are chosen; by default min_mse; ristretto2016: as the original did");
  add_choice(command, "--ties", qz::tie_rules(), o.ties,
             "where numbers midway go; by default even, away with ristretto2016");
  add_either(command, o.per_channel, "--per_channel", "a scale for each output channel of the weights; the default",
             "--per_layer", "one scale for all weights of a layer");
  add_either(command, o.is_unsigned, "--unsigned",
             "activations that are never negative, and scores where it helps, have no sign bit; the default",
             "--signed", "all activations have a sign bit");
}

void add_repairs(CLI::App& command, QuantizeOptions& o) {
  command.add_option("--ranges_data", o.ranges_data,
                     "pictures for ranges and repairs, without their labels; by default those for training");
  command.add_option("--calibration", o.calibration, "how many of them; by default 10 batches")
      ->check(CLI::Range(1, 1 << 30));
  command
      .add_option_function<std::vector<std::string>>(
          "--repair", [&o](const std::vector<std::string>& names) { o.repair = repair_of(names); },
          "what makes up for trimming, without training: none, all, or some of equalize, compensate, bias; by default "
          "compensate,bias, and none with ristretto2016")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>{"all", "none", "equalize", "compensate", "bias"}));
}

void add_search(CLI::App& command, QuantizeOptions& o) {
  command.add_option("--iterations", o.iterations, "batches to score in each trial; by default all pictures")
      ->check(CLI::Range(1, 1 << 30));
  command
      .add_option("--error_margin", o.search.margin, "accuracy that may be lost, in percentage points; by default 2")
      ->check(CLI::Range(0.0, 100.0));
  static const std::map<std::string, bool> searches{{"parts", false}, {"layers", true}};
  add_choice(command, "--search", searches, o.search.by_layer, "widths of three parts of the net, or of each layer");
  command
      .add_option("--widths", o.search.widths,
                  "bit widths to try; by default 16,8,4,2,1, and 8 beside weights that are powers of two; of layers "
                  "8,7,6,5,4,3,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 32));
  command
      .add_option("--bits", o.search.bits,
                  "instead of a search: widths of CONV weights, FC weights and activations, as 4,4,8")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(1, 32));
  command.add_option("--ends", o.search.ends, "with --bits: the width of the weights of the first and the last layer")
      ->check(CLI::Range(1, 32))
      ->needs("--bits");
  add_choice(command, "--cost", qz::costs(), o.cost, "what --search=layers makes small; by default weight_bits");
  command
      .add_option("--time_budget", o.search.time_budget,
                  "seconds after which --search=layers takes the best so far, and repairs it")
      ->check(CLI::PositiveNumber);
  command.add_option("--journal", o.search.journal, "file that keeps the trials of --search=layers, to go on from");
}

}  // namespace

std::function<int()> add_quantize(CLI::App& app) {
  auto options = std::make_shared<QuantizeOptions>();
  CLI::App& command = *app.add_subcommand("quantize", "finds how few bits the parts of a net need");
  add_files(command, *options);
  add_formats(command, *options);
  add_search(command, *options);
  add_repairs(command, *options);
  add_options(command, options->common);
  return [options] { return quantize(*options); };
}

}  // namespace tool
