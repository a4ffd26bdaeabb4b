// SPDX-License-Identifier: MIT
// Ctrl-C, asked for where the work is done.
#pragma once

#include <atomic>

namespace quantizer {

/// Set by Ctrl-C.
inline std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag = false;
  return flag;
}
struct Interrupted {};
inline void stop_if_interrupted() {
  if (interrupted()) throw Interrupted{};
}

}  // namespace quantizer
