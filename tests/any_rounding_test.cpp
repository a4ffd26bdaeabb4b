// SPDX-License-Identifier: MIT
// Roundings chosen at run time: their text form, errors, and the same bits as roundings that are known.
#include "catch.hpp"

#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <ristretto/any_rounding.hpp>
#include <ristretto/span.hpp>

#include "checks.hpp"

namespace {

namespace rt = ristretto;
using rt::AnyRounding;

std::string round_trip(const std::string& text) { return to_string(AnyRounding::parse(text)); }

}  // namespace

TEST_CASE("roundings have a text form that reads back") {
  for (const char* text : {"nearest", "nearest_away", "half_up", "down", "up", "toward_zero", "nearest_exponent",
                           "stochastic:32,seed=0,stream=0", "stochastic:16,seed=18446744073709551615,stream=7"}) {
    CHECK(round_trip(text) == text);
  }
  CHECK(AnyRounding() == AnyRounding(rt::RoundNearest{}));
  CHECK(AnyRounding::parse("stochastic") == AnyRounding(rt::RoundStochastic<32>{}));
  CHECK(AnyRounding::parse("stochastic,seed=1") == AnyRounding(rt::RoundStochastic<32>{{.seed = 1}}));
  CHECK(AnyRounding::parse("stochastic:16,stream=3") == AnyRounding(rt::RoundStochastic<16>{{.stream = 3}}));
  std::ostringstream out;
  out << AnyRounding(rt::RoundHalfUp{});
  CHECK(out.str() == "half_up");
}

TEST_CASE("what is no rounding is refused with those that are") {
  for (const char* text : {"", "even", "nearest ", "stochastic:8",
                           "stochastic:", "stochastic,seed=", "stochastic,seed=-1", "stochastic,stream=1,seed=1",
                           "stochastic:32,seed=1,", "nearest,seed=1", "stochastic,seed=18446744073709551616"}) {
    INFO(text);
    const auto message = checks::message_of<std::invalid_argument>([&] { AnyRounding::parse(text); });
    CHECK(checks::contains(message, "no rounding is called \"" + std::string(text) + "\""));
    CHECK(checks::contains(message, "nearest_away, half_up"));
  }
}

TEST_CASE("a rounding chosen at run time gives the bits of the one that it is") {
  std::vector<float> x;
  checks::Patterns patterns;
  for (int k = 0; k < 5000; ++k) x.push_back((static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1p-20f);
  const auto check = [&](const auto& format, const auto& round) {
    std::vector<float> known(x.size()), chosen(x.size()), both(x.size());
    rt::trim(x, known, rt::Trimmer{format, round}, 77);
    rt::trim(x, chosen, rt::Trimmer{format, AnyRounding(round)}, 77);
    rt::trim(x, both, rt::Trimmer{rt::AnyFormat(format), AnyRounding(round)}, 77);
    std::size_t different = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
      different += !checks::same(known[k], chosen[k]) || !checks::same(known[k], both[k]);
    }
    INFO(to_string(AnyRounding(round)));
    CHECK(different == 0);
  };
  const rt::Float8E4M3FN format;
  check(format, rt::RoundNearest{});
  check(format, rt::RoundNearestAway{});
  check(format, rt::RoundHalfUp{});
  check(format, rt::RoundDown{});
  check(format, rt::RoundUp{});
  check(format, rt::RoundTowardZero{});
  check(format, rt::RoundStochastic<32>{{.seed = 1, .stream = 3}});
  check(format, rt::RoundStochastic<16>{{.seed = 1, .stream = 3}});
  check(rt::PowerOfTwo{-8, 3}, rt::RoundNearestExponent{});
}

TEST_CASE("a rounding that does not go with a format is refused") {
  std::vector<float> x(3);
  const auto message = checks::message_of<std::invalid_argument>(
      [&] { rt::trim(x, rt::Trimmer{rt::AnyFormat(rt::Half{}), AnyRounding(rt::RoundNearestExponent{})}); });
  CHECK(message ==
        "ristretto::trim: RoundNearestExponent does not go with minifloat:10,5; use it with pow2:Min,Max or choose "
        "another rounding");
}

TEST_CASE("a rounding takes the random numbers of another stream, if it has any") {
  const rt::RandomStream stream{.seed = 5, .stream = 6};
  CHECK(AnyRounding(rt::RoundStochastic<16>{}).with(stream) == AnyRounding(rt::RoundStochastic<16>{stream}));
  CHECK(AnyRounding(rt::RoundDown{}).with(stream) == AnyRounding(rt::RoundDown{}));
  CHECK(AnyRounding(rt::RoundStochastic<16>{}).is_stochastic());
  CHECK(!AnyRounding(rt::RoundDown{}).is_stochastic());
}
