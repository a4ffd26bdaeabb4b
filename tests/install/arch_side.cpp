// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, with SIDE as the name of its part.
#include "arch_side.hpp"

#include <ristretto/range.hpp>
#include <ristretto/shadow.hpp>
#include <ristretto/span.hpp>
#if defined(WITH_THRUST)
#include <ristretto/thrust.hpp>
#endif

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

namespace {

constexpr std::size_t batch_floats = sizeof(xsimd::batch<float>) / sizeof(float);

}  // namespace

/// As the library's kernels: a template over the architecture, not inlined.
template <class Arch = ristretto::DefaultArch>
[[gnu::noinline]] std::size_t lanes_of() {
  return xsimd::batch<float, Arch>::size;
}

constinit const ArchSide SIDE{
    STRING(SIDE), batch_floats, [] { return lanes_of(); },
    [](std::span<float> x) {
      const ristretto::RoundStochastic<> round{{.seed = 1, .stream = 2}};
      ristretto::trim(x, ristretto::Trimmer{ristretto::DynamicFixedPoint<2, 6>{}, round});
      ristretto::trim(x, ristretto::Trimmer{ristretto::AnyFormat::parse("minifloat:2,3")});
      const ristretto::ShadowWeights shadow(x, 1, 2);
      shadow.trim_step(3, x, ristretto::AnyFormat::parse("fixed:2,4"));
      ristretto::Range range;
      range.observe(x);
      shadow.trim_final(x, ristretto::choose<ristretto::DynamicFixedPoint<>>(4, range));
#if defined(WITH_THRUST)
      ristretto::trim(thrust::host, x, ristretto::Trimmer{ristretto::AnyFormat::parse("minifloat:1,2,finite")});
#endif
    }};
