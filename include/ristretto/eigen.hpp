// SPDX-License-Identifier: MIT
// Trims Eigen matrices, arrays, tensors, maps, references and blocks.
#pragma once

#include <ristretto/config.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <Eigen/Core>
#include <unsupported/Eigen/CXX11/Tensor>

#include <ristretto/span.hpp>

namespace ristretto {

// The index of an element is its place in storage order, as if the object were copied to a contiguous one of its own
// kind: a strided block gives the bits of its copy. Of a row-major matrix or tensor that is the row-major index. A
// Trimmer whose rounding draws no random numbers also works lazily, on Eigen's packets: x.unaryExpr(trimmer).

namespace detail {

template <class T>
struct IsTensor : std::false_type {};
template <class S, int N, int Options, class Index>
struct IsTensor<Eigen::Tensor<S, N, Options, Index>> : std::true_type {};
template <class S, class Dimensions, int Options, class Index>
struct IsTensor<Eigen::TensorFixedSize<S, Dimensions, Options, Index>> : std::true_type {};
template <class Plain, int Options, template <class> class Pointer>
struct IsTensor<Eigen::TensorMap<Plain, Options, Pointer>> : std::true_type {};

template <class X>
concept EigenTensor = IsTensor<std::remove_cvref_t<X>>::value;
template <class D>
void take_dense(const Eigen::DenseBase<D>&);  // some D: a segment of a vector is derived from DenseBase of its Block
template <class X>
concept EigenDense = requires(const std::remove_cvref_t<X>& x) { take_dense(x); };
template <class X>
concept EigenObject = EigenTensor<X> || EigenDense<X>;

template <class X>
inline constexpr bool of_numbers =
    std::is_same_v<typename X::Scalar, float> || std::is_same_v<typename X::Scalar, double>;
template <class X>
inline constexpr bool is_writable = requires(X& x) {
  { x.data() } -> std::same_as<typename X::Scalar*>;
};

/// trim_run(span, index of its first element) over the elements of x, which has gaps or rows apart.
template <class X, class Trim>
void for_each_run_apart(X& x, std::uint64_t first, Trim trim_run) {
  using Scalar = typename X::Scalar;
  const auto inner = static_cast<std::size_t>(x.innerSize());
  const Eigen::Index stride = x.innerStride();
  for (Eigen::Index outer = 0; outer < x.outerSize(); ++outer) {
    Scalar* run = x.data() + outer * x.outerStride();
    const std::uint64_t index = first + static_cast<std::uint64_t>(outer) * inner;
    if (stride == 1) {
      trim_run(std::span<Scalar>(run, inner), index);
      continue;
    }
    Scalar gathered[256];
    for (std::size_t done = 0; done < inner;) {
      const std::size_t n = std::min(std::size(gathered), inner - done);
      Scalar* from = run + static_cast<Eigen::Index>(done) * stride;
      for (std::size_t k = 0; k < n; ++k) gathered[k] = from[static_cast<Eigen::Index>(k) * stride];
      trim_run(std::span<Scalar>(gathered, n), index + done);
      for (std::size_t k = 0; k < n; ++k) from[static_cast<Eigen::Index>(k) * stride] = gathered[k];
      done += n;
    }
  }
}

/// trim_run(span, index of its first element) over the elements of x, in storage order.
template <EigenObject X, class Trim>
void for_each_run(X& x, std::uint64_t first, Trim trim_run) {
  static_assert(of_numbers<X>, "ristretto::trim takes Eigen objects of float or double; cast<float>() others first");
  static_assert(is_writable<X>,
                "ristretto::trim writes to an Eigen object in memory that is not const; for an expression use "
                "expression.unaryExpr(trimmer), or assign it to a matrix first");
  if constexpr (of_numbers<X> && is_writable<X>) {
    const auto whole = [&] {
      trim_run(std::span<typename X::Scalar>(x.data(), static_cast<std::size_t>(x.size())), first);
    };
    if constexpr (EigenTensor<X>) {
      whole();
    } else if (x.innerStride() == 1 && (x.outerSize() <= 1 || x.outerStride() == x.innerSize())) {  // without gaps
      whole();
    } else {
      for_each_run_apart(x, first, trim_run);
    }
  }
}

/// The sizes of the dimensions of x.
template <EigenObject X>
auto shape(const X& x) {
  if constexpr (EigenTensor<X>) {
    return Eigen::DSizes<Eigen::Index, X::NumIndices>(x.dimensions());
  } else {
    return std::array<Eigen::Index, 2>{x.rows(), x.cols()};
  }
}
inline std::string to_text(std::span<const Eigen::Index> shape) {
  std::string text;
  for (const auto size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

/// Whether a dimension of `size` fits where there is room for `present` now, and, when it is Eigen::Dynamic, up to
/// `most` (which may itself be Eigen::Dynamic).
constexpr bool fits(Eigen::Index size, Eigen::Index present, int fixed, int most) {
  return size == present || (fixed == Eigen::Dynamic && (most == Eigen::Dynamic || size <= most));
}

/// Whether out has the shape of in or may be resized to it. A vector may lie along either dimension.
template <EigenObject In, EigenObject Out>
bool takes_shape(const In& in, const Out& out) {
  if constexpr (EigenTensor<Out>) {
    return requires(Out& o) { o.resize(in.dimensions()); } || shape(in) == shape(out);
  } else if constexpr (In::IsVectorAtCompileTime && Out::IsVectorAtCompileTime) {
    constexpr bool resizable = std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>;
    return in.size() == out.size() ||
           (resizable && fits(in.size(), out.size(), Out::SizeAtCompileTime, Out::MaxSizeAtCompileTime));
  } else if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>) {
    return fits(in.rows(), out.rows(), Out::RowsAtCompileTime, Out::MaxRowsAtCompileTime) &&
           fits(in.cols(), out.cols(), Out::ColsAtCompileTime, Out::MaxColsAtCompileTime);
  } else {
    return shape(in) == shape(out);
  }
}

/// Throws std::invalid_argument where out can neither be resized nor has the shape of in.
template <EigenObject In, EigenObject Out>
void check_shapes(const In& in, const Out& out) {
  if (!takes_shape(in, out)) {
    detail::raise<std::invalid_argument>("ristretto::trim: the input is " + to_text(shape(in)) + " and the output " +
                                         to_text(shape(out)) + "; give them equal shapes");
  }
}

/// Whether X is a tensor or a plain matrix: elements without gaps, in storage order.
template <class X>
concept WithoutGaps = EigenTensor<X> || std::is_base_of_v<Eigen::PlainObjectBase<X>, X>;

/// trim_spans(span of in, span of out) once out has the shape of in, or trim_in_place(out) once out = in.
template <EigenObject In, EigenObject Out, class TrimSpans, class TrimInPlace>
void trim_copy(const In& in, Out& out, TrimSpans trim_spans, TrimInPlace trim_in_place) {
  check_shapes(in, out);
  if constexpr (WithoutGaps<In> && std::is_same_v<In, Out>) {
    if constexpr (requires { out.resize(in.dimensions()); }) {
      out.resize(in.dimensions());
    } else if constexpr (!EigenTensor<In>) {
      out.resize(in.rows(), in.cols());
    }
    const auto size = static_cast<std::size_t>(in.size());
    trim_spans(std::span<const typename In::Scalar>(in.data(), size), std::span<typename In::Scalar>(out.data(), size));
  } else {
    out = in;
    trim_in_place(out);
  }
}

}  // namespace detail

/// Trims x in place, element k in storage order as element first + k. x: Matrix, Array, Map, Ref, (strided) Block,
/// Tensor or TensorMap of float or double.
template <class Arch = DefaultArch, detail::EigenObject X, class F, class R>
  requires detail::Trimming<F, R>
void trim(X&& x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  if constexpr (Trimmer<F, R>::chosen_at_run_time) {
    detail::visit_trimmer(trimmer, [&](const auto& chosen) { trim<Arch>(x, chosen, first); });
  } else {
    detail::for_each_run(x, first, [&](auto run, std::uint64_t index) { trim<Arch>(run, trimmer, index); });
  }
}

/// out = in, trimmed; element k in the storage order of out is element first + k. `in` may be any expression of the
/// same shape (of a tensor: a tensor or a map). Throws std::invalid_argument when out cannot be resized and has another
/// shape.
template <class Arch = DefaultArch, detail::EigenObject In, detail::EigenObject Out, class F, class R>
  requires detail::Trimming<F, R>
void trim(const In& in, Out&& out, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::trim_copy(
      in, out, [&](auto from, auto to) { trim<Arch>(from, to, trimmer, first); },
      [&](auto& copy) { trim<Arch>(copy, trimmer, first); });
}

/// Trims each row of a matrix in place to a format of its own. Throws std::invalid_argument unless there is
/// one for each row.
template <class Arch = DefaultArch, detail::EigenDense X, class R = RoundNearest>
void trim_rows(X&& x, std::span<const AnyFormat> formats, const R& round = {}, std::uint64_t first = 0) {
  constexpr bool in_order = std::remove_cvref_t<X>::IsRowMajor;
  if constexpr (!detail::chosen_at_run_time<R>) {
    static_assert(in_order || !R::indexed,
                  "ristretto::trim_rows: stochastic rounding addresses elements in storage order, and a row of a "
                  "column-major matrix is no run of it; use Eigen::RowMajor");
  } else if (!in_order && round.is_stochastic()) {
    detail::raise<std::invalid_argument>(
        "ristretto::trim_rows: " + to_string(round) +
        " addresses elements in storage order, and a row of a column-major matrix is no run of "
        "it; use Eigen::RowMajor");
  }
  if (formats.size() != static_cast<std::size_t>(x.rows())) {
    detail::raise<std::invalid_argument>("ristretto::trim_rows: the matrix has " + std::to_string(x.rows()) +
                                         " rows, but " + std::to_string(formats.size()) +
                                         " formats are given; give one for each row");
  }
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const auto place = first + static_cast<std::uint64_t>(r * x.cols());
    trim<Arch>(x.row(r), Trimmer{formats[static_cast<std::size_t>(r)], round}, place);
  }
}

#if defined(EIGEN_USE_THREADS)

// With the threads of a device. Each piece is trimmed as what it is of the whole, so the bits are those of one thread;
// arrays that are too small to gain from threads (some 2^16 floats) stay on the caller's.

/// out[k] = in[k] trimmed as element first + k. Returns when all is done.
template <class Arch = DefaultArch, class F, class R>
void trim(const Eigen::ThreadPoolDevice& device, std::span<const float> in, std::span<float> out,
          const Trimmer<F, R>& trimmer, std::uint64_t first = 0, Stores stores = Stores::by_size) {
  detail::check_sizes(in.size(), out.size());
  if constexpr (Trimmer<F, R>::chosen_at_run_time) {
    detail::visit_trimmer(trimmer, [&](const auto& chosen) { trim<Arch>(device, in, out, chosen, first, stores); });
  } else {
    const Eigen::TensorOpCost per_element(sizeof(float), sizeof(float), R::indexed ? 1.0 : 0.25);
    const auto whole_groups = [](Eigen::Index size) { return (size + 4095) / 4096 * 4096; };
    stores = detail::chosen_stores(in, out, stores);
    device.parallelFor(static_cast<Eigen::Index>(in.size()), per_element, whole_groups,
                       [&](Eigen::Index begin, Eigen::Index end) {
                         const auto k = static_cast<std::size_t>(begin);
                         const auto count = static_cast<std::size_t>(end - begin);
                         trim<Arch>(in.subspan(k, count), out.subspan(k, count), trimmer, first + k, stores);
                       });
  }
}

/// Trims a tensor or matrix of floats in place; of one with gaps, each run without.
template <class Arch = DefaultArch, detail::EigenObject X, class F, class R>
void trim(const Eigen::ThreadPoolDevice& device, X&& x, const Trimmer<F, R>& trimmer, std::uint64_t first = 0) {
  detail::visit_trimmer(trimmer, [&](const auto& chosen) {
    detail::for_each_run(
        x, first, [&](std::span<float> run, std::uint64_t index) { trim<Arch>(device, run, run, chosen, index); });
  });
}

#endif

namespace detail {

#if defined(RISTRETTO_NO_SIMD)
inline constexpr bool knows_packets = false;
#else
template <class Packet>
using PacketBatch = xsimd::make_sized_batch_t<float, Eigen::internal::unpacket_traits<Packet>::size>;

template <class Batch>
concept MadeOfPacket = requires(Eigen::internal::packet_traits<float>::type packet) { Batch(packet); };
/// Whether Eigen's packets of floats are the registers of xsimd's batches.
inline constexpr bool knows_packets = MadeOfPacket<xsimd::batch<float>>;
#endif

}  // namespace detail

template <class F, class R>
template <class Packet>
RISTRETTO_HOST_DEVICE Packet Trimmer<F, R>::packetOp(const Packet& x) const noexcept {
  using Scalar = typename Eigen::internal::unpacket_traits<Packet>::type;
#if !defined(RISTRETTO_NO_SIMD)
  if constexpr (std::is_same_v<Scalar, float>) {
    using Batch = detail::PacketBatch<Packet>;
    return detail::with_route<Batch, R>(format, [&](auto route) -> Packet { return route(Batch(x), round, 0); });
  }
#endif
  Scalar lanes[Eigen::internal::unpacket_traits<Packet>::size];
  Eigen::internal::pstoreu(lanes, x);
  for (Scalar& lane : lanes) lane = (*this)(lane);
  return Eigen::internal::ploadu<Packet>(lanes);
}

}  // namespace ristretto

/// Tells Eigen that a Trimmer without randomness takes packets.
template <class F, class R>
struct Eigen::internal::functor_traits<ristretto::Trimmer<F, R>> {
  enum { Cost = 8 * NumTraits<float>::AddCost, PacketAccess = !R::indexed && ristretto::detail::knows_packets };
};
