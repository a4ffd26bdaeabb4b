// SPDX-License-Identifier: MIT
// What one thread of a device does: trims a group of neighbouring elements, which may be 16-bit numbers.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <ristretto/formats.hpp>
#include <ristretto/kernel/routes.hpp>

#if __has_include(<cuda_bf16.h>) && __has_include(<cuda_fp16.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define RISTRETTO_CUDA_STORAGE  // __half and __nv_bfloat16 are known, which CUDA's headers define for the host as well
#endif

namespace ristretto::detail {

/// Element types: read as floats, trimmed as floats, written. `holds` says whether every number of a format is one.
template <class S>
struct Storage {
  static_assert(std::is_same_v<S, float>,
                "ristretto: elements are float, or __half or __nv_bfloat16 where CUDA's headers are found");

  template <class F>
  static constexpr bool holds(const F&) noexcept {
    return true;
  }
  RISTRETTO_HOST_DEVICE static float load(float x) noexcept { return x; }
  RISTRETTO_HOST_DEVICE static float store(float x) noexcept { return x; }
};

#if defined(RISTRETTO_CUDA_STORAGE)

/// Elements that are the numbers of a minifloat.
template <class Minifloat>
struct MinifloatStorage {
  template <class F>
  static constexpr bool holds(const F& format) noexcept {
    static_assert(requires { format.digits(); }, "ristretto: a format for __half or __nv_bfloat16 says its digits()");
    constexpr Minifloat own;
    const float zero = format.saturate(0.0f);  // there the quanta are least
    return format.digits() <= own.digits() && format.quantum(zero) >= own.quantum(0.0f) &&
           -format.lowest() <= own.largest() && format.largest() <= own.largest();
  }
};

template <>
struct Storage<__half> : MinifloatStorage<Half> {
  static constexpr const char* name = "__half";

  RISTRETTO_HOST_DEVICE static float load(__half x) noexcept { return __half2float(x); }
  RISTRETTO_HOST_DEVICE static __half store(float x) noexcept { return __float2half_rn(x); }
};

template <>
struct Storage<__nv_bfloat16> : MinifloatStorage<BFloat16> {
  static constexpr const char* name = "__nv_bfloat16";

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
    std::string name = "the format";
    if constexpr (TextFormat<F>) name = to_string(format);
    detail::raise<std::invalid_argument>(std::string("ristretto::trim: ") + Storage<S>::name +
                                         " does not hold all numbers of " + name +
                                         "; use float, or a format with fewer bits");
  }
}

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
template <int Bits>
inline constexpr unsigned draws_per_block<RoundStochastic<Bits>> = 128 / Bits;

/// Trims group after group of neighbouring elements: as many as are stored at once, and whole Philox blocks. The first
/// and the last group may be incomplete. Arch tells apart host code for different instruction sets.
template <class S, class Route, class R, class Arch>
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
    const auto aligned = [this](const S* p) {
      return (reinterpret_cast<std::uintptr_t>(p) - static_cast<std::uintptr_t>(before) * sizeof(S)) % chunk_bytes == 0;
    };
    // Groups start where Philox blocks do and, if that can be, where stores are aligned.
    constexpr unsigned per_block = draws_per_block<R>;
    const auto least = static_cast<std::int64_t>(first % per_block);
    for (before = least; before < size && !aligned(out);) before += per_block;
    if (before >= size) before = least;
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
      for (unsigned j = 0; j < size; ++j) x[j] = holds(begin + j) ? in[begin + j] : Storage<S>::store(0);
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
        const Words4 block = round.random.block((i + b) / per_block);
        for (unsigned j = 0; j < per_block; ++j) {
          const float draw = uniform_draw<float, 128 / per_block>(block, j) * route.draw_scale();  // exact
          x[b + j] = Number::store(route(Number::load(x[b + j]), RoundDrawn<float>{draw}, 0));
        }
      }
    } else {
      for (unsigned j = 0; j < size; ++j) x[j] = Number::store(route(Number::load(x[j]), round, i + j));
    }
  }
};

}  // namespace ristretto::detail
