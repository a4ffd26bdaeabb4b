// SPDX-License-Identifier: MIT
// The search by layers, under a cost.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include <ristretto/search.hpp>

#include "quantizer/interruption.hpp"
#include "quantizer/session.hpp"

namespace quantizer {
namespace {

namespace rt = ristretto;

constexpr int activation_width = 8;  // where activations cost nothing

class LayerSearch {
 public:
  LayerSearch(const Options& options, Session& session)
      : options_(options), session_(session), layers_(session.layers()) {}

  Found run() {
    found_.stopped = thrown_by([&] { search(); });
    choose();
    return std::move(found_);
  }

 private:
  void search() {
    session_.prepare(weight_widths_);
    const auto score = [&](const rt::Assignment<int>& a) {
      last_ = &trial(widths_of(a));
      return rt::Worth(last_->accuracy(), last_->divergence);
    };
    const auto cost = [&](const rt::Assignment<int>& a) { return cost_of(widths_of(a)); };
    const auto report = [&](const rt::CostTrial<int>& t) {
      add(t);
      const bool is_late = options_.time_budget > 0 && session_.seconds() > options_.time_budget;
      return is_late && search_.trials.size() > 1 ? rt::Proceed::no : rt::Proceed::yes;
    };
    rt::search_costs(std::span<const rt::Part<int>>(parts_), score, cost, options_.margin / 100, report, search_);
    if (!search_.finished) fmt::print(stderr, "the time is up: the best so far is taken\n");
  }

  /// What the search took, or the widest; nothing before that was scored.
  void choose() {
    if (search_.trials.size() < 2) return;
    const bool holds = search_.assignment.front().has_value();
    const auto widths = widths_of(holds ? search_.assignment : search_.trials[1].assignment);
    found_.chosen = session_.chosen(widths, *session_.journal().find(to_string(widths)));
    found_.alone = found_.chosen->row;
  }

  /// Those of the weights of each layer, then of its activations.
  std::vector<rt::Part<int>> parts() const {
    const bool counts_activations = options_.cost == Cost::bit_operations;
    std::vector<int> activations{std::max(activation_width, weight_widths_.front())};
    if (counts_activations) activations = session_.widths(usual_, Operands::activations);
    std::vector<rt::Part<int>> all;
    for (const LayerStatistics& l : layers_) all.push_back({l.name + " weights", weight_widths_});
    for (const LayerStatistics& l : layers_) all.push_back({l.name + " activations", activations});
    return all;
  }

  std::vector<LayerWidths> widths_of(const rt::Assignment<int>& a) const {
    std::vector<LayerWidths> widths;
    for (std::size_t i = 0; i < layers_.size(); ++i) widths.push_back({a[i], a[layers_.size() + i]});
    return widths;
  }

  double cost_of(const std::vector<LayerWidths>& widths) const {
    double sum = 0;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const int w = widths[i].weights.value_or(32), x = widths[i].activations.value_or(32);
      sum += options_.cost == Cost::bit_operations ? static_cast<double>(layers_[i].multiplies) * w * x
                                                   : static_cast<double>(layers_[i].weights) * w;
    }
    return sum;
  }

  /// From the journal, or scored and added to it. The net in float is always scored: it tells whether the journal is of
  /// this one.
  const Hits& trial(const std::vector<LayerWidths>& widths) {
    const std::string name = to_string(widths);
    if (search_.trials.empty()) return *session_.journal().add(name, session_.score_float());
    if (search_.trials.size() == 1) widest_ = widths;
    share_before_change(widths);
    if (const Hits* known = session_.journal().find(name)) return *known;
    return *session_.journal().add(name, session_.score(widths, "  trial"));
  }

  /// While layers are tried alone, in order, what lies before them is computed once.
  void share_before_change(const std::vector<LayerWidths>& widths) {
    const auto first =
        static_cast<std::size_t>(std::mismatch(widths.begin(), widths.end(), widest_.begin()).first - widths.begin());
    if (first < widths.size() && first > 0) session_.share_before(widest_, first);
  }

  void add(const rt::CostTrial<int>& t) {
    found_.layer_trials.push_back(
        {widths_of(t.assignment), t.score, last_->divergence, t.cost, session_.loss(*last_), t.within_margin});
    found_.front = rt::pareto_front(std::span<const rt::CostTrial<int>>(search_.trials));
    if (search_.trials.size() == 1) return;
    session_.say(t.part ? fmt::format("{} {}bit", parts_[*t.part].name, *t.assignment[*t.part])
                        : fmt::format("{:.4g} {}", t.cost, name_of(costs(), options_.cost)),
                 *last_);
  }

  const Options& options_;
  Session& session_;
  const std::vector<LayerStatistics>& layers_;
  std::vector<int> usual_{8, 7, 6, 5, 4, 3, 2};
  std::vector<int> weight_widths_ =
      session_.widths(options_.rule.mode == TrimmingMode::integer_power_of_2_weights ? std::vector{5, 4, 3, 2} : usual_,
                      Operands::weights);
  std::vector<rt::Part<int>> parts_ = parts();
  rt::CostResult<int> search_{};
  std::vector<LayerWidths> widest_{};
  const Hits* last_ = nullptr;  // of the last trial
  Found found_{};
};

}  // namespace

Found search_layers(const Options& options, Session& session) { return LayerSearch(options, session).run(); }

}  // namespace quantizer
