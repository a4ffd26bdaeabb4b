// SPDX-License-Identifier: MIT
// Searches how narrow each part of something may be while a score stays within a margin.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/config.hpp>

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

namespace detail {

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
/// scored, and is in `result` at once; when `score` or `report` throws, for instance to stop a long search, `result`
/// keeps what was found. Throws std::invalid_argument when a part has no candidate, the margin is negative or a score
/// is NaN.
template <class Candidate, class Score, class Report>
void search(std::span<const Part<Candidate>> parts, Score score, double margin, Report report,
            SearchResult<Candidate>& result) {
  detail::check_search("ristretto::search", parts, margin);
  const Assignment<Candidate> untouched(parts.size());
  result = SearchResult<Candidate>{};
  result.alone = result.assignment = untouched;

  const auto try_out = [&](const Assignment<Candidate>& assignment, std::optional<std::size_t> part) {
    const double value = score(assignment);
    if (value != value) throw std::invalid_argument("ristretto::search: the score is NaN; return a number");
    if (result.trials.empty()) result.baseline = result.score = value;
    result.trials.push_back({assignment, part, value, ristretto::within_margin(value, result.baseline, margin)});
    report(result.trials.back());
    return result.trials.back();
  };
  try_out(untouched, std::nullopt);

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
      if (!trial.within_margin) break;
      ++level[p];
      result.alone[p] = candidate;
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
  while (!current.within_margin && std::any_of(level.begin(), level.end(), [](std::size_t l) { return l > 0; })) {
    std::optional<Trial<Candidate>> best;
    std::size_t best_part = 0;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (level[p] == 0) continue;
      auto wider = level;
      --wider[p];
      auto trial = try_out(combine(wider), std::nullopt);
      keep_best(trial);
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

}  // namespace ristretto

// What this header held before it was split.
#include <ristretto/search_costs.hpp>
