// SPDX-License-Identifier: MIT
// The search of bit widths, over scores whose best assignment is known.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/search.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

using Part = rt::Part<int>;
using Assignment = rt::Assignment<int>;
using Trial = rt::Trial<int>;
using Result = rt::SearchResult<int>;

constexpr std::nullopt_t untouched = std::nullopt;

/// 100 less what each narrow part costs: `cost[p]` for every bit below 16.
struct LinearScore {
  std::vector<double> cost;

  double operator()(const Assignment& assignment) const {
    double score = 100;
    for (std::size_t p = 0; p < cost.size(); ++p) score -= cost[p] * (16 - assignment[p].value_or(16));
    return score;
  }
};

std::string refusal(const std::vector<Part>& parts, double margin, double score = 1) {
  return checks::message_of<std::invalid_argument>(
      [&] { rt::search(parts, [score](const Assignment&) { return score; }, margin); });
}

}  // namespace

TEST_CASE("one part narrows to the last candidate within the margin") {
  const std::vector<Part> parts = {{"weights", {16, 8, 4, 2}}};
  const Result r = rt::search(parts, LinearScore{{1}}, 8.0);
  CHECK(r.baseline == 100);
  CHECK(r.alone == Assignment{8});  // exactly at the margin
  CHECK(r.alone_score == 92);
  CHECK(r.assignment == Assignment{8});
  CHECK(r.score == 92);
}

TEST_CASE("each part stops at its first failure, as in the original, even when a later candidate would hold") {
  std::vector<int> asked;
  const auto score = [&](const Assignment& assignment) {
    if (assignment[0]) asked.push_back(*assignment[0]);
    return assignment[0] == 8 ? 0.0 : 100.0;
  };
  const Result r = rt::search(std::vector{Part{"weights", {16, 8, 4, 2}}}, score, 1.0);
  CHECK(asked == std::vector<int>{16, 8, 16});  // the last one is the combination
  CHECK(r.alone == Assignment{16});
  CHECK(r.assignment == Assignment{16});
}

TEST_CASE("a part that bears no candidate stays as it is") {
  const std::vector<Part> parts = {{"a", {8, 4}}, {"b", {8, 4}}};
  const Result r = rt::search(parts, LinearScore{{1, 0}}, 5.0);
  CHECK(r.alone == Assignment{untouched, 4});
  CHECK(r.assignment == Assignment{untouched, 4});
  CHECK(r.score == 100);
}

TEST_CASE("a combination that misses the margin steps back up, best score first") {
  // Alone, a bears 4 bits (-12) and b 8 bits (-8); together they cost 20. One step up of b gives -12, of a -16.
  const std::vector<Part> parts = {{"a", {16, 12, 8, 4}}, {"b", {16, 8, 2}}};
  const Result r = rt::search(parts, LinearScore{{1, 1}}, 12.0);
  CHECK(r.alone == Assignment{4, 8});
  CHECK(r.alone_score == 80);
  CHECK(r.assignment == Assignment{4, 16});
  CHECK(r.score == 88);
}

TEST_CASE("of equal steps up the first part takes it; stepping up repeats until the margin holds") {
  const std::vector<Part> parts = {{"a", {16, 12, 8}}, {"b", {16, 12, 8}}, {"c", {16, 12, 8}}};
  const Result r = rt::search(parts, LinearScore{{1, 1, 1}}, 8.0);
  CHECK(r.alone == Assignment{8, 8, 8});
  CHECK(r.alone_score == 76);
  CHECK(r.assignment == Assignment{16, 16, 8});
  CHECK(r.score == 92);
}

TEST_CASE("with nothing left to widen, all parts are as they were") {
  // Two parts that hold alone and never together.
  const auto score = [](const Assignment& a) { return a[0] && a[1] ? 0.0 : 100.0; };
  const Result r = rt::search(std::vector{Part{"a", {8}}, Part{"b", {8}}}, score, 1.0);
  CHECK(r.alone == Assignment{8, 8});
  CHECK(r.alone_score == 0);
  CHECK(r.assignment == Assignment{untouched, 8});
  CHECK(r.score == 100);
}

TEST_CASE("every trial is reported in order, with its part and whether it is within the margin") {
  std::vector<std::string> told;
  const auto report = [&](const Trial& trial) {
    std::string text = trial.part ? std::to_string(*trial.part) : "-";
    for (const auto& candidate : trial.assignment) text += candidate ? " " + std::to_string(*candidate) : " .";
    told.push_back(text + (trial.within_margin ? " yes" : " no"));
  };
  const Result r = rt::search(std::vector{Part{"a", {8, 4}}, Part{"b", {8, 4}}}, LinearScore{{1, 1}}, 12.0, report);
  CHECK(told == std::vector<std::string>{"- . . yes", "0 8 . yes", "0 4 . yes", "1 . 8 yes", "1 . 4 yes", "- 4 4 no",
                                         "- 8 4 no", "- 4 8 no", "- . 4 yes", "- 8 8 no"});
  CHECK(r.assignment == Assignment{untouched, 4});
  REQUIRE(r.trials.size() == told.size());
  CHECK(r.trials[0].score == 100);
  CHECK(r.trials[5].score == 76);
  CHECK(r.trials[5].assignment == Assignment{4, 4});
}

TEST_CASE("a margin of zero accepts what costs nothing; better scores are welcome") {
  const std::vector<Part> parts = {{"a", {8, 4}}};
  CHECK(rt::search(parts, LinearScore{{0}}, 0.0).assignment == Assignment{4});
  CHECK(rt::search(parts, LinearScore{{1}}, 0.0).assignment == Assignment{untouched});
  CHECK(rt::search(parts, LinearScore{{-1}}, 0.0).score == 112);
  CHECK(rt::search(parts, LinearScore{{9}}, std::numeric_limits<double>::infinity()).assignment == Assignment{4});
}

TEST_CASE("a loss of just the margin is within it, as decimals go") {
  CHECK(0.4826 < 0.5 - 0.0174);  // as doubles are rounded
  CHECK(rt::within_margin(0.4826, 0.5, 0.0174));
  CHECK(rt::within_margin(-0.5174, -0.5, 0.0174));
  CHECK(!rt::within_margin(0.4826 - 1e-10, 0.5, 0.0174));
  CHECK(!rt::within_margin(0.4825, 0.5, 0.0174));
  CHECK(rt::within_margin(0, 0, 0));
  CHECK(!rt::within_margin(std::numeric_limits<double>::quiet_NaN(), 0.5, 1));
}

TEST_CASE("no parts: the baseline is the result") {
  const Result r = rt::search(std::vector<Part>{}, [](const Assignment&) { return 3.0; }, 0.0);
  CHECK(r.assignment.empty());
  CHECK(r.score == 3);
}

TEST_CASE("a score that throws leaves what each part can bear so far and every trial before it") {
  const std::vector<Part> parts = {{"a", {16, 8, 4}}};
  const auto score = [](const Assignment& a) {
    if (a[0] == 4) throw std::runtime_error("out of memory");
    return LinearScore{{1}}(a);
  };
  Result r;
  const auto run = [&] { rt::search(std::span<const Part>(parts), score, 10.0, [](const Trial&) {}, r); };
  CHECK(checks::message_of<std::runtime_error>(run) == "out of memory");
  CHECK(r.baseline == 100);
  CHECK(r.trials.size() == 3);
  CHECK(r.alone == Assignment{8});
  CHECK(r.assignment == Assignment{untouched});  // no combination was scored
  CHECK(r.score == 100);
  CHECK(!r.alone_score);
  CHECK(!r.finished);
}

TEST_CASE("a search that is stopped while it steps back up keeps the best combination that holds the margin") {
  // Together they miss the margin; one step up either way holds it, the first better than the second.
  const std::vector<Part> parts = {{"a", {8, 4}}, {"b", {8, 4}}};
  const auto score = [](const Assignment& a) {
    const int bits = a[0].value_or(32) * 100 + a[1].value_or(32);
    return bits == 404 ? 80.0 : bits == 804 ? 99.0 : bits == 408 ? 95.0 : 100.0;
  };
  Result r;
  const auto stop = [](const Trial& trial) {
    if (trial.score == 95) throw std::runtime_error("interrupted");
  };
  const auto run = [&] { rt::search(std::span<const Part>(parts), score, 10.0, stop, r); };
  CHECK(checks::message_of<std::runtime_error>(run) == "interrupted");
  CHECK(r.alone_score == 80);
  CHECK(r.assignment == Assignment{8, 4});
  CHECK(r.score == 99);
  CHECK(!r.finished);
  CHECK(rt::search(parts, score, 10.0).finished);
}

TEST_CASE("a report that throws stops the search and keeps the trial it was told of") {
  const std::vector<Part> parts = {{"a", {16, 8, 4}}};
  Result r;
  r.trials.resize(7);  // what an earlier search left is cleared
  const auto stop = [](const Trial& trial) {
    if (trial.assignment[0] == 8) throw std::runtime_error("interrupted");
  };
  const auto run = [&] { rt::search(std::span<const Part>(parts), LinearScore{{1}}, 10.0, stop, r); };
  CHECK(checks::message_of<std::runtime_error>(run) == "interrupted");
  CHECK(r.trials.size() == 3);
  CHECK(r.alone == Assignment{16});
  CHECK(r.assignment == Assignment{untouched});
}

TEST_CASE("a report that answers no ends the search after its trial, and keeps what was found") {
  const std::vector<Part> parts = {{"a", {8, 4}}, {"b", {8, 4}}};
  const auto search = [&](std::size_t trials) {
    std::size_t told = 0;
    const auto report = [&](const Trial&) { return ++told < trials ? rt::Proceed::yes : rt::Proceed::no; };
    const Result r = rt::search(parts, LinearScore{{1, 1}}, 12.0, report);
    CHECK(told == r.trials.size());
    return r;
  };
  const Result whole = search(1000);  // float, a8, a4, b8, b4, together, a up, b up, a up twice, both up
  REQUIRE(whole.trials.size() == 10);
  CHECK(whole.finished);
  for (std::size_t trials = 1; trials <= 10; ++trials) {
    const Result r = search(trials);
    CAPTURE(trials);
    CHECK(!r.finished);
    CHECK(r.trials.size() == trials);
    CHECK(r.baseline == 100);
    CHECK(r.alone == Assignment{trials < 2   ? untouched
                                : trials < 3 ? std::optional(8)
                                             : 4,
                                trials < 4   ? untouched
                                : trials < 5 ? std::optional(8)
                                             : 4});
    CHECK(r.alone_score.has_value() == (trials >= 6));
    CHECK(r.assignment == (trials < 9 ? Assignment{untouched, untouched} : whole.assignment));
    CHECK(r.score == (trials < 9 ? 100 : whole.score));
  }
}

TEST_CASE("candidates may be anything that the score understands") {
  const std::vector<rt::Part<std::string>> parts = {{"a", {"wide", "narrow"}}};
  const auto score = [](const rt::Assignment<std::string>& a) { return a[0] == "narrow" ? 1.0 : 2.0; };
  CHECK(rt::search(parts, score, 0.5).assignment == rt::Assignment<std::string>{"wide"});
}

TEST_CASE("what cannot be searched is refused with the thing, the value and the remedy") {
  const std::vector<Part> parts = {{"conv", {8}}, {"fc", {}}};
  CHECK(refusal(parts, 1) == "ristretto::search: part \"fc\" has no candidates; give it at least one");
  CHECK(refusal({{"conv", {8}}}, -1) == "ristretto::search: the margin is -1.000000; choose one >= 0");
  CHECK(checks::contains(refusal({{"conv", {8}}}, std::numeric_limits<double>::quiet_NaN()), "the margin is nan"));
  CHECK(refusal({{"conv", {8}}}, 1, std::numeric_limits<double>::quiet_NaN()) ==
        "ristretto::search: the score is NaN; return a number");
}
