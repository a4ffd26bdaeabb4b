#!/bin/bash
# SPDX-License-Identifier: MIT
# All checks that need a GPU, in one command and under 8 minutes: builds what is for CUDA into build/gpu, runs its tests
# (the exhaustive ones, and the short ones under compute-sanitizer) and the benchmark, and ends with a table of both.
#
# Usage: benchmarks/gpu_check.sh
# OUT: the folder for gpu_check.json and trim_bench_cuda.json, build/gpu by default. CXX: the compiler of the host, g++
# by default. CUDACXX: nvcc. CMAKE_PREFIX_PATH: where packages are that are not installed.
set -euo pipefail

source=$(cd "$(dirname "$0")/.." && pwd)
build=$source/build/gpu
results=${OUT:-$build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Seconds that each step may take at least; what one leaves, the next may take as well.
declare -A share=([configure]=30 [build]=150 [tests]=50 [exhaustive]=60 [memcheck]=45 [racecheck]=45
                  [trim_bench_cuda]=45 [fake_quantize]=25)
time_limit=465 # for all
reserved=0     # of it, for the steps to come
for seconds in "${share[@]}"; do reserved=$((reserved + seconds)); done

# The shares of a copy's bandwidth that trimming is to reach, and with how many elements.
target_size=$((1 << 28))
target_nearest=0.93
target_stochastic=0.90

# ---- what is here ---------------------------------------------------------------------------------------------------

at_least() { # version $1 is $2 or later
  [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

# "name, driver" of the first GPU.
find_gpu() {
  local gpus
  gpus=$(timeout 10 nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null) || return
  gpus=${gpus%%$'\n'*}
  [[ $gpus == *,* ]] && echo "$gpus" # without a device it prints a sentence
}

find_nvcc() {
  command -v "${CUDACXX:-nvcc}" || command -v /usr/local/cuda/bin/nvcc
}

find_sanitizer() {
  local cuda
  cuda=$(dirname "$(dirname "$(readlink -f "$CUDACXX")")")
  command -v compute-sanitizer || command -v "$cuda/bin/compute-sanitizer" ||
    command -v "$cuda/compute-sanitizer/compute-sanitizer"
}

# Those of the packages that CMake does not find.
missing_packages() {
  cat >"$work/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(packages LANGUAGES CXX)
foreach(package IN LISTS PACKAGES)
  find_package(${package} QUIET)
  if(NOT ${package}_FOUND)
    message("missing: ${package}")
  endif()
endforeach()
CMAKE
  local packages
  packages=$(IFS=';' && echo "$*")
  if ! cmake -S "$work" -B "$work/packages" "${generator[@]}" -DPACKAGES="$packages" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    return 1
  fi
  sed -n 's/^missing: //p' "$work/log"
}

# Ends with the names of what is missing, and of how to get it.
check_requirements() {
  local -A debian=([Eigen3]=libeigen3-dev [xsimd]=libxsimd-dev [Catch2]=catch2 [fmt]=libfmt-dev [CLI11]=libcli11-dev
                   [nlohmann_json]=nlohmann-json3-dev [ZLIB]=zlib1g-dev)
  local missing=() apt=() packages name
  if ! command -v cmake >/dev/null || ! at_least "$(cmake --version | sed -n '1s/.* //p')" 3.25; then
    missing+=("CMake 3.25 or later") apt+=(cmake)
  fi
  if ! command -v "$CXX" >/dev/null || ! at_least "$("$CXX" -dumpversion)" 12; then
    missing+=("g++ 12 or later") apt+=(g++)
  fi
  if ! command -v ninja >/dev/null && ! command -v make >/dev/null; then
    missing+=("Ninja or make") apt+=(ninja-build)
  fi
  if ((${#missing[@]})); then
    apt+=("${debian[@]}") # which of them are there, CMake would have to say
  else
    packages=$(missing_packages "${!debian[@]}")
    for name in $packages; do missing+=("$name") apt+=("${debian[$name]}"); done
  fi
  if [[ -z $CUDACXX ]] || ! at_least "$("$CUDACXX" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" 12.0; then
    missing+=("nvcc 12.0 or later, from NVIDIA's CUDA toolkit")
  fi
  ((${#missing[@]})) || return 0
  printf 'gpu_check: missing: %s\n' "${missing[@]}" >&2
  if ((${#apt[@]})); then
    echo "gpu_check: apt-get install ${apt[*]}   # or name in CMAKE_PREFIX_PATH where they are" >&2
  fi
  exit 1
}

# ---- steps ----------------------------------------------------------------------------------------------------------

steps=() outcomes=() times=() notes=()
failed=0

record() { # step, result, seconds, note
  steps+=("$1") outcomes+=("$2") times+=("$3") notes+=("$4")
  if [[ $2 == FAILED ]]; then failed=$((failed + 1)); fi
}

skip() { # step, why
  reserved=$((reserved - share[$1]))
  record "$1" skipped 0 "$2"
}

# Runs the command that follows the name of the step. Tests that say "skipped: " may be, but not for want of a device.
step() {
  local name=$1 start=$SECONDS status=0 limit result=passed note
  shift
  reserved=$((reserved - share[$name]))
  limit=$((time_limit - SECONDS - reserved))
  ((limit > 0)) || limit=1
  printf '\n== %s, at most %d s\n' "$name" "$limit"
  timeout -k 2 "$limit" "$@" 2>&1 | tee "$work/$name.log" || status=${PIPESTATUS[0]}
  note=$(sed -n '/^ *skipped: /{s/^ *//p;q}' "$work/$name.log")
  if ((status == 124 || status == 137)); then
    result=FAILED note="stopped after $limit s"
  elif ((status != 0)); then
    result=FAILED note="exit status $status"
  elif grep -q 'skipped: no CUDA device' "$work/$name.log"; then
    result=FAILED note="no CUDA device"
  elif [[ -z $note ]] && grep -qF '***Skipped' "$work/$name.log"; then
    result=FAILED note="a test was skipped without a reason"
  elif [[ $name == fake_quantize && -n $note ]]; then
    result=skipped note=${note#skipped: }
  fi
  record "$name" "$result" "$((SECONDS - start))" "$note"
}

run_steps() {
  local targets=(thrust_cuda_test 05_cuda trim_bench_cuda) keep_going=(-k) name sanitizer
  local ctest=(ctest --test-dir "$build" --no-tests=error --output-on-failure --output-junit junit.xml)
  local test=$build/tests/thrust_cuda_test bench=$build/benchmarks/trim_bench_cuda

  step configure cmake --fresh -S "$source" -B "$build" "${generator[@]}" -DRISTRETTO_CUDA=ON \
    -DCMAKE_CUDA_ARCHITECTURES=native -DCMAKE_BUILD_TYPE=Release -DRISTRETTO_WERROR=ON
  if ((failed)); then
    for name in build tests exhaustive memcheck racecheck trim_bench_cuda; do skip "$name" "not configured"; done
  else
    if ((${#generator[@]})); then keep_going=(-k 0); fi
    rm -f "$test" "$bench" "$build/examples/05_cuda" # what fails to build shall not run as it was before
    step build cmake --build "$build" --parallel "$(nproc)" --target "${targets[@]}" -- "${keep_going[@]}"
    step tests "${ctest[@]}" -R '^thrust_cuda_test|^examples[.]05_cuda$' --parallel 4
    step exhaustive "${ctest[@]}" -R '^exhaustive_cuda$'
    for name in memcheck racecheck; do
      if sanitizer=$(find_sanitizer); then
        step "$name" "$sanitizer" --tool "$name" --error-exitcode 1 "$test" "[short]"
      else
        skip "$name" "no compute-sanitizer"
      fi
    done
    step trim_bench_cuda "$bench" --json "$results/trim_bench_cuda.json"
  fi
  if command -v python3 >/dev/null; then
    step fake_quantize python3 "$source/benchmarks/fake_quantize.py"
  else
    skip fake_quantize "no python3"
  fi
}

# ---- reports --------------------------------------------------------------------------------------------------------

# "kernel share target verdict" for each kernel that rounds; where memory is not aligned there is no target.
judged_rows() {
  [[ ! -f $work/trim_bench_cuda.log ]] ||
    awk -v size="$target_size" -v nearest="$target_nearest" -v stochastic="$target_stochastic" '
      / elements \(2\^/ { here = $1 == size }
      here && $1 ~ /[.](nearest|stochastic)/ {
        target = $1 ~ /[.]nearest/ ? nearest : stochastic
        if ($1 ~ /misaligned/) print $1, $4, "-", "-"
        else print $1, $4, target, ($4 >= target ? "met" : "missed")
      }' "$work/trim_bench_cuda.log"
}

json_string() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# Prints its arguments, if any, each a line, with commas between them.
json_list() {
  local text
  (($#)) || return 0
  text=$(printf '    %s,\n' "$@")
  echo "${text%,}"
}

write_json() {
  local step_lines=() row_lines=() k kernel of_copy target verdict met
  for k in "${!steps[@]}"; do
    step_lines+=("$(printf '{"step": "%s", "result": "%s", "seconds": %d, "note": %s}' \
      "${steps[k]}" "${outcomes[k]}" "${times[k]}" "$(json_string "${notes[k]}")")")
  done
  while read -r kernel of_copy target verdict; do
    case $verdict in met) met=true ;; missed) met=false ;; *) target=null met=null ;; esac
    row_lines+=("$(printf '{"kernel": "%s", "n": %d, "share_of_copy": %s, "target": %s, "met": %s}' \
      "$kernel" "$target_size" "$of_copy" "$target" "$met")")
  done <"$work/rows"
  {
    printf '{\n  "device": %s,\n' "$(json_string "${gpu%,*}")"
    printf '  "driver": %s,\n' "$(json_string "${gpu##*, }")"
    printf '  "seconds": %d,\n  "failed": %d,\n' "$SECONDS" "$failed"
    printf '  "steps": [\n%s\n  ],\n' "$(json_list "${step_lines[@]}")"
    printf '  "rows": [\n%s\n  ]\n}\n' "$(json_list "${row_lines[@]}")"
  } >"$results/gpu_check.json.part"
  mv "$results/gpu_check.json.part" "$results/gpu_check.json"
}

print_tables() {
  local k
  if [[ -s $work/rows ]]; then
    printf '\n%-44s %8s %8s\n' "2^28 elements" /copy target
    while read -r -a k; do printf '%-44s %8s %8s  %s\n' "${k[@]}"; done <"$work/rows"
    printf 'targets met: %d, missed: %d\n' "$(grep -c ' met$' "$work/rows")" "$(grep -c ' missed$' "$work/rows")"
  fi
  printf '\n%-20s %-8s %8s\n' step result seconds
  for k in "${!steps[@]}"; do
    printf '%-20s %-8s %8d  %s\n' "${steps[k]}" "${outcomes[k]}" "${times[k]}" "${notes[k]}"
  done
  printf '%-20s %-8s %8d  %s\n' all "$( ((failed)) && echo FAILED || echo passed)" "$SECONDS" "$gpu"
}

gpu=$(find_gpu) || {
  echo "gpu_check: no GPU: nvidia-smi finds none" >&2
  exit 1
}
export CXX=${CXX:-g++}
export CUDAHOSTCXX=${CUDAHOSTCXX:-$CXX}
CUDACXX=$(find_nvcc) || CUDACXX=""
export CUDACXX
generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
check_requirements
mkdir -p "$build" "$results"
rm -f "$results/gpu_check.json" "$results/trim_bench_cuda.json"
run_steps
judged_rows >"$work/rows"
write_json
print_tables
((failed == 0))
