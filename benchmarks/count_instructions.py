#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of a turn of the innermost loop that trims, as the compiler made them for x86-64."""
import argparse
import os
import pathlib
import re
import subprocess
import sys

TRIMMERS = [
    "rt::Trimmer{rt::DynamicFixedPoint<2, 6>{}}",
    "rt::Trimmer{rt::Float8E4M3FN{}}",
    "rt::Trimmer{rt::BFloat16{}}",
    "rt::Trimmer{rt::Float8E4M3FN{}, rt::RoundStochastic<16>{{.seed = 1, .stream = 2}}}",
    "rt::Trimmer{rt::Float8E4M3FN{}, rt::RoundStochastic<32>{{.seed = 1, .stream = 2}}}",
]

SOURCE = """
#include <ristretto/span.hpp>
namespace rt = ristretto;
void kernel(std::span<const float> in, std::span<float> out) {{
  rt::trim(in, out, {trimmer}, 0, rt::Stores::{stores});
}}
"""

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include"
KINDS = ["loads", "stores", "arithmetic", "others"]


def include_flags():
    """Where Eigen and xsimd are: CPPFLAGS, or what pkg-config knows of Eigen."""
    if "CPPFLAGS" in os.environ:
        return os.environ["CPPFLAGS"].split()
    try:
        return subprocess.run(["pkg-config", "--cflags", "eigen3"], check=True, capture_output=True,
                              text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return ["-I/usr/include/eigen3"]


def assembly(options, trimmer):
    """The lines of the compiler's output, in AT&T syntax."""
    command = [options.compiler, "-std=c++20", options.optimize, f"-march={options.arch}", "-I", str(INCLUDE),
               *include_flags(), "-S", "-o", "-", "-x", "c++", "-"]
    source = SOURCE.format(trimmer=trimmer, stores=options.stores)
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"{options.compiler}: {error.strerror}")
    if done.returncode != 0:
        sys.exit(f"{done.stderr}{options.compiler} does not compile {trimmer}")
    return done.stdout.splitlines()


def innermost_loops(lines):
    """Loops without a loop, a call or a return in them: the instructions from a label to the last jump back to it."""
    labels = {}
    ends = {}
    for number, line in enumerate(lines):
        if label := re.match(r"(\.?\w+):", line):
            labels[label[1]] = number
        elif (jump := re.match(r"\s+j\w+\s+(\.?\w+)", line)) and jump[1] in labels:
            start = labels[jump[1]]
            if not any(re.match(r"\s+(call|ret)", inner) for inner in lines[start:number]):
                ends[start] = number
    innermost = [(start, end) for start, end in ends.items() if not any(start < other < end for other in ends)]
    return [[line for line in lines[start:end + 1] if re.match(r"\s+[a-z]", line)] for start, end in innermost]


def operands(instruction):
    """The operands, memory operands in one piece."""
    text = instruction.split("#")[0].strip().partition("\t")[2]
    return re.findall(r"(?:[^,(]|\([^)]*\))+", text)


def is_vector(instruction):
    return "mm" in instruction or "%k" in instruction


def kind(instruction):
    """What a vector instruction does: arithmetic also when it loads an operand itself, and others are moves between
    registers; so are jumps and all scalar instructions."""
    mnemonic, *_ = instruction.split()
    places = operands(instruction)
    if not is_vector(instruction):
        return "others"
    if "(" in places[-1]:
        return "stores"
    if re.match(r"v?mov|v?pbroadcast|v?broadcast|v?lddqu", mnemonic):
        return "loads" if "(" in places[0] else "others"
    return "arithmetic"


def batches_of(body):
    """The batches that a turn handles: vector stores elsewhere than to the stack."""
    return sum(kind(i) == "stores" and not re.search(r"%rsp|-\d+\(%rbp\)", i) for i in body)


def report(options, trimmer):
    streaming = options.stores == "streaming"
    loops = [body for body in innermost_loops(assembly(options, trimmer))
             if batches_of(body) and streaming == any("movnt" in i for i in body)]
    if not loops:
        sys.exit(f"no loop with {options.stores} stores in the code for {trimmer}")
    body = max(loops, key=lambda loop: (sum(map(is_vector, loop)), len(loop)))
    counts = [len(body), *(sum(kind(i) == k for i in body) for k in KINDS)]
    batches = batches_of(body)
    print(f"\n{trimmer}, batches a turn: {batches}")
    print(f"  {'':<10}" + "".join(f"{name:>12}" for name in ["all", *KINDS]))
    print(f"  {'a turn':<10}" + "".join(f"{count:>12}" for count in counts))
    print(f"  {'a batch':<10}" + "".join(f"{count / batches:>12.2f}" for count in counts))
    if options.show:
        print("\n".join(body))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trimmers", nargs="*", default=TRIMMERS, metavar="TRIMMER",
                        help="an expression such as 'rt::Trimmer{rt::Half{}}'; by default a few")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--arch", default="x86-64-v4", help="-march (default: %(default)s)")
    parser.add_argument("--optimize", default="-O2", metavar="FLAG", help="default: %(default)s")
    parser.add_argument("--stores", default="cached", choices=["cached", "streaming"])
    parser.add_argument("--show", action="store_true", help="print the loops, too")
    options = parser.parse_args()
    print(f"{options.compiler} {options.optimize} -march={options.arch}, {options.stores} stores")
    for trimmer in options.trimmers:
        report(options, trimmer)


if __name__ == "__main__":
    main()
