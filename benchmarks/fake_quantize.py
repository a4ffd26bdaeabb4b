#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times PyTorch's fake quantization to 8 bits on a CUDA device, for scale, in rows like those of trim_bench_cuda."""
import argparse
import math
import statistics

try:
    import torch
except ImportError:
    torch = None

GREATEST_EXPONENT = 32
BYTES = 8  # of floats, read and written per element; fake_quantize besides writes a byte: whether the value was clamped


def seconds(run, runs):
    """Seconds that so many runs take on the device, from the launch of the first."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(runs):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e-3


def enough_runs(run):
    """So many runs that a measurement takes at least 1 ms."""
    seconds(run, 1)  # the first run loads the kernel and takes memory
    runs = 1
    while seconds(run, runs) < 1e-3:
        runs *= 2
    return runs


def measure(kernels, size, rounds):
    """Nanoseconds an element for each kernel: medians over rounds, in each of which all kernels are timed."""
    runs = {name: enough_runs(run) for name, run in kernels.items()}
    ns = {name: [] for name in kernels}
    for _ in range(rounds):
        for name, run in kernels.items():
            ns[name].append(1e9 * seconds(run, runs[name]) / runs[name] / size)
    return {name: statistics.median(values) for name, values in ns.items()}


def report(ns, size):
    print(f"\n{size} elements (2^{math.log2(size):.4g}); /copy: time of copy_ over the row's")
    print(f"{'kernel':<36} {'ns/element':>10} {'GB/s':>8} {'/copy':>8}")
    for name, value in ns.items():
        print(f"{name:<36} {value:>10.6f} {BYTES / value:>8.1f} {ns['torch.copy_'] / value:>8.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=[20, 28],
                        help="elements: exponents of two up to 32, or counts (default: 20 28)")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each kernel (default: 15)")
    options = parser.parse_args()
    if min(options.size) < 1 or options.rounds < 1:
        parser.error("--size and --rounds are at least 1")
    if torch is None or not torch.cuda.is_available():
        print("skipped: no PyTorch with CUDA")
        return

    print(f"device               {torch.cuda.get_device_name()}")
    print(f"PyTorch              {torch.__version__}")
    for size in (2**s if s <= GREATEST_EXPONENT else s for s in options.size):
        x = torch.randn(size, device="cuda") / 2
        copy = torch.empty_like(x)
        kernels = {
            "torch.copy_": lambda: copy.copy_(x),
            "torch.fake_quantize": lambda: torch.fake_quantize_per_tensor_affine(x, 1 / 64, 0, -128, 127),
        }
        report(measure(kernels, size, options.rounds), size)


if __name__ == "__main__":
    main()
