// SPDX-License-Identifier: MIT
// Names of choices on command lines and in results.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include <ristretto/range.hpp>

namespace quantizer {

inline const std::map<std::string, ristretto::RangeRule> range_rules{
    {"max_abs", ristretto::RangeRule::max_abs},
    {"percentile", ristretto::RangeRule::percentile},
    {"min_mse", ristretto::RangeRule::min_mse},
    {"ristretto2016", ristretto::RangeRule::ristretto2016}};

/// The name of a value that has one.
template <class Value>
std::string name_of(const std::map<std::string, Value>& names, Value value) {
  return std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.second == value; })->first;
}

}  // namespace quantizer
