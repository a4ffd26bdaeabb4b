// SPDX-License-Identifier: MIT
// The smallest header of {fmt} before ours: formats print, and the program links.
#include <fmt/core.h>

#include <ristretto/any_format.hpp>

int main() {
  fmt::print("{} {:>10}\n", ristretto::DynamicFixedPoint<2, 6>{}, ristretto::AnyFormat::parse("pow2:-3,0"));
}
