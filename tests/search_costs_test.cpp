// SPDX-License-Identifier: MIT
// The search under a cost, over losses whose optimum is known.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ristretto/search_costs.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

using Part = rt::Part<int>;
using Assignment = rt::Assignment<int>;
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

TEST_CASE("a report that answers no ends the search under a cost after its trial, with the best so far") {
  const auto search = [](std::size_t trials) {
    std::size_t told = 0;
    const auto report = [&](const CostTrial&) { return ++told < trials ? rt::Proceed::yes : rt::Proceed::no; };
    const CostResult r = rt::search_costs(layers(3), Divergence{{64, 1, 16}}, Bits{{3, 2, 1}}, 0.1, report);
    CHECK(told == r.trials.size());
    return r;
  };
  const CostResult whole = search(1000);
  CHECK(whole.finished);
  const std::size_t all = whole.trials.size();
  REQUIRE(all > 25);  // in float, widest, 18 alone, and the walk
  for (std::size_t trials = 1; trials <= all; ++trials) {
    const CostResult r = search(trials);
    CHECK(!r.finished);
    REQUIRE(r.trials.size() == trials);
    const CostTrial* best = &whole.trials[0];
    for (std::size_t k = 0; k < trials; ++k) {
      CHECK(r.trials[k].assignment == whole.trials[k].assignment);
      if (whole.trials[k].within_margin && whole.trials[k].cost < best->cost) best = &whole.trials[k];
    }
    CHECK(r.assignment == best->assignment);
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
