#!/bin/bash
# SPDX-License-Identifier: MIT
# What including the library costs: user CPU seconds of the compiler, the least of several runs.
#
# Usage: benchmarks/compile_time.sh [COMPILER]      (default: $CXX or g++)
# RUNS: how many runs, 5 by default. CPPFLAGS: where Eigen and xsimd are, by default where pkg-config finds Eigen.
set -euo pipefail

include=$(cd "$(dirname "$0")/../include" && pwd)
compiler=${1:-${CXX:-g++}}
runs=${RUNS:-5}
read -ra cppflags <<<"${CPPFLAGS-$(pkg-config --cflags eigen3 2>/dev/null || echo -I/usr/include/eigen3)}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The header $1 of the library and those it includes, directly or not.
library_headers() {
  local next=("$1") found=() header
  while ((${#next[@]})); do
    header=${next[0]}
    next=("${next[@]:1}")
    [[ " ${found[*]} " == *" $header "* ]] && continue
    found+=("$header")
    mapfile -t -O "${#next[@]}" next < <(sed -n 's|^#include <\(ristretto/.*\)>.*|\1|p' "$include/$header")
  done
  printf '%s\n' "${found[@]}"
}

# The standard headers that these include: those without a folder and without an ending.
standard_headers() {
  library_headers "$1" | sed "s|^|$include/|" | xargs sed -n 's|^#include <\([a-z0-9_]*\)>.*|\1|p' | sort -u
}

# Writes the source $1, which includes the other arguments.
write_source() {
  printf '#include <%s>\n' "${@:2}" >"$work/$1.cpp"
}

# User CPU seconds for the source $1.
compile() {
  local TIMEFORMAT=%3U
  local command=("$compiler" -std=c++20 -O2 -I "$include" "${cppflags[@]}" -c -o "$work/$1.o" "$work/$1.cpp")
  if ! { time "${command[@]}" 2>"$work/errors"; } 2>&1; then
    cat "$work/errors" >&2
    return 1
  fi
}

mapfile -t standard < <(standard_headers ristretto/trimmer.hpp)
write_source standard "${standard[@]}"
write_source trimmer ristretto/trimmer.hpp
write_source dependencies unsupported/Eigen/CXX11/Tensor xsimd/xsimd.hpp
write_source quantize ristretto/quantize.hpp
sources=(standard trimmer dependencies quantize)

for ((run = 0; run < runs; ++run)); do
  for source in "${sources[@]}"; do  # in turn, so that a change of the processor's pace meets all of them
    compile "$source" >>"$work/$source.seconds"
  done
done

declare -A least
for source in "${sources[@]}"; do
  least[$source]=$(sort -n "$work/$source.seconds" | head -n 1)
done

"$compiler" --version | head -n 1
echo "-std=c++20 -O2, user CPU seconds, the least of $runs runs"
printf '%-36s %6.3f\n' \
  "its ${#standard[@]} standard headers alone" "${least[standard]}" \
  "trimmer.hpp" "${least[trimmer]}" \
  "  difference" "$(awk "BEGIN { print ${least[trimmer]} - ${least[standard]} }")" \
  "Eigen's Tensor and xsimd alone" "${least[dependencies]}" \
  "quantize.hpp" "${least[quantize]}" \
  "  ratio" "$(awk "BEGIN { print ${least[quantize]} / ${least[dependencies]} }")"
