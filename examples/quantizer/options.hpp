// SPDX-License-Identifier: MIT
// How a net is quantized.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quantizer/layer_formats.hpp"
#include "quantizer/net_repair.hpp"

namespace quantizer {

/// What a search by layers makes small.
enum class Cost {
  weight_bits,     // of all weights
  bit_operations,  // multiplies times the bits of both factors
};
const std::map<std::string, Cost>& costs();

/// What stands in results and journals; nothing is opened or computed by it.
struct Labels {
  std::string model{}, weights{};  // files
  std::uint64_t seed = 1;
  int threads = 1;
};

struct Options {
  Rule rule{};
  Repair repair{};
  bool by_layer = false;          // the search
  Cost cost = Cost::weight_bits;  // of the search by layers
  double time_budget = 0;         // seconds of a search by layers; 0: none
  std::string journal{};          // file with the trials of a search by layers; empty: none
  double margin = 2;              // percentage points
  std::vector<int> widths{};      // to try; empty: those of the mode
  std::vector<int> bits{};        // of CONV weights, FC weights, activations; empty: they are searched
  std::optional<int> ends{};      // of the weights of the first and the last layer, beside bits
  bool quiet = false;             // no progress on stderr
  Labels labels{};
};

}  // namespace quantizer
