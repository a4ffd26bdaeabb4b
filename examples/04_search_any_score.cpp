// SPDX-License-Identifier: MIT
// Searches the bit widths of a low-pass filter: any score will do, it need not come from a network.
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include <fmt/core.h>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;
using Signal = std::vector<float>;

/// x in the fixed-point format of this width that suits it; x as it is without a width.
static Signal trimmed(Signal x, std::optional<int> bits) {
  if (!bits) return x;
  rt::Range range;
  range.observe(x);
  rt::trim(std::span(x), rt::Trimmer{rt::choose<rt::DynamicFixedPoint<>>(*bits, range)});
  return x;
}

static Signal filter(const Signal& coefficients, const Signal& samples) {
  Signal out;
  for (std::size_t k = coefficients.size() - 1; k < samples.size(); ++k) {
    double sum = 0;
    for (std::size_t t = 0; t < coefficients.size(); ++t) sum += double{coefficients[t]} * double{samples[k - t]};
    out.push_back(static_cast<float>(sum));
  }
  return out;
}

int main() {
  const Signal coefficients = {0.0089f, 0.0491f, 0.1241f, 0.2012f, 0.2334f, 0.2012f, 0.1241f, 0.0491f, 0.0089f};
  Signal samples;
  for (int k = 0; k < 2000; ++k) samples.push_back(static_cast<float>(k * k % 251) / 125.5f - 1);
  const Signal exact = filter(coefficients, samples);

  // Nothing here but the score knows what a part is: SQNR in dB of the filtered signal, at most 80.
  const auto score = [&](const rt::Assignment<int>& bits) {
    const Signal out = trimmed(filter(trimmed(coefficients, bits[0]), trimmed(samples, bits[1])), bits[2]);
    return std::min(80.0, rt::measure(exact, out).sqnr_db());
  };
  const auto report = [](const rt::Trial<int>& trial) {
    for (const auto& bits : trial.assignment) fmt::print("{:>13}", bits ? fmt::format("{} bits", *bits) : "float");
    fmt::print("{:9.1f} dB{}\n", trial.score, trial.within_margin ? "" : ", too low");
  };

  std::vector<rt::Part<int>> parts;
  for (const char* name : {"coefficients", "samples", "output"}) parts.push_back({name, {16, 12, 10, 8, 6}});
  for (const auto& part : parts) fmt::print("{:>13}", part.name);
  fmt::print("\n");
  const auto found = rt::search(parts, score, /*margin in dB=*/40, report);
  fmt::print("\nthe narrowest of each together {:.1f} dB; found {:.1f} dB with", *found.alone_score, found.score);
  for (const auto& bits : found.assignment) fmt::print(" {}", *bits);
  fmt::print(" bits\n");
}
