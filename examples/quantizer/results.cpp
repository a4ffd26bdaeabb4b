// SPDX-License-Identifier: MIT
// What is printed and written of results.
#include "quantizer/results.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace quantizer {
namespace {

using nlohmann::ordered_json;

int bits(const std::optional<int>& width) { return width.value_or(32); }

/// The width that was tried of a part.
std::optional<int> tried(const TrialRow& t) {
  if (t.part == "CONV weights") return t.widths.conv;
  return t.part == "FC weights" ? t.widths.fc : t.widths.activations;
}

void print_trials(const Results& r, std::string_view part) {
  for (const TrialRow& t : r.trials) {
    if (t.part == part) fmt::print("{}bit: \t{:g}\n", bits(tried(t)), t.score);
  }
}

// ---- The original's summary ----

void print_dynamic_fixed_point(const Results& r) {
  fmt::print("Dynamic fixed point CONV\nweights: \n");
  print_trials(r, "CONV weights");
  fmt::print("Dynamic fixed point FC\nweights: \n");
  print_trials(r, "FC weights");
  fmt::print("Dynamic fixed point layer\nactivations:\n");
  print_trials(r, "layer activations");
  if (!r.chosen) return;
  fmt::print("Dynamic fixed point net:\n");
  const Widths& w = r.chosen->row.widths;
  fmt::print("{}bit CONV weights,\n{}bit FC weights,\n{}bit layer activations:\n", bits(w.conv), bits(w.fc),
             bits(w.activations));
  fmt::print("Accuracy: {:g}\n", r.chosen->row.score);
}

std::string cost_of(const Options& o) { return name_of(costs(), o.cost); }

void print_by_layers(const Options& o, const Results& r) {
  fmt::print("Trials that no other beats, {} and accuracy:\n", cost_of(o));
  for (const std::size_t i : r.front) {
    const LayerTrial& t = r.layer_trials[i];
    fmt::print("{:>14.6g}  {:g}  ({:+.2f} +- {:.2f})  divergence {:.4f}{}\n", t.cost, t.score, 100 * t.loss.value,
               100 * t.loss.standard_error, t.divergence, t.within_margin ? "" : "  below the margin");
  }
}

void print_summary(const Options& o, const Results& r) {
  const bool powers = o.rule.mode == TrimmingMode::integer_power_of_2_weights;
  fmt::print("------------------------------\nNetwork accuracy analysis for\n");
  fmt::print("{}\n", powers ? "Integer-power-of-two weights\nin Convolutional (CONV) and\nfully connected (FC) layers."
                            : "Convolutional (CONV) and fully\nconnected (FC) layers.");
  fmt::print("Baseline 32bit float: {:g}\n", *r.baseline);
  if (o.by_layer) return print_by_layers(o, r);
  if (o.rule.mode == TrimmingMode::dynamic_fixed_point) {
    print_dynamic_fixed_point(r);
  } else if (powers) {
    fmt::print("Quantized net:\n");
    if (r.chosen) fmt::print("{}bit: \t{:g}\n", bits(r.chosen->row.widths.conv), r.chosen->row.score);
  } else {
    fmt::print("Minifloat net:\n");
    print_trials(r, "net");
  }
  fmt::print("Please fine-tune.\n");
}

// ---- What the original does not say ----

/// The mean width of a weight, over the whole net.
double mean_bits(const Results& r) {
  double bits = 0, weights = 0;
  for (std::size_t i = 0; i < r.layers.size(); ++i) {
    const auto count = static_cast<double>(r.layers[i].layer.weights);
    bits += count * r.chosen->widths[i].weights.value_or(32);
    weights += count;
  }
  return bits / std::max(weights, 1.0);
}

std::string widths_text(const Options& o, const Results& r) {
  if (!o.by_layer) return to_string(r.chosen->row.widths);
  return fmt::format("{:.2f} bits a weight", mean_bits(r));
}

void print_repairs(const Results& r) {
  if (r.repairs.empty()) return;
  fmt::print("What repairs brought, to the whole net:\n");
  for (const RepairRow& row : r.repairs) {
    fmt::print("  {:<20} {:g}  ({:+.2f} +- {:.2f})  divergence {:.4f}", row.name, row.score, 100 * row.loss.value,
               100 * row.loss.standard_error, row.divergence);
    fmt::print("{}\n", row.seconds > 0 ? fmt::format("  {:.0f} s", row.seconds) : "");
  }
}

void print_outcome(const Options& o, const Results& r) {
  const TrialRow& chosen = r.chosen->row;
  fmt::print(
      "\n{}: {:g} of {} pictures, {:+.2f} +- {:.2f} points (one standard error) from float; margin {:g} points\n",
      widths_text(o, r), chosen.score, r.pictures, 100 * chosen.loss.value, 100 * chosen.loss.standard_error, o.margin);
  if (!o.by_layer && r.complete && !r.alone->within_margin && to_string(r.alone->widths) != to_string(chosen.widths)) {
    fmt::print("What each part can bear alone misses the margin together, so it was widened: {}, {:g}\n",
               to_string(r.alone->widths), r.alone->score);
  }
  print_repairs(r);
  if (!chosen.within_margin) fmt::print("The margin is missed.\n");
}

ordered_json to_json(const Widths& w) {
  const auto number = [](const std::optional<int>& width) { return width ? ordered_json(*width) : ordered_json(); };
  return {{"conv_weights", number(w.conv)}, {"fc_weights", number(w.fc)}, {"activations", number(w.activations)}};
}

/// Adds what a TrialRow, a RepairRow or a LayerTrial scored.
template <class Row>
ordered_json with_scores(ordered_json out, const Row& row) {
  out["accuracy"] = row.score;
  out["difference"] = row.loss.value;
  out["standard_error"] = row.loss.standard_error;
  out["divergence"] = row.divergence;
  return out;
}

ordered_json to_json(const TrialRow& t) {
  auto out = with_scores({{"part", t.part.empty() ? "float" : t.part}, {"widths", to_json(t.widths)}}, t);
  out["within_margin"] = t.within_margin;
  return out;
}

ordered_json to_json(const RepairRow& row) {
  auto out = with_scores({{"name", row.name}}, row);
  out["seconds"] = row.seconds;
  return out;
}

ordered_json to_json(const LayerTrial& t) {
  ordered_json weights = ordered_json::array(), activations = ordered_json::array();
  for (const LayerWidths& w : t.widths) {
    weights.push_back(bits(w.weights));
    activations.push_back(bits(w.activations));
  }
  auto out = with_scores({{"weights", weights}, {"activations", activations}, {"cost", t.cost}}, t);
  out["within_margin"] = t.within_margin;
  return out;
}

ordered_json to_json(const LayerResult& l) {
  ordered_json out = to_json(l.row);
  out["type"] = l.layer.type;
  out["max_abs_input"] = l.layer.ranges.input.max_abs();
  out["max_abs_weight"] = l.layer.ranges.weight.max_abs();
  out["max_abs_output"] = l.layer.ranges.output.max_abs();
  return out;
}

std::string csv_text(const std::vector<LayerTrial>& trials) {
  std::string csv = "widths,cost,accuracy,difference,standard_error,divergence,within_margin\n";
  for (const LayerTrial& t : trials) {
    csv += fmt::format("{},{},{},{},{},{},{}\n", to_string(t.widths), t.cost, t.score, t.loss.value,
                       t.loss.standard_error, t.divergence, t.within_margin ? 1 : 0);
  }
  return csv;
}

}  // namespace

const std::map<std::string, Cost>& costs() {
  static const std::map<std::string, Cost> all{{"weight_bits", Cost::weight_bits},
                                               {"bit_operations", Cost::bit_operations}};
  return all;
}

std::string to_string(const Widths& w) {
  return fmt::format("{}bit CONV weights, {}bit FC weights, {}bit layer activations", bits(w.conv), bits(w.fc),
                     bits(w.activations));
}

void print_report(const Options& o, const Results& r) {
  if (!r.baseline) return;
  print_summary(o, r);
  if (!r.chosen) return;
  print_outcome(o, r);
  std::vector<LayerRow> rows;
  for (const LayerResult& l : r.layers) rows.push_back(l.row);
  fmt::print("\n");
  print_layers(rows);
  fmt::print("ranges {} from {} pictures   ties {}   seed {}   threads {}   time {:.1f} s\n",
             name_of(range_rules, o.rule.ranges), r.range_pictures, name_of(tie_rules(), o.rule.ties), o.labels.seed,
             o.labels.threads, r.seconds);
}

std::string json_text(const Options& o, const Results& r) {
  ordered_json out{{"command", "quantize"},
                   {"complete", r.complete},
                   {"model", o.labels.model},
                   {"weights", o.labels.weights},
                   {"trimming_mode", name_of(trimming_modes(), o.rule.mode)},
                   {"ranges", name_of(range_rules, o.rule.ranges)},
                   {"data", r.data},
                   {"range_data", r.range_data},
                   {"range_pictures", r.range_pictures},
                   {"ranges_from_scored", r.ranges_from_scored},
                   {"ties", name_of(tie_rules(), o.rule.ties)},
                   {"per_channel", o.rule.per_channel},
                   {"unsigned", o.rule.is_unsigned},
                   {"equalized_layers", r.equalized},
                   {"pictures", r.pictures},
                   {"error_margin", o.margin},
                   {"seed", o.labels.seed},
                   {"threads", o.labels.threads},
                   {"seconds", r.seconds},
                   {"score", r.score_name},
                   {"baseline", r.baseline ? ordered_json(*r.baseline) : ordered_json()},
                   {"alone", r.alone ? to_json(*r.alone) : ordered_json()},
                   {"chosen", r.chosen ? to_json(r.chosen->row) : ordered_json()},
                   {"repairs", ordered_json::array()},
                   {"trials", ordered_json::array()},
                   {"layers", ordered_json::array()}};
  for (const RepairRow& row : r.repairs) out["repairs"].push_back(to_json(row));
  for (const TrialRow& t : r.trials) out["trials"].push_back(to_json(t));
  if (o.by_layer) {
    out["cost"] = cost_of(o);
    out["mean_weight_bits"] = mean_bits(r);
    out["front"] = r.front;
    for (const LayerTrial& t : r.layer_trials) out["trials"].push_back(to_json(t));
  }
  for (const LayerResult& l : r.layers) out["layers"].push_back(to_json(l));
  return out.dump(2) + "\n";
}

std::string to_string(const std::vector<LayerWidths>& widths) {
  const auto number = [](const std::optional<int>& width) { return width ? std::to_string(*width) : "float"; };
  std::string text;
  for (const LayerWidths& w : widths) {
    text += fmt::format("{}{}/{}", text.empty() ? "" : " ", number(w.weights), number(w.activations));
  }
  return text;
}

std::string csv_text(const Options& o, const Results& r) {
  if (o.by_layer) return csv_text(r.layer_trials);
  std::string csv = "part,conv_weights,fc_weights,activations,accuracy,difference,standard_error,within_margin\n";
  for (const TrialRow& t : r.trials) {
    csv += fmt::format("{},{},{},{},{},{},{},{}\n", t.part.empty() ? "float" : t.part, bits(t.widths.conv),
                       bits(t.widths.fc), bits(t.widths.activations), t.score, t.loss.value, t.loss.standard_error,
                       t.within_margin ? 1 : 0);
  }
  return csv;
}

}  // namespace quantizer
