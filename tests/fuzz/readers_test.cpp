// SPDX-License-Identifier: MIT
// The readers of the fuzzers on good files, cut and damaged ones: a short look with every compiler.
#include "readers.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "seeds.hpp"

namespace {

fuzz::Bytes bytes(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace

TEST_CASE("readers take good, cut and damaged files") {
  const auto seeds = fuzz::all_seeds();
  for (const fuzz::Reader& reader : fuzz::readers) {
    REQUIRE(seeds.contains(reader.name));
    std::minstd_rand random(1);
    for (const std::string& seed : seeds.at(reader.name)) {
      INFO(reader.name << " " << &seed - seeds.at(reader.name).data());
      CHECK(reader.read(bytes(seed)));
      const std::size_t step = 1 + seed.size() / 100;
      for (std::size_t size = 0; size < seed.size(); size += step) reader.read(bytes(seed.substr(0, size)));
      for (int trial = 0; trial < 100; ++trial) {
        std::string damaged = seed;
        for (int i = 0; i <= trial % 4; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
        reader.read(bytes(damaged));
      }
    }
  }
}
