// SPDX-License-Identifier: MIT
// Searches how narrow many parts may be, such that a cost becomes small while a score stays within a margin.
#pragma once

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
  throw std::invalid_argument("ristretto::search_costs: " + std::string(what) + " is " + std::to_string(value) +
                              "; return finite numbers");
}

}  // namespace detail

/// Narrows many parts as far as the score stays at or above the baseline less `margin`, such that `cost` becomes small.
///
/// All parts begin at their widest candidate; where these miss the margin together, nothing is narrowed. First each
/// part alone walks down its candidates, whether they hold the margin or not, for scores are noisy: what it loses at
/// each is its sensitivity. Then, again and again, the part whose next candidate saves most cost for what it loses is
/// narrowed, and all together are scored, until they miss twice the margin or nothing is left to narrow. If the last
/// missed the margin, the walk goes on from the last that held it in the same way, but now a step is taken back, and
/// that part stays, if it falls below the margin or if the loss is greater than at both of these: of many trials with
/// noisy scores, some hold by chance. This counts for earlier trials, too, so `result` may become dearer once. A part
/// whose next candidate saves nothing stays anyway. So the result has been scored as a whole. `score` returns a Worth
/// or a number, `cost` a number for an assignment. Every trial is handed to `report` as it is scored, and is in
/// `result` at once; when a callable throws, for instance because time is up, `result` keeps the best so far. The same
/// scores, losses and costs give the same result. Throws std::invalid_argument when a part has no candidate, the margin
/// is negative, or a score, a loss or a cost is not finite.
template <class Candidate, class Score, class Cost, class Report>
void search_costs(std::span<const Part<Candidate>> parts, Score score, Cost cost, double margin, Report report,
                  CostResult<Candidate>& result) {
  detail::check_search("ristretto::search_costs", parts, margin);
  const Assignment<Candidate> untouched(parts.size());
  result = CostResult<Candidate>{};
  result.assignment = untouched;

  double most = std::numeric_limits<double>::infinity();  // that a result may lose
  const auto holds = [&](const CostTrial<Candidate>& trial) { return trial.within_margin && trial.loss <= most; };
  const auto keep = [&result](const CostTrial<Candidate>& trial) {
    result.assignment = trial.assignment;
    result.score = trial.score;
    result.cost = trial.cost;
  };
  const auto try_out = [&](const Assignment<Candidate>& assignment, std::optional<std::size_t> part) {
    const Worth worth = score(assignment);
    CostTrial<Candidate> trial{assignment, part, worth.score, worth.loss, cost(assignment), false};
    detail::check_number(trial.score, "a score");
    detail::check_number(trial.loss, "a loss");
    detail::check_number(trial.cost, "a cost");
    if (result.trials.empty()) {
      result.baseline = trial.score;
      keep(trial);
    }
    trial.within_margin = ristretto::within_margin(trial.score, result.baseline, margin);
    result.trials.push_back(trial);
    if (holds(trial) && trial.cost < result.cost) keep(trial);
    report(result.trials.back());
    return trial;
  };
  try_out(untouched, std::nullopt);

  Assignment<Candidate> current = untouched;
  for (std::size_t p = 0; p < parts.size(); ++p) current[p] = parts[p].candidates.front();
  CostTrial<Candidate> now = try_out(current, std::nullopt);
  if (!now.within_margin) {
    result.finished = true;
    return;
  }
  const auto narrowed = [&](std::size_t p, std::size_t candidate) {
    Assignment<Candidate> assignment = current;
    assignment[p] = parts[p].candidates[candidate];
    return assignment;
  };

  std::vector<std::vector<double>> losses(parts.size());  // of each candidate of a part alone
  for (std::size_t p = 0; p < parts.size(); ++p) {
    losses[p].push_back(now.loss);
    for (std::size_t c = 1; c < parts[p].candidates.size(); ++c) losses[p].push_back(try_out(narrowed(p, c), p).loss);
  }

  std::vector<std::size_t> level(parts.size());
  std::vector<bool> stays(parts.size());
  const auto best_part = [&] {
    std::optional<std::size_t> best;
    detail::Step best_step;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (stays[p] || level[p] + 1 >= losses[p].size()) continue;
      const double lost = losses[p][level[p] + 1] - losses[p][level[p]];
      const detail::Step step{now.cost - cost(narrowed(p, level[p] + 1)), std::max(lost, 0.0)};
      if (step.saved <= 0 || (best && !step.is_better_than(best_step))) continue;
      best = p;
      best_step = step;
    }
    return best;
  };

  bool first = true;  // goes on to twice the margin, far enough to see whether a miss is noise
  auto held = std::tuple(current, now, level);
  std::size_t missed = parts.size();  // the part whose step left it
  while (true) {
    const std::optional<std::size_t> best = best_part();
    if (best && (first ? ristretto::within_margin(now.score, result.baseline, 2 * margin) : holds(now))) {
      if (now.within_margin) {
        held = std::tuple(current, now, level);
        missed = *best;
      }
      now = try_out(narrowed(*best, level[*best] + 1), std::nullopt);
      current = now.assignment;
      ++level[*best];
      continue;
    }
    if (holds(now)) break;
    if (first) {
      first = false;
      most = std::max(now.loss, std::get<1>(held).loss);  // so that what it goes on from holds
      keep(result.trials.front());
      for (const CostTrial<Candidate>& trial : result.trials) {
        if (holds(trial) && trial.cost < result.cost) keep(trial);
      }
    }
    std::tie(current, now, level) = held;
    stays[missed] = true;
  }
  result.finished = true;
}

/// The same, returning the result.
template <class Candidate, class Score, class Cost>
CostResult<Candidate> search_costs(const std::vector<Part<Candidate>>& parts, Score score, Cost cost, double margin) {
  CostResult<Candidate> result;
  search_costs(
      std::span<const Part<Candidate>>(parts), score, cost, margin, [](const CostTrial<Candidate>&) {}, result);
  return result;
}

}  // namespace ristretto
