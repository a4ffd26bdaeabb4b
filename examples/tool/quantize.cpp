// SPDX-License-Identifier: MIT
// ristretto quantize: the search.
#include "quantize.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "candidates.hpp"
#include "choice.hpp"
#include "journal.hpp"
#include "result_file.hpp"
#include "weights.hpp"

namespace tool {
namespace {

namespace rt = ristretto;
using caffe::QuantizationParameter;

constexpr int range_batches = 10;     // as the original
constexpr int power_of_two_bits = 4;  // of weights
constexpr const char* combination = "combination";

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

/// Whether a width of weights is worth repairs: wider ones change little.
bool is_worth_repairs(int width) { return width <= 8; }

struct OutOfTime {};

/// The search of one net.
class Quantization {
 public:
  Quantization(const QuantizeOptions& o, QuantizeResults& results)
      : options_(o),
        results_(results),
        net_(in_float(read_net(o.model))),
        data_(open_data(net_, caffe::TEST, o.common)),
        model_(build(net_, caffe::TEST, data_)),
        range_data_(open_range_data(net_, o)),
        calibration_(range_data_.source, calibration_part(range_data_, o)) {
    load_weights(model_, read_weights(o.weights), o.weights);
    results.range_pictures = calibration_.count();
    layers_ = observe_layers(title("observe ranges"));
    if (layers_.empty()) {
      throw std::invalid_argument(o.model + ": the net has no Convolution or InnerProduct layer to quantize");
    }
    if (o.repair->equalize) {
      auto before = states_of(model_.net);
      results.equalized = equalize(model_.net, o.rule.per_channel);
      if (results.equalized > 0) {
        unequalized_layers_ = std::move(layers_);
        unequalized_.emplace(unequalized_layers_, o.rule, std::move(before));
        layers_ = observe_layers(title("observe ranges again"));
      }
    }
    if (o.repair->any()) reference_.emplace(model_.net);
    const Part part = part_of(data_, o.iterations);
    results.pictures = part.count;
    trials_.emplace(model_, data_.source, part);
    results.score_name = trials_->score_name();
    candidates_.emplace(layers_, o.rule, trials_->in_float());
  }

  /// Leaves in results what was found, also when it throws.
  void search() {
    if (!options_.bits.empty()) {
      try_bits();
    } else if (options_.by_layer) {
      search_layers();
    } else {
      search_parts();
    }
    results_.complete = true;
  }

  /// The best so far, when the search was interrupted: of the trials that hold the margin the one with the fewest bits,
  /// of parameters first.
  void choose_so_far() {
    if (options_.by_layer) {
      if (cost_search_.trials.size() > 1) choose_layers();
      return;
    }
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
    if (results_.chosen) use(widths_of_layers(layers_, results_.chosen->widths));
  }

  /// Repairs the net that was chosen, as a whole, and scores what that brings; where only the layers as the trials had
  /// them hold the margin, these stay. Throws Interrupted, and keeps what was reached.
  void repair_chosen() {
    const Repair& how = *options_.repair;
    if (!how.any()) return;
    const auto judge = [&](const std::string& name, const std::vector<LayerState>& state,
                           double seconds) -> const Hits& {
      const Hits& hits = trials_->score(state, title("  " + name));
      results_.repairs.push_back({name, hits.accuracy(), difference(hits, *float_), hits.divergence, seconds});
      fmt::print(stderr, "{}  {} {:.4f}\n", name, results_.score_name, hits.accuracy());
      return hits;
    };
    if (unequalized_) judge("rounded to nearest", unequalized_->unrepaired(results_.widths), 0);
    judge(unequalized_ ? "channels equalized" : "rounded to nearest", candidates_->unrepaired(results_.widths), 0);
    const auto repaired = [&](const Repair& with, const std::string& name) {
      const auto begin = std::chrono::steady_clock::now();
      cnn::Net net = model_.net;
      set(net, candidates_->unrepaired(results_.widths));
      repair(net, *reference_, calibration_, with, title("  repair"));
      auto state = states_of(net);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const Hits& hits = judge(name, state, seconds);
      if (holds(hits.accuracy()) || !results_.chosen->within_margin) use(hits, state);
    };
    Repair with = how;
    if (how.compensate) {
      with.bias = false;
      repaired(with, "weights compensated");
    }
    if (how.bias) repaired(how, "biases corrected");
  }

  /// The description of the net that was chosen; what its formats do goes to the results.
  caffe::NetParameter chosen_net() {
    std::vector<caffe_files::LayerFormats> named;
    results_.layers.clear();
    std::size_t i = 0;
    model_.net.each_trimmed([&](cnn::Node&, auto& layer) {
      const LayerStatistics& l = layers_[i];
      const LayerState& state = chosen_[i];
      layer.weight.edit() = trials_->in_float()[i].values->weight;
      layer.bias.edit() = trials_->in_float()[i].values->bias;
      const bool is_repaired = state.values != trials_->in_float()[i].values;
      results_.layers.push_back(
          {l, describe(l.name, layer, state.formats, l.ranges, is_repaired ? &state.values->weight : nullptr)});
      named.push_back({l.name, state.formats});
      ++i;
    });
    return caffe_files::quantized(net_, named, options_.rule.mode);
  }

  /// Its weights.
  caffe::NetParameter chosen_weights() {
    set(model_.net, chosen_);
    return caffe_files::save_weights(model_);
  }

 private:
  bool has_powers() const { return options_.rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS; }
  bool is_dynamic() const { return options_.rule.mode == QuantizationParameter::DYNAMIC_FIXED_POINT; }
  std::string title(const std::string& text) const { return options_.common.quiet ? "" : text; }

  std::vector<LayerStatistics> observe_layers(const std::string& what) {
    auto layers = observe(model_, calibration_, what);
    if (!options_.rule.is_original()) share_ranges_of_concats(model_.net, layers);
    return layers;
  }

  static Part calibration_part(const Data& data, const QuantizeOptions& o) {
    Part part = part_of(data, range_batches);
    if (o.calibration > 0) part.count = std::min<std::int64_t>(o.calibration, data.source.size);
    return part;
  }

  static void set(cnn::Net& net, const std::vector<LayerState>& state) {
    std::size_t i = 0;
    net.each_trimmed([&](cnn::Node&, auto& layer) {
      layer.formats = state[i].formats;
      layer.weight.edit() = state[i].values->weight;
      layer.bias.edit() = state[i].values->bias;
      ++i;
    });
  }

  /// What is written.
  void use(const std::vector<LayerWidths>& widths) {
    results_.widths = widths;
    chosen_ = candidates_->state(widths);
  }
  void use(const Hits& hits, std::vector<LayerState> state) {
    TrialRow& chosen = *results_.chosen;
    chosen.score = hits.accuracy();
    chosen.loss = difference(hits, *float_);
    chosen.divergence = hits.divergence;
    chosen.within_margin = holds(chosen.score);
    chosen_ = std::move(state);
  }
  bool holds(double score) const { return score >= *results_.baseline - options_.margin / 100 - 1e-12; }

  /// Repairs layers, one by one, for the trials with these widths.
  void prepare(std::vector<int> widths) {
    std::erase_if(widths, [](int width) { return !is_worth_repairs(width); });
    if (widths.empty() || !(options_.repair->compensate || options_.repair->bias)) return;
    candidates_->repair(widths, *options_.repair, *reference_, calibration_, title("repair layers"));
  }

  /// Without a search: float, and the widths that are given.
  void try_bits() {
    const std::vector<int>& b = options_.bits;
    const Widths widths{b[0], b[1], b[2]};
    float_ = &trials_->score(trials_->in_float(), title("  float"));
    say_baseline(float_->accuracy());
    results_.chosen = TrialRow{.part = combination, .widths = widths};
    auto of_layers = widths_of_layers(layers_, widths);
    if (options_.ends) of_layers.front().weights = of_layers.back().weights = options_.ends;
    use(of_layers);
    use(trials_->score(chosen_, title("  " + to_string(widths))), chosen_);
    const TrialRow& chosen = *results_.chosen;
    say(to_string(widths), chosen.score, chosen.loss, chosen.within_margin);
    results_.trials.push_back(chosen);
    results_.alone = chosen;
  }

  // ---- By parts ----

  void search_parts() {
    struct Searched {};
    const std::vector<rt::Part<int>> parts = parts_to_search();
    prepare(has_powers() ? std::vector{power_of_two_bits} : parts.front().candidates);
    const auto score = [&](const rt::Assignment<int>& assignment) {
      last_ =
          &trials_->score(candidates_->state(widths_of(assignment)), title("  " + to_string(widths_of(assignment))));
      if (!float_) {
        float_ = last_;
        share_convolutions();
      }
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
    choose(parts);
  }

  /// What trials of fully connected layers alone have in common.
  void share_convolutions() {
    const auto fc = std::find_if(layers_.begin(), layers_.end(), [](const auto& l) { return l.is_fc; });
    if (fc != layers_.end() && fc != layers_.begin()) {
      trials_->share(trials_->in_float(), static_cast<std::size_t>(fc - layers_.begin()));
    }
  }

  std::vector<rt::Part<int>> parts_to_search() const {
    const std::vector<int> usual = has_powers() ? std::vector{8} : std::vector{16, 8, 4, 2, 1};
    const std::vector<int> widths = possible_widths(usual);
    if (is_dynamic()) return {{"CONV weights", widths}, {"FC weights", widths}, {"layer activations", widths}};
    return {{"net", widths}};
  }

  std::vector<int> possible_widths(const std::vector<int>& usual) const {
    const std::vector<int> widths = possible(layers_, options_.rule, options_.widths.empty() ? usual : options_.widths);
    if (widths.empty()) {
      throw std::invalid_argument("--widths: there are no formats of these widths; choose others");
    }
    return widths;
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
                 .divergence = last_->divergence,
                 .within_margin = trial.within_margin};
    if (row.part.empty()) {
      say_baseline(row.score);
    } else {
      const std::string what =
          trial.part ? fmt::format("{} {}bit", row.part, *trial.assignment[*trial.part]) : to_string(row.widths);
      say(what, row.score, row.loss, row.within_margin);
      if (!trial.part && !results_.alone) results_.alone = row;
    }
    results_.trials.push_back(row);
  }

  void say_baseline(double score) {
    results_.baseline = score;
    fmt::print(stderr, "float  {} {:.4f}\n", results_.score_name, score);
  }
  void say(const std::string& what, double score, const Difference& loss, bool within_margin) const {
    fmt::print(stderr, "{}  {} {:.4f}  ({:+.2f} +- {:.2f} points)  {}\n", what, results_.score_name, score,
               100 * loss.value, 100 * loss.standard_error, within_margin ? "ok" : "below the margin");
  }

  /// What is written: the combination that holds the margin or, when only float does, the widest one; in the original's
  /// way what each part can bear alone.
  void choose(const std::vector<rt::Part<int>>& parts) {
    results_.chosen = results_.alone;
    TrialRow& chosen = *results_.chosen;
    if (!options_.rule.is_original()) {
      rt::Assignment<int> best = search_.assignment;
      if (std::none_of(best.begin(), best.end(), [](const auto& width) { return width.has_value(); })) {
        for (std::size_t p = 0; p < parts.size(); ++p) best[p] = parts[p].candidates.front();
      }
      chosen.widths = widths_of(best);
    }
    use(widths_of_layers(layers_, chosen.widths));
    if (!options_.rule.is_original()) use(trials_->score(chosen_, ""), chosen_);
  }

  // ---- By layers ----

  /// Parts are the weights of each layer and, where they count, its activations.
  void search_layers() {
    const std::vector<int> widths = possible_widths({8, 7, 6, 5, 4, 3, 2});
    const bool of_activations = options_.cost == Cost::bit_operations;
    const std::vector<int> only_widest(widths.begin(), widths.begin() + 1);
    std::vector<rt::Part<int>> parts;
    for (const LayerStatistics& l : layers_) parts.push_back({l.name + " weights", widths});
    for (const LayerStatistics& l : layers_) {
      parts.push_back({l.name + " activations", of_activations ? widths : only_widest});
    }
    prepare(widths);
    const auto begin = std::chrono::steady_clock::now();
    journal_.emplace(options_.journal, journal_title());
    const auto score = [&](const rt::Assignment<int>& a) {
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      if (options_.time_budget > 0 && spent.count() > options_.time_budget && cost_search_.trials.size() > 1) {
        throw OutOfTime{};
      }
      const auto of_layers = layer_widths(a);
      share_before_change(of_layers);
      const std::string key = text_of(of_layers);
      if (const Hits* known = float_ ? journal_->find(key) : nullptr) {
        last_ = known;
      } else {
        last_ = journal_->add(key, trials_->score(candidates_->state(of_layers), title("  trial")));
      }
      if (!float_) float_ = last_;
      return rt::Worth(last_->accuracy(), last_->divergence);
    };
    const auto cost = [&](const rt::Assignment<int>& a) { return cost_of(layer_widths(a)); };
    const auto report = [&](const rt::CostTrial<int>& t) { add(t, parts); };
    try {
      rt::search_costs(std::span<const rt::Part<int>>(parts), score, cost, options_.margin / 100, report, cost_search_);
    } catch (const OutOfTime&) {
      fmt::print(stderr, "the time is up: the best so far is taken\n");
    }
    choose_layers();
  }

  std::vector<LayerWidths> layer_widths(const rt::Assignment<int>& a) const {
    std::vector<LayerWidths> widths;
    for (std::size_t i = 0; i < layers_.size(); ++i) widths.push_back({a[i], a[layers_.size() + i]});
    return widths;
  }
  static std::string text_of(const std::vector<LayerWidths>& widths) {
    std::string text;
    for (const LayerWidths& w : widths) {
      text += fmt::format("{}{}/{}", text.empty() ? "" : " ", w.weights.value_or(32), w.activations.value_or(32));
    }
    return text;
  }
  std::string journal_title() const {
    const Repair& r = *options_.repair;
    return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}", options_.model, options_.weights, data_.source.name,
                       results_.pictures, range_data_.source.name, results_.range_pictures,
                       name_of(trimming_modes(), options_.rule.mode), name_of(range_rules, options_.rule.ranges),
                       options_.rule.per_channel, r.equalize, r.compensate, r.bias);
  }

  double cost_of(const std::vector<LayerWidths>& widths) const {
    double sum = 0;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const int w = widths[i].weights.value_or(32), x = widths[i].activations.value_or(32);
      sum += options_.cost == Cost::weight_bits ? static_cast<double>(layers_[i].weights) * w
                                                : static_cast<double>(layers_[i].multiplies) * w * x;
    }
    return sum;
  }

  /// While layers are tried alone, in order, what lies before them is computed once.
  void share_before_change(const std::vector<LayerWidths>& widths) {
    if (cost_search_.trials.size() == 1) widest_ = widths;
    if (cost_search_.trials.size() < 2) return;
    std::size_t first = 0;
    while (first < widths.size() && widths[first] == widest_[first]) ++first;
    if (first < widths.size() && first > 0) trials_->share(candidates_->state(widest_), first);
  }

  void add(const rt::CostTrial<int>& t, const std::vector<rt::Part<int>>& parts) {
    const auto widths = layer_widths(t.assignment);
    results_.layer_trials.push_back(
        {widths, t.score, last_->divergence, t.cost, difference(*last_, *float_), t.within_margin});
    results_.front = rt::pareto_front(std::span<const rt::CostTrial<int>>(cost_search_.trials));
    if (results_.layer_trials.size() == 1) return say_baseline(t.score);
    const std::string what = t.part ? fmt::format("{} {}bit", parts[*t.part].name, *t.assignment[*t.part])
                                    : fmt::format("{:.4g} {}", t.cost, name_of(costs(), options_.cost));
    say(what, t.score, results_.layer_trials.back().loss, t.within_margin);
  }

  /// What is written: the cheapest that holds the margin, or the widest.
  void choose_layers() {
    const bool found = cost_search_.assignment.front().has_value();
    const auto widths = layer_widths(found ? cost_search_.assignment : cost_search_.trials.at(1).assignment);
    results_.chosen = results_.alone = TrialRow{.part = combination};
    use(widths);
    use(*journal_->find(text_of(widths)), chosen_);
    results_.alone = results_.chosen;
  }

  const QuantizeOptions& options_;
  QuantizeResults& results_;
  caffe::NetParameter net_;
  Data data_;
  caffe_files::Model model_;
  Data range_data_;
  Pictures calibration_;
  std::vector<LayerStatistics> layers_{}, unequalized_layers_{};
  std::optional<Candidates> candidates_{}, unequalized_{};
  std::optional<cnn::Net> reference_{};  // in float
  std::optional<Trials> trials_{};
  std::optional<Journal> journal_{};
  rt::SearchResult<int> search_{};
  rt::CostResult<int> cost_search_{};
  std::vector<LayerWidths> widest_{};
  std::vector<LayerState> chosen_{};
  const Hits *last_ = nullptr, *float_ = nullptr;  // of the last trial, of the net in float
};

/// Where weights are written without an option.
std::string beside(const std::string& description) {
  return std::filesystem::path(description).replace_extension(".caffemodel").string();
}

void check_options(QuantizeOptions& o) {
  const bool original = o.rule.is_original();
  o.rule.ties = o.ties.value_or(original ? cnn::Ties::away_from_zero : cnn::Ties::to_even);
  o.rule.per_channel = o.per_channel.value_or(!original);
  o.rule.is_unsigned = o.is_unsigned.value_or(!original);
  if (original && (o.rule.per_channel || o.rule.is_unsigned)) {
    throw std::invalid_argument("--ranges=ristretto2016 knows neither --per_channel nor --unsigned; leave them out");
  }
  if (!o.repair) o.repair = original ? Repair{} : Repair{.compensate = true, .bias = true};
  if (o.by_layer && original) {
    throw std::invalid_argument("--search=layers does not go with --ranges=ristretto2016; choose other ranges");
  }
  if (o.by_layer && o.rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS && o.widths.empty()) {
    o.widths = {5, 4, 3, 2};
  }
}

int quantize(QuantizeOptions& o) {
  start(o.common);
  check_options(o);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv"), quantized(o.quantized, "--model_quantized");
  if (o.repaired.empty() && o.repair->any()) o.repaired = beside(o.quantized);
  ResultFile weights(o.repaired, "--weights_quantized");
  const auto begin = std::chrono::steady_clock::now();
  QuantizeResults results;
  Quantization quantization(o, results);
  int status = 0;
  try {
    quantization.search();
    quantization.repair_chosen();
  } catch (const Interrupted&) {
    fmt::print(stderr, "\nristretto: interrupted; what was found so far:\n");
    if (!results.complete) quantization.choose_so_far();
    status = interrupted_code;
  }
  const std::string net = results.chosen ? caffe_files::to_text(quantization.chosen_net()) : "";
  results.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  print_report(o, results);
  if (results.chosen) quantized.write(net);
  if (results.chosen && !o.repaired.empty()) weights.write(quantization.chosen_weights().SerializeAsString());
  json.write(json_text(o, results));
  csv.write(csv_text(results));
  if (results.chosen) {
    const std::string both = o.repaired.empty() ? "" : fmt::format(", {} its weights", o.repaired);
    fmt::print(stderr, "{} holds the net{}\n", o.quantized, both);
  } else {
    fmt::print(stderr, "{} is not written: nothing was found yet\n", o.quantized);
  }
  if (status == 0 && !results.chosen->within_margin) status = margin_missed;
  return status;
}

}  // namespace

const std::map<std::string, Cost>& costs() {
  static const std::map<std::string, Cost> all{{"weight_bits", Cost::weight_bits},
                                               {"bit_operations", Cost::bit_operations}};
  return all;
}

const std::map<std::string, Repair>& repairs() {
  static const std::map<std::string, Repair> all{{"none", {}},
                                                 {"equalize", {.equalize = true}},
                                                 {"bias", {.bias = true}},
                                                 {"compensate", {.compensate = true}},
                                                 {"all", {.equalize = true, .compensate = true, .bias = true}}};
  return all;
}

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
  command.add_option("--ranges_data", o.ranges_data,
                     "pictures for ranges and repairs, without their labels; by default those for training");
  command.add_option("--calibration", o.calibration, "how many of them; by default 10 batches")
      ->check(CLI::Range(1, 1 << 30));
  command
      .add_option_function<std::vector<std::string>>(
          "--repair",
          [&o](const std::vector<std::string>& names) {
            o.repair = Repair{};
            for (const std::string& name : names) {
              const Repair& more = repairs().at(name);
              o.repair->equalize |= more.equalize;
              o.repair->compensate |= more.compensate;
              o.repair->bias |= more.bias;
            }
          },
          "what makes up for trimming, without training: none, all, or some of equalize, compensate, bias; by default "
          "compensate,bias, and none with ristretto2016")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>{"all", "none", "equalize", "compensate", "bias"}));
  command.add_option("--weights_quantized", o.repaired,
                     "where to write the repaired weights; by default beside the description, as .caffemodel");
  command.add_flag_callback(
      "--per_channel", [&o] { o.per_channel = true; }, "a scale for each output channel of the weights; the default");
  command.add_flag_callback("--per_layer", [&o] { o.per_channel = false; }, "one scale for all weights of a layer");
  command.add_flag_callback(
      "--unsigned", [&o] { o.is_unsigned = true; },
      "activations that are never negative have no sign bit; the default");
  command.add_flag_callback("--signed", [&o] { o.is_unsigned = false; }, "all activations have a sign bit");
  static const std::map<std::string, bool> searches{{"parts", false}, {"layers", true}};
  add_choice(command, "--search", searches, o.by_layer, "widths of three parts of the net, or of each layer");
  command
      .add_option("--bits", o.bits, "instead of a search: widths of CONV weights, FC weights and activations, as 4,4,8")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(1, 32));
  command.add_option("--ends", o.ends, "with --bits: the width of the weights of the first and the last layer")
      ->check(CLI::Range(1, 32))
      ->needs("--bits");
  add_choice(command, "--cost", costs(), o.cost, "what --search=layers makes small; by default weight_bits");
  command.add_option("--time_budget", o.time_budget, "seconds that --search=layers may take; then the best so far")
      ->check(CLI::PositiveNumber);
  command.add_option("--journal", o.journal, "file that keeps the trials of --search=layers, to go on from");
  command
      .add_option("--widths", o.widths,
                  "bit widths to try, widest first; by default 16,8,4,2,1, and 8 beside weights that are powers of two")
      ->delimiter(',')
      ->check(CLI::Range(1, 32));
  add_options(command, o.common);
  return [options] { return quantize(*options); };
}

}  // namespace tool
