// SPDX-License-Identifier: MIT
// Trims with OpenMP's threads.
#include "cnn/trim.hpp"

#include <cstddef>
#include <cstdint>

#include <ristretto/span.hpp>

#include "cnn/parallel.hpp"

namespace cnn {
namespace {

/// Here alone formats meet roundings: a kernel for each pair.
void trim_piece(std::span<const float> in, std::span<float> out, const ristretto::AnyFormat& format,
                const ristretto::AnyRounding& rounding, std::size_t first) {
  ristretto::trim(in, out, ristretto::Trimmer{format, rounding}, first);
}

}  // namespace

void trim(std::span<float> values, const ristretto::AnyFormat& format, const ristretto::AnyRounding& rounding) {
  trim_piece(values, values, format, rounding, 0);
}

void trim(const Tensor& from, Tensor& to, const ristretto::AnyFormat& format, const ristretto::AnyRounding& rounding) {
  constexpr Index worth_threads = Index{1} << 16;
  to.resize(from.shape());
  const auto trim_part = [&](Index first, Index count) {
    const auto begin = static_cast<std::size_t>(first), n = static_cast<std::size_t>(count);
    trim_piece(from.values().subspan(begin, n), to.values().subspan(begin, n), format, rounding, begin);
  };
  if (from.size() < worth_threads) return trim_part(0, from.size());
  parallel_blocks(from.size(), trim_part);
}

void trim_rows(const Tensor& from, Tensor& to, std::span<const ristretto::AnyFormat> formats,
               const ristretto::AnyRounding& rounding) {
  to.resize(from.shape());
  const std::size_t length = from.values().size() / formats.size();
  for (std::size_t r = 0; r < formats.size(); ++r) {
    const std::size_t begin = r * length;
    trim_piece(from.values().subspan(begin, length), to.values().subspan(begin, length), formats[r], rounding, begin);
  }
}

}  // namespace cnn
