// SPDX-License-Identifier: MIT
// Thrust: the bits of single numbers on the host, whatever the system, alignment, split and stream. Compiled as C++ for
// CPP, OMP and TBB, and in thrust_test.cu for CUDA.
#include <ristretto/thrust.hpp>

#include <thrust/device_vector.h>

#if __has_include(<cuda/std/span>)
#include <cuda/std/span>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;
using rt::AnyFormat;

namespace {

constexpr std::uint64_t far = 0x1'0000'0003;  // an index beyond 32 bits that starts no block
constexpr rt::RoundStochastic<32> stochastic32{{.seed = 5, .stream = 8}};
constexpr rt::RoundStochastic<16> stochastic16{{.seed = 5, .stream = 9}};

/// Whether there is nothing to run on; then it says so.
bool skipped() {
#if defined(__CUDACC__)
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
    return true;
  }
#endif
  return false;
}

template <class S>
std::vector<S> on_host(const thrust::device_vector<S>& x) {
  std::vector<S> copy(x.size());
  thrust::copy(x.begin(), x.end(), copy.begin());
  return copy;
}
template <class S>
thrust::device_vector<S> on_device(const std::vector<S>& x) {
  return thrust::device_vector<S>(x.begin(), x.end());
}

/// Special values, every bfloat16, every half (so every code of the narrower formats), and patterns of bits.
std::vector<float> inputs() {
  std::vector<float> x = checks::special_floats();
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    x.push_back(checks::from_bits(code << 16));
    const float fraction = static_cast<float>(code & 0x3FF);
    const int exponent = static_cast<int>(code >> 10 & 0x1F);
    const float magnitude = std::ldexp(exponent == 0 ? fraction : fraction + 1024, std::max(exponent, 1) - 25);
    x.push_back((code & 0x8000) != 0 ? -magnitude : magnitude);
  }
  checks::Patterns patterns;
  for (int k = 0; k < 50'001; ++k) x.push_back(patterns.next_float());
  return x;
}

/// Every family and encoding, on every route.
const std::vector<std::string> format_texts = {
    "fixed:2,6",
    "fixed:12,-4",
    "fixed:1,0",
    "fixed:2,30",
    "ufixed:0,8",
    "ufixed:-2,10",
    "minifloat:10,5",
    "minifloat:2,5",
    "minifloat:7,8",
    "minifloat:10,8",
    "minifloat:23,8",
    "minifloat:2,5,to_infinity",
    "minifloat:7,8,to_infinity",
    "minifloat:3,4,finite_nan",
    "minifloat:7,8,finite_nan",
    "minifloat:2,3,finite",
    "minifloat:1,2,finite",
    "minifloat:0,1,finite",
    "minifloat:7,8,finite",
    "minifloat:3,4,fnuz",
    "minifloat:2,5,fnuz",
    "minifloat:7,8,fnuz",
    "minifloat:3,4,ristretto2016",
    "minifloat:7,8,ristretto2016",
    "pow2:-8,-1",
    "pow2:-126,127",
    "pow2z:-8,3",
    "pow2z:-126,127",
};

/// Trims x with the policy and compares each number with the Trimmer on the host.
template <class R>
void check_rounding(const char* name, const R& round) {
  const std::vector<float> x = inputs();
  const thrust::device_vector<float> in = on_device(x);
  thrust::device_vector<float> out(x.size());
  checks::Disagreements found;
  for (const std::string& text : format_texts) {
    const AnyFormat format = AnyFormat::parse(text);
    rt::trim(thrust::device, in, out, rt::Trimmer{format, round}, far);
    const std::vector<float> trimmed = on_host(out);
    format.visit([&](const auto& concrete) {
      const auto grid = rt::detail::grid_of<float>(concrete);
      for (std::size_t k = 0; k < x.size(); ++k) {
        found.compare(text + " " + name, x[k], trimmed[k], rt::detail::trim_number(grid, round, x[k], far + k));
      }
    });
  }
  CHECK(found.report() == "");
}

}  // namespace

TEST_CASE("RoundNearestExponent has the bits of the host, and goes with powers of two only") {
  if (skipped()) return;
  const std::vector<float> x = inputs();
  thrust::device_vector<float> out = on_device(x);
  const rt::PowerOfTwo format{-8, 3};
  rt::trim(thrust::device, out, rt::Trimmer{AnyFormat(format), rt::RoundNearestExponent{}});
  checks::Disagreements found;
  const std::vector<float> trimmed = on_host(out);
  const rt::Trimmer trimmer{format, rt::RoundNearestExponent{}};
  for (std::size_t k = 0; k < x.size(); ++k) found.compare("pow2", x[k], trimmed[k], trimmer(x[k]));
  CHECK(found.report() == "");
  const std::string message = checks::message_of<std::invalid_argument>(
      [&] { rt::trim(thrust::device, out, rt::Trimmer{AnyFormat(rt::Half{}), rt::RoundNearestExponent{}}); });
  CHECK(checks::contains(message, "RoundNearestExponent does not go with minifloat:10,5"));
}

TEST_CASE("every format and encoding, rounded to nearest, has the bits of the host") {
  if (skipped()) return;
  check_rounding("RoundNearest", rt::RoundNearest{});
}

TEST_CASE("every format and encoding, ties away and up, has the bits of the host") {
  if (skipped()) return;
  check_rounding("RoundNearestAway", rt::RoundNearestAway{});
  check_rounding("RoundHalfUp", rt::RoundHalfUp{});
}

TEST_CASE("every format and encoding, directed roundings, has the bits of the host") {
  if (skipped()) return;
  check_rounding("RoundDown", rt::RoundDown{});
  check_rounding("RoundUp", rt::RoundUp{});
  check_rounding("RoundTowardZero", rt::RoundTowardZero{});
}

TEST_CASE("every format and encoding, stochastic rounding, has the bits of the host") {
  if (skipped()) return;
  check_rounding("RoundStochastic<32>", stochastic32);
  check_rounding("RoundStochastic<16>", stochastic16);
}

namespace {

/// Trims n numbers from x[in_offset] to out[out_offset] and looks at all of out.
template <class S, class Trimmer>
void check_place(checks::Disagreements& found, const thrust::device_vector<S>& x, std::size_t in_offset,
                 std::size_t out_offset, std::size_t n, const Trimmer& trimmer, std::uint64_t first) {
  using Number = rt::detail::Storage<S>;
  const S* const in = thrust::raw_pointer_cast(x.data()) + in_offset;
  thrust::device_vector<S> out(n + 32, rt::detail::Storage<S>::store(0.3f));
  rt::trim(thrust::device, in, thrust::raw_pointer_cast(out.data()) + out_offset, n, trimmer, first);
  const std::vector<S> before = on_host(x);
  const std::vector<S> after = on_host(out);
  const std::string title = std::to_string(n) + " from " + std::to_string(in_offset) + " to " +
                            std::to_string(out_offset) + ", first " + std::to_string(first);
  for (std::size_t k = 0; k < out.size(); ++k) {
    const bool outside = k < out_offset || k >= out_offset + n;
    const float from = outside ? 0.3f : Number::load(before[in_offset + k - out_offset]);
    const float expected = outside ? from : trimmer(from, first + k - out_offset);
    found.compare(title, from, Number::load(after[k]), Number::load(Number::store(expected)));
  }
}

constexpr rt::Trimmer nearest{rt::DynamicFixedPoint<2, 6>{}};
constexpr rt::Trimmer draws32{rt::Float8E4M3FN{}, stochastic32};
constexpr rt::Trimmer draws16{rt::Float8E5M2{}, stochastic16};
constexpr rt::Trimmer other_draws{rt::Float8E5M2{}, rt::RoundStochastic<16>{{.seed = 2, .stream = 1}}};

template <class S>
std::string places() {
  std::vector<S> x;
  for (const float value : checks::numbers(400)) x.push_back(rt::detail::Storage<S>::store(value));
  const thrust::device_vector<S> in = on_device(x);
  checks::Disagreements found;
  for (std::size_t n = 0; n < 20; ++n) {
    check_place(found, in, n % 3, n % 5, n, nearest, 0);
    check_place(found, in, n % 5, n % 3, n, draws32, n);
    check_place(found, in, n % 4, n % 4, n, draws16, n);
  }
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{6}, far}) {
      check_place(found, in, offset, offset, 301, nearest, first);
      check_place(found, in, offset, 0, 301, draws32, first);
      check_place(found, in, 3, offset, 301, draws16, first);
      check_place(found, in, offset, offset, 301, draws32, first + offset);
      check_place(found, in, offset, offset, 301, draws16, first + offset);
      check_place(found, in, 0, 8 - offset, 301, other_draws, first + offset);
    }
  }
  return found.report();
}

}  // namespace

TEST_CASE("any length, alignment and place: the bits of the host, and nothing beside", "[short]") {
  if (skipped()) return;
  CHECK(places<float>() == "");
}

TEST_CASE("any split gives the bits of the whole", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(10'007);
  checks::Disagreements found;
  checks::Patterns patterns;
  const auto check = [&](const auto& trimmer) {
    thrust::device_vector<float> whole = on_device(x);
    rt::trim(thrust::device, whole, trimmer, far);
    thrust::device_vector<float> pieces = on_device(x);
    for (std::size_t k = 0; k < x.size();) {
      const std::size_t n = std::min(x.size() - k, std::size_t{patterns.next() % 500});
      rt::trim(thrust::device, thrust::raw_pointer_cast(pieces.data()) + k, n, trimmer, far + k);
      k += n;
    }
    const std::vector<float> expected = on_host(whole);
    const std::vector<float> trimmed = on_host(pieces);
    for (std::size_t k = 0; k < x.size(); ++k) found.compare(k, x[k], trimmed[k], expected[k]);
  };
  check(nearest);
  check(draws32);
  check(draws16);
  CHECK(found.report() == "");
}

TEST_CASE("whatever holds the numbers, and whatever names the format, the bits are the same", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(1003);
  std::vector<float> expected;
  for (std::size_t k = 0; k < x.size(); ++k) expected.push_back(draws32(x[k], 7 + k));
  const thrust::device_vector<float> in = on_device(x);
  const float* const from = thrust::raw_pointer_cast(in.data());
  const AnyFormat format(draws32.format);
  // Each writes to out, or trims out, which holds x.
  const auto check = [&](const char* how, const auto& trim) {
    thrust::device_vector<float> out = in;
    trim(out, thrust::raw_pointer_cast(out.data()));
    const std::vector<float> trimmed = on_host(out);
    checks::Disagreements found;
    for (std::size_t k = 0; k < x.size(); ++k) found.compare(how, x[k], trimmed[k], expected[k]);
    CHECK(found.report() == "");
  };
  const std::size_t n = x.size();
  check("vectors", [&](auto& out, float*) { rt::trim(thrust::device, in, out, draws32, 7); });
  check("a vector", [&](auto& out, float*) { rt::trim(thrust::device, out, draws32, 7); });
  check("vectors, AnyFormat",
        [&](auto& out, float*) { rt::trim(thrust::device, in, out, rt::Trimmer{format, stochastic32}, 7); });
  check("a vector, AnyFormat",
        [&](auto& out, float*) { rt::trim(thrust::device, out, rt::Trimmer{format, stochastic32}, 7); });
  check("pointers", [&](auto&, float* out) { rt::trim(thrust::device, from, out, n, draws32, 7); });
  check("a pointer", [&](auto&, float* out) { rt::trim(thrust::device, out, n, draws32, 7); });
  check("pointers, AnyFormat",
        [&](auto&, float* out) { rt::trim(thrust::device, from, out, n, rt::Trimmer{format, stochastic32}, 7); });
  check("a pointer, AnyFormat",
        [&](auto&, float* out) { rt::trim(thrust::device, out, n, rt::Trimmer{format, stochastic32}, 7); });
  check("thrust::device_ptr", [&](auto& out, float*) { rt::trim(thrust::device, out.data(), n, draws32, 7); });
  check("thrust::device_ptr, two", [&](auto& out, float*) {
    rt::trim(thrust::device, in.data(), out.data(), n, rt::Trimmer{format, stochastic32}, 7);
  });
  check("std::span",
        [&](auto&, float* out) { rt::trim(thrust::device, std::span(from, n), std::span(out, n), draws32, 7); });
  check("a part of a std::span", [&](auto&, float* out) {
    rt::trim(thrust::device, std::span(out, n).first(3), draws32, 7);
    rt::trim(thrust::device, std::span(out, n).subspan(3), draws32, 10);
  });
#if __has_include(<cuda/std/span>)
  check("cuda::std::span", [&](auto&, float* out) {
    rt::trim(thrust::device, cuda::std::span<const float>(from, n), cuda::std::span<float>(out, n), draws32, 7);
  });
#endif
}

TEST_CASE("thrust::transform takes a Trimmer without randomness", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(1003);
  thrust::device_vector<float> out = on_device(x);
  thrust::transform(out.begin(), out.end(), out.begin(), nearest);
  thrust::device_vector<double> doubles(x.begin(), x.end());
  thrust::transform(doubles.begin(), doubles.end(), doubles.begin(), nearest);
  const std::vector<float> trimmed = on_host(out);
  const std::vector<double> trimmed_doubles = on_host(doubles);
  checks::Disagreements found;
  for (std::size_t k = 0; k < x.size(); ++k) {
    found.compare("float", x[k], trimmed[k], nearest(x[k]));
    found.compare("double", static_cast<double>(x[k]), trimmed_doubles[k], nearest(static_cast<double>(x[k])));
  }
  CHECK(found.report() == "");
}

TEST_CASE("policies of the host work as well", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(1003);
  checks::Disagreements found;
  std::vector<float> host = x;
  std::vector<float> sequential = x;
  rt::trim(thrust::host, host, draws16, 3);
  rt::trim(thrust::seq, sequential, draws16, 3);
  for (std::size_t k = 0; k < x.size(); ++k) {
    found.compare("host", x[k], host[k], draws16(x[k], 3 + k));
    found.compare("seq", x[k], sequential[k], draws16(x[k], 3 + k));
  }
  CHECK(found.report() == "");

  rt::Range range;
  rt::observe(thrust::host, x, range);
  rt::Range expected;
  expected.observe(x);
  CHECK(std::ranges::equal(range.histogram(), expected.histogram()));
  CHECK(rt::min_max(thrust::host, x) == rt::min_max(x));
  CHECK(rt::measure(thrust::host, x, host).noise == Approx(rt::measure(x, host).noise));
}

TEST_CASE("empty spans are left alone", "[short]") {
  if (skipped()) return;
  rt::trim(thrust::device, std::span<float>(), nearest);
  rt::trim(thrust::device, std::span<const float>(), std::span<float>(), draws32);
  rt::trim(thrust::device, static_cast<float*>(nullptr), 0, rt::Trimmer{AnyFormat(rt::Half{})});
  thrust::device_vector<float> none;
  rt::trim(thrust::device, none, nearest);
  CHECK(rt::min_max(thrust::device, none) == rt::MinMax{0, 0});
  CHECK(rt::max_abs(thrust::device, none) == 0);
  rt::Range range;
  rt::observe(thrust::device, none, range);
  CHECK(range.count() == 0);
  CHECK(rt::measure(thrust::device, none, none).count == 0);
}

namespace users {

/// A rounding and a format as users may write them.
struct RoundToInteger {
  static constexpr bool indexed = false;
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T operator()(T v, std::uint64_t = 0) const {
    return rt::Ops<T>::rint(v);
  }
};
struct Halves {
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T saturate(T x) const {
    return rt::Ops<T>::clamp(x, T(-100), T(100));
  }
  template <class T>
  RISTRETTO_HOST_DEVICE constexpr T quantum(T) const {
    return T(0.5f);
  }
  constexpr int bits() const { return 9; }
};

/// Like a matrix of Eigen: the elements need not be contiguous.
struct Strided {
  float* data();
  std::ptrdiff_t size();
  std::ptrdiff_t outerStride();
};
static_assert(rt::ThrustRange<std::vector<float>> && rt::ThrustRange<std::span<const float>>);
static_assert(!rt::ThrustRange<Strided> && !rt::ThrustRange<float*> && !rt::ThrustPointer<std::vector<float>>);

}  // namespace users

TEST_CASE("formats and roundings that users write", "[short]") {
  if (skipped()) return;
  const thrust::device_vector<float> x = on_device(std::vector<float>{0.3f, -0.7f, 900});
  thrust::device_vector<float> out(3);
  rt::trim(thrust::device, x, out, rt::Trimmer{users::Halves{}, users::RoundToInteger{}});
  CHECK(on_host(out) == std::vector<float>{0.5f, -0.5f, 100});
  rt::trim(thrust::device, x, out, rt::Trimmer{users::Halves{}, stochastic32}, 3);
  const rt::Trimmer trimmer{users::Halves{}, stochastic32};
  CHECK(on_host(out) == std::vector<float>{trimmer(0.3f, 3), trimmer(-0.7f, 4), 100});
  rt::trim(thrust::device, x, out, rt::Trimmer{AnyFormat(rt::DynamicFixedPoint{2, 3}), users::RoundToInteger{}});
  CHECK(on_host(out) == std::vector<float>{0.25f, -0.75f, 1.875f});
}

TEST_CASE("sizes that differ are refused, and nothing is written", "[short]") {
  if (skipped()) return;
  const thrust::device_vector<float> in(5, 0.3f);
  thrust::device_vector<float> out(7, 0.3f);
  const auto message = [](auto f) { return checks::message_of<std::invalid_argument>(f); };
  const std::string sizes = "ristretto::trim: the input has 5 elements and the output 7; give them equal sizes";
  CHECK(message([&] { rt::trim(thrust::device, in, out, nearest); }) == sizes);
  CHECK(message([&] { rt::trim(thrust::device, in, out, rt::Trimmer{AnyFormat(rt::Half{})}); }) == sizes);
  CHECK(checks::contains(message([&] { rt::measure(thrust::device, in, out); }),
                         "ristretto::measure: the tensor has 5 elements and its trimmed copy 7"));
  CHECK(checks::contains(message([&] { rt::measure(thrust::device, in, out, rt::Half{}); }), "trimmed copy 7"));
  CHECK(on_host(out) == std::vector<float>(7, 0.3f));
}

#if defined(RISTRETTO_CUDA_STORAGE)

static_assert(rt::detail::Storage<__half>::holds(rt::Half{}) && rt::detail::Storage<__half>::holds(rt::Float8E5M2{}));
static_assert(!rt::detail::Storage<__half>::holds(rt::BFloat16{}) && !rt::detail::Storage<__half>::holds(rt::TF32{}));
static_assert(rt::detail::Storage<__nv_bfloat16>::holds(rt::BFloat16{}));
static_assert(!rt::detail::Storage<__nv_bfloat16>::holds(rt::Half{}));

TEST_CASE("__half and __nv_bfloat16 hold what they are said to hold, and no more") {
  const std::vector<float> x = inputs();
  const auto check = [&]<class S>(S, const AnyFormat& format) {
    using Number = rt::detail::Storage<S>;
    const bool survive = format.visit([&](const auto& concrete) {
      return std::all_of(x.begin(), x.end(), [&](float value) {
        const float trimmed = rt::Trimmer{concrete}(value);
        return checks::same(Number::load(Number::store(trimmed)), trimmed);
      });
    });
    const bool said = format.visit([](const auto& concrete) { return Number::holds(concrete); });
    CAPTURE(rt::to_string(format), Number::name);
    CHECK(said == survive);
  };
  std::vector<std::string> texts = format_texts;
  for (const char* text : {"fixed:16,-5",
                           "fixed:17,-5",
                           "fixed:16,-4",
                           "fixed:-13,24",
                           "fixed:-14,25",
                           "ufixed:16,-5",
                           "ufixed:17,-6",
                           "fixed:1,7",
                           "fixed:1,8",
                           "fixed:1,10",
                           "fixed:1,11",
                           "minifloat:10,4",
                           "minifloat:10,5,finite",
                           "minifloat:9,5,fnuz",
                           "minifloat:10,5,fnuz",
                           "pow2:-24,15",
                           "pow2:-25,15",
                           "pow2:-24,16",
                           "pow2z:-24,15",
                           "minifloat:6,8,fnuz",
                           "minifloat:6,8,finite",
                           "minifloat:10,5,ristretto2016",
                           "minifloat:9,4,ristretto2016"}) {
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    check(__half{}, AnyFormat::parse(text));
    check(__nv_bfloat16{}, AnyFormat::parse(text));
  }
}

TEST_CASE("__half and __nv_bfloat16 arrays: the bits of the host", "[short]") {
  if (skipped()) return;
  CHECK(places<__half>() == "");
  CHECK(places<__nv_bfloat16>() == "");
}

TEST_CASE("every code of __half and __nv_bfloat16 is trimmed as on the host") {
  if (skipped()) return;
  checks::Disagreements found;
  const auto check = [&]<class S>(S, const auto& trimmer) {
    using Number = rt::detail::Storage<S>;
    std::vector<S> x;
    for (std::uint32_t code = 0; code < 0x10000; ++code) {
      x.push_back(std::bit_cast<S>(static_cast<std::uint16_t>(code)));
    }
    thrust::device_vector<S> out = on_device(x);
    rt::trim(thrust::device, out, trimmer, 5);
    const std::vector<S> trimmed = on_host(out);
    for (std::size_t k = 0; k < x.size(); ++k) {
      found.compare(Number::name, Number::load(x[k]), Number::load(trimmed[k]), trimmer(Number::load(x[k]), 5 + k));
    }
  };
  check(__half{}, rt::Trimmer{rt::Half{}});
  check(__half{}, rt::Trimmer{rt::Minifloat<10, 5, rt::Encoding::ieee, rt::Overflow::to_infinity>{}});
  check(__half{}, nearest);
  check(__half{}, draws32);
  check(__half{}, draws16);
  check(__half{}, rt::Trimmer{rt::PowerOfTwo<-8, -1>{}, rt::RoundNearestExponent{}});
  check(__nv_bfloat16{}, rt::Trimmer{rt::BFloat16{}, stochastic16});
  check(__nv_bfloat16{}, rt::Trimmer{rt::UnsignedFixedPoint<0, 8>{}, rt::RoundUp{}});
  check(__nv_bfloat16{}, draws32);
  CHECK(found.report() == "");
}

TEST_CASE("a format that the storage does not hold is refused at run time", "[short]") {
  if (skipped()) return;
  thrust::device_vector<__half> x(3, __float2half(0.3f));
  const std::string message = checks::message_of<std::invalid_argument>(
      [&] { rt::trim(thrust::device, x, rt::Trimmer{AnyFormat(rt::BFloat16{})}); });
  CHECK(message ==
        "ristretto::trim: __half does not hold all numbers of minifloat:7,8; use float, or a format with "
        "fewer bits");
  rt::trim(thrust::device, x, rt::Trimmer{AnyFormat(rt::Float8E5M2{})});
  CHECK(__half2float(on_host(x)[2]) == 0.3125f);
}

#else

TEST_CASE("__half and __nv_bfloat16") { std::puts("skipped: no CUDA headers for __half and __nv_bfloat16"); }

#endif

namespace {

/// Numbers with NaN and infinities, and many zeros of both signs.
std::vector<float> observed() {
  std::vector<float> x = checks::numbers(30'011);
  for (std::size_t k = 0; k < x.size(); k += 3) x[k] = k % 2 == 0 ? 0.0f : -0.0f;
  const std::vector<float> special = checks::special_floats();
  x.insert(x.end(), special.begin(), special.end());
  return x;
}

}  // namespace

TEST_CASE("min_max and max_abs give what they give on the host", "[short]") {
  if (skipped()) return;
  const auto check = [](const std::vector<float>& x) {
    const thrust::device_vector<float> on = on_device(x);
    CHECK(rt::min_max(thrust::device, on) == rt::min_max(x));
    CHECK(checks::bits(rt::min_max(thrust::device, on).min) == checks::bits(rt::min_max(x).min));
    CHECK(checks::bits(rt::max_abs(thrust::device, on)) == checks::bits(rt::max_abs(x)));
  };
#if defined(RISTRETTO_CUDA_STORAGE)
  const thrust::device_vector<__half> halves = on_device(std::vector<__half>{__float2half(-3), __float2half(0.5f)});
  CHECK(rt::min_max(thrust::device, halves) == rt::MinMax{-3, 0.5f});
  rt::Range range;
  rt::observe(thrust::device, halves, range);
  CHECK((range.count() == 2 && range.max_abs() == 3));
  CHECK(rt::measure(thrust::device, halves, halves).signal == 9.25);
#endif
  check(observed());
  check(checks::numbers(1));
  check({-3, -2});
  check({checks::inf, 2, -checks::inf, checks::quiet_nan});
  check({checks::quiet_nan, checks::inf});
  check({-0.0f});
  check({-0.0f, 0.0f, checks::smallest_float});
}

TEST_CASE("observe gives the Range of the host", "[short]") {
  if (skipped()) return;
  const auto same = [](const rt::Range& a, const rt::Range& b) {
    return std::ranges::equal(a.histogram(), b.histogram()) && a.min() == b.min() && a.max() == b.max();
  };
  const std::vector<float> x = observed();
  rt::Range expected;
  expected.observe(x);
  rt::Range range;
  rt::observe(thrust::device, on_device(x), range);
  CHECK(same(range, expected));
  CHECK(rt::choose<rt::DynamicFixedPoint<>>(8, [] {
          rt::Range finite;
          rt::observe(thrust::device, on_device(std::vector<float>{0.5f, -0.25f}), finite);
          return finite;
        }()) == rt::choose<rt::DynamicFixedPoint<>>(8, [] {
          rt::Range finite;
          finite.observe(std::vector<float>{0.5f, -0.25f});
          return finite;
        }()));

  // More of them, into the same range, in small pieces.
  const thrust::device_vector<float> more = on_device(checks::numbers(1000));
  expected.observe(on_host(more));
  const auto counts = rt::detail::count_bins<rt::DefaultArch>(thrust::device, thrust::raw_pointer_cast(more.data()),
                                                              more.size(), /*piece=*/97);
  range.add(std::span<const std::uint64_t, rt::Range::bins>(counts), rt::min_max(thrust::device, more));
  CHECK(same(range, expected));
}

TEST_CASE("measure gives what it gives on the host, to the last places of its sums", "[short]") {
  if (skipped()) return;
  const auto check = [](const std::vector<float>& x, const AnyFormat& format) {
    std::vector<float> trimmed(x.size());
    format.visit([&](const auto& concrete) {
      for (std::size_t k = 0; k < x.size(); ++k) trimmed[k] = rt::Trimmer{concrete}(x[k]);
    });
    const auto same = [](const rt::Measurement& a, const rt::Measurement& b) {
      CHECK(a.count == b.count);
      CHECK(a.nan == b.nan);
      CHECK(a.saturated == b.saturated);
      CHECK(a.flushed == b.flushed);
      CHECK(a.largest_error == b.largest_error);
      CHECK((a.signal == b.signal || std::abs(a.signal - b.signal) <= 1e-12 * b.signal));
      CHECK((a.noise == b.noise || std::abs(a.noise - b.noise) <= 1e-12 * b.noise));
    };
    const thrust::device_vector<float> before = on_device(x);
    const thrust::device_vector<float> after = on_device(trimmed);
    same(rt::measure(thrust::device, before, after, format), rt::measure(x, trimmed, format));
    same(rt::measure(thrust::device, before, after), rt::measure(x, trimmed));
  };
  check(checks::numbers(30'011), rt::DynamicFixedPoint<2, 6>{});
  check(observed(), rt::Float8E4M3FN{});
  check(observed(), rt::Minifloat<2, 5, rt::Encoding::ieee, rt::Overflow::to_infinity>{});
}

#if defined(__CUDACC__)

namespace {

void require(cudaError_t status) { REQUIRE(std::string(cudaGetErrorString(status)) == "no error"); }

struct Stream {
  cudaStream_t stream = nullptr;

  Stream() { require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream); }
  void wait() const { require(cudaStreamSynchronize(stream)); }
};

/// A user's own kernel.
template <class Trimmer>
__global__ void halve_and_trim(float* x, std::uint64_t n, Trimmer trimmer) {
  const std::uint64_t k = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k < n) x[k] = trimmer(x[k] / 2, k);
}

/// The float whose bits are the low bits of k.
struct FloatOfBits {
  RISTRETTO_HOST_DEVICE float operator()(std::uint64_t k) const {
    return rt::Ops<float>::from_bits(static_cast<std::uint32_t>(k));
  }
};

/// 1 where element k of x is not number k trimmed.
template <class Trimmer>
struct Differs {
  const float* x;
  Trimmer trimmer;

  RISTRETTO_HOST_DEVICE std::uint64_t operator()(std::uint64_t k) const {
    const float expected = trimmer(FloatOfBits{}(k), k);
    const bool both_nan = x[k] != x[k] && expected != expected;
    return both_nan || rt::Ops<float>::bits(x[k]) == rt::Ops<float>::bits(expected) ? 0 : 1;
  }
};

}  // namespace

TEST_CASE("streams: nothing is trimmed before its turn, and par_nosync does not wait", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(1003);
  thrust::device_vector<float> out = on_device(x);
  float* const data = thrust::raw_pointer_cast(out.data());
  Stream held;
  Stream other;
  std::atomic<bool> released{false};
  thrust::device_vector<float> loads = out;  // the first call loads the kernel, which may wait for all streams
  rt::trim(thrust::cuda::par_nosync.on(held.stream), loads, nearest);
  held.wait();
  const auto read = [&] {
    std::vector<float> copy(x.size());
    require(cudaMemcpyAsync(copy.data(), data, x.size() * sizeof(float), cudaMemcpyDeviceToHost, other.stream));
    other.wait();
    return copy;
  };
  require(cudaLaunchHostFunc(
      held.stream, [](void* flag) { static_cast<std::atomic<bool>*>(flag)->wait(false); }, &released));
  rt::trim(thrust::cuda::par_nosync.on(held.stream), out, nearest);
  const bool waiting = cudaStreamQuery(held.stream) == cudaErrorNotReady;
  const std::vector<float> before = read();
  released = true;
  released.notify_all();
  held.wait();
  CHECK(waiting);
  const std::vector<float> after = read();
  checks::Disagreements found;
  for (std::size_t k = 0; k < x.size(); ++k) {
    found.compare("before", x[k], before[k], x[k]);
    found.compare("after", x[k], after[k], nearest(x[k]));
  }
  CHECK(found.report() == "");
}

TEST_CASE("streams: trims follow what is before them, and results wait", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(100'003);
  Stream streams[2];
  const auto policy = [&](int s) { return thrust::cuda::par.on(streams[s].stream); };
  const auto nosync = [&](int s) { return thrust::cuda::par_nosync.on(streams[s].stream); };
  thrust::device_vector<float> in = on_device(x);
  thrust::device_vector<float> out[2] = {in, in};
  rt::trim(nosync(0), in, out[0], draws32, 1);
  rt::trim(nosync(1), in, out[1], draws16, 2);
  rt::trim(nosync(0), out[0], nearest);
  rt::trim(policy(1), out[1], rt::Trimmer{AnyFormat(nearest.format)});
  streams[0].wait();
  const std::vector<float> trimmed[2] = {on_host(out[0]), on_host(out[1])};
  checks::Disagreements found;
  for (std::size_t k = 0; k < x.size(); ++k) {
    found.compare("stream 0", x[k], trimmed[0][k], nearest(draws32(x[k], 1 + k)));
    found.compare("stream 1", x[k], trimmed[1][k], nearest(draws16(x[k], 2 + k)));
  }
  CHECK(found.report() == "");

  rt::trim(nosync(0), in, out[0], nearest);
  CHECK(rt::max_abs(nosync(0), out[0]) == 2);
  rt::Range range;
  rt::observe(nosync(0), out[0], range);
  rt::Range expected;
  expected.observe(on_host(out[0]));
  CHECK(std::ranges::equal(range.histogram(), expected.histogram()));
  CHECK(rt::measure(nosync(0), in, out[0], nearest.format).count == x.size());
}

TEST_CASE("a Trimmer works in a user's own kernel", "[short]") {
  if (skipped()) return;
  const std::vector<float> x = checks::numbers(1003);
  checks::Disagreements found;
  const auto check = [&](const auto& trimmer) {
    thrust::device_vector<float> out = on_device(x);
    halve_and_trim<<<4, 256>>>(thrust::raw_pointer_cast(out.data()), out.size(), trimmer);
    require(cudaGetLastError());
    const std::vector<float> trimmed = on_host(out);
    for (std::size_t k = 0; k < x.size(); ++k) found.compare(k, x[k], trimmed[k], trimmer(x[k] / 2, k));
  };
  check(nearest);
  check(draws32);
  check(rt::Trimmer{rt::Minifloat{3, 4}, stochastic16});
  check(rt::Trimmer{rt::Minifloat{3, 4, 5}, stochastic16});
  CHECK(found.report() == "");
}

TEST_CASE("more than 2^32 elements have the right indices") {
  if (skipped()) return;
  constexpr std::uint64_t n = (std::uint64_t{1} << 32) + 1'000'003;
  std::size_t free = 0;
  std::size_t total = 0;
  require(cudaMemGetInfo(&free, &total));
  if (free < n * sizeof(float) + (std::size_t{1} << 30)) {
    std::printf("skipped: needs 17 GiB of device memory, %.1f are free\n", static_cast<double>(free) / 0x1p30);
    return;
  }
  const thrust::counting_iterator<std::uint64_t> begin(0);
  thrust::device_vector<float> x(n);
  const auto check = [&](const auto& trimmer) {
    thrust::transform(begin, begin + static_cast<std::int64_t>(n), x.begin(), FloatOfBits{});
    rt::trim(thrust::device, x, trimmer);
    const Differs<std::remove_cvref_t<decltype(trimmer)>> differs{thrust::raw_pointer_cast(x.data()), trimmer};
    CHECK(thrust::transform_reduce(thrust::device, begin, begin + static_cast<std::int64_t>(n), differs,
                                   std::uint64_t{0}, thrust::plus<std::uint64_t>()) == 0);
  };
  check(nearest);
  check(draws32);
  check(draws16);
  CHECK(rt::max_abs(thrust::device, x) == rt::Float8E5M2{}.largest());
  CHECK(rt::measure(thrust::device, x, x).count == n);
}

TEST_CASE("all 2^32 floats have the bits of the host", "[.][exhaustive]") {
  if (skipped()) return;
  constexpr std::uint64_t piece = std::uint64_t{1} << 26;
  const thrust::counting_iterator<std::uint64_t> counting(0);
  thrust::device_vector<float> x(piece);
  std::vector<float> trimmed(piece);
  const auto check = [&](const auto& trimmer) {
    std::atomic<std::uint64_t> differ{0};
    for (std::uint64_t begin = 0; begin < std::uint64_t{1} << 32; begin += piece) {
      thrust::transform(counting + static_cast<std::int64_t>(begin),
                        counting + static_cast<std::int64_t>(begin + piece), x.begin(), FloatOfBits{});
      rt::trim(thrust::device, x, trimmer, begin);
      thrust::copy(x.begin(), x.end(), trimmed.begin());
      const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
      std::vector<std::thread> pool;
      for (unsigned t = 0; t < threads; ++t) {
        pool.emplace_back([&, t] {
          std::uint64_t count = 0;
          for (std::uint64_t k = piece * t / threads; k < piece * (t + 1) / threads; ++k) {
            count += checks::same(trimmed[k], trimmer(FloatOfBits{}(begin + k), begin + k)) ? 0 : 1;
          }
          differ += count;
        });
      }
      for (std::thread& thread : pool) thread.join();
    }
    CHECK(differ == 0);
  };
  check(rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}});
  check(rt::Trimmer{rt::DynamicFixedPoint<2, 30>{}, rt::RoundNearestAway{}});  // the three lines
  check(rt::Trimmer{rt::UnsignedFixedPoint<0, 8>{}, rt::RoundUp{}});
  check(rt::Trimmer{rt::Half{}});
  check(rt::Trimmer{rt::BFloat16{}, rt::RoundHalfUp{}});  // by bits
  check(rt::Trimmer{rt::Minifloat<2, 5, rt::Encoding::ieee, rt::Overflow::to_infinity>{}});
  check(rt::Trimmer{rt::Float8E4M3FN{}, stochastic16});
  check(rt::Trimmer{rt::Float6E3M2FN{}, rt::RoundDown{}});
  check(rt::Trimmer{rt::Float8E4M3FNUZ{}, stochastic32});
  check(rt::Trimmer{rt::Minifloat<3, 4, rt::Encoding::ristretto2016>{}, rt::RoundTowardZero{}});
  check(rt::Trimmer{rt::PowerOfTwo<-8, -1>{}, rt::RoundNearestExponent{}});
  check(rt::Trimmer{rt::PowerOfTwoOrZero<-8, 3>{}});
}

#endif
