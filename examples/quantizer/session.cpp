// SPDX-License-Identifier: MIT
// Trials of a net, and what is chosen.
#include "quantizer/session.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <ristretto/measure.hpp>
#include <ristretto/search.hpp>

#include "quantizer/interruption.hpp"

namespace quantizer {
namespace {

constexpr int most_repaired_width = 8;  // of weights: wider ones change little

}  // namespace

Session::Session(cnn::Model& model, const Pictures& pictures, const Options& options)
    : options_(options),
      pictures_(pictures),
      model_(model),
      calibration_(pictures.observed.source, pictures.observed.selection),
      journal_(options.journal, journal_title(), pictures.scored.selection.count) {
  layers_ = observe_layers("observe ranges");
  if (layers_.empty()) {
    throw std::invalid_argument(options.labels.model +
                                ": the net has no Convolution or InnerProduct layer to quantize");
  }
  say_notes();
  if (options.repair.equalize) equalize_channels();
  if (options.repair.any()) reference_.emplace(model_.net);
  trials_.emplace(model_, pictures.scored.source, pictures.scored.selection);
  candidates_.emplace(layers_, options.rule, trials_->in_float());
}

std::string Session::journal_title() const {
  const Rule& rule = options_.rule;
  const Repair& r = options_.repair;
  const Labels& l = options_.labels;
  const auto& [scored, observed, are_same] = pictures_;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {}", l.model, l.weights, scored.source.name,
                     scored.selection.count, observed.source.name, observed.selection.count,
                     name_of(trimming_modes(), rule.mode), name_of(range_rules, rule.ranges),
                     name_of(tie_rules(), rule.rounding), rule.per_channel ? "per_channel" : "per_layer",
                     rule.is_unsigned ? "unsigned" : "signed", r.equalize ? "equalize" : "-",
                     r.compensate ? "compensate" : "-", r.bias ? "bias" : "-");
}

std::vector<LayerStatistics> Session::observe_layers(const std::string& what) {
  auto layers = observe(model_, calibration_, options_.rule, title(what));
  if (!options_.rule.is_original()) share_ranges_of_concats(model_.net, layers);
  return layers;
}

/// What a user should know before the work.
void Session::say_notes() const {
  for (const LayerStatistics& l : layers_) {
    const std::size_t inputs = l.rows > 0 ? l.values.size() / l.rows : 0;
    if (!options_.repair.compensate || inputs <= static_cast<std::size_t>(most_compensated_inputs)) continue;
    fmt::print(stderr,
               "note: {}: {} inputs are more than compensated rounding takes, {}; its weights are rounded to "
               "nearest\n",
               l.name, inputs, most_compensated_inputs);
  }
}

void Session::equalize_channels() {
  std::vector<std::string> kept{model_.logits};
  for (const cnn::Accuracy& a : model_.accuracies) kept.push_back(a.input);
  auto before = states_of(model_.net);
  equalized_ = equalize(model_.net, options_.rule.per_channel, kept);
  if (equalized_ == 0) return;
  unequalized_layers_ = std::move(layers_);
  unequalized_.emplace(unequalized_layers_, options_.rule, std::move(before));
  layers_ = observe_layers("observe ranges again");
}

double Session::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::vector<int> Session::widths(const std::vector<int>& usual, Operands of) const {
  std::vector<int> widths = options_.widths.empty() ? usual : options_.widths;
  std::sort(widths.begin(), widths.end(), std::greater<>());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  widths = possible(layers_, options_.rule, std::move(widths), of);
  if (widths.empty()) throw std::invalid_argument("--widths: there are no formats of these widths; choose others");
  return widths;
}

void Session::prepare(std::vector<int> widths) {
  std::erase_if(widths, [](int width) { return width > most_repaired_width; });
  if (widths.empty() || !(options_.repair.compensate || options_.repair.bias)) return;
  candidates_->repair(widths, options_.repair, *reference_, calibration_, title("repair layers"));
}

// ---- Trials ----

const Hits& Session::score_float() {
  float_ = &trials_->score(trials_->in_float(), title("  float"));
  fmt::print(stderr, "float  {} {:.4f}\n", trials_->score_name(), float_->accuracy());
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
  return ristretto::within_margin(hits.accuracy(), float_->accuracy(), options_.margin / 100);
}

ristretto::PairedDifference Session::loss(const Hits& hits) const {
  return ristretto::paired_difference(hits.right, float_->right);
}

TrialRow Session::row(const std::string& part, const Widths& widths, const Hits& hits) const {
  return {.part = part,
          .widths = widths,
          .score = hits.accuracy(),
          .loss = loss(hits),
          .divergence = hits.divergence,
          .within_margin = holds(hits)};
}

void Session::say(const std::string& what, const Hits& hits) const {
  const ristretto::PairedDifference lost = loss(hits);
  fmt::print(stderr, "{}  {} {:.4f}  ({:+.2f} +- {:.2f} points)  {}\n", what, trials_->score_name(), hits.accuracy(),
             100 * lost.value, 100 * lost.standard_error, holds(hits) ? "ok" : "below the margin");
}

// ---- What is chosen ----

Chosen Session::chosen(const std::vector<LayerWidths>& of_layers, const Hits& hits, const Widths& widths) {
  return {row(combination, widths, hits), of_layers, candidates_->state(of_layers)};
}

const Hits& Session::judge(const std::string& name, const std::vector<LayerState>& state, double seconds,
                           std::vector<RepairRow>& rows) {
  const Hits& hits = trials_->score(state, title("  " + name));
  rows.push_back({name, hits.accuracy(), loss(hits), hits.divergence, seconds});
  fmt::print(stderr, "{}  {} {:.4f}  divergence {:.4f}\n", name, trials_->score_name(), hits.accuracy(),
             hits.divergence);
  return hits;
}

/// Holding the margin is better than not, then the divergence counts: it is of all scores, accuracy of few pictures.
void Session::try_repair(const Repair& how, const std::string& name, Repaired& repaired) {
  const auto begin = std::chrono::steady_clock::now();
  cnn::Net net = model_.net;
  set_states(net, candidates_->unrepaired(repaired.best.widths));
  repair(net, *reference_, calibration_, how, title("  repair"));
  auto state = states_of(net);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  const Hits& hits = judge(name, state, spent.count(), repaired.rows);
  TrialRow& best = repaired.best.row;
  const bool is_better = holds(hits) == best.within_margin ? hits.divergence < best.divergence : holds(hits);
  if (!is_better) return;
  best = row(combination, best.widths, hits);
  repaired.best.state = std::move(state);
}

Repaired Session::repaired(Chosen chosen) {
  const Repair& how = options_.repair;
  Repaired repaired{.best = std::move(chosen)};
  repaired.stopped = thrown_by([&] {
    if (!how.any()) return;
    const auto& widths = repaired.best.widths;
    if (unequalized_) judge("rounded to nearest", unequalized_->unrepaired(widths), 0, repaired.rows);
    judge(unequalized_ ? "channels equalized" : "rounded to nearest", candidates_->unrepaired(widths), 0,
          repaired.rows);
    Repair without_bias = how;
    without_bias.bias = false;
    if (how.compensate) try_repair(without_bias, "weights compensated", repaired);
    if (how.bias) try_repair(how, "biases corrected", repaired);
  });
  return repaired;
}

Results Session::results(Found found) {
  Results all{std::move(found)};
  if (float_) all.baseline = float_->accuracy();
  all.score_name = trials_->score_name();
  all.data = pictures_.scored.source.name;
  all.range_data = pictures_.observed.source.name;
  all.ranges_from_scored = pictures_.are_same;
  all.pictures = pictures_.scored.selection.count;
  all.range_pictures = calibration_.pictures();
  all.equalized = equalized_;
  if (all.chosen) {
    set_states(model_.net, trials_->in_float());
    std::size_t i = 0;
    model_.net.each_trimmed([&](cnn::Node&, auto& layer) {
      const LayerStatistics& l = layers_[i];
      const LayerState& state = all.chosen->state[i++];
      all.layers.push_back({l, describe(l.name, layer, state.formats, l.ranges, &state.values->weight)});
    });
  }
  all.seconds = seconds();
  return all;
}

}  // namespace quantizer
