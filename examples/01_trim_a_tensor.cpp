// SPDX-License-Identifier: MIT
// Trims one tensor to three formats and measures what that did.
#include <span>

#include <fmt/core.h>

#include <ristretto/quantize.hpp>

namespace rt = ristretto;

namespace {

void show(const char* name, const Eigen::ArrayXf& x) {
  fmt::print("{:<26}", name);
  for (const float value : x) fmt::print("{:>11.6g}", value);
  fmt::print("\n");
}

std::span<const float> elements(const Eigen::ArrayXf& x) { return {x.data(), static_cast<std::size_t>(x.size())}; }

/// Trims a copy of x, prints it and how far it is from x.
template <rt::Format F>
void trim_and_measure(const Eigen::ArrayXf& x, const F& format) {
  Eigen::ArrayXf trimmed;
  rt::trim(x, trimmed, rt::Trimmer{format});
  show(rt::to_string(format).c_str(), trimmed);

  const rt::Measurement m = rt::measure(elements(x), elements(trimmed), format);
  fmt::print("{:<26}{} bits, SQNR {:.1f} dB, {} saturated, {} flushed to zero\n", "", format.bits(), m.sqnr_db(),
             m.saturated, m.flushed);
}

}  // namespace

int main() {
  const Eigen::ArrayXf x{{0.3f, -0.7f, 1.25f, 0.004f, -2.5f, 1.9999f}};
  show("float", x);
  trim_and_measure(x, rt::DynamicFixedPoint<2, 6>{});  // multiples of 1/64 from -2 to 2 - 1/64
  trim_and_measure(x, rt::Float8E4M3FN{});             // 3 mantissa bits, 4 exponent bits
  trim_and_measure(x, rt::PowerOfTwo<-8, -1>{});       // signs and shifts: no multiplier needed

  // A Trimmer is a function of one number: it works lazily in Eigen's expressions, and at compile time.
  constexpr rt::Trimmer to_q2_6{rt::DynamicFixedPoint<2, 6>{}};
  static_assert(to_q2_6(0.3f) == 0.296875f);
  const Eigen::ArrayXf lazy = (2 * x).unaryExpr(to_q2_6);
  show("fixed:2,6 of 2 x", lazy);

  // In place, and one column of a matrix alone.
  Eigen::MatrixXf m = x.matrix() * Eigen::RowVector2f(1, 1);
  rt::trim(m.col(1), to_q2_6);
  show("column 0", m.col(0));
  show("column 1, trimmed", m.col(1));
}
