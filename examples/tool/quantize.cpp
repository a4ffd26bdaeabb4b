// SPDX-License-Identifier: MIT
// ristretto quantize: the search.
#include "quantize.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "choice.hpp"
#include "result_file.hpp"
#include "weights.hpp"

namespace tool {
namespace {

namespace rt = ristretto;
using caffe::QuantizationParameter;

constexpr int range_batches = 10;     // as the original
constexpr int power_of_two_bits = 4;  // of weights
constexpr const char* combination = "combination";

/// The net with layers of plain types, and which ones were not.
caffe::NetParameter in_float(const caffe::NetParameter& net) {
  caffe::NetParameter plain = net;
  std::string names;
  for (caffe::LayerParameter& layer : *plain.mutable_layer()) {
    if (!caffe_files::is_ristretto(layer.type())) continue;
    names += " " + layer.name();
    layer.set_type(caffe_files::plain_type(layer.type()));
    layer.clear_quantization_param();
  }
  if (!names.empty()) fmt::print(stderr, "note: formats that the net has are replaced:{}\n", names);
  return plain;
}

/// The pictures that ranges are observed in: those for training, or, where the net names none, those of the test.
Data open_range_data(const caffe::NetParameter& net, const QuantizeOptions& o) {
  Options common = o.common;
  if (!o.ranges_data.empty()) common.data = o.ranges_data;
  bool has_training = true;
  try {
    caffe_files::data_layer(net, caffe::TRAIN);
  } catch (const std::invalid_argument&) {
    has_training = false;
  }
  return open_data(net, has_training ? caffe::TRAIN : caffe::TEST, common);
}

/// The search of one net.
class Quantization {
 public:
  Quantization(const QuantizeOptions& o, QuantizeResults& results)
      : options_(o),
        results_(results),
        net_(in_float(read_net(o.model))),
        data_(open_data(net_, caffe::TEST, o.common)),
        model_(build(net_, caffe::TEST, data_)) {
    load_weights(model_, read_weights(o.weights), o.weights);
    Data range_data = open_range_data(net_, o);
    const Part seen = part_of(range_data, range_batches);
    results.range_pictures = seen.count;
    layers_ = observe(model_, range_data.source, seen, o.common.quiet ? "" : "observe ranges");
    if (layers_.empty()) {
      throw std::invalid_argument(o.model + ": the net has no Convolution or InnerProduct layer to quantize");
    }
    const Part part = part_of(data_, o.iterations);
    results.pictures = part.count;
    trials_.emplace(model_, data_.source, part, layers_);
    results.score_name = trials_->score_name();
  }

  /// Leaves in results what was found, also when it throws.
  void search() {
    struct Searched {};
    const std::vector<rt::Part<int>> parts = parts_to_search();
    const auto score = [&](const rt::Assignment<int>& assignment) {
      const auto title = options_.common.quiet ? "" : "  " + to_string(widths_of(assignment));
      last_ = &trials_->score(formats_for(layers_, options_.rule, widths_of(assignment)), title);
      if (!float_) float_ = last_;
      return last_->accuracy();
    };
    const auto report = [&](const rt::Trial<int>& trial) {
      add(trial, parts);
      // The original takes the combination as it is, whether it holds the margin or not.
      if (options_.rule.is_original() && !trial.part && search_.trials.size() > 1) throw Searched{};
    };
    try {
      rt::search(std::span<const rt::Part<int>>(parts), score, options_.margin / 100, report, search_);
    } catch (const Searched&) {
    }
    results_.complete = true;
    choose(parts);
  }

  /// The best so far, when the search was interrupted: of the trials that hold the margin the one with the fewest bits,
  /// of parameters first.
  void choose_so_far() {
    const auto cost = [&](const TrialRow& row) {
      long long bits = 0;
      for (const LayerStatistics& l : layers_) {
        bits += l.weights * (l.is_fc ? row.widths.fc : row.widths.conv).value_or(32);
      }
      return std::pair(bits, row.widths.activations.value_or(32));
    };
    for (const TrialRow& row : results_.trials) {
      const bool better = !results_.chosen || cost(row) < cost(*results_.chosen);
      if (row.within_margin && !row.part.empty() && better) results_.chosen = row;
    }
  }

  /// The description of the net that was chosen; what its formats do goes to the results.
  caffe::NetParameter chosen_net() {
    const auto formats = formats_for(layers_, options_.rule, results_.chosen->widths);
    std::vector<caffe_files::LayerFormats> named;
    for (std::size_t i = 0; i < layers_.size(); ++i) named.push_back({layers_[i].name, formats[i]});
    results_.layers.clear();
    std::size_t i = 0;
    model_.net.each_trimmed([&](cnn::Node&, auto& layer) {
      const LayerStatistics& l = layers_[i];
      results_.layers.push_back({l, describe(l.name, layer, formats[i], l.ranges)});
      ++i;
    });
    return caffe_files::quantized(net_, named, options_.rule.mode);
  }

 private:
  bool has_powers() const { return options_.rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS; }
  bool is_dynamic() const { return options_.rule.mode == QuantizationParameter::DYNAMIC_FIXED_POINT; }

  std::vector<rt::Part<int>> parts_to_search() const {
    const std::vector<int> usual = has_powers() ? std::vector{8} : std::vector{16, 8, 4, 2, 1};
    const auto& asked = options_.widths.empty() ? usual : options_.widths;
    const std::vector<int> widths = possible(layers_, options_.rule, asked);
    if (widths.empty()) {
      throw std::invalid_argument("--widths: there are no formats of these widths; choose others");
    }
    if (is_dynamic()) return {{"CONV weights", widths}, {"FC weights", widths}, {"layer activations", widths}};
    return {{"net", widths}};
  }

  Widths widths_of(const rt::Assignment<int>& a) const {
    if (is_dynamic()) return {a[0], a[1], a[2]};
    return has_powers() && a[0] ? Widths{power_of_two_bits, power_of_two_bits, a[0]} : Widths{a[0], a[0], a[0]};
  }

  void add(const rt::Trial<int>& trial, const std::vector<rt::Part<int>>& parts) {
    TrialRow row{.part = trial.part                  ? parts[*trial.part].name
                         : search_.trials.size() > 1 ? combination
                                                     : "",
                 .widths = widths_of(trial.assignment),
                 .score = trial.score,
                 .loss = difference(*last_, *float_),
                 .within_margin = trial.within_margin};
    if (row.part.empty()) {
      results_.baseline = row.score;
      fmt::print(stderr, "float  {} {:.4f}\n", results_.score_name, row.score);
    } else {
      const std::string what =
          trial.part ? fmt::format("{} {}bit", row.part, *trial.assignment[*trial.part]) : to_string(row.widths);
      fmt::print(stderr, "{}  {} {:.4f}  ({:+.2f} +- {:.2f} points)  {}\n", what, results_.score_name, row.score,
                 100 * row.loss.value, 100 * row.loss.standard_error, row.within_margin ? "ok" : "below the margin");
      if (!trial.part && !results_.alone) results_.alone = row;
    }
    results_.trials.push_back(row);
  }

  /// What is written: the combination that holds the margin or, when only float does, the widest one; in the original's
  /// way what each part can bear alone.
  void choose(const std::vector<rt::Part<int>>& parts) {
    results_.chosen = results_.alone;
    if (options_.rule.is_original()) return;
    rt::Assignment<int> best = search_.assignment;
    if (std::none_of(best.begin(), best.end(), [](const auto& width) { return width.has_value(); })) {
      for (std::size_t p = 0; p < parts.size(); ++p) best[p] = parts[p].candidates.front();
    }
    TrialRow& chosen = *results_.chosen;
    chosen.widths = widths_of(best);
    const Hits& hits = trials_->score(formats_for(layers_, options_.rule, chosen.widths), "");
    chosen.score = hits.accuracy();
    chosen.loss = difference(hits, *float_);
    chosen.within_margin = chosen.score >= search_.baseline - options_.margin / 100 - 1e-12;
  }

  const QuantizeOptions& options_;
  QuantizeResults& results_;
  caffe::NetParameter net_;
  Data data_;
  caffe_files::Model model_;
  std::vector<LayerStatistics> layers_{};
  std::optional<Trials> trials_{};
  rt::SearchResult<int> search_{};
  const Hits *last_ = nullptr, *float_ = nullptr;  // of the last trial, of the net in float
};

int quantize(QuantizeOptions& o) {
  start(o.common);
  o.rule.ties = o.ties.value_or(o.rule.is_original() ? cnn::Ties::away_from_zero : cnn::Ties::to_even);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv"), quantized(o.quantized, "--model_quantized");
  const auto begin = std::chrono::steady_clock::now();
  QuantizeResults results;
  Quantization quantization(o, results);
  int status = 0;
  try {
    quantization.search();
  } catch (const Interrupted&) {
    fmt::print(stderr, "\nristretto: interrupted; what was found so far:\n");
    quantization.choose_so_far();
    status = interrupted_code;
  }
  const std::string net = results.chosen ? caffe_files::to_text(quantization.chosen_net()) : "";
  results.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  print_report(o, results);
  if (results.chosen) quantized.write(net);
  json.write(json_text(o, results));
  csv.write(csv_text(results));
  fmt::print(stderr, "{} {}\n", o.quantized,
             results.chosen ? "holds the net" : "is not written: nothing was found yet");
  if (status == 0 && !results.chosen->within_margin) status = margin_missed;
  return status;
}

}  // namespace

std::function<int()> add_quantize(CLI::App& app) {
  auto options = std::make_shared<QuantizeOptions>();
  QuantizeOptions& o = *options;
  CLI::App& command = *app.add_subcommand("quantize", "finds how few bits the parts of a net need");
  command.add_option("--model", o.model, "description of the net (.prototxt)")->required();
  command.add_option("--weights", o.weights, "its weights (.caffemodel)")->required();
  command.add_option("--model_quantized", o.quantized, "where to write the description of the quantized net")
      ->required();
  add_choice(command, "--trimming_mode", trimming_modes(), o.rule.mode, "how weights are trimmed")->required();
  command.add_option("--iterations", o.iterations, "batches to score in each trial; by default all pictures")
      ->check(CLI::Range(1, 1 << 30));
  command.add_option("--error_margin", o.margin, "accuracy that may be lost, in percentage points; by default 2")
      ->check(CLI::Range(0.0, 100.0));
  add_choice(command, "--ranges", range_rules, o.rule.ranges,
             "how formats are chosen; by default min_mse; ristretto2016: as the original did");
  add_choice(command, "--ties", tie_rules(), o.ties,
             "where numbers midway go; by default even, away with ristretto2016");
  command.add_option("--ranges_data", o.ranges_data, "pictures to observe ranges in; by default those for training");
  command
      .add_option("--widths", o.widths,
                  "bit widths to try, widest first; by default 16,8,4,2,1, and 8 beside weights that are powers of two")
      ->delimiter(',')
      ->check(CLI::Range(1, 32));
  add_options(command, o.common);
  return [options] { return quantize(*options); };
}

}  // namespace tool
