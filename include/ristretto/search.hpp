// SPDX-License-Identifier: MIT
// Searches how narrow each part of something may be while a score stays within a margin.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
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

namespace detail {

template <class Candidate>
void check_search(const char* name, std::span<const Part<Candidate>> parts, double margin) {
  for (const auto& part : parts) {
    if (part.candidates.empty()) {
      detail::raise<std::invalid_argument>(std::string(name) + ": part \"" + part.name +
                                           "\" has no candidates; give it at least one");
    }
  }
  if (!(margin >= 0)) {
    detail::raise<std::invalid_argument>(std::string(name) + ": the margin is " + std::to_string(margin) +
                                         "; choose one >= 0");
  }
}

}  // namespace detail

/// Whether the score is the baseline less the margin or more; a loss of just the margin is within it, as decimals go.
inline bool within_margin(double score, double baseline, double margin) {
  return score >= baseline - margin - 1e-12 * std::abs(baseline);
}

/// What a report answers: whether the search goes on.
enum class Proceed { yes, no };

namespace detail {

/// Hands a trial to a report. One that returns nothing lets the search go on.
template <class Report, class Trial>
Proceed hand_to(Report& report, const Trial& trial) {
  using Answer = std::invoke_result_t<Report&, const Trial&>;
  static_assert(std::is_void_v<Answer> || std::is_same_v<Answer, Proceed>,
                "ristretto: a report returns nothing, or ristretto::Proceed::yes or no");
  if constexpr (std::is_same_v<Answer, Proceed>) return report(trial);
  if constexpr (std::is_void_v<Answer>) report(trial);
  return Proceed::yes;
}

/// The steps of ristretto::search.
template <class Candidate, class Score, class Report>
class Search {
 public:
  Search(std::span<const Part<Candidate>> parts, Score& score, double margin, Report& report,
         SearchResult<Candidate>& result)
      : parts_(parts), score_(score), margin_(margin), report_(report), result_(result), level_(parts.size()) {}

  void run() {
    result_ = {};
    result_.alone = result_.assignment = Assignment<Candidate>(parts_.size());
    try_out(result_.assignment, std::nullopt);
    for (std::size_t p = 0; p < parts_.size() && goes_on(); ++p) narrow(p);
    if (goes_on()) combine();
    while (goes_on() && !holds_ && std::any_of(level_.begin(), level_.end(), [](auto l) { return l > 0; })) step_back();
    result_.finished = goes_on();
  }

 private:
  using Levels = std::vector<std::size_t>;

  bool goes_on() const { return proceed_ == Proceed::yes; }

  /// Scores and reports an assignment. The trial stays where it is until the next.
  const Trial<Candidate>& try_out(const Assignment<Candidate>& assignment, std::optional<std::size_t> part) {
    const double value = score_(assignment);
    if (value != value) detail::raise<std::invalid_argument>("ristretto::search: the score is NaN; return a number");
    if (result_.trials.empty()) result_.baseline = result_.score = value;
    result_.trials.push_back({assignment, part, value, within_margin(value, result_.baseline, margin_)});
    proceed_ = hand_to(report_, std::as_const(result_.trials.back()));
    return result_.trials.back();
  }

  Assignment<Candidate> at(const Levels& level) const {
    Assignment<Candidate> assignment(parts_.size());
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      if (level[p] > 0) assignment[p] = parts_[p].candidates[level[p] - 1];
    }
    return assignment;
  }

  /// A part alone, down to its first candidate below the margin.
  void narrow(std::size_t p) {
    for (const Candidate& candidate : parts_[p].candidates) {
      Assignment<Candidate> alone(parts_.size());
      alone[p] = candidate;
      if (!try_out(alone, p).within_margin) return;
      ++level_[p];
      result_.alone[p] = candidate;
      if (!goes_on()) return;
    }
  }
  /// All parts as narrow as each is alone.
  void combine() {
    const Trial<Candidate>& trial = try_out(at(level_), std::nullopt);
    result_.alone_score = trial.score;
    holds_ = trial.within_margin;
    keep_best(trial);
  }
  /// The step back up that gives the best score.
  void step_back() {
    std::optional<std::pair<std::size_t, Trial<Candidate>>> best;
    for (std::size_t p = 0; p < parts_.size() && goes_on(); ++p) {
      if (level_[p] == 0) continue;
      Levels wider = level_;
      --wider[p];
      const Trial<Candidate>& trial = try_out(at(wider), std::nullopt);
      keep_best(trial);
      if (!best || trial.score > best->second.score) best.emplace(p, trial);
    }
    --level_[best->first];
    holds_ = best->second.within_margin;
  }

  void keep_best(const Trial<Candidate>& trial) {
    if (!trial.within_margin || (kept_ && trial.score <= result_.score)) return;
    kept_ = true;
    result_.assignment = trial.assignment;
    result_.score = trial.score;
  }

  std::span<const Part<Candidate>> parts_;
  Score& score_;
  double margin_;
  Report& report_;
  SearchResult<Candidate>& result_;
  Proceed proceed_ = Proceed::yes;
  Levels level_;        // of part p: candidates[level - 1], or untouched at 0
  bool holds_ = false;  // the combination at these levels
  bool kept_ = false;   // the result is a combination
};

}  // namespace detail

/// Narrows parts while the score stays at or above the baseline less `margin` (in the units of the score).
///
/// Each part alone walks down its candidates and stops at the first that falls below the margin (the original's
/// sequence). Then the combination of what each part can bear is scored. While it misses the margin, one part steps
/// back up: the one whose step gives the best score (the first of equals). Every trial is handed to `report` as it is
/// scored; after the answer Proceed::no the search returns, unfinished, with what it has found. Throws
/// std::invalid_argument when a part has no candidate, the margin is negative or a score is NaN.
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
/// The same for callables that may throw: every trial is in `result` at once, which keeps what was found.
template <class Candidate, class Score, class Report>
void search(std::span<const Part<Candidate>> parts, Score score, double margin, Report report,
            SearchResult<Candidate>& result) {
  detail::check_search("ristretto::search", parts, margin);
  detail::Search(parts, score, margin, report, result).run();
}

}  // namespace ristretto

// What this header held before it was split.
#include <ristretto/search_costs.hpp>
