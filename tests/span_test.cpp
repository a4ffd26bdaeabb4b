// SPDX-License-Identifier: MIT
// Spans: SIMD gives the bits of the scalar Trimmer, for every format, rounding, offset, length, split and place.
#include <ristretto/span.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using rt::AnyFormat;

namespace {

/// Special values, then numbers near 1, then any bit patterns.
std::vector<float> make_inputs(std::size_t size) {
  std::vector<float> x = checks::special_floats();
  checks::Patterns patterns;
  while (x.size() < size) {
    x.push_back(patterns.next_float());
    x.push_back((static_cast<float>(patterns.next() >> 8) - 0x1p23f) * 0x1p-20f);
  }
  x.resize(size);
  return x;
}

/// The special values are all in the first 4096.
const std::vector<float>& inputs() {
  static const std::vector<float> x = make_inputs(1 << 15);
  return x;
}

/// A Trimmer whose type is forgotten, so that what compares with it is compiled once.
struct AnyTrimmer {
  template <class F, class R>
  AnyTrimmer(const rt::Trimmer<F, R>& trimmer)
      : one([trimmer](float x, std::uint64_t i) { return trimmer(x, i); }),
        trim([trimmer](std::span<const float> in, std::span<float> out, std::uint64_t first, rt::Stores stores) {
          rt::trim(in, out, trimmer, first, stores);
        }) {}

  std::function<float(float, std::uint64_t)> one;
  std::function<void(std::span<const float>, std::span<float>, std::uint64_t, rt::Stores)> trim;
};

/// out[k] of the scalar Trimmer for element first + k.
std::vector<float> one_by_one(const std::vector<float>& x, const AnyTrimmer& trimmer, std::uint64_t first) {
  std::vector<float> out(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) out[k] = trimmer.one(x[k], first + k);
  return out;
}

constexpr float untouched = -12345.5f;

/// A few thousand floats at once, out of place and in place.
void check_whole(checks::Disagreements& found, const std::string& title, const AnyTrimmer& trimmer,
                 std::uint64_t first) {
  const std::vector<float>& x = inputs();
  const std::vector<float> expected = one_by_one(x, trimmer, first);
  std::vector<float> out(x.size());
  trimmer.trim(x, out, first, rt::Stores::by_size);
  std::vector<float> in_place = x;
  trimmer.trim(in_place, in_place, first, rt::Stores::by_size);
  for (std::size_t k = 0; k < x.size(); ++k) {
    found.compare(title, x[k], out[k], expected[k]);
    found.compare(title + " in place", x[k], in_place[k], expected[k]);
  }
}

/// Every offset to 16, every length to 70; what lies around the span is not written.
void check_places(checks::Disagreements& found, const std::string& title, const AnyTrimmer& trimmer,
                  std::uint64_t first) {
  constexpr std::size_t around = 16;
  const std::vector<float> x(inputs().begin() + 1200, inputs().begin() + 1200 + 128);
  const std::vector<float> expected = one_by_one(x, trimmer, first);
  const std::span<const float> in(x);
  for (std::size_t offset = 0; offset <= 16; ++offset) {
    for (std::size_t length = 0; length <= 70; ++length) {
      std::vector<float> out(length + 2 * around, untouched);
      const std::size_t place = (3 * offset) % around;  // the output is aligned otherwise than the input
      trimmer.trim(in.subspan(offset, length), std::span(out).subspan(place, length), first + offset,
                   rt::Stores::by_size);
      for (std::size_t k = 0; k < out.size(); ++k) {
        const bool inside = k >= place && k < place + length;
        const std::size_t element = inside ? offset + k - place : 0;
        found.compare(title, x[element], out[k], inside ? expected[element] : untouched);
      }
      std::vector<float> in_place = x;
      const std::span<float> piece = std::span(in_place).subspan(offset, length);
      trimmer.trim(piece, piece, first + offset, rt::Stores::by_size);
      for (std::size_t k = 0; k < x.size(); ++k) {
        const bool inside = k >= offset && k < offset + length;
        found.compare(title + " in place", x[k], in_place[k], inside ? expected[k] : x[k]);
      }
    }
  }
}

constexpr std::uint64_t far = 0x1'0000'0000;

template <class F, class R>
void check_rounding(checks::Disagreements& found, const F& format, const char* name, const R& round) {
  const AnyTrimmer trimmer = rt::Trimmer<F, R>{format, round};
  const std::string title = rt::to_string(format) + " " + name;
  if constexpr (R::indexed) {
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{6}, far - 5, 9 * far + 11}) {
      check_whole(found, title, trimmer, first);
    }
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{3}, far + 13, 1000 * far - 21}) {
      check_places(found, title, trimmer, first);
    }
  } else {
    check_whole(found, title, trimmer, 0);
    check_places(found, title, trimmer, 5);
  }
}

template <class F>
void check_deterministic(checks::Disagreements& found, const F& format) {
  check_rounding(found, format, "RoundNearest", rt::RoundNearest{});
  check_rounding(found, format, "RoundNearestAway", rt::RoundNearestAway{});
  check_rounding(found, format, "RoundHalfUp", rt::RoundHalfUp{});
  check_rounding(found, format, "RoundDown", rt::RoundDown{});
  check_rounding(found, format, "RoundUp", rt::RoundUp{});
  check_rounding(found, format, "RoundTowardZero", rt::RoundTowardZero{});
  if constexpr (requires { requires !F::has_zero; }) {
    check_rounding(found, format, "RoundNearestExponent", rt::RoundNearestExponent{});
  }
}

template <class F>
void check_stochastic(checks::Disagreements& found, const F& format) {
  check_rounding(found, format, "RoundStochastic<32>", rt::RoundStochastic<32>{{.seed = 1, .stream = 3}});
  check_rounding(found, format, "RoundStochastic<16>", rt::RoundStochastic<16>{{.seed = far + 7, .stream = 9 * far}});
}

/// Formats of every family, those at the edges of float among them.
const std::vector<std::string> formats = {"fixed:2,6",
                                          "fixed:12,-4",
                                          "fixed:104,-96",
                                          "fixed:4,28",
                                          "fixed:1,0",
                                          "fixed:-118,126",
                                          "ufixed:0,8",
                                          "ufixed:128,-96",
                                          "half",
                                          "bfloat16",
                                          "tf32",
                                          "minifloat:23,8",
                                          "minifloat:0,2",
                                          "minifloat:10,5,to_infinity",
                                          "minifloat:7,8,to_infinity",
                                          "e4m3fn",
                                          "minifloat:3,8,finite_nan",
                                          "e2m1fn",
                                          "minifloat:0,1,finite",
                                          "minifloat:7,8,finite",
                                          "e4m3fnuz",
                                          "minifloat:23,8,fnuz",
                                          "minifloat:3,4,ristretto2016",
                                          "minifloat:7,8,ristretto2016",
                                          "pow2:-8,-1",
                                          "pow2:-126,127",
                                          "pow2z:-8,-1",
                                          "pow2z:-126,127",
                                          "pow2z:100,120"};

}  // namespace

TEST_CASE("SIMD gives the bits of the scalar Trimmer, roundings without randomness") {
  for (const std::string& text : formats) {
    checks::Disagreements found;
    AnyFormat::parse(text).visit([&found](const auto& format) { check_deterministic(found, format); });
    CHECK(found.report() == "");
  }
}

TEST_CASE("SIMD gives the bits of the scalar Trimmer, stochastic roundings") {
  for (const char* text : {"fixed:2,6", "ufixed:0,8", "bfloat16", "minifloat:10,5,to_infinity", "e4m3fn", "e2m1fn",
                           "e4m3fnuz", "minifloat:3,4,ristretto2016", "pow2:-8,-1", "pow2z:-8,-1"}) {
    checks::Disagreements found;
    AnyFormat::parse(text).visit([&found](const auto& format) { check_stochastic(found, format); });
    CHECK(found.report() == "");
  }
}

TEST_CASE("a format fixed in the type gives the same bits in SIMD") {
  checks::Disagreements found;
  check_rounding(found, rt::DynamicFixedPoint<2, 6>{}, "fixed in the type", rt::RoundNearest{});
  check_rounding(found, rt::Float8E4M3FN{}, "fixed in the type", rt::RoundNearestAway{});
  check_rounding(found, rt::BFloat16{}, "fixed in the type", rt::RoundStochastic<16>{});
  check_rounding(found, rt::PowerOfTwo<-8, -1>{}, "fixed in the type", rt::RoundNearestExponent{});
  CHECK(found.report() == "");
}

TEST_CASE("a tensor split anywhere gives the bits of the whole") {
  const auto check = [](const auto& trimmer) {
    const std::vector<float> x(inputs().begin(), inputs().begin() + 300);
    const std::uint64_t start = far - 100;
    std::vector<float> whole(x.size());
    rt::trim(x, whole, trimmer, start);
    checks::Disagreements found;
    for (std::size_t cut = 0; cut <= x.size(); ++cut) {
      const std::size_t second_cut = cut + (x.size() - cut) / 3;
      std::vector<float> pieces = x;
      const std::span<float> all(pieces);
      rt::trim(all.subspan(second_cut), trimmer, start + second_cut);  // the last piece first: order does not matter
      rt::trim(all.first(cut), trimmer, start);
      rt::trim(all.subspan(cut, second_cut - cut), trimmer, start + cut);
      for (std::size_t k = 0; k < x.size(); ++k) found.compare(cut, x[k], pieces[k], whole[k]);
    }
    CHECK(found.report() == "");
  };
  check(rt::Trimmer{rt::DynamicFixedPoint{2, 6}, rt::RoundStochastic<>{{.seed = 1, .stream = 3}}});
  check(rt::Trimmer{rt::Float8E5M2{}, rt::RoundStochastic<16>{{.seed = 1, .stream = 3}}});
  check(rt::Trimmer{rt::PowerOfTwo{-8, 3}, rt::RoundStochastic<16>{{.seed = 2}}});
  check(rt::Trimmer{rt::Half{}});
}

TEST_CASE("trim with AnyFormat is trim with the concrete format") {
  const std::vector<float>& x = inputs();
  checks::Disagreements found;
  for (const std::string& text : formats) {
    const AnyFormat format = AnyFormat::parse(text);
    std::vector<float> out(x.size());
    rt::trim(x, out, rt::Trimmer{format});
    std::vector<float> in_place = x;
    rt::trim(in_place, rt::Trimmer{format, rt::RoundStochastic<16>{{.seed = 3}}}, 77);
    const auto compare = [&](const auto& concrete) {
      const rt::Trimmer nearest{concrete};
      const rt::Trimmer stochastic{concrete, rt::RoundStochastic<16>{{.seed = 3}}};
      for (std::size_t k = 0; k < x.size(); ++k) {
        found.compare(text, x[k], out[k], nearest(x[k]));
        found.compare(text + " stochastic", x[k], in_place[k], stochastic(x[k], 77 + k));
      }
    };
    format.visit(compare);
  }
  CHECK(found.report() == "");
}

namespace {

constexpr std::size_t line = 16;  // floats
constexpr std::size_t longest = 4113;

/// Trims so many floats with every place of input and output on a cache line; around the output nothing is written.
void check_stores(checks::Disagreements& found, const std::string& title, const AnyTrimmer& trimmer,
                  std::uint64_t first, std::size_t length) {
  alignas(64) static float in[line + longest];
  alignas(64) static float out[line + longest + line];
  std::copy_n(inputs().begin(), std::size(in), in);
  std::vector<float> expected(length + line);
  for (std::size_t k = 0; k < expected.size(); ++k) expected[k] = trimmer.one(in[k], first + k);
  const auto check = [&](std::size_t from, std::size_t to, rt::Stores stores, bool in_place) {
    std::fill(std::begin(out), std::end(out), untouched);
    const std::span<float> result(out + to, length);
    if (in_place) std::copy_n(in + from, length, out + to);
    const std::span<const float> input = in_place ? result : std::span<const float>(in + from, length);
    trimmer.trim(input, result, first + from, stores);
    for (std::size_t k = 0; k < length + 2 * line; ++k) {
      const bool inside = k >= to && k < to + length;
      const std::size_t element = inside ? from + k - to : 0;
      found.compare(title, in[element], out[k], inside ? expected[element] : untouched);
    }
  };
  // Groups of draws begin at cache lines of the output where `to` is first + from, modulo 16; elsewhere they do not.
  for (std::size_t from = 0; from <= line; ++from) {
    for (std::size_t to = 0; to <= line; ++to) {
      check(from, to, rt::Stores::streaming, false);
      check(from, to, rt::Stores::cached, false);
    }
    check(0, from, rt::Stores::streaming, true);
    check(5, from, rt::Stores::cached, true);
  }
}

template <class F, class R>
std::string stores_disagreements(const rt::Trimmer<F, R>& trimmer, std::initializer_list<std::uint64_t> firsts) {
  checks::Disagreements found;
  for (const std::uint64_t first : firsts) {
    const std::string title = rt::to_string(trimmer.format) + " from " + std::to_string(first) + " on, ";
    for (std::size_t length = 0; length <= 70; ++length) {
      check_stores(found, title + std::to_string(length), trimmer, first, length);
    }
    for (const std::size_t length : {1023u, 1024u, 1025u, 1040u, 2049u, 3000u, 4113u}) {
      check_stores(found, title + std::to_string(length), trimmer, first, length);
    }
  }
  return found.report();
}

/// A rounding with draws of which the library does not know that it has.
struct RoundDithered {
  static constexpr bool indexed = true;
  rt::RandomStream random{};

  template <class T>
  T operator()(T v, std::uint64_t i) const noexcept {
    return rt::Ops<T>::rint(v + (rt::Ops<T>::template uniform<32>(random, i) - T(0.5f)));
  }
};

}  // namespace

TEST_CASE("stores past the caches and cached ones leave the bits of trimming one by one, and nothing else") {
  CHECK(stores_disagreements(rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}}, {0}) == "");
  CHECK(stores_disagreements(rt::Trimmer{rt::BFloat16{}, rt::RoundUp{}}, {0}) == "");
  CHECK(stores_disagreements(rt::Trimmer{rt::Float8E4M3FN{}, rt::RoundStochastic<32>{{.seed = 1}}}, {0, far + 13}) ==
        "");
  CHECK(stores_disagreements(rt::Trimmer{rt::DynamicFixedPoint{2, 6}, rt::RoundStochastic<16>{{.seed = 2}}},
                             {3, 9 * far - 1021}) == "");
  CHECK(stores_disagreements(rt::Trimmer{rt::Half{}, RoundDithered{{.seed = 3}}}, {7}) == "");
}

TEST_CASE("outputs as large as streams leave the bits of cached ones") {
  std::vector<float> in(rt::streaming_floats + 3);
  checks::Patterns patterns;
  for (float& x : in) x = patterns.next_float();
  const auto check = [&in](const auto& trimmer, rt::Stores stores) {
    std::vector<float> streamed(in.size());
    std::vector<float> cached(in.size());
    rt::trim(in, streamed, trimmer, 5, stores);
    rt::trim(in, cached, trimmer, 5, rt::Stores::cached);
    checks::Disagreements found;
    for (std::size_t k = 0; k < in.size(); ++k) found.compare(k, in[k], streamed[k], cached[k]);
    CHECK(found.report() == "");
  };
  check(rt::Trimmer{rt::DynamicFixedPoint{2, 6}}, rt::Stores::by_size);
  check(rt::Trimmer{rt::Half{}, rt::RoundStochastic<16>{{.seed = 3}}}, rt::Stores::streaming);
}

TEST_CASE("sizes that differ are refused") {
  const std::vector<float> in(5);
  std::vector<float> out(7, untouched);
  const std::vector<double> doubles_in(5);
  std::vector<double> doubles_out(7);
  const auto message = [&](auto f) { return checks::message_of<std::invalid_argument>(f); };
  for (const std::string& text : {message([&] { rt::trim(in, out, rt::Trimmer{rt::Half{}}); }),
                                  message([&] { rt::trim(in, out, rt::Trimmer{AnyFormat(rt::Half{})}); }),
                                  message([&] { rt::trim(doubles_in, doubles_out, rt::Trimmer{rt::Half{}}); })}) {
    CAPTURE(text);
    CHECK(checks::contains(text, "input has 5"));
    CHECK(checks::contains(text, "output 7"));
  }
  CHECK(out == std::vector<float>(7, untouched));
}

TEST_CASE("empty spans are fine") {
  std::vector<float> nothing;
  rt::trim(nothing, rt::Trimmer{rt::Half{}});
  rt::trim(std::span<float>{}, rt::Trimmer{rt::Half{}, rt::RoundStochastic<>{}}, 5);
  rt::trim(std::span<const float>{}, std::span<float>{}, rt::Trimmer{AnyFormat(rt::Half{})});
  CHECK(nothing.empty());
}

TEST_CASE("spans of doubles are trimmed element by element") {
  std::vector<double> x;
  checks::Patterns patterns;
  for (int n = 0; n < 1001; ++n) x.push_back((static_cast<double>(patterns.next()) - 0x1p31) * 0x1.8p-30);
  const auto check = [&x](const auto& trimmer) {
    std::vector<double> out(x.size());
    rt::trim(x, out, trimmer, 3);
    std::vector<double> in_place = x;
    rt::trim(in_place, trimmer, 3);
    checks::Disagreements found;
    for (std::size_t k = 0; k < x.size(); ++k) {
      found.compare("out of place", x[k], out[k], trimmer(x[k], 3 + k));
      found.compare("in place", x[k], in_place[k], trimmer(x[k], 3 + k));
    }
    CHECK(found.report() == "");
  };
  check(rt::Trimmer{rt::DynamicFixedPoint{8, 24}});
  check(rt::Trimmer{rt::DynamicFixedPoint{2, 6}, rt::RoundStochastic<>{{.seed = 1}}});
  check(rt::Trimmer{rt::Half{}, rt::RoundStochastic<16>{{.seed = 1}}});
}

TEST_CASE("a quantum may be a subnormal float") {
  const auto trimmed = [](float value, const char* format, auto round) {
    std::vector<float> x(37, value);
    rt::trim(std::span<float>(x), rt::Trimmer{rt::AnyFormat::parse(format), round});
    CHECK(x == std::vector<float>(37, x[0]));
    return x[0];
  };
  CHECK(checks::same(trimmed(0.0f, "minifloat:23,8", rt::RoundNearest{}), 0.0f));
  CHECK(checks::same(trimmed(-0.0f, "minifloat:23,8", rt::RoundDown{}), -0.0f));
  CHECK(trimmed(0x1p-126f, "minifloat:7,8,fnuz", rt::RoundTowardZero{}) == 0x1p-126f);
  CHECK(trimmed(-0x1p-149f, "minifloat:23,8", rt::RoundTowardZero{}) == -0x1p-149f);
}

#if !defined(RISTRETTO_NO_SIMD)
namespace {

using Batch = xsimd::batch<float, rt::DefaultArch>;

/// Compares of_batch, lane by lane, with of_float on the inputs.
template <class B, class F, class G>
void compare_lanes(checks::Disagreements& found, F of_batch, G of_float, const char* title) {
  const std::vector<float>& x = inputs();
  for (std::size_t k = 0; k + B::size <= x.size(); k += B::size) {
    float out[B::size];
    const B result = of_batch(B::load_unaligned(x.data() + k));
    result.store_unaligned(out);
    for (std::size_t lane = 0; lane < B::size; ++lane) {
      found.compare(title, x[k + lane], out[lane], of_float(x[k + lane]));
    }
  }
}
template <class F, class G>
std::string lanes_agree(F of_batch, G of_float) {
  checks::Disagreements found;
  compare_lanes<Batch>(found, of_batch, of_float, "a lane");
  return found.report();
}

}  // namespace

TEST_CASE("operations on batches are those on floats") {
  using B = rt::Ops<Batch>;
  using S = rt::Ops<float>;
  CHECK(lanes_agree([](Batch x) { return B::rint(x); }, [](float x) { return S::rint(x); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::floor(B::abs(x)); }, [](float x) { return S::floor(S::abs(x)); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::binade(x); }, [](float x) { return S::binade(x); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::abs(x); }, [](float x) { return S::abs(x); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::clamp(x, Batch(-3.0f), Batch(5.0f)); },
                    [](float x) { return S::clamp(x, -3, 5); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::copysign(Batch(1.5f), x); },
                    [](float x) { return S::copysign(1.5f, x); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::max(x, Batch(1.0f)); }, [](float x) { return S::max(x, 1); }) == "");
  CHECK(lanes_agree([](Batch x) { return B::select(B::both(x > Batch(1.0f), x < Batch(9.0f)), x, Batch(0.0f)); },
                    [](float x) { return x > 1 && x < 9 ? x : 0; }) == "");
  CHECK(lanes_agree([](Batch x) { return B::select(B::either(x<Batch(1.0f), x> Batch(9.0f)), x, Batch(0.0f)); },
                    [](float x) { return x < 1 || x > 9 ? x : 0; }) == "");
}

namespace {

/// The operations that routes use, for batches of any size.
template <class B>
void check_operations_of_routes(checks::Disagreements& found) {
  using O = rt::Ops<B>;
  using S = rt::Ops<float>;
  const auto compare = [&found](auto of_batch, auto of_float, const char* title) {
    compare_lanes<B>(found, of_batch, of_float, title);
  };
  for (const float end : {3.0f, 0.0f, -0.0f}) {
    compare([end](B x) { return O::min(x, B(end)); }, [end](float x) { return S::min(x, end); }, "min");
    compare([end](B x) { return O::max(x, B(end)); }, [end](float x) { return S::max(x, end); }, "max");
    compare([end](B x) { return O::with_sign(O::abs(B(end)), x); },
            [end](float x) { return S::with_sign(S::abs(end), x); }, "with_sign");
  }
  compare([](B x) { return O::with_sign(O::abs(x), x * B(-1)); },
          [](float x) { return S::with_sign(S::abs(x), x * -1); }, "with the other sign");
  compare([](B x) { return O::positive_zero(x); }, [](float x) { return S::positive_zero(x); }, "positive_zero");
  for (const float q : {0x1p-149f, 0x1p-126f, 1.0f, 3.0f, 0x1p127f}) {
    compare([q](B x) { return O::divide(x, B(q)); }, [q](float x) { return S::divide(x, q); }, "divide");
  }
  for (const float product : {0x1p-120f, 0x1p-20f, 1.0f, 0x1p23f, 0x1p120f}) {
    const float a = 0.125f;
    const float b = product / a;
    const auto up_to_product = [=](auto x) {
      using T = decltype(x);
      return rt::Ops<T>::min(rt::Ops<T>::abs(x), T(product));
    };
    compare([=](B x) { return O::add_product(up_to_product(x), B(a), B(b)); },
            [=](float x) { return S::add_product(up_to_product(x), a, b); }, "add_product");
    compare([=](B x) { return O::add_product_down(up_to_product(x), B(a), B(b)); },
            [=](float x) { return S::add_product_down(up_to_product(x), a, b); }, "add_product_down");
  }
  for (int d = 1; d <= S::fraction_bits; ++d) {
    compare([d](B x) { return O::round_low_bits(x, d); }, [d](float x) { return S::round_low_bits(x, d); },
            "round_low_bits");
    compare([d](B x) { return O::clear_low_bits(x, d); }, [d](float x) { return S::clear_low_bits(x, d); },
            "clear_low_bits");
    compare([d](B x) { return O::low_part(x, d); }, [d](float x) { return S::low_part(x, d); }, "low_part");
    compare([d](B x) { return O::step_low_bits(x, O::abs(x) < B(9.0f), d); },
            [d](float x) { return S::step_low_bits(x, S::abs(x) < 9, d); }, "step_low_bits");
  }
}

/// For the architecture that has batches of so many floats, where there is one.
template <std::size_t lanes>
std::string disagreements_of_lanes() {
  checks::Disagreements found;
  using Sized = xsimd::make_sized_batch_t<float, lanes>;
  if constexpr (!std::is_void_v<Sized>) check_operations_of_routes<Sized>(found);
  return found.report();
}

}  // namespace

TEST_CASE("operations of routes on batches of every size are those on floats") {
  CHECK(disagreements_of_lanes<4>() == "");
  CHECK(disagreements_of_lanes<8>() == "");
  CHECK(disagreements_of_lanes<16>() == "");
}

TEST_CASE("the draws of a batch are those of its elements, wherever it begins") {
  const rt::RandomStream stream{.seed = 42, .stream = 7};
  const auto check = [&stream](auto draw_batch, auto draw_float) {
    checks::Disagreements found;
    for (const std::uint64_t base : {std::uint64_t{0}, far - 40, 77 * far}) {
      for (std::uint64_t i = base; i < base + 80; ++i) {
        float out[Batch::size];
        const Batch draws = draw_batch(stream, i);
        draws.store_unaligned(out);
        for (std::size_t lane = 0; lane < Batch::size; ++lane) {
          found.compare(i, static_cast<float>(lane), out[lane], draw_float(stream, i + lane));
        }
      }
    }
    CHECK(found.report() == "");
  };
  using B = rt::Ops<Batch>;
  using S = rt::Ops<float>;
  check([](auto s, auto i) { return B::uniform<32>(s, i); }, [](auto s, auto i) { return S::uniform<32>(s, i); });
  check([](auto s, auto i) { return B::uniform<16>(s, i); }, [](auto s, auto i) { return S::uniform<16>(s, i); });
}
#endif

TEST_CASE("rows of a matrix have formats of their own") {
  const std::vector<rt::AnyFormat> row_formats{rt::DynamicFixedPoint{2, 3}, rt::Minifloat{2, 3},
                                               rt::PowerOfTwoOrZero{-3, 0}, rt::UnsignedFixedPoint{1, 4}};
  for (const std::size_t length : {1u, 7u, 64u, 301u}) {
    const std::vector<float> x = checks::numbers(4 * length);
    const rt::RoundStochastic<> chance{{.seed = 5, .stream = 6}};
    std::vector<float> nearest(x.size()), drawn = x;
    rt::trim_rows(x, nearest, row_formats);
    rt::trim_rows(drawn, row_formats, chance, 1000);
    checks::Disagreements found;
    for (std::size_t r = 0; r < 4; ++r) {
      std::vector<float> row(length), drawn_row(length);
      const auto from = std::span(x).subspan(r * length, length);
      rt::trim(from, row, rt::Trimmer{row_formats[r]});
      rt::trim(from, drawn_row, rt::Trimmer{row_formats[r], chance}, 1000 + r * length);
      for (std::size_t k = 0; k < length; ++k) {
        found.compare("nearest", from[k], nearest[r * length + k], row[k]);
        found.compare("stochastic", from[k], drawn[r * length + k], drawn_row[k]);
      }
    }
    CHECK(found.report() == "");
  }
  const std::vector<double> doubles{0.3, 1.7, -0.3, 2.2, 0.3, 1.7, 0.3, 1.7};
  std::vector<double> trimmed = doubles;
  rt::trim_rows(trimmed, row_formats);
  for (std::size_t k = 0; k < doubles.size(); ++k) {
    CHECK(trimmed[k] == row_formats[k / 2].visit([&](const auto& f) { return rt::Trimmer{f}(doubles[k]); }));
  }
  std::vector<float> none, seven(7);
  rt::trim_rows(none, std::span<const rt::AnyFormat>());
  rt::trim_rows(none, row_formats);
  const auto refusal = [&](std::vector<float>& x, std::span<const rt::AnyFormat> f) {
    return checks::message_of<std::invalid_argument>([&] { rt::trim_rows(x, f); });
  };
  CHECK(checks::contains(refusal(seven, row_formats), "7 elements and 4 formats"));
  CHECK(checks::contains(refusal(seven, {}), "7 elements and 0 formats"));
  std::vector<float> eight(8);
  CHECK(checks::contains(checks::message_of<std::invalid_argument>([&] { rt::trim_rows(eight, seven, row_formats); }),
                         "equal sizes"));
}
