// SPDX-License-Identifier: MIT
// One translation unit of a program whose parts are compiled for different instruction sets.
#pragma once

#include <cstddef>
#include <span>

struct ArchSide {
  const char* name;
  std::size_t lanes;                      ///< floats in a batch that this part was compiled for
  std::size_t (*lanes_in_shared_code)();  ///< the same, seen from inside a template that every part instantiates
  void (*trim)(std::span<float>);         ///< to 8-bit fixed point, stochastically
};

extern const ArchSide baseline_side, avx2_side, avx512_side;
