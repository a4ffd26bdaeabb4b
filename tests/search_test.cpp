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

namespace {

using CostTrial = rt::CostTrial<int>;
using CostResult = rt::CostResult<int>;

/// Bits, each part's times its size.
struct Bits {
  std::vector<double> size;

  double operator()(const Assignment& assignment) const {
    double bits = 0;
    for (std::size_t p = 0; p < size.size(); ++p) bits += size[p] * assignment[p].value_or(32);
    return bits;
  }
};

/// Additive losses: of part p at `bits` it is sensitivity[p] * 4^-bits.
struct Divergence {
  std::vector<double> sensitivity;

  double operator()(const Assignment& assignment) const {
    double score = 0;
    for (std::size_t p = 0; p < sensitivity.size(); ++p) {
      if (assignment[p]) score -= sensitivity[p] * std::pow(0.25, *assignment[p]);
    }
    return score;
  }
};

std::vector<Part> layers(std::size_t count) {
  std::vector<Part> parts;
  for (std::size_t p = 0; p < count; ++p) parts.push_back({"layer " + std::to_string(p), {8, 7, 6, 5, 4, 3, 2}});
  return parts;
}

}  // namespace

TEST_CASE("under a cost, parts get the bits that they are worth: the optimum of an additive loss") {
  // With loss sum s_p 4^-b_p and cost sum b_p, steps along the best gain per cost are optimal: the greatest loss next.
  const Divergence score{{64, 1, 16, 4, 256}};
  const Bits cost{{1, 1, 1, 1, 1}};
  for (const double margin : {0.006, 0.05, 1.0, 20.0}) {
    const CostResult r = rt::search_costs(layers(5), score, cost, margin);
    CHECK(r.finished);
    CHECK(r.score >= -margin);
    CHECK(r.score == score(r.assignment));
    CHECK(r.cost == cost(r.assignment));
    double least = 1000;  // of all assignments
    for (int code = 0; code < 7 * 7 * 7 * 7 * 7; ++code) {
      Assignment a;
      for (int p = 0, rest = code; p < 5; ++p, rest /= 7) a.push_back(2 + rest % 7);
      if (score(a) >= -margin) least = std::min(least, cost(a));
    }
    CAPTURE(margin);
    CHECK(r.cost == least);
  }
}

TEST_CASE("sizes count: a large part gives its bits before a small one of the same sensitivity") {
  const CostResult r = rt::search_costs(layers(2), Divergence{{1, 1}}, Bits{{100, 1}}, 0.005);
  CHECK(*r.assignment[0] < *r.assignment[1]);
  CHECK(r.cost < 100 * 5 + 9);
}

TEST_CASE("of parts that lose nothing, the one that saves most goes first") {
  const std::vector<Part> parts{{"a", {8, 4, 2}}, {"small", {8, 4}}, {"large", {8, 4}}};
  const auto score = [](const Assignment& a) { return a[0] == 2 && a[1] == 4 && a[2] == 4 ? -1.0 : 0.0; };
  const CostResult r = rt::search_costs(parts, score, Bits{{10, 1, 1000}}, 0.5);
  CHECK(r.assignment == Assignment{2, 8, 4});
}

TEST_CASE("a loss that is finer than the score decides the order, and the score what holds") {
  const auto score = [](const Assignment& a) {
    const double lost = Divergence{{16, 1}}(a);
    return rt::Worth(lost < -0.02 ? 0.0 : 1.0, -lost);
  };
  const CostResult r = rt::search_costs(layers(2), score, Bits{{1, 1}}, 0.5);
  CHECK(r.score == 1);
  CHECK(r.assignment == Assignment{5, 4});  // 1/64 + 1/256 is 0.0195
}

TEST_CASE("a miss that is noise does not end the search under a cost, up to twice the margin") {
  // Scores of so many steps, by any parts; loss is smooth.
  const auto search = [](std::vector<double> scores) {
    return rt::search_costs(
        std::vector<Part>{{"a", {8, 7, 6}}, {"b", {8, 7, 6}}},
        [&](const Assignment& a) {
          const int steps = a[0] ? 16 - *a[0] - *a[1] : 0;
          return rt::Worth(scores.at(static_cast<std::size_t>(steps)), steps);
        },
        Bits{{2, 1}}, 1);
  };
  CHECK(search({0, -0.4, -1.3, -0.7, -3}).assignment == Assignment{6, 7});
  CHECK(search({0, -0.4, -1.3, -1.9, -0.9}).assignment == Assignment{6, 6});
  CHECK(search({0, -0.4, -2.1, -0.7, -0.7}).assignment == Assignment{7, 8});
  CHECK(search({0, -0.4, -0.8, -1.2, -1.2}).assignment == Assignment{6, 8});
  CHECK(search({0, 0, 0, 0, 0}).assignment == Assignment{6, 6});

  // What was missed last stays, and the others are narrowed as far as they hold.
  std::vector<Assignment> tried;
  const CostResult r = rt::search_costs(
      std::vector<Part>{{"a", {8, 4}}, {"b", {8, 4}}},
      [&](const Assignment& a) {
        tried.push_back(a);
        return a[0] == 4 ? rt::Worth(-5, 1) : rt::Worth(0, a[1] == 4 ? 1 : 0);
      },
      Bits{{2, 1}}, 1);
  CHECK(r.assignment == Assignment{8, 4});
  CHECK(tried.size() == 6);  // in float, widest, each alone, a, b

  // The step that left the margin is taken back, not the one that went too far.
  const CostResult back = rt::search_costs(
      std::vector<Part>{{"a", {8, 4}}, {"b", {8, 4}}, {"c", {8, 4}}},
      [](const Assignment& a) { return rt::Worth((a[0] == 4 ? -1.5 : 0) + (a[1] == 4 ? -1.0 : 0), 0); },
      Bits{{4, 2, 1}}, 1);
  CHECK(back.assignment == Assignment{8, 4, 4});

  // A trial that loses more than what missed twice the margin holds by chance: it is not the best, alone or together.
  for (const int stop : {5, 8, 100}) {
    CostResult chance;
    const auto search_chance = [&] {
      rt::search_costs(
          std::span<const Part>(std::vector<Part>{{"a", {8, 4}}, {"b", {8, 4}}, {"c", {8, 4}}, {"d", {8, 4}}}),
          [&](const Assignment& a) {
            if (static_cast<int>(chance.trials.size()) == stop) throw std::runtime_error("time is up");
            const auto narrow = [&](std::size_t p) { return a[p] == 4 ? 1 : 0; };
            return rt::Worth(-5 * narrow(0), 3 * narrow(0) + 4 * narrow(1) + narrow(2) + narrow(3));
          },
          Bits{{4, 3, 0.1, 0.1}}, 1, [](const CostTrial&) {}, chance);
    };
    if (stop == 100) {
      search_chance();
    } else {
      CHECK_THROWS_AS(search_chance(), std::runtime_error);
    }
    CHECK(chance.finished == (stop == 100));
    // b alone, until a has missed; then c, which was tried alone; then c and d, together without b.
    CHECK(chance.assignment == (stop == 5   ? Assignment{8, 4, 8, 8}
                                : stop == 8 ? Assignment{8, 8, 4, 8}
                                            : Assignment{8, 8, 4, 4}));
  }

  // What missed may lose less than what it goes on from.
  const CostResult less = rt::search_costs(
      std::vector<Part>{{"a", {8, 4}}, {"b", {8, 4}}},
      [](const Assignment& a) {
        if (a[1] == 4) return a[0] == 4 ? rt::Worth(-5, 2) : rt::Worth(-5, 1);
        return a[0] == 4 ? rt::Worth(0, 3) : rt::Worth(0, 0);
      },
      Bits{{100, 1}}, 1);
  CHECK(less.assignment == Assignment{4, 8});
}

TEST_CASE("the search under a cost reports in order, and keeps the best when it is stopped") {
  const Divergence score{{64, 1, 16}};
  const Bits cost{{3, 2, 1}};
  std::vector<double> costs;
  CostResult whole, stopped;
  rt::search_costs(
      std::span<const Part>(layers(3)), score, cost, 0.1, [&](const CostTrial& t) { costs.push_back(t.cost); }, whole);
  CHECK(costs.size() == whole.trials.size());
  CHECK(!whole.trials[0].assignment[0].has_value());
  CHECK(whole.trials[1].assignment == Assignment{8, 8, 8});
  CHECK(whole.trials[2].part == 0);
  struct Stop {};
  for (const std::size_t after : {1u, 2u, 5u, 20u}) {
    CHECK_THROWS_AS(rt::search_costs(
                        std::span<const Part>(layers(3)), score, cost, 0.1,
                        [&](const CostTrial&) {
                          if (stopped.trials.size() == after) throw Stop{};
                        },
                        stopped),
                    Stop);
    CHECK(!stopped.finished);
    CHECK(stopped.trials.size() == after);
    double cheapest = cost(Assignment(3));
    for (const CostTrial& t : stopped.trials) cheapest = t.within_margin ? std::min(cheapest, t.cost) : cheapest;
    CHECK(stopped.cost == cheapest);
  }
}

TEST_CASE("what nothing can narrow stays as it is") {
  const CostResult r = rt::search_costs(layers(2), Divergence{{1e9, 1e9}}, Bits{{1, 1}}, 0.1);
  CHECK(r.finished);
  CHECK(r.assignment == Assignment(2));
  CHECK(r.trials.size() == 2);
  CHECK(r.cost == 64);
  // Where cost has nothing to gain it does not narrow.
  CHECK(rt::search_costs(layers(1), Divergence{{0}}, [](const Assignment&) { return 1.0; }, 1.0).trials.size() == 8);
}

TEST_CASE("the front holds what no trial beats") {
  std::vector<CostTrial> trials;
  for (const auto& [cost, score] :
       std::vector<std::pair<double, double>>{{5, 3}, {1, 1}, {5, 4}, {2, 0.5}, {3, 3}, {1, 1}, {9, 4}, {7, 6}}) {
    trials.push_back({{}, {}, score, -score, cost, true});
  }
  CHECK(rt::pareto_front(std::span<const CostTrial>(trials)) == std::vector<std::size_t>{1, 4, 2, 7});
  CHECK(rt::pareto_front(std::span<const CostTrial>()).empty());
}

TEST_CASE("the search under a cost refuses what is not finite") {
  const auto refusal_of = [](double score, double cost) {
    return checks::message_of<std::invalid_argument>([&] {
      rt::search_costs(layers(1), [&](const Assignment&) { return score; }, [&](const Assignment&) { return cost; }, 1);
    });
  };
  CHECK(checks::contains(refusal_of(std::numeric_limits<double>::quiet_NaN(), 1), "score is nan"));
  CHECK(checks::contains(refusal_of(std::numeric_limits<double>::infinity(), 1), "score is inf"));
  CHECK(checks::contains(refusal_of(1, std::numeric_limits<double>::quiet_NaN()), "cost is nan"));
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([] {
                           rt::search_costs(
                               layers(1), [](const Assignment&) { return rt::Worth(1, HUGE_VAL); }, Bits{{1}}, 1);
                         }),
                         "loss is inf"));
  CHECK(checks::contains(checks::message_of<std::invalid_argument>(
                             [] { rt::search_costs(std::vector<Part>{{"fc", {}}}, Divergence{{1}}, Bits{{1}}, 1); }),
                         "ristretto::search_costs: part \"fc\""));
}
