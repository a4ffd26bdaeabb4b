// SPDX-License-Identifier: MIT
// Searches how narrow many parts may be, such that a cost becomes small while a score stays within a margin.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ristretto/search.hpp>

namespace ristretto {

/// What a trial is worth. `score` holds a margin or not. `loss` says how much is lost, finer than the score where that
/// only counts; by default it is the score with the other sign.
struct Worth {
  Worth(double s) : score(s), loss(-s) {}
  Worth(double s, double l) : score(s), loss(l) {}

  double score;
  double loss;
};

/// One scored assignment and what it costs.
template <class Candidate>
struct CostTrial {
  Assignment<Candidate> assignment;
  std::optional<std::size_t> part;  ///< the part that was narrowed alone; none for the others
  double score = 0;
  double loss = 0;
  double cost = 0;
  bool within_margin = false;
};

/// What a search under a cost found, and every trial on the way there, in order.
template <class Candidate>
struct CostResult {
  double baseline = 0;               ///< score with every part as it is
  Assignment<Candidate> assignment;  ///< the cheapest so far that is taken: every part as it is, at first
  double score = 0;
  double cost = 0;
  bool finished = false;  ///< assignment is what the search was for
  std::vector<CostTrial<Candidate>> trials;
};

/// The positions of the trials that no other one beats, being as cheap and as good and better in one of both; cheapest
/// first. Of equal ones the first.
template <class Candidate>
std::vector<std::size_t> pareto_front(std::span<const CostTrial<Candidate>> trials) {
  std::vector<std::size_t> order(trials.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](std::size_t i) { return std::tuple(trials[i].cost, -trials[i].score, i); };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() || trials[i].score > trials[front.back()].score) front.push_back(i);
  }
  return front;
}

namespace detail {

/// What narrowing a part by one candidate does.
struct Step {
  double saved = 0, lost = 0;

  /// Whether it saves more for what it loses; of two that lose nothing, or as much for it, the one that saves more.
  bool is_better_than(const Step& other) const {
    const double here = saved * other.lost, there = other.saved * lost;
    return here > there || (here == there && saved > other.saved);
  }
};

inline void check_number(double value, const char* what) {
  if (std::isfinite(value)) return;
  detail::raise<std::invalid_argument>("ristretto::search_costs: " + std::string(what) + " is " +
                                       std::to_string(value) + "; return finite numbers");
}

/// The steps of ristretto::search_costs.
template <class Candidate, class Score, class Cost, class Report>
class CostSearch {
 public:
  CostSearch(std::span<const Part<Candidate>> parts, Score& score, Cost& cost, double margin, Report& report,
             CostResult<Candidate>& result)
      : parts_(parts),
        score_(score),
        cost_(cost),
        margin_(margin),
        report_(report),
        result_(result),
        losses_(parts.size()),
        stays_(parts.size()) {}

  void run() {
    result_ = {};
    result_.assignment = Assignment<Candidate>(parts_.size());
    try_out(result_.assignment, std::nullopt);
    if (!goes_on()) return;
    here_ = {try_out(widest(), std::nullopt), std::vector<std::size_t>(parts_.size())};
    if (here_.trial.within_margin) {
      for (std::size_t p = 0; p < parts_.size(); ++p) try_alone(p);
      walk();
    }
    result_.finished = goes_on();
  }

 private:
  /// Where the walk is: at candidates[level[p]] of each part.
  struct Place {
    CostTrial<Candidate> trial{};
    std::vector<std::size_t> level{};
  };

  bool goes_on() const { return proceed_ == Proceed::yes; }
  /// Whether a trial may be the result.
  bool holds(const CostTrial<Candidate>& trial) const { return trial.within_margin && trial.loss <= most_; }
  void keep(const CostTrial<Candidate>& trial) {
    result_.assignment = trial.assignment;
    result_.score = trial.score;
    result_.cost = trial.cost;
  }
  void keep_if_cheaper(const CostTrial<Candidate>& trial) {
    if (holds(trial) && trial.cost < result_.cost) keep(trial);
  }

  /// Scores and reports an assignment. The trial stays where it is until the next.
  const CostTrial<Candidate>& try_out(const Assignment<Candidate>& assignment, std::optional<std::size_t> part) {
    const Worth worth = score_(assignment);
    CostTrial<Candidate> trial{assignment, part, worth.score, worth.loss, cost_(assignment), false};
    check_number(trial.score, "a score");
    check_number(trial.loss, "a loss");
    check_number(trial.cost, "a cost");
    if (result_.trials.empty()) {
      result_.baseline = trial.score;
      keep(trial);
    }
    trial.within_margin = within_margin(trial.score, result_.baseline, margin_);
    keep_if_cheaper(trial);
    result_.trials.push_back(std::move(trial));
    proceed_ = hand_to(report_, std::as_const(result_.trials.back()));
    return result_.trials.back();
  }

  Assignment<Candidate> widest() const {
    Assignment<Candidate> assignment;
    for (const Part<Candidate>& part : parts_) assignment.push_back(part.candidates.front());
    return assignment;
  }
  /// What is here, with another candidate of one part.
  Assignment<Candidate> with(std::size_t p, std::size_t candidate) const {
    Assignment<Candidate> assignment = here_.trial.assignment;
    assignment[p] = parts_[p].candidates[candidate];
    return assignment;
  }

  /// The loss at each candidate of a part while the others are at their widest.
  void try_alone(std::size_t p) {
    losses_[p] = {here_.trial.loss};
    for (std::size_t c = 1; c < parts_[p].candidates.size() && goes_on(); ++c) {
      losses_[p].push_back(try_out(with(p, c), p).loss);
    }
  }

  /// The part whose next candidate saves most for what it loses; none where nothing is saved.
  std::optional<std::size_t> best_part() {
    std::optional<std::size_t> best;
    Step best_step;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      const std::size_t next = here_.level[p] + 1;
      if (stays_[p] || next >= losses_[p].size()) continue;
      const Step step{here_.trial.cost - cost_(with(p, next)), std::max(losses_[p][next] - losses_[p][next - 1], 0.0)};
      if (step.saved <= 0 || (best && !step.is_better_than(best_step))) continue;
      best = p;
      best_step = step;
    }
    return best;
  }
  void narrow(std::size_t p) {
    here_.trial = try_out(with(p, here_.level[p] + 1), std::nullopt);
    ++here_.level[p];
  }
  /// Back to a place from where this part was narrowed; it is not again.
  void take_back(std::size_t p, const Place& before) {
    here_ = before;
    stays_[p] = true;
  }

  /// Down to twice the margin, far enough to see whether a miss is noise. If the last is one, the step that left the
  /// margin is taken back, and the walk goes on from there without what does not hold.
  void walk() {
    Place held = here_;
    std::size_t left_by = 0;
    std::optional<std::size_t> best;
    while (goes_on() && within_margin(here_.trial.score, result_.baseline, 2 * margin_) && (best = best_part())) {
      if (here_.trial.within_margin) {
        held = here_;
        left_by = *best;
      }
      narrow(*best);
    }
    if (!goes_on() || here_.trial.within_margin) return;
    bound_loss(std::max(here_.trial.loss, held.trial.loss));  // what it goes on from holds
    take_back(left_by, held);
    while (goes_on() && (best = best_part())) {
      held = here_;
      narrow(*best);
      if (!holds(here_.trial)) take_back(*best, held);
    }
  }
  /// The result loses no more than this; trials that were scored before count as well.
  void bound_loss(double most) {
    most_ = most;
    keep(result_.trials.front());
    for (const CostTrial<Candidate>& trial : result_.trials) keep_if_cheaper(trial);
  }

  std::span<const Part<Candidate>> parts_;
  Score& score_;
  Cost& cost_;
  double margin_;
  Report& report_;
  CostResult<Candidate>& result_;
  Proceed proceed_ = Proceed::yes;
  double most_ = std::numeric_limits<double>::infinity();  // that a result may lose
  std::vector<std::vector<double>> losses_;                // of each candidate of a part alone
  std::vector<bool> stays_;                                // parts that are not narrowed any more
  Place here_{};
};

}  // namespace detail

/// Narrows many parts as far as the score stays at or above the baseline less `margin`, such that `cost` becomes small.
///
/// All parts begin at their widest candidate; where these miss the margin together, nothing is narrowed. First each
/// part alone walks down its candidates, whether they hold the margin or not, for scores are noisy: what it loses at
/// each is its sensitivity. Then, again and again, the part whose next candidate saves most cost for what it loses is
/// narrowed, and all together are scored, until they miss twice the margin or nothing is left to narrow. If the last
/// missed the margin, the walk goes on from the last that held it in the same way, but now a step is taken back, and
/// that part stays, if it falls below the margin or if the loss is greater than at both of these: of many trials with
/// noisy scores, some hold by chance. This counts for earlier trials, too, so the result may become dearer once. A part
/// whose next candidate saves nothing stays anyway. So the result has been scored as a whole.
///
/// `score` returns a Worth or a number, `cost` a number for an assignment. Every trial is handed to `report` as it is
/// scored; after the answer Proceed::no the search returns, unfinished, with the best so far. The same scores, losses
/// and costs give the same result. Throws std::invalid_argument when a part has no candidate, the margin is negative,
/// or a score, a loss or a cost is not finite.
template <class Candidate, class Score, class Cost, class Report>
CostResult<Candidate> search_costs(const std::vector<Part<Candidate>>& parts, Score score, Cost cost, double margin,
                                   Report report) {
  CostResult<Candidate> result;
  search_costs(std::span<const Part<Candidate>>(parts), score, cost, margin, report, result);
  return result;
}
template <class Candidate, class Score, class Cost>
CostResult<Candidate> search_costs(const std::vector<Part<Candidate>>& parts, Score score, Cost cost, double margin) {
  return search_costs(parts, score, cost, margin, [](const CostTrial<Candidate>&) {});
}
/// The same for callables that may throw: every trial is in `result` at once, which keeps the best so far.
template <class Candidate, class Score, class Cost, class Report>
void search_costs(std::span<const Part<Candidate>> parts, Score score, Cost cost, double margin, Report report,
                  CostResult<Candidate>& result) {
  detail::check_search("ristretto::search_costs", parts, margin);
  detail::CostSearch(parts, score, cost, margin, report, result).run();
}

}  // namespace ristretto
