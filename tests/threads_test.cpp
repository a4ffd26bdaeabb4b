// SPDX-License-Identifier: MIT
// Thread pools of Eigen: however many threads, the bits are those of one.
#define EIGEN_USE_THREADS

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <ristretto/eigen.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

using Eigen::Index;
using Eigen::MatrixXf;

constexpr rt::Trimmer nearest{rt::DynamicFixedPoint<2, 6>{}};
constexpr rt::Trimmer stochastic32{rt::Float8E4M3FN{}, rt::RoundStochastic<32>{{.seed = 5, .stream = 8}}};
constexpr rt::Trimmer stochastic16{rt::BFloat16{}, rt::RoundStochastic<16>{{.seed = 5, .stream = 9}}};
constexpr std::uint64_t far = 0x1'0000'0003;

/// A device with so many threads.
struct Threads {
  explicit Threads(int count) : pool(count), device(&pool, count) {}
  Eigen::ThreadPool pool;
  Eigen::ThreadPoolDevice device;
};

template <class Trimmer>
void compare_spans(checks::Disagreements& found, const Eigen::ThreadPoolDevice& device, const std::vector<float>& x,
                   const Trimmer& trimmer, std::uint64_t first) {
  const std::string title = std::to_string(device.numThreads()) + " threads, " + std::to_string(x.size()) + " floats";
  std::vector<float> expected(x.size());
  rt::trim(x, expected, trimmer, first);
  const auto compare = [&](const char* how, const std::vector<float>& out) {
    for (std::size_t k = 0; k < x.size(); ++k) found.compare(title + how, x[k], out[k], expected[k]);
  };
  std::vector<float> out(x.size());
  rt::trim(device, x, out, trimmer, first);
  compare("", out);
  out.assign(x.size(), 0);
  rt::trim(device, x, out, trimmer, first, rt::Stores::streaming);
  compare(", streaming", out);
  out.assign(x.size(), 0);
  rt::trim(device, x, out, rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, first);
  compare(", AnyFormat", out);
  std::vector<float> in_place = x;
  rt::trim(device, in_place, in_place, trimmer, first);
  compare(", in place", in_place);
}

/// Trims view(copy of object) with and without the device and compares all of the object.
template <class X, class View>
void compare_objects(checks::Disagreements& found, const X& object, View view) {
  Threads threads(3);
  const auto compare = [&](const auto& trimmer) {
    X alone = object;
    rt::trim(view(alone), trimmer, far);
    X together = object;
    rt::trim(threads.device, view(together), trimmer, far);
    X by_any_format = object;
    rt::trim(threads.device, view(by_any_format), rt::Trimmer{rt::AnyFormat(trimmer.format), trimmer.round}, far);
    for (Index k = 0; k < object.size(); ++k) {
      found.compare("Trimmer", object.data()[k], together.data()[k], alone.data()[k]);
      found.compare("AnyFormat", object.data()[k], by_any_format.data()[k], alone.data()[k]);
    }
  };
  compare(nearest);
  compare(stochastic32);
  compare(stochastic16);
}

template <class X>
X filled(X x) {
  const std::vector<float> elements = checks::numbers(static_cast<std::size_t>(x.size()));
  std::copy(elements.begin(), elements.end(), x.data());
  return x;
}

/// A rounding to nearest that remembers whether it ever ran on another thread than the caller's.
struct RoundRecording {
  static constexpr bool indexed = false;
  std::atomic<bool>* elsewhere;
  std::thread::id caller;

  template <class T>
  T operator()(T v, std::uint64_t = 0) const noexcept {
    if (std::this_thread::get_id() != caller) *elsewhere = true;
    return rt::Ops<T>::rint(v);
  }
};

}  // namespace

TEST_CASE("spans: one, two and three threads give the bits of none") {
  const std::vector<float> x = checks::numbers((1 << 20) + 7);
  for (const int count : {1, 2, 3}) {
    Threads threads(count);
    checks::Disagreements found;
    // Few floats stay on the caller's thread: the limit lies between the powers of two.
    for (const int size : {0, 1, 5000, 1 << 15, 1 << 16, (1 << 16) + 1, (1 << 17) + 4095, 1 << 18, (1 << 20) + 7}) {
      const std::vector<float> part(x.begin(), x.begin() + size);
      compare_spans(found, threads.device, part, nearest, 0);
      compare_spans(found, threads.device, part, stochastic32, 0);
      compare_spans(found, threads.device, part, stochastic32, far);
      compare_spans(found, threads.device, part, stochastic16, 77);
    }
    CHECK(found.report() == "");
  }
}

TEST_CASE("large arrays are shared among threads, small ones stay on the caller's") {
  Threads threads(3);
  const auto runs_elsewhere = [&threads](std::size_t size) {
    std::vector<float> x(size);
    std::atomic<bool> elsewhere = false;
    rt::trim(threads.device, x, x, rt::Trimmer{rt::Half{}, RoundRecording{&elsewhere, std::this_thread::get_id()}});
    return elsewhere.load();
  };
  CHECK(!runs_elsewhere(1000));
  CHECK(runs_elsewhere(1 << 20));
}

TEST_CASE("tensors, matrices and blocks: threads give the bits of none") {
  const auto itself = [](auto& x) -> auto& { return x; };
  checks::Disagreements found;
  compare_objects(found, filled(Eigen::Tensor<float, 3>(61, 67, 71)), itself);
  compare_objects(found, filled(Eigen::Tensor<float, 2, Eigen::RowMajor>(300, 1001)), itself);
  compare_objects(found, filled(MatrixXf(511, 513)), itself);
  compare_objects(found, filled(Eigen::ArrayXf(300'001)), itself);
  compare_objects(found, filled(MatrixXf(4, 4)), itself);
  compare_objects(found, filled(MatrixXf(90'001, 5)), [](MatrixXf& x) { return x.block(1, 1, 90'000, 3); });
  compare_objects(found, filled(MatrixXf(3, 100'000)), [](MatrixXf& x) { return x.row(1); });
  compare_objects(found, filled(MatrixXf(500, 500)), [](MatrixXf& x) {
    return Eigen::Map<MatrixXf, 0, Eigen::OuterStride<>>(x.data() + 3, 400, 499, Eigen::OuterStride<>(500));
  });
  CHECK(found.report() == "");
}

TEST_CASE("unaryExpr on a device gives the bits of the scalar Trimmer") {
  Threads threads(2);
  const auto x = filled(Eigen::Tensor<float, 1>(200'003));
  Eigen::Tensor<float, 1> out(x.size());
  out.device(threads.device) = x.unaryExpr(nearest);
  checks::Disagreements found;
  for (Index k = 0; k < x.size(); ++k) found.compare(k, x(k), out(k), nearest(x(k)));
  CHECK(found.report() == "");
}

TEST_CASE("with threads, sizes that differ are refused as without") {
  Threads threads(2);
  const std::vector<float> in(5);
  std::vector<float> out(7, 0.3f);
  const auto message = [](auto trim) { return checks::message_of<std::invalid_argument>(trim); };
  const std::string without = message([&] { rt::trim(in, out, nearest); });
  CHECK(checks::contains(without, "the input has 5 elements and the output 7"));
  CHECK(message([&] { rt::trim(threads.device, in, out, nearest); }) == without);
  CHECK(message([&] { rt::trim(threads.device, in, out, rt::Trimmer{rt::AnyFormat(rt::Half{})}); }) == without);
  CHECK(out == std::vector<float>(7, 0.3f));
}
