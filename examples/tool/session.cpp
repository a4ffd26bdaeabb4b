// SPDX-License-Identifier: MIT
// A net, its trials, and what is chosen.
#include "tool/session.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "caffe/weights.hpp"

namespace tool {
namespace {

constexpr int range_batches = 10;       // as the original
constexpr int most_repaired_width = 8;  // of weights: wider ones change little

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

Part calibration_part(const Data& data, const QuantizeOptions& o) {
  Part part = part_of(data, range_batches);
  if (o.calibration > 0) part.count = std::min<std::int64_t>(o.calibration, data.source.size);
  return part;
}

/// Folders of IDX and CIFAR-10 files have other pictures for training; lists and databases do not.
bool are_same(const pictures::Source& a, const pictures::Source& b) {
  return a.name == b.name && (!is_for_both(a.name) || a.how.training == b.how.training);
}

void set(cnn::Net& net, const std::vector<LayerState>& state) {
  std::size_t i = 0;
  net.each_trimmed([&](cnn::Node&, auto& layer) {
    layer.formats = state[i].formats;
    layer.weight.edit() = state[i].values->weight;
    layer.bias.edit() = state[i].values->bias;
    ++i;
  });
}

}  // namespace

Session::Session(const QuantizeOptions& options, QuantizeResults& results)
    : options_(options),
      results_(results),
      net_(in_float(read_net(options.model))),
      data_(open_data(net_, caffe::TEST, options.common)),
      part_(part_of(data_, options.iterations)),
      model_(build(net_, caffe::TEST, data_)),
      range_data_(open_range_data(net_, options)),
      calibration_(range_data_.source, calibration_part(range_data_, options)),
      journal_(options.journal, journal_title(), part_.count) {
  load_weights(model_, read_weights(options.weights), options.weights);
  results.pictures = part_.count;
  results.range_pictures = calibration_.count();
  results.data = data_.source.name;
  results.range_data = range_data_.source.name;
  results.ranges_from_scored = are_same(data_.source, range_data_.source);
  layers_ = observe_layers("observe ranges");
  if (layers_.empty()) {
    throw std::invalid_argument(options.model + ": the net has no Convolution or InnerProduct layer to quantize");
  }
  say_notes();
  if (options.repair->equalize) equalize_channels();
  if (options.repair->any()) reference_.emplace(model_.net);
  trials_.emplace(model_, data_.source, part_);
  results.score_name = trials_->score_name();
  candidates_.emplace(layers_, options.rule, trials_->in_float());
}

std::string Session::journal_title() const {
  const Rule& rule = options_.rule;
  const Repair& r = *options_.repair;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {}", options_.model, options_.weights, data_.source.name,
                     part_.count, range_data_.source.name, calibration_.count(), name_of(trimming_modes(), rule.mode),
                     name_of(range_rules, rule.ranges), name_of(tie_rules(), rule.ties),
                     rule.per_channel ? "per_channel" : "per_layer", rule.is_unsigned ? "unsigned" : "signed",
                     r.equalize ? "equalize" : "-", r.compensate ? "compensate" : "-", r.bias ? "bias" : "-");
}

std::vector<LayerStatistics> Session::observe_layers(const std::string& what) {
  auto layers = observe(model_, calibration_, options_.rule, title(what));
  if (!options_.rule.is_original()) share_ranges_of_concats(model_.net, layers);
  return layers;
}

/// What a user should know before the work.
void Session::say_notes() const {
  if (results_.ranges_from_scored) {
    fmt::print(stderr,
               "note: ranges{} come from the pictures that score, which flatters the net; name others with "
               "--ranges_data\n",
               options_.repair->any() ? " and repairs" : "");
  }
  for (const LayerStatistics& l : layers_) {
    const std::size_t inputs = l.rows > 0 ? l.values.size() / l.rows : 0;
    if (!options_.repair->compensate || inputs <= static_cast<std::size_t>(most_compensated_inputs)) continue;
    fmt::print(stderr,
               "note: {}: {} inputs are more than compensated rounding takes, {}; its weights are rounded to "
               "nearest\n",
               l.name, inputs, most_compensated_inputs);
  }
}

void Session::equalize_channels() {
  std::vector<std::string> kept{model_.logits};
  for (const caffe_files::Accuracy& a : model_.accuracies) kept.push_back(a.input);
  auto before = states_of(model_.net);
  results_.equalized = equalize(model_.net, options_.rule.per_channel, kept);
  if (results_.equalized == 0) return;
  unequalized_layers_ = std::move(layers_);
  unequalized_.emplace(unequalized_layers_, options_.rule, std::move(before));
  layers_ = observe_layers("observe ranges again");
}

double Session::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::vector<int> Session::widths(const std::vector<int>& usual, Trimmed of) const {
  std::vector<int> widths = options_.widths.empty() ? usual : options_.widths;
  std::sort(widths.begin(), widths.end(), std::greater<>());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  widths = possible(layers_, options_.rule, std::move(widths), of);
  if (widths.empty()) throw std::invalid_argument("--widths: there are no formats of these widths; choose others");
  return widths;
}

void Session::prepare(std::vector<int> widths) {
  std::erase_if(widths, [](int width) { return width > most_repaired_width; });
  if (widths.empty() || !(options_.repair->compensate || options_.repair->bias)) return;
  candidates_->repair(widths, *options_.repair, *reference_, calibration_, title("repair layers"));
}

// ---- Trials ----

const Hits& Session::score_float() {
  float_ = &trials_->score(trials_->in_float(), title("  float"));
  results_.baseline = float_->accuracy();
  fmt::print(stderr, "float  {} {:.4f}\n", results_.score_name, *results_.baseline);
  return *float_;
}

const Hits& Session::score(const std::vector<LayerWidths>& widths, const std::string& what) {
  return trials_->score(candidates_->state(widths), title(what));
}

void Session::share_before(const std::vector<LayerWidths>& widths, std::size_t layer) {
  trials_->share(candidates_->state(widths), layer);
}

void Session::share_convolutions() {
  const auto fc = std::find_if(layers_.begin(), layers_.end(), [](const auto& l) { return l.is_fc; });
  if (fc != layers_.end() && fc != layers_.begin()) {
    trials_->share(trials_->in_float(), static_cast<std::size_t>(fc - layers_.begin()));
  }
}

bool Session::holds(const Hits& hits) const {
  return ristretto::within_margin(hits.accuracy(), *results_.baseline, options_.margin / 100);
}

Difference Session::loss(const Hits& hits) const { return difference(hits, *float_); }

TrialRow Session::row(const std::string& part, const Widths& widths, const Hits& hits) const {
  return {.part = part,
          .widths = widths,
          .score = hits.accuracy(),
          .loss = loss(hits),
          .divergence = hits.divergence,
          .within_margin = holds(hits)};
}

void Session::say(const std::string& what, const Hits& hits) const {
  const Difference lost = loss(hits);
  fmt::print(stderr, "{}  {} {:.4f}  ({:+.2f} +- {:.2f} points)  {}\n", what, results_.score_name, hits.accuracy(),
             100 * lost.value, 100 * lost.standard_error, holds(hits) ? "ok" : "below the margin");
}

// ---- What is chosen ----

void Session::choose(const std::vector<LayerWidths>& of_layers, const Hits& hits, const Widths& widths) {
  results_.widths = of_layers;
  results_.chosen = row(combination, widths, hits);
  chosen_ = candidates_->state(of_layers);
}

void Session::take(const Hits& hits, std::vector<LayerState> state) {
  results_.chosen = row(combination, results_.chosen->widths, hits);
  chosen_ = std::move(state);
}

const Hits& Session::judge(const std::string& name, const std::vector<LayerState>& state, double seconds) {
  const Hits& hits = trials_->score(state, title("  " + name));
  results_.repairs.push_back({name, hits.accuracy(), loss(hits), hits.divergence, seconds});
  fmt::print(stderr, "{}  {} {:.4f}  divergence {:.4f}\n", name, results_.score_name, hits.accuracy(), hits.divergence);
  return hits;
}

/// Holding the margin is better than not, then the divergence counts: it is of all scores, accuracy of few pictures.
void Session::try_repair(const Repair& how, const std::string& name) {
  const auto begin = std::chrono::steady_clock::now();
  cnn::Net net = model_.net;
  set(net, candidates_->unrepaired(results_.widths));
  repair(net, *reference_, calibration_, how, title("  repair"));
  auto state = states_of(net);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  const Hits& hits = judge(name, state, spent.count());
  const TrialRow& chosen = *results_.chosen;
  const bool is_better = holds(hits) == chosen.within_margin ? hits.divergence < chosen.divergence : holds(hits);
  if (is_better) take(hits, std::move(state));
}

void Session::repair_chosen() {
  const Repair& how = *options_.repair;
  if (!how.any()) return;
  if (unequalized_) judge("rounded to nearest", unequalized_->unrepaired(results_.widths), 0);
  judge(unequalized_ ? "channels equalized" : "rounded to nearest", candidates_->unrepaired(results_.widths), 0);
  Repair with = how;
  with.bias = false;
  if (how.compensate) try_repair(with, "weights compensated");
  if (how.bias) try_repair(how, "biases corrected");
}

caffe::NetParameter Session::chosen_net() {
  std::vector<caffe_files::LayerFormats> named;
  results_.layers.clear();
  std::size_t i = 0;
  model_.net.each_trimmed([&](cnn::Node&, auto& layer) {
    const LayerStatistics& l = layers_[i];
    const LayerState& state = chosen_[i];
    const LayerState& in_float = trials_->in_float()[i];
    layer.weight.edit() = in_float.values->weight;
    layer.bias.edit() = in_float.values->bias;
    results_.layers.push_back({l, describe(l.name, layer, state.formats, l.ranges, &state.values->weight)});
    named.push_back({l.name, state.formats});
    ++i;
  });
  return caffe_files::quantized(net_, named, options_.rule.mode);
}

caffe::NetParameter Session::chosen_weights() {
  set(model_.net, chosen_);
  return caffe_files::save_weights(model_);
}

}  // namespace tool
