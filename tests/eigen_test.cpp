// SPDX-License-Identifier: MIT
// Eigen objects of every kind: each result has the bits of a contiguous copy trimmed through spans.
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <ristretto/eigen.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

using Eigen::ColMajor;
using Eigen::Dynamic;
using Eigen::Index;
using Eigen::MatrixXf;
using Eigen::RowMajor;
using Eigen::VectorXf;
using RowMajorMatrix = Eigen::Matrix<float, Dynamic, Dynamic, RowMajor>;

constexpr rt::Trimmer nearest{rt::DynamicFixedPoint<2, 6>{}};
constexpr rt::Trimmer stochastic{rt::Float8E4M3FN{}, rt::RoundStochastic<>{{.seed = 5, .stream = 8}}};
constexpr std::uint64_t first = 0x1'0000'0003;

/// Fills memory with numbers off every grid.
template <class S>
void fill(std::span<S> x) {
  checks::Patterns patterns;
  for (S& value : x) value = static_cast<S>(static_cast<double>(patterns.next()) * 0x1p-30 - 2);
}
template <class X>
X filled(X x) {
  fill(std::span<typename X::Scalar>(x.data(), static_cast<std::size_t>(x.size())));
  return x;
}

/// The elements of a dense object as they would lie in a contiguous copy of its own kind.
template <class X>
std::vector<typename X::Scalar> in_storage_order(const X& x) {
  std::vector<typename X::Scalar> elements;
  for (Index outer = 0; outer < x.outerSize(); ++outer) {
    for (Index inner = 0; inner < x.innerSize(); ++inner) {
      elements.push_back(X::IsRowMajor ? x(outer, inner) : x(inner, outer));
    }
  }
  return elements;
}
template <class S, int N, int Options>
std::vector<S> in_storage_order(const Eigen::Tensor<S, N, Options>& x) {
  return {x.data(), x.data() + x.size()};
}

template <class S, class Trimmer>
std::vector<S> trimmed(std::vector<S> x, const Trimmer& trimmer) {
  rt::trim(std::span<S>(x), trimmer, first);
  return x;
}
template <class S>
bool same(const std::vector<S>& a, const std::vector<S>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t k = 0; equal && k < a.size(); ++k) equal = checks::same(a[k], b[k]);
  return equal;
}

/// Trims `view` in place, by trimmers and by formats chosen at run time; view() makes it anew from fresh elements.
template <class View>
void check_in_place(View view) {
  const auto check = [&](const auto& trimmer) {
    auto&& x = view();
    const auto expected = trimmed(in_storage_order(x), trimmer);
    rt::trim(x, trimmer, first);
    CHECK(same(in_storage_order(x), expected));
    auto&& y = view();
    rt::trim(y, rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, first);
    CHECK(same(in_storage_order(y), expected));
  };
  check(nearest);
  check(stochastic);
}

/// Trims `in` into `out`.
template <class In, class Out>
void check_out_of_place(const In& in, Out&& out) {
  const auto check = [&](const auto& trimmer) {
    out = in;
    const auto expected = trimmed(in_storage_order(out), trimmer);
    out.setZero();
    rt::trim(in, out, trimmer, first);
    CHECK(same(in_storage_order(out), expected));
    out.setZero();
    rt::trim(in, out, rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, first);
    CHECK(same(in_storage_order(out), expected));
  };
  check(nearest);
  check(stochastic);
}

template <class In, class Out>
std::string refusal(const In& in, Out&& out) {
  return checks::message_of<std::invalid_argument>([&] { rt::trim(in, out, nearest); });
}

}  // namespace

TEMPLATE_TEST_CASE("matrices and arrays of either storage order are trimmed in place", "", MatrixXf, RowMajorMatrix,
                   Eigen::ArrayXXf, (Eigen::Array<float, Dynamic, Dynamic, RowMajor>), Eigen::MatrixXd,
                   (Eigen::Matrix<double, Dynamic, Dynamic, RowMajor>), (Eigen::Matrix<float, 3, Dynamic>),
                   (Eigen::Matrix<float, Dynamic, Dynamic, ColMajor, 40, 40>)) {
  for (const Index columns : {1, 2, 7, 37}) check_in_place([=] { return filled(TestType(3, columns)); });
}

TEST_CASE("vectors, row vectors and fixed sizes are trimmed in place") {
  check_in_place([] { return filled(VectorXf(1001)); });
  check_in_place([] { return filled(Eigen::RowVectorXf(77)); });
  check_in_place([] { return filled(Eigen::Matrix4f()); });
  check_in_place([] { return filled(Eigen::Vector3d()); });
  check_in_place([] { return filled(Eigen::Array<float, 5, 7, RowMajor>()); });
}

TEST_CASE("maps with and without strides are trimmed in place, and nothing between their elements") {
  std::vector<float> memory(4000);
  const auto refilled = [&] {
    fill(std::span<float>(memory));
    return memory.data();
  };
  check_in_place([&] { return Eigen::Map<MatrixXf>(refilled() + 1, 9, 31); });
  check_in_place([&] { return Eigen::Map<RowMajorMatrix>(refilled() + 1, 9, 31); });
  check_in_place(
      [&] { return Eigen::Map<MatrixXf, 0, Eigen::OuterStride<>>(refilled(), 9, 31, Eigen::OuterStride<>(13)); });
  check_in_place(
      [&] { return Eigen::Map<VectorXf, 0, Eigen::InnerStride<>>(refilled(), 1000, Eigen::InnerStride<>(4)); });
  using Strides = Eigen::Stride<Dynamic, Dynamic>;
  check_in_place([&] { return Eigen::Map<MatrixXf, 0, Strides>(refilled(), 9, 31, Strides(100, 3)); });
  check_in_place([&] { return Eigen::Map<RowMajorMatrix, 0, Strides>(refilled(), 9, 31, Strides(100, 3)); });

  std::vector<float> gaps(40, 0.3f);
  rt::trim(Eigen::Map<MatrixXf, 0, Strides>(gaps.data(), 3, 3, Strides(13, 2)), nearest);
  for (std::size_t k = 0; k < gaps.size(); ++k) {
    const bool element = k % 13 <= 4 && k % 13 % 2 == 0 && k < 39;
    CHECK(gaps[k] == (element ? 0.296875f : 0.3f));
  }
}

TEST_CASE("references, blocks, rows, columns, diagonals and transposes are trimmed in place") {
  MatrixXf column_major(40, 300);
  RowMajorMatrix row_major(40, 300);
  const auto c = [&]() -> MatrixXf& { return column_major = filled(column_major); };
  const auto r = [&]() -> RowMajorMatrix& { return row_major = filled(row_major); };
  check_in_place([&] { return Eigen::Ref<MatrixXf>(c()); });
  check_in_place([&] { return Eigen::Ref<MatrixXf>(c().block(3, 5, 20, 30)); });
  check_in_place([&] { return Eigen::Ref<VectorXf, 0, Eigen::InnerStride<>>(c().row(7).transpose()); });
  check_in_place([&] { return c().block(3, 5, 20, 30); });
  check_in_place([&] { return r().block(3, 5, 20, 30); });
  check_in_place([&] { return c().topRows(1); });
  check_in_place([&] { return c().leftCols(2); });
  check_in_place([&] { return c().template block<3, 2>(1, 1); });
  check_in_place([&] { return c().row(7); });  // 300 elements, 40 apart
  check_in_place([&] { return r().row(7); });
  check_in_place([&] { return c().col(7); });
  check_in_place([&] { return r().col(7); });
  check_in_place([&] { return c().row(7).segment(10, 270); });
  check_in_place([&] { return c().transpose(); });
  check_in_place([&] { return r().transpose(); });
  check_in_place([&] { return c().block(3, 5, 20, 30).transpose(); });
  check_in_place([&] { return c().diagonal(); });
  check_in_place([&] { return c().array(); });
  check_in_place([&] { return c().array().matrix().col(3).head(9); });
}

TEST_CASE("a block leaves the rest of its matrix alone") {
  MatrixXf m = filled(MatrixXf(9, 9));
  const MatrixXf before = m;
  rt::trim(m.block(2, 3, 4, 5), stochastic);
  for (Index j = 0; j < 9; ++j) {
    for (Index i = 0; i < 9; ++i) {
      const bool inside = 2 <= i && i < 6 && 3 <= j && j < 8;
      if (!inside) CHECK(m(i, j) == before(i, j));
    }
  }
}

TEST_CASE("the order of elements is that of storage: a transpose has the bits of its matrix") {
  const MatrixXf m = filled(MatrixXf(5, 7));
  MatrixXf a = m;
  MatrixXf b = m;
  rt::trim(a, stochastic);
  rt::trim(b.transpose(), stochastic);
  CHECK(a == b);
  RowMajorMatrix c = m;
  rt::trim(c, stochastic);
  CHECK(a != c);
}

TEST_CASE("a matrix may be split anywhere, each piece given its place") {
  MatrixXf whole = filled(MatrixXf(7, 20));
  MatrixXf pieces = whole;
  rt::trim(whole, stochastic);
  rt::trim(pieces.leftCols(3), stochastic, 0);
  rt::trim(pieces.rightCols(17), stochastic, 3 * 7);
  CHECK(whole == pieces);
}

TEST_CASE("tensors, tensor maps and tensors of fixed size are trimmed") {
  const auto check = [](auto&& x) {
    using Tensor = std::remove_cvref_t<decltype(x)>;
    using S = typename Tensor::Scalar;
    fill(std::span<S>(x.data(), static_cast<std::size_t>(x.size())));
    const Tensor original = x;
    for (const auto& trimmer : {stochastic}) {
      std::vector<S> expected(original.data(), original.data() + original.size());
      expected = trimmed(expected, trimmer);
      const auto agrees = [&](const auto& y) { return same(std::vector<S>(y.data(), y.data() + y.size()), expected); };
      x = original;
      rt::trim(x, trimmer, first);
      CHECK(agrees(x));
      x = original;
      rt::trim(Eigen::TensorMap<Tensor>(x), rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, first);
      CHECK(agrees(x));
      Tensor y = original;
      y.setZero();
      rt::trim(original, y, trimmer, first);
      CHECK(agrees(y));
      y.setZero();
      rt::trim(Eigen::TensorMap<const Tensor>(original), Eigen::TensorMap<Tensor>(y), trimmer, first);
      CHECK(agrees(y));
    }
    x = original;
    const Tensor lazy = original.unaryExpr(nearest);
    rt::trim(x, nearest);
    CHECK(same(std::vector<S>(x.data(), x.data() + x.size()), std::vector<S>(lazy.data(), lazy.data() + lazy.size())));
  };
  check(Eigen::Tensor<float, 4>(2, 3, 5, 7));
  check(Eigen::Tensor<float, 3, RowMajor>(2, 3, 5));
  check(Eigen::Tensor<double, 2>(3, 5));
  check(Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 5>>());
}

TEST_CASE("a tensor that can be resized takes the shape of the input; a map must have it") {
  const Eigen::Tensor<float, 3> in = filled(Eigen::Tensor<float, 3>(2, 3, 5));
  Eigen::Tensor<float, 3> out;
  rt::trim(in, out, nearest);
  CHECK(out.dimension(2) == 5);

  std::vector<float> memory(30);
  using Map = Eigen::TensorMap<Eigen::Tensor<float, 3>>;
  CHECK(refusal(in, Map(memory.data(), 2, 3, 4)) ==
        "ristretto::trim: the input is 2 x 3 x 5 and the output 2 x 3 x 4; give them equal shapes");
  CHECK(checks::contains(refusal(in, Map(memory.data(), 5, 3, 2)), "5 x 3 x 2"));
  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 5>> fixed;
  const Eigen::Tensor<float, 3> other(2, 5, 3);
  CHECK(checks::contains(refusal(other, fixed), "the input is 2 x 5 x 3 and the output 2 x 3 x 5"));
}

TEST_CASE("out of place, into matrices of either order, blocks and maps") {
  const MatrixXf in = filled(MatrixXf(20, 31));
  const RowMajorMatrix row_major = in;
  MatrixXf room(50, 60);
  std::vector<float> memory(5000);
  check_out_of_place(in, MatrixXf());
  check_out_of_place(in, RowMajorMatrix());
  check_out_of_place(row_major, MatrixXf());
  check_out_of_place(in, Eigen::Matrix<float, 20, Dynamic>());
  check_out_of_place(in, room.block(3, 4, 20, 31));
  check_out_of_place(in, Eigen::Ref<MatrixXf>(room.block(3, 4, 20, 31)));
  check_out_of_place(in, room.block(3, 4, 31, 20).transpose());
  check_out_of_place(in.row(3), room.row(5).head(31));
  check_out_of_place(in.row(3), VectorXf());  // a vector may lie along either dimension
  check_out_of_place(in.row(3), room.col(5).head(31));
  check_out_of_place(in, Eigen::Map<RowMajorMatrix>(memory.data(), 20, 31));
  check_out_of_place(Eigen::Ref<const MatrixXf>(in), MatrixXf());
  check_out_of_place(Eigen::Map<const MatrixXf>(in.data(), 31, 20), MatrixXf());
  check_out_of_place(Eigen::MatrixXd(in.cast<double>()), Eigen::MatrixXd());
  MatrixXf same_object = in;
  rt::trim(same_object, same_object, nearest);
  CHECK(same_object == MatrixXf(in.unaryExpr(nearest)));
}

TEST_CASE("the input may be an expression") {
  const MatrixXf a = filled(MatrixXf(20, 31));
  const MatrixXf b = 0.3f * a;
  check_out_of_place(a + b, MatrixXf());
  check_out_of_place(a.transpose(), MatrixXf());
  check_out_of_place(a.array() * b.array(), Eigen::ArrayXXf());
  check_out_of_place(MatrixXf::Constant(3, 5, 0.3f), RowMajorMatrix());
  MatrixXf product;
  rt::trim(a * b.transpose(), product, nearest);
  CHECK(product == MatrixXf(MatrixXf(a * b.transpose()).unaryExpr(nearest)));
}

TEST_CASE("unaryExpr gives what trim gives") {
  const MatrixXf m = filled(MatrixXf(20, 31));
  MatrixXf trimmed_copy;
  rt::trim(m, trimmed_copy, nearest);
  CHECK(MatrixXf(m.unaryExpr(nearest)) == trimmed_copy);
  CHECK(Eigen::ArrayXXf(m.array().unaryExpr(nearest)).matrix() == trimmed_copy);
  CHECK(MatrixXf(m.block(1, 2, 3, 4).unaryExpr(nearest)) == trimmed_copy.block(1, 2, 3, 4));
}

namespace {

#if !defined(RISTRETTO_NO_SIMD)
template <class Trimmer>
constexpr bool takes_packets = Eigen::internal::functor_traits<std::remove_const_t<Trimmer>>::PacketAccess != 0;
static_assert(takes_packets<decltype(nearest)> && takes_packets<rt::Trimmer<rt::BFloat16, rt::RoundHalfUp>>);
static_assert(takes_packets<rt::Trimmer<rt::Minifloat<>>> && takes_packets<rt::Trimmer<rt::PowerOfTwo<>>>);
static_assert(!takes_packets<decltype(stochastic)>);
static_assert(!takes_packets<rt::Trimmer<rt::Half, rt::RoundStochastic<16>>>);
template <class Expression>
constexpr bool runs_on_packets = (Eigen::internal::evaluator<Expression>::Flags & Eigen::PacketAccessBit) != 0;
static_assert(runs_on_packets<decltype(std::declval<Eigen::ArrayXf>().unaryExpr(nearest))>);
static_assert(runs_on_packets<decltype(std::declval<Eigen::ArrayXd>().unaryExpr(nearest))>);
static_assert(runs_on_packets<decltype(std::declval<Eigen::Array4f>().unaryExpr(nearest))>);
#endif

/// Every special value, one array after the other, of the sizes and kinds that x is resized to.
template <class S>
class SpecialValues {
 public:
  void fill(std::span<S> x) {
    for (S& value : x) value = static_cast<S>(values_[next_++ % values_.size()]);
  }

 private:
  std::vector<float> values_ = checks::special_floats();
  std::size_t next_ = 0;
};

/// Compares the packets of an expression with the scalar Trimmer.
template <class X, class Trimmer>
void check_packets(checks::Disagreements& found, SpecialValues<typename X::Scalar>& values, X x,
                   const Trimmer& trimmer) {
  using S = typename X::Scalar;
  const auto size = static_cast<std::size_t>(x.size());
  values.fill(std::span<S>(x.data(), size));
  const X lazy = x.unaryExpr(trimmer);
  const X within = (S(0.5) * x.unaryExpr(trimmer) + x.cwiseAbs()).unaryExpr(trimmer);
  for (std::size_t k = 0; k < size; ++k) {
    const S value = x.data()[k];
    found.compare(trimmer.format, value, lazy.data()[k], trimmer(value));
    found.compare(trimmer.format, value, within.data()[k], trimmer(S(0.5) * trimmer(value) + std::abs(value)));
  }
}

template <class S, class Trimmer>
void check_lengths(checks::Disagreements& found, const Trimmer& trimmer) {
  SpecialValues<S> values;
  for (Index length = 0; length <= 120; ++length) {
    check_packets(found, values, Eigen::Array<S, Dynamic, 1>(length), trimmer);
  }
  check_packets(found, values, Eigen::Array<S, Dynamic, 1>(3000), trimmer);
}

/// Small arrays of fixed sizes have packets of their own.
template <class Trimmer>
void check_fixed_sizes(checks::Disagreements& found, const Trimmer& trimmer) {
  SpecialValues<float> values;
  for (int repeat = 0; repeat < 1000; ++repeat) {
    check_packets(found, values, Eigen::Array<float, 1, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 3, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 4, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 8, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 13, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 16, 1>(), trimmer);
    check_packets(found, values, Eigen::Array<float, 4, 6, RowMajor>(), trimmer);
  }
}

template <class F>
std::string packet_disagreements(const F& format) {
  checks::Disagreements found;
  check_lengths<float>(found, rt::Trimmer{format});
  check_lengths<float>(found, rt::Trimmer{format, rt::RoundNearestAway{}});
  check_lengths<float>(found, rt::Trimmer{format, rt::RoundHalfUp{}});
  check_lengths<float>(found, rt::Trimmer{format, rt::RoundDown{}});
  check_lengths<float>(found, rt::Trimmer{format, rt::RoundUp{}});
  check_lengths<float>(found, rt::Trimmer{format, rt::RoundTowardZero{}});
  if constexpr (requires { requires !F::has_zero; }) {
    check_lengths<float>(found, rt::Trimmer{format, rt::RoundNearestExponent{}});
  }
  check_lengths<double>(found, rt::Trimmer{format});
  return found.report();
}

}  // namespace

TEST_CASE("the packets of unaryExpr give the bits of the scalar Trimmer, for formats of every route") {
  CHECK(packet_disagreements(rt::DynamicFixedPoint<2, 6>{}) == "");
  CHECK(packet_disagreements(rt::DynamicFixedPoint{4, 28}) == "");  // the three lines
  CHECK(packet_disagreements(rt::Minifloat{7, 8}) == "");
  CHECK(packet_disagreements(rt::PowerOfTwo{-8, 3}) == "");
  checks::Disagreements found;
  check_lengths<float>(found, rt::Trimmer{rt::UnsignedFixedPoint{0, 8}});
  check_lengths<float>(found, rt::Trimmer{rt::Float8E4M3FNUZ{}, rt::RoundUp{}});
  CHECK(found.report() == "");
}

TEST_CASE("the packets of small fixed sizes give the bits of the scalar Trimmer") {
  checks::Disagreements found;
  check_fixed_sizes(found, rt::Trimmer{rt::DynamicFixedPoint{2, 6}});
  check_fixed_sizes(found, rt::Trimmer{rt::BFloat16{}, rt::RoundHalfUp{}});
  CHECK(found.report() == "");
}

TEST_CASE("unaryExpr of tensors gives the bits of the scalar Trimmer") {
  const auto check = [](auto x) {
    using Tensor = decltype(x);
    SpecialValues<float> values;
    values.fill(std::span<float>(x.data(), static_cast<std::size_t>(x.size())));
    const Tensor lazy = x.unaryExpr(nearest);
    const Tensor within = (x.unaryExpr(nearest) + x.abs()).unaryExpr(nearest) * 0.5f;
    checks::Disagreements found;
    for (Index k = 0; k < x.size(); ++k) {
      const float value = x.data()[k];
      found.compare(k, value, lazy.data()[k], nearest(value));
      found.compare(k, value, within.data()[k], nearest(nearest(value) + std::abs(value)) * 0.5f);
    }
    CHECK(found.report() == "");
  };
  check(Eigen::Tensor<float, 1>(3301));
  check(Eigen::Tensor<float, 3>(11, 17, 19));
  check(Eigen::Tensor<float, 3, RowMajor>(11, 17, 19));
}

TEST_CASE("from a plain object to another of its type: resized, and the bits of trimming in place") {
  const auto check = [](const auto& in, auto out) {
    const auto check_trimmer = [&in, &out](const auto& trimmer) {
      const auto agrees = [&in](const auto& x, const auto& expected) {
        checks::Disagreements found;
        for (Index k = 0; k < in.size(); ++k) found.compare(k, in.data()[k], x.data()[k], expected.data()[k]);
        return x.size() == in.size() && found.report() == "";
      };
      auto in_place = in;
      rt::trim(in_place, trimmer, first);
      auto into_other_size = out;
      rt::trim(in, into_other_size, trimmer, first);
      CHECK(agrees(into_other_size, in_place));
      auto by_any_format = out;
      rt::trim(in, by_any_format, rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, first);
      CHECK(agrees(by_any_format, in_place));
      auto onto_itself = in;
      rt::trim(onto_itself, onto_itself, trimmer, first);
      CHECK(agrees(onto_itself, in_place));
    };
    check_trimmer(nearest);
    check_trimmer(stochastic);
  };
  check(filled(MatrixXf(20, 31)), MatrixXf());
  check(filled(MatrixXf(20, 31)), MatrixXf(31, 20));
  check(filled(RowMajorMatrix(20, 31)), RowMajorMatrix(3, 4));
  check(filled(Eigen::ArrayXXf(5, 7)), Eigen::ArrayXXf(50, 70));
  check(filled(Eigen::MatrixXd(5, 7)), Eigen::MatrixXd());
  check(filled(VectorXf(77)), VectorXf(3));
  check(filled(Eigen::RowVectorXf(77)), Eigen::RowVectorXf());
  check(filled(Eigen::Matrix4f()), Eigen::Matrix4f());
  check(filled(Eigen::Matrix<float, 3, Dynamic>(3, 9)), Eigen::Matrix<float, 3, Dynamic>(3, 2));
  check(filled(Eigen::Matrix<float, Dynamic, Dynamic, ColMajor, 9, 9>(9, 4)),
        Eigen::Matrix<float, Dynamic, Dynamic, ColMajor, 9, 9>(2, 2));
  check(filled(Eigen::Tensor<float, 3>(5, 6, 7)), Eigen::Tensor<float, 3>(2, 2, 2));
  check(filled(Eigen::Tensor<double, 1>(9)), Eigen::Tensor<double, 1>());
  check(filled(Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 5>>()),
        Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 5>>());
}

TEST_CASE("empty objects are trimmed to themselves") {
  check_in_place([] { return MatrixXf(0, 0); });
  check_in_place([] { return MatrixXf(0, 5); });
  check_in_place([] { return RowMajorMatrix(5, 0); });
  check_in_place([] { return VectorXf(); });
  MatrixXf m(4, 4);
  check_in_place([&] { return m.block(1, 1, 0, 2); });
  check_out_of_place(MatrixXf(0, 5), MatrixXf());
  Eigen::Tensor<float, 2> tensor(0, 3);
  rt::trim(tensor, stochastic);
  CHECK(tensor.size() == 0);
}

TEST_CASE("shapes that differ are refused where the output cannot be resized") {
  const MatrixXf in(2, 3);
  MatrixXf room(9, 9);
  std::vector<float> memory(100);
  CHECK(refusal(in, room.block(0, 0, 2, 2)) ==
        "ristretto::trim: the input is 2 x 3 and the output 2 x 2; give them equal shapes");
  CHECK(checks::contains(refusal(in, Eigen::Map<MatrixXf>(memory.data(), 3, 2)),
                         "the input is 2 x 3 and the output 3 x 2"));
  CHECK(checks::contains(refusal(in, Eigen::Ref<MatrixXf>(room)), "9 x 9"));
  CHECK(checks::contains(refusal(in, Eigen::Matrix4f()), "4 x 4"));
  CHECK(checks::contains(refusal(in, Eigen::Matrix<float, 3, Dynamic>(3, 3)), "3 x 3"));
  CHECK(checks::contains(refusal(in, Eigen::Matrix<float, Dynamic, Dynamic, ColMajor, 2, 2>(1, 1)), "1 x 1"));
  CHECK(checks::contains(refusal(VectorXf(4), room.col(0)), "the input is 4 x 1 and the output 9 x 1"));
  CHECK(checks::contains(refusal(VectorXf(4), room.row(0)), "the input is 4 x 1 and the output 1 x 9"));
  CHECK(checks::contains(refusal(in, VectorXf()), "the output 0 x 1"));
  CHECK(checks::contains(refusal(in.transpose(), room), "nothing thrown"));
}

TEST_CASE("rows of matrices have formats of their own, in either order") {
  const std::vector<rt::AnyFormat> formats{rt::DynamicFixedPoint{2, 3}, rt::Minifloat{2, 3},
                                           rt::PowerOfTwoOrZero{-3, 0}};
  Eigen::Matrix<float, 3, 50, Eigen::RowMajor> rows;
  for (int k = 0; k < rows.size(); ++k) rows(k / 50, k % 50) = 0.037f * static_cast<float>(k - 70);
  Eigen::MatrixXf columns = rows;
  Eigen::MatrixXf larger = Eigen::MatrixXf::Zero(8, 60);
  larger.block(2, 3, 3, 50) = rows;
  auto expected = rows;
  rt::trim_rows(std::span<float>(expected.data(), 150), formats);
  rt::trim_rows(rows, formats);
  rt::trim_rows(columns, formats);
  rt::trim_rows(larger.block(2, 3, 3, 50), formats);
  CHECK(rows == expected);
  CHECK(columns == expected);
  CHECK(larger.block(2, 3, 3, 50) == expected);
  Eigen::Matrix<float, 3, 50, Eigen::RowMajor> drawn = Eigen::MatrixXf::Constant(3, 50, 0.3f), by_hand = drawn;
  const rt::RoundStochastic<> chance{{.seed = 5, .stream = 6}};
  rt::trim_rows(drawn, formats, chance, 9);
  rt::trim_rows(std::span<float>(by_hand.data(), 150), formats, chance, 9);
  CHECK(drawn == by_hand);
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([&] { rt::trim_rows(larger, formats); }),
                         "8 rows, but 3 formats"));
}
