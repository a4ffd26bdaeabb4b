// SPDX-License-Identifier: MIT
// Tensors such as networks have them, their ranges, and what trimming costs them.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <ristretto/range.hpp>
#include <ristretto/span.hpp>

namespace checks {

inline ristretto::Range range_of(std::span<const float> x) {
  ristretto::Range range;
  range.observe(x);
  return range;
}
inline ristretto::Range range_of(std::initializer_list<float> x) {
  return range_of(std::span<const float>(x.begin(), x.size()));
}

/// A tensor such as networks have them.
struct Data {
  std::string name;
  std::vector<float> x;
};

inline std::vector<Data> real_looking_data(double scale, std::size_t n = 4096) {
  std::mt19937 bits(7);
  const auto uniform = [&] { return (static_cast<double>(bits()) + 0.5) * 0x1p-32; };
  const auto normal = [&] { return std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()); };
  const auto laplace = [&] { return std::log(uniform()) * (uniform() < 0.5 ? 1 : -1); };
  std::vector<Data> all = {{"normal", {}}, {"Laplace", {}}, {"uniform", {}}, {"after a ReLU", {}}};
  for (std::size_t k = 0; k < n; ++k) {
    all[0].x.push_back(static_cast<float>(scale * normal()));
    all[1].x.push_back(static_cast<float>(scale * laplace()));
    all[2].x.push_back(static_cast<float>(scale * (2 * uniform() - 1)));
    all[3].x.push_back(static_cast<float>(scale * std::max(0.0, normal())));
  }
  return all;
}

template <class F>
double squared_error(std::span<const float> x, const F& format) {
  std::vector<float> trimmed(x.size());
  ristretto::trim(x, std::span<float>(trimmed), ristretto::Trimmer{format});
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double error = static_cast<double>(trimmed[k]) - static_cast<double>(x[k]);
    sum += error * error;
  }
  return sum;
}

}  // namespace checks
