// SPDX-License-Identifier: MIT
// ristretto quantize: its options, and what it does with the files that they name.
#include "tool/quantize.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "result_file.hpp"
#include "tool/choice.hpp"
#include "tool/session.hpp"

namespace tool {
namespace {

using caffe::QuantizationParameter;

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
        File{"--csv", o.common.csv}, File{"--journal", o.journal}}) {
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
  const bool is_original = o.rule.is_original();
  if (is_original && (o.rule.per_channel || o.rule.is_unsigned)) {
    throw std::invalid_argument("--ranges=ristretto2016 knows neither --per_channel nor --unsigned; leave them out");
  }
  if (is_original && o.by_layer) {
    throw std::invalid_argument("--search=layers does not go with --ranges=ristretto2016; choose other ranges");
  }
  if (!o.by_layer && (o.cost || o.time_budget > 0 || !o.journal.empty())) {
    throw std::invalid_argument(
        "--cost, --time_budget and --journal are of --search=layers; add that, or leave them out");
  }
  if (!o.bits.empty() && (o.by_layer || !o.widths.empty())) {
    throw std::invalid_argument("--bits is instead of a search; leave out --search and --widths");
  }
  const bool has_one = is_original && o.rule.mode == QuantizationParameter::MINIFLOAT;
  if (has_one && std::any_of(o.bits.begin(), o.bits.end(), [&](int b) { return b != o.bits.front(); })) {
    throw std::invalid_argument("--ranges=ristretto2016 has one minifloat for the whole net; give --bits one width");
  }
}

/// Fills in what other options decide.
void complete(QuantizeOptions& o) {
  const bool is_original = o.rule.is_original();
  o.rule.ties = o.ties.value_or(is_original ? cnn::Ties::away_from_zero : cnn::Ties::to_even);
  o.rule.per_channel = o.per_channel.value_or(!is_original);
  o.rule.is_unsigned = o.is_unsigned.value_or(!is_original);
  if (!o.repair) o.repair = is_original ? Repair{} : Repair{.compensate = true, .bias = true};
  if (o.repaired.empty() && o.repair->any()) o.repaired = beside(o.quantized);
  check_combinations(o);
  check_files(o);
}

/// Without a search: float, and the widths that are given.
void try_bits(const QuantizeOptions& o, QuantizeResults& results, Session& session) {
  const Widths widths{o.bits[0], o.bits[1], o.bits[2]};
  auto of_layers = widths_of_layers(session.layers(), widths);
  if (o.ends) of_layers.front().weights = of_layers.back().weights = o.ends;
  session.score_float();
  const Hits& hits = session.score(of_layers, "  " + to_string(widths));
  session.say(to_string(widths), hits);
  session.choose(of_layers, hits, widths);
  results.alone = results.chosen;
  results.trials.push_back(*results.chosen);
}

/// Leaves in results what was found, also when it throws.
void search(const QuantizeOptions& o, QuantizeResults& results, Session& session) {
  if (!o.bits.empty()) {
    try_bits(o, results, session);
  } else if (o.by_layer) {
    search_layers(o, results, session);
  } else {
    search_parts(o, results, session);
  }
  results.complete = true;
  session.repair_chosen();
}

int quantize(QuantizeOptions& o) {
  start(o.common);
  complete(o);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv"), quantized(o.quantized, "--model_quantized");
  ResultFile weights(o.repaired, "--weights_quantized");
  QuantizeResults results;
  Session session(o, results);
  int status = 0;
  try {
    search(o, results, session);
  } catch (const Interrupted&) {
    fmt::print(stderr, "\nristretto: interrupted; what was found so far:\n");
    status = interrupted_code;
  } catch (const std::exception& error) {
    if (!results.chosen) throw;
    fmt::print(stderr, "\nristretto: {}; what was found so far:\n", error.what());
    status = failed;
  }
  const std::string net = results.chosen ? protobuf_files::to_text(session.chosen_net()) : "";
  results.seconds = session.seconds();
  print_report(o, results);
  if (results.chosen) quantized.write(net);
  if (results.chosen && !o.repaired.empty()) weights.write(session.chosen_weights().SerializeAsString());
  json.write(json_text(o, results));
  csv.write(csv_text(o, results));
  if (results.chosen) {
    const std::string both = o.repaired.empty() ? "" : fmt::format(", {} its weights", o.repaired);
    fmt::print(stderr, "{} holds the net{}\n", o.quantized, both);
  } else {
    fmt::print(stderr, "{} is not written: nothing was found yet\n", o.quantized);
  }
  if (status == 0 && !results.chosen->within_margin) status = margin_missed;
  return status;
}

// ---- Options ----

/// The repairs that --repair names.
Repair repair_of(const std::vector<std::string>& names) {
  Repair repair;
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
  add_choice(command, "--trimming_mode", trimming_modes(), o.rule.mode, "how weights are trimmed")->required();
  add_choice(command, "--ranges", range_rules, o.rule.ranges,
             "how formats are chosen; by default min_mse; ristretto2016: as the original did");
  add_choice(command, "--ties", tie_rules(), o.ties,
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
  command.add_option("--error_margin", o.margin, "accuracy that may be lost, in percentage points; by default 2")
      ->check(CLI::Range(0.0, 100.0));
  static const std::map<std::string, bool> searches{{"parts", false}, {"layers", true}};
  add_choice(command, "--search", searches, o.by_layer, "widths of three parts of the net, or of each layer");
  command
      .add_option("--widths", o.widths,
                  "bit widths to try; by default 16,8,4,2,1, and 8 beside weights that are powers of two; of layers "
                  "8,7,6,5,4,3,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 32));
  command
      .add_option("--bits", o.bits, "instead of a search: widths of CONV weights, FC weights and activations, as 4,4,8")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(1, 32));
  command.add_option("--ends", o.ends, "with --bits: the width of the weights of the first and the last layer")
      ->check(CLI::Range(1, 32))
      ->needs("--bits");
  add_choice(command, "--cost", costs(), o.cost, "what --search=layers makes small; by default weight_bits");
  command
      .add_option("--time_budget", o.time_budget,
                  "seconds after which --search=layers takes the best so far, and repairs it")
      ->check(CLI::PositiveNumber);
  command.add_option("--journal", o.journal, "file that keeps the trials of --search=layers, to go on from");
}

}  // namespace

const std::map<std::string, Cost>& costs() {
  static const std::map<std::string, Cost> all{{"weight_bits", Cost::weight_bits},
                                               {"bit_operations", Cost::bit_operations}};
  return all;
}

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
