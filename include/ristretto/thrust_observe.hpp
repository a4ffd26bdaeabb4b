// SPDX-License-Identifier: MIT
// Observes and measures what Thrust can reach.
#pragma once

#include <ristretto/thrust.hpp>  // first: it chooses Thrust's system

#include <thrust/binary_search.h>
#include <thrust/fill.h>
#include <thrust/functional.h>
#include <thrust/memory.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/transform_reduce.h>

#if defined(__CUDACC__)
#include <thrust/system_error.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <numeric>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <ristretto/measure.hpp>
#include <ristretto/range.hpp>

namespace ristretto {

namespace detail {

template <class S, class Arch>
struct EndsOf {
  RISTRETTO_HOST_DEVICE MinMaxLanes<float> operator()(S x) const noexcept {
    MinMaxLanes<float> ends;
    ends.observe(Storage<S>::load(x));
    return ends;
  }
};
struct MergeEnds {
  RISTRETTO_HOST_DEVICE MinMaxLanes<float> operator()(MinMaxLanes<float> a,
                                                      const MinMaxLanes<float>& b) const noexcept {
    a.low = Ops<float>::min(a.low, b.low);
    a.high = Ops<float>::max(a.high, b.high);
    return a;
  }
};

template <class Arch, class Policy, class S>
MinMax finite_ends(const ThrustPolicy<Policy>& policy, const S* x, std::size_t n) {
  const auto ends = thrust::transform_reduce(policy, x, x + n, EndsOf<S, Arch>{}, MinMaxLanes<float>{}, MergeEnds{});
  return {ends.low, ends.high};
}

/// What a Range keeps of values beside their bins.
struct Seen {
  MinMaxLanes<float> ends;
  Digits digits;
};
template <class S, class Arch>
struct SeenOf {
  RISTRETTO_HOST_DEVICE Seen operator()(S x) const noexcept {
    Seen seen;
    seen.ends.observe(Storage<S>::load(x));
    seen.digits.observe(Storage<S>::load(x));
    return seen;
  }
};
struct MergeSeen {
  RISTRETTO_HOST_DEVICE Seen operator()(Seen a, const Seen& b) const noexcept {
    a.ends = MergeEnds{}(a.ends, b.ends);
    a.digits.merge(b.digits);
    return a;
  }
};

/// The bin of a Range that counts a number.
template <class S, class Arch>
struct BinOf {
  RISTRETTO_HOST_DEVICE std::uint16_t operator()(S x) const noexcept {
    return static_cast<std::uint16_t>(Ops<float>::bits(Storage<S>::load(x)) >> 16);
  }
};

/// Memory that a policy's algorithms can reach.
template <class T, class Policy>
class Scratch {
 public:
  Scratch(const ThrustPolicy<Policy>& policy, std::size_t n) : policy_(policy), memory_(thrust::malloc<T>(policy, n)) {
    if (data() == nullptr) throw std::bad_alloc();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    try {
      thrust::free(policy_, memory_);
    } catch (...) {  // CUDA tells what has failed before once more; whoever waits for that hears of it
    }
  }

  T* data() const noexcept { return thrust::raw_pointer_cast(memory_); }

 private:
  const ThrustPolicy<Policy>& policy_;
  thrust::pointer<T, Policy> memory_;
};

/// Copies what a policy's algorithms have made to the host, and waits for it.
template <class Policy, class T>
void copy_to_host([[maybe_unused]] const ThrustPolicy<Policy>& policy, const T* from, T* to, std::size_t n) {
#if defined(__CUDACC__)
  if constexpr (std::is_base_of_v<thrust::cuda_cub::execution_policy<Policy>, Policy>) {
    const cudaStream_t stream =
        thrust::cuda_cub::stream(thrust::detail::derived_cast(thrust::detail::strip_const(policy)));
    cudaError_t status = cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream);
    if (status == cudaSuccess) status = cudaStreamSynchronize(stream);
    if (status != cudaSuccess) throw thrust::system_error(status, thrust::cuda_category(), "ristretto::observe");
    return;
  }
#endif
  std::copy_n(from, n, to);
}

/// How many of x lie in each bin of a Range: sorts bins, a piece of x at a time, and looks where each ends. Unlike
/// counters that threads share, that does not mind when all values are alike.
template <class Arch, class Policy, class S>
std::vector<std::uint64_t> count_bins(const ThrustPolicy<Policy>& policy, const S* x, std::size_t n,
                                      std::size_t piece = std::size_t{1} << 24) {
  const Scratch<std::uint16_t, Policy> bin(policy, std::min(n, piece));
  const Scratch<std::uint64_t, Policy> up_to(policy, Range::bins);  // values in bins up to this one, of the piece
  const Scratch<std::uint64_t, Policy> total(policy, Range::bins);  // and of x
  thrust::fill_n(policy, total.data(), Range::bins, std::uint64_t{0});
  for (std::size_t k = 0; k < n; k += piece) {
    std::uint16_t* const end =
        thrust::transform(policy, x + k, x + std::min(n, k + piece), bin.data(), BinOf<S, Arch>{});
    thrust::sort(policy, bin.data(), end);
    const thrust::counting_iterator<std::uint32_t> bins(0);
    thrust::upper_bound(policy, bin.data(), end, bins, bins + Range::bins, up_to.data());
    thrust::transform(policy, up_to.data(), up_to.data() + Range::bins, total.data(), total.data(),
                      thrust::plus<std::uint64_t>());
  }
  std::vector<std::uint64_t> counts(Range::bins);
  copy_to_host(policy, total.data(), counts.data(), Range::bins);
  std::adjacent_difference(counts.begin(), counts.end(), counts.begin());
  return counts;
}

template <class S, class Arch>
struct MeasurementAt {
  const S* x;
  const S* trimmed;
  float low;
  float high;

  RISTRETTO_HOST_DEVICE Measurement operator()(std::int64_t k) const noexcept {
    Measurement m;
    m.observe(Storage<S>::load(x[k]), Storage<S>::load(trimmed[k]), low, high);
    return m;
  }
};
struct MergeMeasurements {
  RISTRETTO_HOST_DEVICE Measurement operator()(Measurement a, const Measurement& b) const noexcept {
    a.merge(b);
    return a;
  }
};

template <class Arch, class Policy, class X, class Y>
Measurement measure_ranges(const ThrustPolicy<Policy>& policy, const X& x, const Y& trimmed, float low, float high) {
  using S = std::remove_cvref_t<decltype(*elements(x))>;
  constexpr bool same = std::is_same_v<S, std::remove_cvref_t<decltype(*elements(trimmed))>>;
  static_assert(same, "ristretto::measure: the tensors have elements of different types; give them the same");
  check_compared(x.size(), trimmed.size());
  const thrust::counting_iterator<std::int64_t> begin(0);
  if constexpr (same) {
    return thrust::transform_reduce(policy, begin, begin + static_cast<std::int64_t>(x.size()),
                                    MeasurementAt<S, Arch>{elements(x), elements(trimmed), low, high}, Measurement{},
                                    MergeMeasurements{});
  }
}

}  // namespace detail

/// The ends of the finite values of x; zeros when there is none. NaN and infinities do not count. Never -0.
template <class Arch = DefaultArch, class Policy, ThrustRange X>
MinMax min_max(const detail::ThrustPolicy<Policy>& policy, const X& x) {
  return detail::ends_or_zeros(detail::finite_ends<Arch>(policy, detail::elements(x), x.size()));
}
/// The largest magnitude of the finite values of x; 0 when there is none.
template <class Arch = DefaultArch, class Policy, ThrustRange X>
float max_abs(const detail::ThrustPolicy<Policy>& policy, const X& x) {
  return min_max<Arch>(policy, x).max_abs();
}

/// Adds the values of x to the range, with the result of range.observe; takes 33 MiB and what sorting needs.
template <class Arch = DefaultArch, class Policy, ThrustRange X>
void observe(const detail::ThrustPolicy<Policy>& policy, const X& x, Range& range) {
  if (x.size() == 0) return;
  const auto* const begin = detail::elements(x);
  using S = std::remove_cvref_t<decltype(*begin)>;
  const auto counts = detail::count_bins<Arch>(policy, begin, x.size());
  const detail::Seen seen = thrust::transform_reduce(policy, begin, begin + x.size(), detail::SeenOf<S, Arch>{},
                                                     detail::Seen{}, detail::MergeSeen{});
  range.add(std::span<const std::uint64_t, Range::bins>(counts), {seen.ends.low, seen.ends.high}, seen.digits);
}

/// Compares x with its trimmed copy, as on the host; but the sums may differ in their last places, since the terms are
/// added in another order and may be fused. Throws std::invalid_argument when the sizes differ.
template <class Arch = DefaultArch, class Policy, ThrustRange X, ThrustRange Trimmed>
Measurement measure(const detail::ThrustPolicy<Policy>& policy, const X& x, const Trimmed& trimmed,
                    const AnyFormat& format) {
  return detail::measure_ranges<Arch>(policy, x, trimmed, format.lowest(), format.largest());
}
/// Compares any two tensors; nothing counts as saturated.
template <class Arch = DefaultArch, class Policy, ThrustRange X, ThrustRange Other>
Measurement measure(const detail::ThrustPolicy<Policy>& policy, const X& x, const Other& other) {
  return detail::measure_ranges<Arch>(policy, x, other, -Ops<float>::infinity, Ops<float>::infinity);
}

}  // namespace ristretto
