// SPDX-License-Identifier: MIT
// Trims, observes and measures what Thrust can reach: CUDA device memory in .cu sources; elsewhere, with the same
// kernels, host memory through Thrust's CPP, OMP or TBB system.
#pragma once

#if !defined(THRUST_DEVICE_SYSTEM) && !defined(__CUDACC__)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP  // Thrust's default would need CUDA
#endif

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/memory.h>
#include <thrust/transform.h>

#include <thrust/binary_search.h>
#include <thrust/fill.h>
#include <thrust/sort.h>
#include <thrust/transform_reduce.h>

#if defined(__CUDACC__)
#if THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
#error "ristretto: compile .cu sources for Thrust's CUDA system, and sources for CPP, OMP or TBB as C++"
#endif
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error \
    "ristretto: Thrust's CUDA system needs nvcc; include this header before others of Thrust, or define THRUST_DEVICE_SYSTEM"
#endif
#if defined(__CUDACC__)
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>
#endif

#if __has_include(<cuda_bf16.h>) && __has_include(<cuda_fp16.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define RISTRETTO_CUDA_STORAGE  // __half and __nv_bfloat16 are known, which CUDA's headers define for the host as well
#endif

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <ristretto/measure.hpp>
#include <ristretto/range.hpp>
#include <ristretto/routes.hpp>

namespace ristretto {

/// What Thrust can reach as contiguous elements: a std::span, cuda::std::span, thrust::device_vector, and others with
/// data() and size().
template <class X>
concept ThrustRange = requires(X& x) {
  *thrust::raw_pointer_cast(x.data());
  { x.size() } -> std::convertible_to<std::size_t>;
};

namespace detail {

// ---- how numbers lie in memory ------------------------------------------------------------------------------------

/// Element types: read as floats, trimmed as floats, written. `holds` says whether every number of a format is one.
template <class S>
struct Storage {
  static_assert(std::is_same_v<S, float>,
                "ristretto: elements for Thrust are float, or __half or __nv_bfloat16 where CUDA's headers are found");

  template <class F>
  static constexpr bool holds(const F&) noexcept {
    return true;
  }
  RISTRETTO_HOST_DEVICE static float load(float x) noexcept { return x; }
  RISTRETTO_HOST_DEVICE static float store(float x) noexcept { return x; }
};

#if defined(RISTRETTO_CUDA_STORAGE)

/// Whether the grid of `minifloat` holds that of `format`.
template <class F>
constexpr bool contains(const auto& minifloat, const F& format) noexcept {
  static_assert(requires { format.digits(); }, "ristretto: a format for __half or __nv_bfloat16 says its digits()");
  const float zero = format.saturate(0.0f);  // there the quanta are least
  return format.digits() <= minifloat.digits() && format.quantum(zero) >= minifloat.quantum(0.0f) &&
         -format.lowest() <= minifloat.largest() && format.largest() <= minifloat.largest();
}

template <>
struct Storage<__half> {
  static constexpr const char* name = "__half";

  template <class F>
  static constexpr bool holds(const F& format) noexcept {
    return contains(Half{}, format);
  }
  RISTRETTO_HOST_DEVICE static float load(__half x) noexcept { return __half2float(x); }
  RISTRETTO_HOST_DEVICE static __half store(float x) noexcept { return __float2half_rn(x); }
};

template <>
struct Storage<__nv_bfloat16> {
  static constexpr const char* name = "__nv_bfloat16";

  template <class F>
  static constexpr bool holds(const F& format) noexcept {
    return contains(BFloat16{}, format);
  }
  RISTRETTO_HOST_DEVICE static float load(__nv_bfloat16 x) noexcept { return __bfloat162float(x); }
  RISTRETTO_HOST_DEVICE static __nv_bfloat16 store(float x) noexcept { return __float2bfloat16_rn(x); }
};

#endif

/// Refuses a format with numbers that S cannot hold.
template <class S, class F>
void check_storage([[maybe_unused]] const F& format) {
  if constexpr (requires { requires F::fixed_in_type; }) {
    static_assert(Storage<S>::holds(F{}),
                  "ristretto: this format has numbers that the storage type does not have; "
                  "use float, or a format with fewer bits");
  } else if constexpr (!std::is_same_v<S, float>) {
    if (Storage<S>::holds(format)) return;
    throw std::invalid_argument(std::string("ristretto::trim: ") + Storage<S>::name + " does not hold all numbers of " +
                                to_string(AnyFormat(format)) + "; use float, or a format with fewer bits");
  }
}

// ---- trim ---------------------------------------------------------------------------------------------------------

/// So many bytes, aligned, a device thread reads and writes at once.
inline constexpr unsigned chunk_bytes = 16;

/// Copies a chunk between memory, where it is aligned, and registers.
template <class S>
RISTRETTO_HOST_DEVICE void load_chunk(const S* from, S* x) noexcept {
#if defined(__CUDA_ARCH__)
  const uint4 chunk = *reinterpret_cast<const uint4*>(from);
  memcpy(x, &chunk, chunk_bytes);
#else
  std::copy_n(from, chunk_bytes / sizeof(S), x);
#endif
}
template <class S>
RISTRETTO_HOST_DEVICE void store_chunk(const S* x, S* to) noexcept {
#if defined(__CUDA_ARCH__)
  uint4 chunk;
  memcpy(&chunk, x, chunk_bytes);
  __stcg(reinterpret_cast<uint4*>(to), chunk);  // an assignment nvcc would split where it meets the other branch
#else
  std::copy_n(x, chunk_bytes / sizeof(S), to);
#endif
}

/// How many elements share a Philox block of a rounding.
template <class R>
inline constexpr unsigned draws_per_block = 1;
template <int Bits, int Rounds>
inline constexpr unsigned draws_per_block<RoundStochastic<Bits, Rounds>> = 128 / Bits;

/// Trims group after group of neighbouring elements: as many as are stored at once, and whole Philox blocks. The first
/// and the last group may be incomplete.
template <class S, class Route, class R>
struct TrimGroup {
  static constexpr unsigned chunk = chunk_bytes / sizeof(S);
  static constexpr unsigned size = std::max(chunk, draws_per_block<R>);

  const S* in;
  S* out;
  std::int64_t n;
  std::uint64_t first;  ///< index of in[0]
  std::int64_t before;  ///< so many elements of the first group lie before in[0]
  bool chunks_in;       ///< whether groups can be read in chunks
  bool chunks_out;      ///< and written
  Route route;
  R round;

  TrimGroup(const S* in_, S* out_, std::size_t n_, std::uint64_t first_, const Route& route_, const R& round_) noexcept
      : in(in_), out(out_), n(static_cast<std::int64_t>(n_)), first(first_), route(route_), round(round_) {
    // Groups start where Philox blocks do, or else where stores are aligned.
    before = static_cast<std::int64_t>((R::indexed ? first : reinterpret_cast<std::uintptr_t>(out) / sizeof(S)) % size);
    const auto aligned = [this](const S* p) {
      return (reinterpret_cast<std::uintptr_t>(p) - static_cast<std::uintptr_t>(before) * sizeof(S)) % chunk_bytes == 0;
    };
    chunks_in = aligned(in);
    chunks_out = aligned(out);
  }

  std::int64_t groups() const noexcept { return (before + n + size - 1) / size; }

  RISTRETTO_HOST_DEVICE void operator()(std::int64_t group) const noexcept {
    const std::int64_t begin = group * size - before;
    S x[size];
    if (begin >= 0 && begin + size <= n) {
      load(in + begin, x);
      trim(x, first + static_cast<std::uint64_t>(begin));
      store(x, out + begin);
    } else {
      for (unsigned j = 0; j < size; ++j) x[j] = holds(begin + j) ? in[begin + j] : S(0.0f);
      trim(x, first + static_cast<std::uint64_t>(begin));
      for (unsigned j = 0; j < size; ++j) {
        if (holds(begin + j)) out[begin + j] = x[j];
      }
    }
  }

 private:
  RISTRETTO_HOST_DEVICE bool holds(std::int64_t k) const noexcept { return k >= 0 && k < n; }

  RISTRETTO_HOST_DEVICE void load(const S* from, S (&x)[size]) const noexcept {
    if (chunks_in) {
      for (unsigned c = 0; c < size; c += chunk) load_chunk(from + c, x + c);
    } else {
      for (unsigned j = 0; j < size; ++j) x[j] = from[j];
    }
  }
  RISTRETTO_HOST_DEVICE void store(const S (&x)[size], S* to) const noexcept {
    if (chunks_out) {
      for (unsigned c = 0; c < size; c += chunk) store_chunk(x + c, to + c);
    } else {
      for (unsigned j = 0; j < size; ++j) to[j] = x[j];
    }
  }

  /// A group whose first element has the index i.
  RISTRETTO_HOST_DEVICE void trim(S (&x)[size], std::uint64_t i) const noexcept {
    using Number = Storage<S>;
    if constexpr (is_stochastic<R>) {
      constexpr unsigned per_block = draws_per_block<R>;
      for (unsigned b = 0; b < size; b += per_block) {
        const Words4 block = draw_block(round, (i + b) / per_block);
        for (unsigned j = 0; j < per_block; ++j) {
          const float draw = uniform_draw<float, 128 / per_block>(block, j) * route.draw_scale();  // exact
          x[b + j] = Number::store(route(Number::load(x[b + j]), RoundDrawn<float>{draw}, 0));
        }
      }
    } else {
      for (unsigned j = 0; j < size; ++j) x[j] = Number::store(route(Number::load(x[j]), round, i + j));
    }
  }
  template <int Bits, int Rounds>
  RISTRETTO_HOST_DEVICE static Words4 draw_block(const RoundStochastic<Bits, Rounds>& r, std::uint64_t b) noexcept {
    return r.random.template block<Rounds>(b);
  }
};

template <class Policy>
using ThrustPolicy = thrust::detail::execution_policy_base<Policy>;

template <class X>
using ThrustElement = std::remove_cvref_t<decltype(*thrust::raw_pointer_cast(std::declval<X&>().data()))>;

template <class Policy, class S, class F, class R>
void trim_elements(const ThrustPolicy<Policy>& policy, const S* in, S* out, std::size_t n, const Trimmer<F, R>& trimmer,
                   std::uint64_t first) {
  check_storage<S>(trimmer.format);
  if (n == 0) return;
  with_route<float, R>(trimmer.format, [&](const auto& route) {
    const TrimGroup<S, std::remove_cvref_t<decltype(route)>, R> group(in, out, n, first, route, trimmer.round);
    thrust::for_each_n(policy, thrust::counting_iterator<std::int64_t>(0), group.groups(), group);
  });
}

/// The same for a format chosen at run time.
template <class Policy, class S, class R>
void trim_elements(const ThrustPolicy<Policy>& policy, const S* in, S* out, std::size_t n, const AnyFormat& format,
                   const R& round, std::uint64_t first) {
  visit_trimmer(format, round, [&](const auto& trimmer) { trim_elements(policy, in, out, n, trimmer, first); });
}

template <class X>
auto* elements(X& x) {
  return thrust::raw_pointer_cast(x.data());
}

template <class X, class Y>
inline constexpr bool same_elements = std::is_same_v<ThrustElement<X>, ThrustElement<Y>>;

// ---- observe and measure ------------------------------------------------------------------------------------------

template <class S>
struct EndsOf {
  RISTRETTO_HOST_DEVICE MinMaxLanes<float> operator()(S x) const noexcept {
    MinMaxLanes<float> ends;
    ends.observe(Storage<S>::load(x));
    return ends;
  }
};
struct MergeEnds {
  RISTRETTO_HOST_DEVICE MinMaxLanes<float> operator()(const MinMaxLanes<float>& a,
                                                      const MinMaxLanes<float>& b) const noexcept {
    MinMaxLanes<float> ends;
    ends.low = Ops<float>::min(a.low, b.low);
    ends.high = Ops<float>::max(a.high, b.high);
    return ends;
  }
};

template <class Policy, class S>
MinMax finite_ends(const ThrustPolicy<Policy>& policy, const S* x, std::size_t n) {
  const auto ends = thrust::transform_reduce(policy, x, x + n, EndsOf<S>{}, MinMaxLanes<float>{}, MergeEnds{});
  return {ends.low, ends.high};
}

/// The bin of a Range that counts a number.
template <class S>
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
  ~Scratch() { thrust::free(policy_, memory_); }

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
template <class Policy, class S>
std::vector<std::uint64_t> count_bins(const ThrustPolicy<Policy>& policy, const S* x, std::size_t n,
                                      std::size_t piece = std::size_t{1} << 24) {
  const Scratch<std::uint16_t, Policy> bin(policy, std::min(n, piece));
  const Scratch<std::uint64_t, Policy> up_to(policy, Range::bins);  // values in bins up to this one, of the piece
  const Scratch<std::uint64_t, Policy> total(policy, Range::bins);  // and of x
  thrust::fill_n(policy, total.data(), Range::bins, std::uint64_t{0});
  for (std::size_t k = 0; k < n; k += piece) {
    std::uint16_t* const end = thrust::transform(policy, x + k, x + std::min(n, k + piece), bin.data(), BinOf<S>{});
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

template <class S>
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

template <class Policy, class S>
Measurement measure_elements(const ThrustPolicy<Policy>& policy, const S* x, const S* trimmed, std::size_t n, float low,
                             float high) {
  const thrust::counting_iterator<std::int64_t> begin(0);
  return thrust::transform_reduce(policy, begin, begin + static_cast<std::int64_t>(n),
                                  MeasurementAt<S>{x, trimmed, low, high}, Measurement{}, MergeMeasurements{});
}

}  // namespace detail

// Policies are those of Thrust: thrust::device, thrust::cuda::par.on(stream), thrust::cuda::par_nosync.on(stream),
// thrust::omp::par and others. Elements are float, __half or __nv_bfloat16; `first` is the index of the first element
// in its tensor, as everywhere. Neither policy nor split changes a bit. What Thrust throws (thrust::system_error)
// passes through. With a par_nosync policy `trim` does not wait; whatever returns a result does.

/// out[k] = in[k] trimmed as element first + k, for k < n; the arrays are the same or do not overlap. Throws
/// std::invalid_argument when S does not hold all numbers of the format.
template <class Policy, class S, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, const S* in, S* out, std::size_t n, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  detail::trim_elements(policy, in, out, n, trimmer, first);
}
template <class Policy, class S, Rounding R = RoundNearest>
void trim(const detail::ThrustPolicy<Policy>& policy, const S* in, S* out, std::size_t n, const AnyFormat& format,
          const R& round = {}, std::uint64_t first = 0) {
  detail::trim_elements(policy, in, out, n, format, round, first);
}

/// Trims n elements in place, x[k] as element first + k.
template <class Policy, class S, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, S* x, std::size_t n, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  detail::trim_elements(policy, x, x, n, trimmer, first);
}
template <class Policy, class S, Rounding R = RoundNearest>
void trim(const detail::ThrustPolicy<Policy>& policy, S* x, std::size_t n, const AnyFormat& format, const R& round = {},
          std::uint64_t first = 0) {
  detail::trim_elements(policy, x, x, n, format, round, first);
}

/// The same for spans and vectors. Throws std::invalid_argument also when sizes differ.
template <class Policy, ThrustRange In, ThrustRange Out, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, const In& in, Out&& out, const Trimmer<F, R>& trimmer,
          std::uint64_t first = 0) {
  static_assert(detail::same_elements<In, Out>, "ristretto::trim: input and output have elements of different types");
  detail::check_sizes(in.size(), out.size());
  detail::trim_elements(policy, detail::elements(in), detail::elements(out), in.size(), trimmer, first);
}
template <class Policy, ThrustRange In, ThrustRange Out, Rounding R = RoundNearest>
void trim(const detail::ThrustPolicy<Policy>& policy, const In& in, Out&& out, const AnyFormat& format,
          const R& round = {}, std::uint64_t first = 0) {
  static_assert(detail::same_elements<In, Out>, "ristretto::trim: input and output have elements of different types");
  detail::check_sizes(in.size(), out.size());
  detail::trim_elements(policy, detail::elements(in), detail::elements(out), in.size(), format, round, first);
}
template <class Policy, ThrustRange X, class F, class R>
void trim(const detail::ThrustPolicy<Policy>& policy, X&& x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::trim_elements(policy, detail::elements(x), detail::elements(x), x.size(), trimmer, first);
}
template <class Policy, ThrustRange X, Rounding R = RoundNearest>
void trim(const detail::ThrustPolicy<Policy>& policy, X&& x, const AnyFormat& format, const R& round = {},
          std::uint64_t first = 0) {
  detail::trim_elements(policy, detail::elements(x), detail::elements(x), x.size(), format, round, first);
}

/// The ends of the finite values of x; zeros when there is none. NaN and infinities do not count. Never -0.
template <class Policy, ThrustRange X>
MinMax min_max(const detail::ThrustPolicy<Policy>& policy, const X& x) {
  return detail::ends_or_zeros(detail::finite_ends(policy, detail::elements(x), x.size()));
}
/// The largest magnitude of the finite values of x; 0 when there is none.
template <class Policy, ThrustRange X>
float max_abs(const detail::ThrustPolicy<Policy>& policy, const X& x) {
  const MinMax ends = min_max(policy, x);
  return std::max(std::abs(ends.min), std::abs(ends.max));
}

/// Adds the values of x to the range, with the result of range.observe; takes 32 MiB and what sorting that needs.
template <class Policy, ThrustRange X>
void observe(const detail::ThrustPolicy<Policy>& policy, const X& x, Range& range) {
  if (x.size() == 0) return;
  const auto counts = detail::count_bins(policy, detail::elements(x), x.size());
  range.add(std::span<const std::uint64_t, Range::bins>(counts),
            detail::finite_ends(policy, detail::elements(x), x.size()));
}

/// Compares x with its trimmed copy, as on the host; but the sums may differ in their last places, since the terms are
/// added in another order. Throws std::invalid_argument when the sizes differ.
template <class Policy, ThrustRange X, ThrustRange Trimmed>
Measurement measure(const detail::ThrustPolicy<Policy>& policy, const X& x, const Trimmed& trimmed,
                    const AnyFormat& format) {
  static_assert(detail::same_elements<X, Trimmed>, "ristretto::measure: the tensors have elements of different types");
  detail::check_compared(x.size(), trimmed.size());
  return detail::measure_elements(policy, detail::elements(x), detail::elements(trimmed), x.size(), format.lowest(),
                                  format.largest());
}
/// Compares any two tensors; nothing counts as saturated.
template <class Policy, ThrustRange X, ThrustRange Other>
Measurement measure(const detail::ThrustPolicy<Policy>& policy, const X& x, const Other& other) {
  static_assert(detail::same_elements<X, Other>, "ristretto::measure: the tensors have elements of different types");
  detail::check_compared(x.size(), other.size());
  return detail::measure_elements(policy, detail::elements(x), detail::elements(other), x.size(), -Ops<float>::infinity,
                                  Ops<float>::infinity);
}

}  // namespace ristretto
