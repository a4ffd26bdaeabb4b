// SPDX-License-Identifier: MIT
// How fast tensors are trimmed and observed: nanoseconds an element, beside memcpy and the plainest loops, in one run.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <ristretto/range.hpp>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(TRIM_BENCH_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#endif

#include "bench.hpp"
#include "machine.hpp"
#include "result_file.hpp"

namespace {

namespace rt = ristretto;

struct Options : bench::Options {
  std::vector<int> threads;
};

// ---- threads ------------------------------------------------------------------------------------------------------

/// Calls body(t) on thread t, for each t in [0, threads).
template <class F>
void on_each_thread([[maybe_unused]] int threads, F&& body) {
#if defined(_OPENMP)
  omp_set_num_threads(threads);  // rather than num_threads(threads): oneDNN, called by a lone thread, looks at it
#pragma omp parallel
  body(omp_get_thread_num());
#else
  body(0);
#endif
}

/// Waits, within on_each_thread, until all threads have come here.
void wait_for_all() {
#if defined(_OPENMP)
#pragma omp barrier
#endif
}

int all_threads() {
#if defined(_OPENMP)
  return omp_get_num_procs();
#else
  return 1;
#endif
}

// ---- data ---------------------------------------------------------------------------------------------------------

/// What one thread works on; `first` is the place of its first element.
struct Piece {
  std::span<const float> in;
  std::span<float> out;
  std::uint64_t first;
};

/// An input, an output, and how threads share them.
class Arrays {
 public:
  Arrays(std::size_t size, int threads) : size_(size), threads_(threads) {
    constexpr std::size_t page = 4096 / sizeof(float);
    // The output lies an odd page off, so that its addresses and those of the input differ in few and low bits, never
    // in a high one alone: where two addresses agree in what a processor looks up caches by, each drives out the other.
    const std::size_t pages = (size + page - 1) / page;
    const std::size_t bytes = (2 * pages + 2) * page * sizeof(float);
    memory_.reset(static_cast<float*>(std::aligned_alloc(page * sizeof(float), bytes)));
    if (!memory_) throw std::runtime_error(fmt::format("no memory for {} bytes; choose a smaller --size", bytes));
    in_ = memory_.get();
    out_ = in_ + (pages / 2 * 2 + 1) * page;
    on_each_thread(threads, [this](int t) {  // memory belongs to the processor that touches it first
      const auto [first, last] = bounds(t);
      for (std::size_t i = first; i < last; ++i) in_[i] = bench::normal(i);
      std::fill(out_ + first, out_ + last, 0.0f);
    });
  }

  std::size_t size() const noexcept { return size_; }
  int threads() const noexcept { return threads_; }
  Piece piece(int thread) const noexcept {
    const auto [first, last] = bounds(thread);
    return {{in_ + first, in_ + last}, {out_ + first, out_ + last}, first};
  }

 private:
  struct Free {
    void operator()(float* memory) const noexcept { std::free(memory); }
  };

  std::pair<std::size_t, std::size_t> bounds(int thread) const noexcept {
    const auto bound = [this](int t) {
      return size_ / bench::grain * static_cast<std::size_t>(t) / static_cast<std::size_t>(threads_) * bench::grain;
    };
    return {bound(thread), bound(thread + 1)};
  }

  std::size_t size_;
  int threads_;
  std::unique_ptr<float[], Free> memory_;
  float* in_ = nullptr;
  float* out_ = nullptr;
};

// ---- kernels ------------------------------------------------------------------------------------------------------

/// Something to time.
struct Kernel {
  std::string name;
  std::string loop;  ///< the plainest loop with the same stores, to compare with
  std::function<void(const Piece&)> run;
  int bytes = 8;          ///< read and written per element
  bool in_place = false;  ///< works on the output, which is the input again before each measurement
};
using Kernels = std::vector<Kernel>;

/// A few floats that an instruction treats at once; a single one where xsimd knows no architecture.
#if defined(RISTRETTO_NO_SIMD)
using Batch = float;
constexpr std::size_t lanes = 1;
Batch load(const float* p) { return *p; }
void store(float* p, Batch x) { *p = x; }
#else
using Batch = xsimd::batch<float>;
constexpr std::size_t lanes = Batch::size;
Batch load(const float* p) { return Batch::load_aligned(p); }
void store(float* p, Batch x) { x.store_aligned(p); }
#endif

// Stores past the caches, and what makes them visible to other threads.
#if defined(__SSE2__)
constexpr bool has_streams = true;
void stream(float* p, Batch x) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, x);
#elif defined(__AVX__)
  _mm256_stream_ps(p, x);
#else
  _mm_stream_ps(p, x);
#endif
}
void end_streams() { _mm_sfence(); }
#else
constexpr bool has_streams = false;
void stream(float* p, Batch x) { store(p, x); }
void end_streams() {}
#endif

/// A kernel that calls step(in, out) for the places of each batch.
template <class Step>
auto loop(Step step) {
  return [step](const Piece& p) {
    const float* const in = p.in.data();
    float* const out = p.out.data();
    const std::size_t n = p.in.size();
    for (std::size_t k = 0; k < n; k += lanes) {
      step(in + k, out + k);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // no instruction; without it, copies become calls of memcpy
    }
  };
}

/// memcpy and the plainest loops, to compare with.
Kernels references() {
  const auto copy = loop([](const float* in, float* out) { store(out, load(in)); });
  const auto copy_streaming = loop([](const float* in, float* out) { stream(out, load(in)); });
  const auto load_add_store = loop([](const float* in, float* out) { store(out, load(in) + Batch(1)); });
  const auto add_in_place = loop([](const float*, float* x) { store(x, load(x) + Batch(1)); });
  const auto by_memcpy = [](const Piece& p) { std::memcpy(p.out.data(), p.in.data(), p.in.size_bytes()); };
  const auto stream_all = [copy_streaming](const Piece& p) {
    copy_streaming(p);
    end_streams();
  };
  Kernels kernels{{.name = "memcpy", .loop = "copy", .run = by_memcpy},
                  {.name = "load_add_store", .loop = "copy", .run = load_add_store},
                  {.name = "copy", .loop = "copy", .run = copy},
                  {.name = "copy.inplace", .loop = "copy.inplace", .run = add_in_place, .in_place = true}};
  if (has_streams) kernels.push_back({.name = "copy.stream", .loop = "copy.stream", .run = stream_all});
  return kernels;
}

/// Adds a trimmer with each kind of store. In place, all runs of a measurement but the first meet numbers that are
/// trimmed already, which take as long: no branch looks at data.
template <class F, class R>
void add(Kernels& kernels, const std::string& name, const rt::Trimmer<F, R>& trimmer) {
  const auto out_of_place = [&trimmer](rt::Stores stores) {
    return [trimmer, stores](const Piece& p) { rt::trim(p.in, p.out, trimmer, p.first, stores); };
  };
  const auto in_place = [trimmer](const Piece& p) { rt::trim(p.out, trimmer, p.first); };
  kernels.push_back({.name = name, .loop = "copy", .run = out_of_place(rt::Stores::cached)});
  if (has_streams && !R::indexed) {  // random draws store as usual
    kernels.push_back({.name = name + ".stream", .loop = "copy.stream", .run = out_of_place(rt::Stores::streaming)});
  }
  kernels.push_back({.name = name + ".inplace", .loop = "copy.inplace", .run = in_place, .in_place = true});
}

void add_observers(Kernels& kernels) {
  const auto add_observer = [&](const char* name, auto run) {
    kernels.push_back({.name = name, .loop = "copy", .run = run, .bytes = 4});
  };
  // One float is stored, so that the result has a use.
  add_observer("observe.max_abs", [](const Piece& p) { p.out[0] = rt::max_abs(p.in); });
  add_observer("observe.min_max", [](const Piece& p) {
    const auto ends = rt::min_max(p.in);
    p.out[0] = ends.max - ends.min;
  });
  add_observer("observe.histogram", [](const Piece& p) {
    thread_local rt::Range range;  // kept: a tensor is observed piece by piece
    range.observe(p.in);
  });
}

// ---- what a user would write otherwise ----------------------------------------------------------------------------

/// A minifloat with 3 mantissa bits and exponents from -6, up to 448, as its definition reads.
float minifloat_by_pow(float x) {
  const float exponent = std::max(std::floor(std::log2(std::abs(x))), -6.0f);
  const float quantum = std::pow(2.0f, exponent - 3);
  return std::clamp(std::nearbyint(x / quantum) * quantum, -448.0f, 448.0f);
}

template <class Number>
void cast_by_eigen(const Piece& p) {
  const auto size = static_cast<Eigen::Index>(p.in.size());
  Eigen::ArrayXf::Map(p.out.data(), size) =
      Eigen::ArrayXf::Map(p.in.data(), size).template cast<Number>().template cast<float>();
}

#if defined(TRIM_BENCH_ONEDNN)
/// oneDNN's conversion of a piece to bfloat16.
class OneDnnReorder {
 public:
  void operator()(const Piece& p) {
    if (p.in.data() != in_ || p.in.size() != size_) prepare(p);
    reorder_.execute(stream_, from_, to_);
    stream_.wait();
  }

 private:
  void prepare(const Piece& p) {
    using Memory = dnnl::memory;
    in_ = p.in.data();
    size_ = p.in.size();
    const Memory::dims shape{static_cast<Memory::dim>(size_)};
    const auto place = [&](Memory::data_type type, const float* data) {
      return Memory({shape, type, Memory::format_tag::a}, engine_, const_cast<float*>(data));
    };
    from_ = place(Memory::data_type::f32, in_);
    to_ = place(Memory::data_type::bf16, p.out.data());
    reorder_ = dnnl::reorder(from_, to_);
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  const float* in_ = nullptr;
  std::size_t size_ = 0;
  dnnl::memory from_, to_;
  dnnl::reorder reorder_;
};
#endif

void add_peers(Kernels& kernels) {
  const auto add_peer = [&](const char* name, auto run, int bytes = 8) {
    kernels.push_back({.name = name, .loop = "copy", .run = run, .bytes = bytes});
  };
  add_peer("peer.std_round_fixed8", [](const Piece& p) {
    std::ranges::transform(p.in, p.out.begin(),
                           [](float x) { return std::clamp(std::round(x * 64) / 64, -2.0f, 127.0f / 64); });
  });
  add_peer("peer.std_pow_minifloat",
           [](const Piece& p) { std::ranges::transform(p.in, p.out.begin(), minifloat_by_pow); });
  add_peer("peer.eigen_half_cast", cast_by_eigen<Eigen::half>);
  add_peer("peer.eigen_bfloat16_cast", cast_by_eigen<Eigen::bfloat16>);
#if defined(TRIM_BENCH_ONEDNN)
  constexpr int bytes = 6;  // bfloat16 are written, and not made floats again
  add_peer(
      "peer.onednn_reorder_bfloat16",
      [](const Piece& p) {
        thread_local OneDnnReorder reorder;  // kept: to prepare it takes longer than to run it
        reorder(p);
      },
      bytes);
#endif
}

Kernels kernels_named(const std::string& filter) {
  Kernels others;
  bench::each_trimmer([&](const char* name, const auto& trimmer) { add(others, name, trimmer); });
  add_observers(others);
  add_peers(others);
  return bench::named(references(), others, filter);
}

// ---- measurements -------------------------------------------------------------------------------------------------

/// Seconds that all threads take for so many runs.
double seconds(const Kernel& kernel, const Arrays& arrays, int runs) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start, end;
  on_each_thread(arrays.threads(), [&](int t) {
    const Piece piece = arrays.piece(t);
    if (kernel.in_place) std::ranges::copy(piece.in, piece.out.begin());
    wait_for_all();
    if (t == 0) start = Clock::now();
    for (int run = 0; run < runs; ++run) kernel.run(piece);
    wait_for_all();
    if (t == 0) end = Clock::now();
  });
  return std::chrono::duration<double>(end - start).count();
}

using Rows = std::vector<bench::Row<Kernel>>;

// ---- reports ------------------------------------------------------------------------------------------------------

void print_header() {
  fmt::print("processor            {}, {} cores\n", machine::processor(), std::thread::hardware_concurrency());
  fmt::print("compiler             {}, {} lanes\n", machine::compiler(), lanes);
  fmt::print("memcpy streams from  {}\n", machine::non_temporal_threshold());
  fmt::print("ristretto            {}.{}.{}\n", RISTRETTO_VERSION_MAJOR, RISTRETTO_VERSION_MINOR,
             RISTRETTO_VERSION_PATCH);
}

/// Prints the rows and adds them to the results.
void report(const Rows& rows, const Arrays& arrays, nlohmann::json& results) {
  fmt::print("\n{} floats (2^{:.4g}), {} thread{}; ratios are of times\n", arrays.size(),
             std::log2(static_cast<double>(arrays.size())), arrays.threads(), arrays.threads() == 1 ? "" : "s");
  fmt::print("{:<36} {:>10} {:>8} {:>8} {:>8}\n", "kernel", "ns/element", "GB/s", "/memcpy", "/loop");
  for (const auto& [kernel, ns] : rows) {
    const double gb_per_s = kernel->bytes / ns;
    const double to_memcpy = ns / bench::ns_of(rows, "memcpy");
    const double to_loop = ns / bench::ns_of(rows, kernel->loop);
    fmt::print("{:<36} {:>10.4f} {:>8.2f} {:>8.3f} {:>8.3f}\n", kernel->name, ns, gb_per_s, to_memcpy, to_loop);
    results.push_back({{"kernel", kernel->name},
                       {"n", arrays.size()},
                       {"threads", arrays.threads()},
                       {"ns_per_element", ns},
                       {"gb_per_s", gb_per_s},
                       {"ratio_to_memcpy", to_memcpy},
                       {"ratio_to_loop", to_loop}});
  }
  std::fflush(stdout);
}

/// Reads the command line; an exit status when there is nothing more to do.
std::optional<int> parse(int argc, char** argv, Options& o) {
  CLI::App app{"Times trimming and observing, beside memcpy, plain loops and what a user would write otherwise."};
  app.add_option("--threads", o.threads, "numbers of threads; by default 1, then one per core")
      ->check(CLI::Range(1, all_threads()));
  const auto status =
      bench::parse(app, argc, argv, o,
                   "floats: exponents of two up to 32, or counts; rounded up to multiples of 64, and 64 a thread");
  if (status) return status;
  if (o.threads.empty()) o.threads = all_threads() == 1 ? std::vector{1} : std::vector{1, all_threads()};
  const auto most_threads = static_cast<std::size_t>(std::ranges::max(o.threads));
  for (std::size_t& size : o.sizes) size = std::max(size, most_threads * bench::grain);
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  Options options{{.sizes = {14, 24}}, {}};
  if (const auto status = parse(argc, argv, options)) return *status;
  try {
    ResultFile file(options.json_file);
    nlohmann::json results = nlohmann::json::array();
    const Kernels kernels = kernels_named(options.filter);
    print_header();
    for (const std::size_t size : options.sizes) {
      for (const int threads : options.threads) {
        fmt::print(stderr, "measuring {} kernels, {} floats, threads: {}\n", kernels.size(), size, threads);
        const Arrays arrays(size, threads);
        const auto time = [&](const Kernel& kernel, int runs) { return seconds(kernel, arrays, runs); };
        report(bench::measure(kernels, arrays.size(), options.rounds, 200e-6, time), arrays, results);
      }
    }
    file.write(results.dump(2) + "\n");
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "trim_bench: {}\n", e.what());
    return 1;
  }
}
