// SPDX-License-Identifier: MIT
// Searches how narrow each part of something may be while a score stays within a margin.
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
#include <type_traits>
#include <utility>
#include <vector>

namespace ristretto {

/// A part whose format is searched, e.g. all convolution weights of a network. A candidate is whatever the score
/// callable understands: a bit width, an AnyFormat.
template <class Candidate>
struct Part {
  std::string name;
  std::vector<Candidate> candidates;  ///< widest first
};

/// For each part its candidate, or nothing while the part stays as it is (in float).
template <class Candidate>
using Assignment = std::vector<std::optional<Candidate>>;

/// One scored assignment.
template <class Candidate>
struct Trial {
  Assignment<Candidate> assignment;
  std::optional<std::size_t> part;  ///< the part that was tried alone; none for the baseline and for combinations
  double score = 0;
  bool within_margin = false;
};

/// What a search found, and every trial on the way there, in order.
template <class Candidate>
struct SearchResult {
  double baseline = 0;                ///< score with every part as it is
  Assignment<Candidate> alone;        ///< each part's narrowest candidate that holds the margin when it is tried alone
  std::optional<double> alone_score;  ///< what those give together
  Assignment<Candidate>
      assignment;  ///< the best combination so far that holds the margin: every part as it is, at first
  double score = 0;
  bool finished = false;  ///< assignment is what the search was for
  std::vector<Trial<Candidate>> trials;
};

/// Whether a search goes on after a trial, as `report` returns it.
enum class Proceed { yes, no };

namespace detail {

/// What a report that returns nothing means, too.
template <class Report, class Trial>
bool proceeds(Report& report, const Trial& trial) {
  if constexpr (std::is_void_v<decltype(report(trial))>) {
    report(trial);
    return true;
  } else {
    return report(trial) == Proceed::yes;
  }
}

template <class Candidate>
void check_search(const char* name, std::span<const Part<Candidate>> parts, double margin) {
  for (const auto& part : parts) {
    if (part.candidates.empty()) {
      throw std::invalid_argument(std::string(name) + ": part \"" + part.name +
                                  "\" has no candidates; give it at least one");
    }
  }
  if (!(margin >= 0)) {
    throw std::invalid_argument(std::string(name) + ": the margin is " + std::to_string(margin) + "; choose one >= 0");
  }
}

}  // namespace detail

/// Whether the score is the baseline less the margin or more; a loss of just the margin is within it, as decimals go.
inline bool within_margin(double score, double baseline, double margin) {
  return score >= baseline - margin - 1e-12 * std::abs(baseline);
}

/// Narrows parts while the score stays at or above the baseline less `margin` (in the units of the score).
///
/// Each part alone walks down its candidates and stops at the first that falls below the margin (the original's
/// sequence). Then the combination of what each part can bear is scored. While it misses the margin, one part steps
/// back up: the one whose step gives the best score (the first of equals). Every trial is handed to `report` as it is
/// scored, and is in `result` at once; when it returns Proceed::no, or `score` or `report` throws, the search ends and
/// `result` keeps what was found. Throws std::invalid_argument when a part has no candidate, the margin is negative or
/// a score is NaN.
template <class Candidate, class Score, class Report>
void search(std::span<const Part<Candidate>> parts, Score score, double margin, Report report,
            SearchResult<Candidate>& result) {
  detail::check_search("ristretto::search", parts, margin);
  const Assignment<Candidate> untouched(parts.size());
  result = SearchResult<Candidate>{};
  result.alone = result.assignment = untouched;

  bool stopped = false;
  const auto try_out = [&](const Assignment<Candidate>& assignment, std::optional<std::size_t> part) {
    const double value = score(assignment);
    if (value != value) throw std::invalid_argument("ristretto::search: the score is NaN; return a number");
    if (result.trials.empty()) result.baseline = result.score = value;
    result.trials.push_back({assignment, part, value, ristretto::within_margin(value, result.baseline, margin)});
    stopped = !detail::proceeds(report, result.trials.back());
    return result.trials.back();
  };
  try_out(untouched, std::nullopt);
  if (stopped) return;

  std::vector<std::size_t> level(parts.size());  // of part p: candidates[level - 1], or untouched at 0
  const auto combine = [&](const std::vector<std::size_t>& levels) {
    Assignment<Candidate> assignment = untouched;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (levels[p] > 0) assignment[p] = parts[p].candidates[levels[p] - 1];
    }
    return assignment;
  };

  for (std::size_t p = 0; p < parts.size(); ++p) {
    for (const Candidate& candidate : parts[p].candidates) {
      Assignment<Candidate> assignment = untouched;
      assignment[p] = candidate;
      const auto trial = try_out(assignment, p);
      if (trial.within_margin) {
        ++level[p];
        result.alone[p] = candidate;
      }
      if (stopped) return;
      if (!trial.within_margin) break;
    }
  }

  auto current = try_out(combine(level), std::nullopt);
  result.alone_score = current.score;
  bool held = false;
  const auto keep_best = [&](const Trial<Candidate>& trial) {
    if (!trial.within_margin || (held && trial.score <= result.score)) return;
    held = true;
    result.assignment = trial.assignment;
    result.score = trial.score;
  };
  keep_best(current);
  if (stopped) return;
  while (!current.within_margin && std::any_of(level.begin(), level.end(), [](std::size_t l) { return l > 0; })) {
    std::optional<Trial<Candidate>> best;
    std::size_t best_part = 0;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (level[p] == 0) continue;
      auto wider = level;
      --wider[p];
      auto trial = try_out(combine(wider), std::nullopt);
      keep_best(trial);
      if (stopped) return;
      if (!best || trial.score > best->score) {
        best = std::move(trial);
        best_part = p;
      }
    }
    --level[best_part];
    current = *best;
  }
  result.finished = true;
}

/// The same, returning the result.
template <class Candidate, class Score, class Report>
SearchResult<Candidate> search(const std::vector<Part<Candidate>>& parts, Score score, double margin, Report report) {
  SearchResult<Candidate> result;
  search(std::span<const Part<Candidate>>(parts), score, margin, report, result);
  return result;
}
template <class Candidate, class Score>
SearchResult<Candidate> search(const std::vector<Part<Candidate>>& parts, Score score, double margin) {
  return search(parts, score, margin, [](const Trial<Candidate>&) {});
}

// ---- Many parts, under a cost ----

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
/// `result` at once; when it returns Proceed::no, or a callable throws, the search ends and `result` keeps the best so
/// far. The same scores, losses and costs give the same result. Throws std::invalid_argument when a part has no
/// candidate, the margin is negative, or a score, a loss or a cost is not finite.
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
  bool stopped = false;
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
    stopped = !detail::proceeds(report, result.trials.back());
    return trial;
  };
  try_out(untouched, std::nullopt);
  if (stopped) return;

  Assignment<Candidate> current = untouched;
  for (std::size_t p = 0; p < parts.size(); ++p) current[p] = parts[p].candidates.front();
  CostTrial<Candidate> now = try_out(current, std::nullopt);
  if (stopped) return;
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
    for (std::size_t c = 1; c < parts[p].candidates.size(); ++c) {
      losses[p].push_back(try_out(narrowed(p, c), p).loss);
      if (stopped) return;
    }
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
      if (stopped) return;
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
