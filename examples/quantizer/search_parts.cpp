// SPDX-License-Identifier: MIT
// The search by parts: the original's, and on from there until the whole net holds the margin.
#include <algorithm>
#include <span>
#include <utility>

#include <ristretto/search.hpp>

#include "quantizer/interruption.hpp"
#include "quantizer/session.hpp"

namespace quantizer {
namespace {

namespace rt = ristretto;

constexpr int power_of_two_bits = 4;  // of weights

class PartSearch {
 public:
  PartSearch(const Options& options, Session& session) : options_(options), session_(session) {}

  Found run() {
    found_.stopped = thrown_by([&] {
      search();
      choose();
    });
    if (found_.stopped) choose_so_far();
    return std::move(found_);
  }

 private:
  bool has_powers() const { return options_.rule.mode == TrimmingMode::integer_power_of_2_weights; }
  bool is_dynamic() const { return options_.rule.mode == TrimmingMode::dynamic_fixed_point; }

  std::vector<rt::Part<int>> parts() const {
    if (has_powers()) return {{"net", session_.widths({8}, Operands::activations)}};
    const std::vector<int> widths = session_.widths({16, 8, 4, 2, 1}, Operands::both);
    if (is_dynamic()) return {{"CONV weights", widths}, {"FC weights", widths}, {"layer activations", widths}};
    return {{"net", widths}};
  }

  Widths widths_of(const rt::Assignment<int>& a) const {
    if (is_dynamic()) return {a[0], a[1], a[2]};
    return has_powers() && a[0] ? Widths{power_of_two_bits, power_of_two_bits, a[0]} : Widths{a[0], a[0], a[0]};
  }
  std::vector<LayerWidths> of_layers(const Widths& widths) const { return widths_of_layers(session_.layers(), widths); }

  void search() {
    session_.prepare(has_powers() ? std::vector{power_of_two_bits} : parts_.front().candidates);
    const auto score = [&](const rt::Assignment<int>& assignment) {
      const Widths widths = widths_of(assignment);
      const bool is_first = search_.trials.empty();
      last_ = is_first ? &session_.score_float() : &session_.score(of_layers(widths), "  " + to_string(widths));
      if (is_first) session_.share_convolutions();
      return last_->accuracy();
    };
    const auto report = [&](const rt::Trial<int>& trial) {
      add(trial);
      // The original takes the combination as it is, whether it holds the margin or not.
      const bool is_last = options_.rule.is_original() && !trial.part && search_.trials.size() > 1;
      return is_last ? rt::Proceed::no : rt::Proceed::yes;
    };
    rt::search(std::span<const rt::Part<int>>(parts_), score, options_.margin / 100, report, search_);
  }

  void add(const rt::Trial<int>& trial) {
    const bool is_first = search_.trials.size() == 1;
    const std::string part = trial.part ? parts_[*trial.part].name : is_first ? "" : combination;
    const TrialRow row = session_.row(part, widths_of(trial.assignment), *last_);
    found_.trials.push_back(row);
    if (is_first) return;
    session_.say(
        trial.part ? part + " " + std::to_string(*trial.assignment[*trial.part]) + "bit" : to_string(row.widths),
        *last_);
    if (!trial.part && !found_.alone) found_.alone = row;
  }

  /// What is written: the combination that holds the margin or, when only float does, the widest one; in the original's
  /// way what each part can bear alone.
  void choose() {
    if (options_.rule.is_original()) return choose(found_.alone->widths);
    rt::Assignment<int> best = search_.assignment;
    if (std::none_of(best.begin(), best.end(), [](const auto& width) { return width.has_value(); })) {
      for (std::size_t p = 0; p < parts_.size(); ++p) best[p] = parts_[p].candidates.front();
    }
    choose(widths_of(best));
  }
  void choose(const Widths& widths) {
    found_.chosen = session_.chosen(of_layers(widths), session_.score(of_layers(widths), ""), widths);
  }

  /// Of the trials that hold the margin the one with the fewest bits, of parameters first.
  void choose_so_far() {
    const auto cost = [&](const TrialRow& row) {
      long long bits = 0;
      for (const LayerStatistics& l : session_.layers()) {
        bits += l.weights * (l.is_fc ? row.widths.fc : row.widths.conv).value_or(32);
      }
      return std::pair(bits, row.widths.activations.value_or(32));
    };
    const TrialRow* best = nullptr;
    for (const TrialRow& row : found_.trials) {
      if (row.within_margin && !row.part.empty() && (!best || cost(row) < cost(*best))) best = &row;
    }
    if (best) choose(best->widths);
  }

  const Options& options_;
  Session& session_;
  std::vector<rt::Part<int>> parts_ = parts();
  rt::SearchResult<int> search_{};
  const Hits* last_ = nullptr;  // of the last trial
  Found found_{};
};

}  // namespace

Found search_parts(const Options& options, Session& session) { return PartSearch(options, session).run(); }

}  // namespace quantizer
