// SPDX-License-Identifier: MIT
// libFuzzer's entry to one reader, which FUZZ_READER names.
#include <cstddef>
#include <cstdint>

#include "readers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FUZZ_READER({data, size});
  return 0;
}
