// SPDX-License-Identifier: MIT
// Loops over chunks of work. What is a chunk never depends on the number of threads, so results do not either.
#pragma once

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "cnn/tensor.hpp"

namespace cnn {

/// Number of threads a parallel loop may use; 1 without OpenMP.
inline int workers() noexcept {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Lets parallel loops use so many threads, 0: one per core. Returns their number.
inline int set_workers([[maybe_unused]] int count) noexcept {
#ifdef _OPENMP
  omp_set_num_threads(count > 0 ? count : omp_get_num_procs());
#endif
  return workers();
}

/// Calls body(i, worker) for each i in [0, count), in any order; worker in [0, workers()) owns its scratch memory. The
/// body must not throw. On a machine that others use, too, OMP_WAIT_POLICY=passive keeps the threads from spinning.
template <class F>
void parallel_for(Index count, F&& body) {
#ifdef _OPENMP
  if (count > 1) {
#pragma omp parallel for schedule(dynamic)
    for (Index i = 0; i < count; ++i) body(i, omp_get_thread_num());
    return;
  }
#endif
  for (Index i = 0; i < count; ++i) body(i, 0);
}

/// Calls body(first, count) for blocks of at most `block` that together cover [0, size).
template <class F>
void parallel_blocks(Index size, Index block, F&& body) {
  parallel_for((size + block - 1) / block, [&](Index i, int) { body(i * block, std::min(block, size - i * block)); });
}

/// The same in blocks that suit work that is independent per element.
template <class F>
void parallel_blocks(Index size, F&& body) {
  parallel_blocks(size, Index{1} << 14, body);
}

}  // namespace cnn
