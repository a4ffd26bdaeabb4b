// SPDX-License-Identifier: MIT
// Trims what Thrust can reach: CUDA device memory in .cu sources; elsewhere, with the same kernels, host memory through
// Thrust's CPP, OMP or TBB system.
#pragma once

#include <ristretto/config.hpp>

#if !defined(THRUST_DEVICE_SYSTEM) && !defined(__CUDACC__)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP  // Thrust's default would need CUDA
#endif

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>
#if THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
#error "ristretto: compile .cu sources for Thrust's CUDA system, and sources for CPP, OMP or TBB as C++"
#endif
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error \
    "ristretto: Thrust's CUDA system needs nvcc; include this header before others of Thrust, or define THRUST_DEVICE_SYSTEM"
#endif

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <ristretto/kernel/device_group.hpp>
#include <ristretto/span.hpp>

namespace ristretto {

/// A pointer, thrust::device_ptr, or another of Thrust's.
template <class P>
concept ThrustPointer = std::is_pointer_v<P> || requires(P p) { *p.get(); };

/// What Thrust can reach as contiguous elements: a std::span, cuda::std::span, thrust::device_vector, and others with
/// data() and size(). Not Eigen's matrices and blocks, whose elements need not be contiguous.
template <class X>
concept ThrustRange = !requires(X& x) { x.outerStride(); } && requires(X& x) {
  { x.data() } -> ThrustPointer;
  { x.size() } -> std::convertible_to<std::size_t>;
};

namespace detail {

template <class Policy>
using ThrustPolicy = thrust::detail::execution_policy_base<Policy>;

template <ThrustPointer P>
auto* raw(const P& p) noexcept {
  if constexpr (std::is_pointer_v<P>) {
    return p;
  } else {
    return p.get();
  }
}
template <class X>
auto* elements(X& x) {
  return raw(x.data());
}

// Arch is a parameter of whatever the host may run, too, so that translation units for different instruction sets never
// share a body.

template <class Arch, class Policy, class In, class S, class F, class R>
void trim_elements(const ThrustPolicy<Policy>& policy, In* in, S* out, std::size_t n, const Trimmer<F, R>& trimmer,
                   std::uint64_t first) {
  constexpr bool same = std::is_same_v<std::remove_const_t<In>, std::remove_const_t<S>>;
  static_assert(!std::is_const_v<S>, "ristretto::trim: the elements to be written are const");
  static_assert(same, "ristretto::trim: input and output have elements of different types; give them the same");
  if constexpr (Trimmer<F, R>::chosen_at_run_time) {
    visit_trimmer(trimmer, [&](const auto& chosen) { trim_elements<Arch>(policy, in, out, n, chosen, first); });
  } else if constexpr (same && !std::is_const_v<S>) {
    check_storage<S>(trimmer.format);
    if (n == 0) return;
    with_route<float, R>(trimmer.format, [&](const auto& route) {
      const TrimGroup<S, std::remove_cvref_t<decltype(route)>, R, Arch> group(in, out, n, first, route, trimmer.round);
      thrust::for_each_n(policy, thrust::counting_iterator<std::int64_t>(0), group.groups(), group);
    });
  }
}

}  // namespace detail

// Policies are those of Thrust: thrust::device, thrust::cuda::par.on(stream), thrust::cuda::par_nosync.on(stream),
// thrust::omp::par and others. Elements are float, __half or __nv_bfloat16; `first` is the index of the first element
// in its tensor, as everywhere. Neither policy nor split changes a bit. What Thrust throws (thrust::system_error)
// passes through. With a par_nosync policy `trim` does not wait; whatever returns a result does.

/// out[k] = in[k] trimmed as element first + k, for k < n; the arrays are the same or do not overlap. Throws
/// std::invalid_argument when their type does not hold all numbers of the format.
template <class Arch = DefaultArch, class Policy, ThrustPointer In, ThrustPointer Out, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, In in, Out out, std::size_t n, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  detail::trim_elements<Arch>(policy, detail::raw(in), detail::raw(out), n, trimmer, first);
}

/// Trims n elements in place, x[k] as element first + k.
template <class Arch = DefaultArch, class Policy, ThrustPointer P, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, P x, std::size_t n, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  detail::trim_elements<Arch>(policy, detail::raw(x), detail::raw(x), n, trimmer, first);
}

/// The same for spans and vectors. Throws std::invalid_argument also when sizes differ.
template <class Arch = DefaultArch, class Policy, ThrustRange In, ThrustRange Out, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, const In& in, Out&& out, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  detail::check_sizes(in.size(), out.size());
  detail::trim_elements<Arch>(policy, detail::elements(in), detail::elements(out), in.size(), trimmer, first);
}
template <class Arch = DefaultArch, class Policy, ThrustRange X, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, X&& x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::trim_elements<Arch>(policy, detail::elements(x), detail::elements(x), x.size(), trimmer, first);
}

}  // namespace ristretto

// What this header held before it was split.
#include <ristretto/thrust_observe.hpp>
