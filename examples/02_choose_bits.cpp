// SPDX-License-Identifier: MIT
// Observes data as it streams by, then chooses formats for several bit widths and rules, and compares their SQNR.
#include <cstdint>
#include <span>
#include <vector>

#include <fmt/core.h>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;

namespace {

/// Bell-shaped numbers, the same on any machine: the sum of twelve uniform draws has variance 1.
std::vector<float> bell_shaped(std::size_t n) {
  constexpr rt::RandomStream random{.seed = 1};
  std::vector<float> x(n);
  for (std::size_t k = 0; k < n; ++k) {
    std::uint32_t sum = 0;
    for (std::size_t draw = 0; draw < 12; ++draw) sum += random.half(12 * k + draw);
    x[k] = static_cast<float>(sum) * 0x1p-16f - 6;
  }
  return x;
}

/// Prints the format of family F that the rule chooses, and the SQNR of x in it.
template <class F>
void show(int bits, rt::RangeRule rule, const rt::Range& range, std::span<const float> x) {
  const F format = rt::choose<F>(bits, range, {.rule = rule, .share = 0.99});
  std::vector<float> trimmed(x.size());
  rt::trim(x, std::span(trimmed), rt::Trimmer{format});
  fmt::print("{:>16} {:4.1f}", rt::to_string(format), rt::measure(x, trimmed, format).sqnr_db());
}

}  // namespace

int main() {
  const std::vector<float> x = bell_shaped(100'000);

  rt::Range range;  // bounded memory: piece by piece, in any order
  for (std::size_t k = 0; k < x.size(); k += 1000) range.observe(std::span(x).subspan(k, 1000));
  fmt::print("{} values from {:.3f} to {:.3f}; 99 % of the magnitudes are at most {:.2f}\n\n", range.count(),
             range.min(), range.max(), range.magnitude_quantile(0.99));

  fmt::print("{:>4}{:>21}{:>21}{:>21}{:>21}\n", "bits", "max_abs   dB", "99 percent   dB", "min_mse   dB",
             "min_mse   dB");
  for (const int bits : {16, 12, 8, 6, 4, 3}) {
    fmt::print("{:>4}", bits);
    show<rt::DynamicFixedPoint<>>(bits, rt::RangeRule::max_abs, range, x);
    show<rt::DynamicFixedPoint<>>(bits, rt::RangeRule::percentile, range, x);
    show<rt::DynamicFixedPoint<>>(bits, rt::RangeRule::min_mse, range, x);
    show<rt::Minifloat<>>(bits, rt::RangeRule::min_mse, range, x);
    fmt::print("\n");
  }
}
