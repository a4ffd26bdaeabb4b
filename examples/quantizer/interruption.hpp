// SPDX-License-Identifier: MIT
// What ends work early: Ctrl-C, asked for where the work is done, and errors.
#pragma once

#include <atomic>
#include <exception>

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

/// What f throws; null where it comes to its end.
template <class F>
std::exception_ptr thrown_by(F&& f) {
  try {
    f();
    return {};
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace quantizer
