// SPDX-License-Identifier: MIT
// What trim_bench and trim_bench_cuda share: the command line, the data, the trimmers, and how they are timed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <ristretto/trimmer.hpp>

namespace bench {

namespace rt = ristretto;

struct Options {
  std::vector<std::size_t> sizes;
  int rounds = 15;
  std::string filter{};
  std::string json_file{};
};

/// Sizes are multiples of so many elements: whole batches, cache lines, and chunks of a device.
inline constexpr std::size_t grain = 64;

/// Adds the options and reads the command line, sizes as numbers of elements; an exit status when there is nothing more
/// to do.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv, Options& o, const std::string& sizes) {
  constexpr std::size_t greatest_exponent = 32;
  app.add_option("--size", o.sizes, sizes)
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << greatest_exponent))
      ->capture_default_str();
  app.add_option("--rounds", o.rounds, "measurements of each kernel; at least 15 for numbers that are quoted")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--filter", o.filter, "only kernels whose name holds this text, and what they are compared with");
  app.add_option("--json", o.json_file, "where to write the results");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  for (std::size_t& size : o.sizes) {
    if (size <= greatest_exponent) size = std::size_t{1} << size;
    size = (size + grain - 1) / grain * grain;
  }
  return std::nullopt;
}

/// Element i of the data, much like a normal number with standard deviation 1/2: the sum of eight uniform ones.
RISTRETTO_HOST_DEVICE float normal(std::uint64_t i) noexcept {
  const rt::Words4 block = rt::RandomStream{.seed = 1}.block(i);
  float sum = 0;
  for (std::uint64_t h = 0; h < 8; ++h) sum += static_cast<float>(block.half(h)) * 0x1p-16f;
  return (sum - 4) * 0.6123724f;  // a uniform number has the variance 1/12
}

/// v, but the compiler does not know it.
inline int hidden(int v) {
  volatile int unknown = v;
  return unknown;
}

/// Calls add(name, trimmer) for each trimmer that is timed.
template <class Add>
void each_trimmer(const Add& add) {
  using Fixed8 = rt::DynamicFixedPoint<2, 6>;
  using E4M3 = rt::Float8E4M3FN;
  using PowerOfTwo = rt::PowerOfTwo<-8, -1>;
  const rt::DynamicFixedPoint runtime_fixed8{hidden(2), hidden(6)};
  const rt::Minifloat runtime_minifloat{hidden(3), hidden(4)};
  const rt::Minifloat runtime_bfloat16{hidden(7), hidden(8)};
  const rt::RoundStochastic<32> stochastic32{{.seed = 1, .stream = 2}};
  const rt::RoundStochastic<16> stochastic16{{.seed = 1, .stream = 2}};

  add("fixed8.nearest", rt::Trimmer{Fixed8{}});
  add("bfloat16.nearest", rt::Trimmer{rt::BFloat16{}});
  add("half.nearest", rt::Trimmer{rt::Half{}});
  add("e4m3.nearest", rt::Trimmer{E4M3{}});
  add("power_of_two.nearest", rt::Trimmer{PowerOfTwo{}});
  add("runtime_fixed8.nearest", rt::Trimmer{runtime_fixed8});
  add("runtime_minifloat.nearest", rt::Trimmer{runtime_minifloat});
  add("runtime_bfloat16.nearest", rt::Trimmer{runtime_bfloat16});

  add("fixed8.stochastic32", rt::Trimmer{Fixed8{}, stochastic32});
  add("e4m3.stochastic32", rt::Trimmer{E4M3{}, stochastic32});
  add("fixed8.stochastic16", rt::Trimmer{Fixed8{}, stochastic16});
  add("bfloat16.stochastic16", rt::Trimmer{rt::BFloat16{}, stochastic16});
  add("half.stochastic16", rt::Trimmer{rt::Half{}, stochastic16});
  add("e4m3.stochastic16", rt::Trimmer{E4M3{}, stochastic16});
  add("power_of_two.stochastic16", rt::Trimmer{PowerOfTwo{}, stochastic16});
  add("runtime_fixed8.stochastic16", rt::Trimmer{runtime_fixed8, stochastic16});
}

/// The references, and of the others those whose name holds `filter`.
template <class Kernel>
std::vector<Kernel> named(std::vector<Kernel> references, const std::vector<Kernel>& others,
                          const std::string& filter) {
  std::ranges::copy_if(others, std::back_inserter(references),
                       [&](const Kernel& k) { return k.name.find(filter) != std::string::npos; });
  return references;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

template <class Kernel>
struct Row {
  const Kernel* kernel;
  double ns;  ///< per element: the median over rounds
};

/// Times all kernels, one after the other in every round, so that a change of the machine's pace meets all of them.
/// seconds(kernel, runs) does so many runs; there are enough of them to take `least` seconds, which hides the clock.
template <class Kernel, class Seconds>
std::vector<Row<Kernel>> measure(const std::vector<Kernel>& kernels, std::size_t elements, int rounds, double least,
                                 const Seconds& seconds) {
  std::vector<int> runs;
  for (const Kernel& kernel : kernels) {
    seconds(kernel, 1);  // brings what it needs to where it runs
    runs.push_back(1);
    while (seconds(kernel, runs.back()) < least) runs.back() *= 2;
  }
  std::vector<std::vector<double>> ns(kernels.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t k = 0; k < kernels.size(); ++k) {
      ns[k].push_back(1e9 * seconds(kernels[k], runs[k]) / runs[k] / static_cast<double>(elements));
    }
  }
  std::vector<Row<Kernel>> rows;
  for (std::size_t k = 0; k < kernels.size(); ++k) rows.push_back({&kernels[k], median(ns[k])});
  return rows;
}

/// The time per element of the kernel of this name.
template <class Kernel>
double ns_of(const std::vector<Row<Kernel>>& rows, const std::string& name) {
  return std::ranges::find(rows, name, [](const Row<Kernel>& row) { return row.kernel->name; })->ns;
}

}  // namespace bench
