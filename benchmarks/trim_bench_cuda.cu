// SPDX-License-Identifier: MIT
// How fast a CUDA device trims and observes: nanoseconds an element, beside cudaMemcpyAsync and plain copies, in one
// run.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <thrust/tabulate.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <ristretto/thrust.hpp>

#include "bench.hpp"
#include "machine.hpp"
#include "result_file.hpp"

namespace {

namespace rt = ristretto;

// ---- device -------------------------------------------------------------------------------------------------------

/// Throws when the call did not succeed.
void check(cudaError_t status, const std::string& call) {
  if (status != cudaSuccess) throw std::runtime_error(call + ": " + cudaGetErrorString(status));
}

struct Release {
  void operator()(cudaStream_t stream) const noexcept { static_cast<void>(cudaStreamDestroy(stream)); }
  void operator()(cudaEvent_t event) const noexcept { static_cast<void>(cudaEventDestroy(event)); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Release>;
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Release>;

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return Stream(stream);
}
Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return Event(event);
}

/// Has the stream do what an algorithm does; nobody waits for it.
auto on(cudaStream_t stream) { return thrust::cuda::par_nosync.on(stream); }

/// A stream, and what its events tell.
class Clock {
 public:
  cudaStream_t stream() const noexcept { return stream_.get(); }

  void start() { check(cudaEventRecord(start_.get(), stream()), "cudaEventRecord"); }

  /// Seconds since the start, once the device has done everything. Errors name what it did.
  double stop(const std::string& name) {
    check(cudaEventRecord(end_.get(), stream()), "cudaEventRecord after " + name);
    check(cudaEventSynchronize(end_.get()), "cudaEventSynchronize after " + name);
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start_.get(), end_.get()), "cudaEventElapsedTime");
    return 1e-3 * ms;
  }

 private:
  Stream stream_ = make_stream();
  Event start_ = make_event();
  Event end_ = make_event();
};

// ---- data ---------------------------------------------------------------------------------------------------------

/// Element i of the data, as an S.
template <class S>
struct Normal {
  __device__ S operator()(std::int64_t i) const { return static_cast<S>(bench::normal(static_cast<std::uint64_t>(i))); }
};

/// So many elements on the device, not initialized.
template <class S>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) {
    const std::size_t bytes = size * sizeof(S);
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), fmt::format("cudaMalloc of {} bytes (choose a smaller --size)", bytes));
    memory_.reset(static_cast<S*>(memory));
  }
  S* data() const noexcept { return memory_.get(); }

 private:
  struct Free {
    void operator()(S* memory) const noexcept { static_cast<void>(cudaFree(memory)); }
  };
  std::unique_ptr<S[], Free> memory_;
};

/// An input and an output; each has an element more than `size`, so that work can begin one later.
template <class S>
struct Tensors {
  std::size_t size;
  DeviceArray<S> in{size + 1};
  DeviceArray<S> out{size + 1};

  Tensors(std::size_t n, cudaStream_t stream) : size(n) {
    thrust::tabulate(on(stream), in.data(), in.data() + size + 1, Normal<S>{});
    check(cudaMemsetAsync(out.data(), 0, (size + 1) * sizeof(S), stream), "cudaMemsetAsync");
  }

  void copy(cudaStream_t stream) const {
    check(cudaMemcpyAsync(out.data(), in.data(), size * sizeof(S), cudaMemcpyDeviceToDevice, stream),
          "cudaMemcpyAsync");
  }
};

/// What all kernels work on.
class Arrays {
 public:
  Arrays(std::size_t size, cudaStream_t stream)
      : size_(size),
        tensors_(Tensors<float>(size, stream), Tensors<__half>(size, stream), Tensors<__nv_bfloat16>(size, stream)) {}

  std::size_t size() const noexcept { return size_; }
  template <class S>
  const Tensors<S>& of() const noexcept {
    return std::get<Tensors<S>>(tensors_);
  }

 private:
  std::size_t size_;
  std::tuple<Tensors<float>, Tensors<__half>, Tensors<__nv_bfloat16>> tensors_;
};

// ---- kernels ------------------------------------------------------------------------------------------------------

/// Something to time.
struct Kernel {
  std::string name;
  std::function<void(const Arrays&, cudaStream_t)> run;
  std::string copy = "memcpy";  ///< the row to compare with
  int bytes = 8;                ///< read and written per element
  bool in_place = false;        ///< works on the output of floats, which is the input again before each measurement
};
using Kernels = std::vector<Kernel>;

struct CopyChunk {
  const float4* in;
  float4* out;
  __device__ void operator()(std::int64_t k) const { out[k] = in[k]; }
};
struct AddToChunk {
  float4* x;
  __device__ void operator()(std::int64_t k) const {
    const float4 v = x[k];
    x[k] = {v.x + 1, v.y + 1, v.z + 1, v.w + 1};
  }
};
struct Same {
  __device__ float4 operator()(const float4& x) const { return x; }
};

float4* chunks(float* x) { return reinterpret_cast<float4*>(x); }

/// Calls body(k) on the device for each chunk k of the arrays.
template <class Body>
void for_each_chunk(const Arrays& arrays, cudaStream_t stream, const Body& body) {
  thrust::for_each_n(on(stream), thrust::counting_iterator<std::int64_t>(0),
                     static_cast<std::int64_t>(arrays.size() * sizeof(float) / sizeof(float4)), body);
}

/// cudaMemcpyAsync and the plainest kernels, to compare with.
Kernels references() {
  const auto by_memcpy = []<class S>(S) {
    return [](const Arrays& a, cudaStream_t stream) { a.of<S>().copy(stream); };
  };
  const auto copy = [](const Arrays& a, cudaStream_t stream) {
    const auto& [size, in, out] = a.of<float>();
    for_each_chunk(a, stream, CopyChunk{chunks(in.data()), chunks(out.data())});
  };
  const auto transform = [](const Arrays& a, cudaStream_t stream) {
    const auto& [size, in, out] = a.of<float>();
    thrust::transform(on(stream), chunks(in.data()), chunks(in.data() + size), chunks(out.data()), Same{});
  };
  const auto add_in_place = [](const Arrays& a, cudaStream_t stream) {
    for_each_chunk(a, stream, AddToChunk{chunks(a.of<float>().out.data())});
  };
  return {{.name = "memcpy", .run = by_memcpy(float{})},
          {.name = "memcpy.16_bits", .run = by_memcpy(__half{}), .copy = "memcpy.16_bits", .bytes = 4},
          {.name = "copy", .run = copy},
          {.name = "copy.transform", .run = transform},
          {.name = "copy.inplace", .run = add_in_place, .in_place = true}};
}

/// Trims elements of type S; the arrays begin so many elements after where memory is aligned.
template <class S, class F, class R>
auto trimming(const rt::Trimmer<F, R>& trimmer, std::size_t in_offset = 0, std::size_t out_offset = 0) {
  return [=](const Arrays& a, cudaStream_t stream) {
    const auto& [size, in, out] = a.of<S>();
    rt::trim(on(stream), in.data() + in_offset, out.data() + out_offset, size, trimmer);
  };
}

/// Adds a trimmer of floats, out of place and in place. In place, all runs of a measurement but the first meet numbers
/// that are trimmed already, which take as long: no branch looks at data.
template <class F, class R>
void add(Kernels& kernels, const std::string& name, const rt::Trimmer<F, R>& trimmer) {
  const auto in_place = [trimmer](const Arrays& a, cudaStream_t stream) {
    rt::trim(on(stream), a.of<float>().out.data(), a.size(), trimmer);
  };
  kernels.push_back({.name = name, .run = trimming<float>(trimmer)});
  kernels.push_back({.name = name + ".inplace", .run = in_place, .in_place = true});
}

/// Adds a trimmer of 16-bit elements.
template <class S, class F, class R>
void add_storage(Kernels& kernels, const std::string& name, const rt::Trimmer<F, R>& trimmer) {
  kernels.push_back({.name = name, .run = trimming<S>(trimmer), .copy = "memcpy.16_bits", .bytes = 4});
}

/// Adds a trimmer of floats that lie one float off: all of them, or the input alone.
template <class F, class R>
void add_misaligned(Kernels& kernels, const std::string& name, const rt::Trimmer<F, R>& trimmer) {
  kernels.push_back({.name = name + ".misaligned", .run = trimming<float>(trimmer, 1, 1)});
  kernels.push_back({.name = name + ".misaligned_input", .run = trimming<float>(trimmer, 1, 0)});
}

void add_trimmers(Kernels& kernels) {
  bench::each_trimmer([&](const char* name, const auto& trimmer) { add(kernels, name, trimmer); });

  using E4M3 = rt::Float8E4M3FN;
  const rt::RoundStochastic<16> stochastic16{{.seed = 1, .stream = 2}};
  add_storage<__half>(kernels, "e4m3.nearest.half_storage", rt::Trimmer{E4M3{}});
  add_storage<__nv_bfloat16>(kernels, "e4m3.stochastic16.bfloat16_storage", rt::Trimmer{E4M3{}, stochastic16});
  add_misaligned(kernels, "e4m3.nearest", rt::Trimmer{E4M3{}});
  add_misaligned(kernels, "e4m3.stochastic16", rt::Trimmer{E4M3{}, stochastic16});
}

/// Whatever has a result for the host waits for it, and allocates what it needs.
void add_observers(Kernels& kernels) {
  const auto add_observer = [&](const char* name, auto run, int bytes = 4) {
    const auto with_spans = [run](const Arrays& a, cudaStream_t stream) {
      const auto& [size, in, out] = a.of<float>();
      run(on(stream), std::span<const float>(in.data(), size), std::span<const float>(out.data(), size));
    };
    kernels.push_back({.name = name, .run = with_spans, .bytes = bytes});
  };
  using Span = std::span<const float>;
  add_observer("observe.max_abs", [](const auto& policy, Span x, Span) { rt::max_abs(policy, x); });
  add_observer("observe.min_max", [](const auto& policy, Span x, Span) { rt::min_max(policy, x); });
  add_observer("observe.histogram", [range = std::make_shared<rt::Range>()](const auto& policy, Span x, Span) {
    rt::observe(policy, x, *range);  // kept: a tensor is observed piece by piece
  });
  const auto compare = [format = rt::AnyFormat(rt::Float8E4M3FN{})](const auto& policy, Span x, Span trimmed) {
    rt::measure(policy, x, trimmed, format);  // whichever kernel has trimmed it last
  };
  constexpr int bytes = 8;  // two arrays are read
  add_observer("measure", compare, bytes);
}

Kernels kernels_named(const std::string& filter) {
  Kernels others;
  add_trimmers(others);
  add_observers(others);
  return bench::named(references(), others, filter);
}

// ---- measurements -------------------------------------------------------------------------------------------------

/// Seconds that so many runs take, from the launch of the first.
double seconds(const Kernel& kernel, const Arrays& arrays, Clock& clock, int runs) {
  if (kernel.in_place) arrays.of<float>().copy(clock.stream());
  clock.start();
  for (int run = 0; run < runs; ++run) kernel.run(arrays, clock.stream());
  return clock.stop(kernel.name);
}

using Rows = std::vector<bench::Row<Kernel>>;

// ---- reports ------------------------------------------------------------------------------------------------------

/// The device that CUDA works with.
cudaDeviceProp find_device() {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count == 0) status = cudaErrorNoDevice;
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string("no CUDA device (") + cudaGetErrorString(status) + ")");
  }
  int number = 0;
  check(cudaGetDevice(&number), "cudaGetDevice");
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, number), "cudaGetDeviceProperties");
  return device;
}

void print_header(const cudaDeviceProp& device) {
  const auto version = [](int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); };
  int driver = 0;
  int runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  fmt::print("device               {}, compute capability {}.{}, {:.1f} GiB\n", device.name, device.major, device.minor,
             static_cast<double>(device.totalGlobalMem) * 0x1p-30);
  fmt::print("CUDA                 driver {}, runtime {}\n", version(driver), version(runtime));
  fmt::print("compiler             nvcc {}.{}.{}, {}\n", __CUDACC_VER_MAJOR__, __CUDACC_VER_MINOR__,
             __CUDACC_VER_BUILD__, machine::compiler());
  fmt::print("ristretto            {}.{}.{}\n", RISTRETTO_VERSION_MAJOR, RISTRETTO_VERSION_MINOR,
             RISTRETTO_VERSION_PATCH);
}

/// Prints the rows and adds them to the results.
void report(const Rows& rows, std::size_t size, nlohmann::json& results) {
  fmt::print(
      "\n{} elements (2^{:.4g}); /copy: time of cudaMemcpyAsync of as many elements, device to device, over the "
      "row's\n",
      size, std::log2(static_cast<double>(size)));
  fmt::print("{:<36} {:>10} {:>8} {:>8}\n", "kernel", "ns/element", "GB/s", "/copy");
  for (const auto& [kernel, ns] : rows) {
    const double gb_per_s = kernel->bytes / ns;
    const double share = bench::ns_of(rows, kernel->copy) / ns;
    fmt::print("{:<36} {:>10.6f} {:>8.1f} {:>8.3f}\n", kernel->name, ns, gb_per_s, share);
    results.push_back({{"kernel", kernel->name},
                       {"n", size},
                       {"ns_per_element", ns},
                       {"gb_per_s", gb_per_s},
                       {"share_of_copy", share}});
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options{.sizes = {20, 28}};
  CLI::App app{"Times trimming and observing on a CUDA device, beside cudaMemcpyAsync and plain copies."};
  if (const auto status = bench::parse(
          app, argc, argv, options, "elements: exponents of two up to 32, or counts; rounded up to multiples of 64")) {
    return *status;
  }
  try {
    ResultFile file(options.json_file);
    nlohmann::json results = nlohmann::json::array();
    print_header(find_device());
    const Kernels kernels = kernels_named(options.filter);
    Clock clock;
    for (const std::size_t size : options.sizes) {
      fmt::print(stderr, "measuring {} kernels, {} elements\n", kernels.size(), size);
      const Arrays arrays(size, clock.stream());
      const auto time = [&](const Kernel& kernel, int runs) { return seconds(kernel, arrays, clock, runs); };
      report(bench::measure(kernels, size, options.rounds, 1e-3, time), size, results);
    }
    file.write(results.dump(2) + "\n");
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "trim_bench_cuda: {}\n", e.what());
    return 1;
  }
}
