#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Who includes whom, as the tables of docs/design.md, "Layers", have it; that each header is listed for installing and has
# its test. Prints each violation as "file:line: rule". Usage: layers.sh [TREE]; layers.sh --self-test FOLDER
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What was split off a header, which it includes at its end, so that the old name gives what it gave.
declare -A at_end=([range.hpp]=choose.hpp [choose.hpp]=rows.hpp [search.hpp]=search_costs.hpp [thrust.hpp]=thrust_observe.hpp)

# Who may use what is not the standard library, as patterns of files and of what they include.
declare -A library_users=(
  ['xsimd/*']='kernel/*'
  ['@(Eigen|unsupported/Eigen)/*']='@(eigen|rounded|moments|compensate|reconstruct|repair|shadow).hpp'
  ['@(thrust|cub)/*']='thrust*.hpp'
  ['cuda*']='kernel/device_group.hpp'
  ['fmt/*']='any_*.hpp'
)
declare -A example_users=(
  ['CLI/*']='@(examples|tool)'
  ['@(google/protobuf/*|*.pb.h)']='@(protobuf|caffe|onnx|tool)'
  ['@(lmdb|png|jpeglib|jerror|lzma).h']='pictures'
  ['nlohmann/*']='@(examples|quantizer|export|report|tool)'
)

# Headers without a test of their own name, and what tests them.
declare -A tested_elsewhere=(
  [config.hpp]='compiles or refuses: tests/no_compile'
  [format.hpp]='a concept: formats_test.cpp'
  [formats/fixed_point.hpp]=formats_test.cpp
  [formats/minifloat.hpp]=formats_test.cpp
  [formats/power_of_two.hpp]=formats_test.cpp
  [quantize.hpp]='holds nothing: tests/install/consumer'
  [thrust_observe.hpp]=thrust_test.cpp
)

failed=0
report() {  # WHERE RULE
  printf '%s: %s\n' "$1" "$2"
  failed=1
}

includes() {  # FOLDER: lines "file:line:included", the file relative to the folder
  (cd "$1" && grep -rnHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' --include='*.hpp' --include='*.cpp' --include='*.cu' . ||
    true) | sed -E 's|^\./||; s|^([^:]*:[0-9]+:)[^"<]*["<]([^">]*)[">].*|\1\2|'
}

# Rows of a table of docs/design.md whose head begins with this: "first column|second column", without backticks.
rows() {
  sed -n "/^| $1 |/,/^\$/p" docs/design.md | sed '1,2d; /^$/d' | sed -E 's/^\| *([^|]*[^| ]) *\| *([^|]*[^| ])? *\|.*/\1|\2/; s/`//g'
}

check_library() {
  local -A layer=() lines=() first=()
  local number names name where file line included
  while IFS='|' read -r number names; do
    for name in ${names//,/ }; do layer[$name]=$number; done
  done < <(rows layer)
  ((${#layer[@]})) || report docs/design.md 'no table of layers'

  for name in "${!layer[@]}"; do
    [[ -f include/ristretto/$name ]] || report docs/design.md "$name is in the table of layers, but not in include/ristretto"
  done
  while read -r name; do
    [[ ${layer[$name]-} ]] || report "include/ristretto/$name" 'is in no row of the table of layers in docs/design.md'
    grep -qE "(^|[ /])${name//./\\.}([ )]|\$)" CMakeLists.txt || report "include/ristretto/$name" 'is not listed in CMakeLists.txt'
    [[ $name == kernel/* || -f tests/${name%.hpp}_test.cpp || ${tested_elsewhere[$name]-} ]] ||
      report "include/ristretto/$name" "has no tests/${name%.hpp}_test.cpp"
  done < <(cd include/ristretto && find . -name '*.hpp' | sed 's|^\./||' | sort)

  while IFS=: read -r file line included; do
    where=include/ristretto/$file:$line
    if [[ $included != ristretto/* ]]; then
      for name in "${!library_users[@]}"; do
        [[ $included != $name || $file == ${library_users[$name]} ]] ||
          report "$where" "<$included> may be included by ${library_users[$name]} only"
      done
      continue
    fi
    included=${included#ristretto/}
    if [[ ${at_end[$file]-} == "$included" ]]; then
      [[ $(grep -v '^[[:space:]]*$' "include/ristretto/$file" | tail -n 1) == "#include <ristretto/$included>"* ]] ||
        report "$where" "what was split off is included at the end of $file"
      continue
    fi
    : "${first[$file]:=$included}"
    [[ ${layer[$included]-} && ${layer[$file]-} ]] || continue  # reported above, or no such file
    ((layer[$included] < layer[$file])) ||
      report "$where" "$file is in layer ${layer[$file]} and includes $included of layer ${layer[$included]}; only lower ones may be"
    [[ $included != kernel/* || $file == @(kernel/*|span.hpp|packed.hpp|block_span.hpp|min_max.hpp|eigen.hpp|thrust.hpp) ]] ||
      report "$where" "kernel/ is included by span, packed, block_span, min_max, eigen, thrust and kernel/ only"
    [[ $file != search*.hpp || $included == @(config|search).hpp ]] || report "$where" 'searches need no other header but config.hpp'
  done < <(includes include/ristretto)

  # The first header of ours that a header includes leads to config.hpp, whose guards so come first.
  for file in "${!layer[@]}"; do
    name=$file
    while [[ ${first[$name]-} && ${layer[${first[$name]}]-99} -lt ${layer[$name]} ]]; do name=${first[$name]}; done
    [[ $name == config.hpp ]] || report "include/ristretto/$file" "config.hpp is not what it includes first of ours; $name does not include it"
  done
}

check_examples() {
  local -A allowed=()
  local folder names name where file line included of
  while IFS='|' read -r folder names; do allowed[$folder]=" ${names//,/ } "; done < <(rows folder)
  ((${#allowed[@]})) || report docs/design.md 'no table of folders'
  while read -r folder; do
    [[ ${allowed[$folder]-} ]] || report "examples/$folder" 'is in no row of the table of folders in docs/design.md'
  done < <(cd examples && find . -mindepth 2 -name '*.[ch]pp' | cut -d / -f 2 | sort -u)

  while IFS=: read -r file line included; do
    where=examples/$file:$line
    folder=examples
    [[ $file != */* ]] || folder=${file%%/*}
    for name in "${!example_users[@]}"; do
      [[ $included != $name || $folder == ${example_users[$name]} ]] ||
        report "$where" "<$included> may be included in ${example_users[$name]} only"
    done
    [[ $folder != examples || $file == *.hpp ]] || continue  # programs
    of=examples
    [[ $included != */* ]] || of=${included%%/*}
    if [[ $folder != examples && -f examples/$folder/$included ]]; then
      report "$where" "\"$included\" is included by its path, \"$folder/$included\""
    elif [[ ${allowed[$of]-} && ($of != examples || -f examples/$included) ]]; then
      [[ $of == "$folder" || ${allowed[$folder]-} == *" $of "* ]] || report "$where" "$folder may not include $of"
    fi
  done < <(includes examples)
}

# ---- The rules themselves: each violation is found ----

seeded() {  # FOLDER FILE TEXT EXPECTED: appends the text to a copy of the file; expected nothing: it may stand there
  local copy=$1/tree said
  rm -rf "$copy"
  mkdir -p "$copy/tests"
  cp -r include examples docs CMakeLists.txt "$copy"
  cp tests/*_test.cpp "$copy/tests"
  mkdir -p "$(dirname "$copy/$2")"
  printf '%s\n' "$3" >> "$copy/$2"
  said=$(bash "$tree/tests/layers.sh" "$copy") || true
  [[ $said == *"$4"* && ($4 || ! $said) ]] || { printf 'not found: %s in %s; found:\n%s\n' "$4" "$2" "$said"; failed=1; }
}

self_test() {
  local h=include/ristretto
  seeded "$1" $h/span.hpp '#include <ristretto/range.hpp>' 'and includes range.hpp of layer'
  seeded "$1" $h/formats/minifloat.hpp '  #  include <ristretto/any_format.hpp>' 'includes any_format.hpp of layer'
  seeded "$1" $h/measure.hpp '#include <ristretto/kernel/simd.hpp>' 'kernel/ is included by'
  seeded "$1" $h/search_costs.hpp '#include <ristretto/config.hpp>
#include <ristretto/random.hpp>' 'searches need no other header'
  seeded "$1" $h/range.hpp 'int after_the_end;' 'is included at the end of range.hpp'
  seeded "$1" $h/trimmer.hpp '#include <xsimd/xsimd.hpp>' '<xsimd/xsimd.hpp> may be included by kernel/* only'
  seeded "$1" $h/span.hpp '#include <Eigen/Core>' '<Eigen/Core> may be included by'
  seeded "$1" $h/new.hpp '#pragma once' 'new.hpp: is in no row'
  seeded "$1" $h/new.hpp '#pragma once' 'new.hpp: is not listed in CMakeLists.txt'
  seeded "$1" $h/new.hpp '#pragma once' 'new.hpp: has no tests/new_test.cpp'
  seeded "$1" $h/formats.hpp '#include <ristretto/config.hpp>' ''  # lower layers may be
  seeded "$1" examples/cnn/net.hpp '#include "pictures/source.hpp"' 'cnn may not include pictures'
  seeded "$1" examples/quantizer/new.cpp '#include "caffe/build.hpp"' 'quantizer may not include caffe'
  seeded "$1" examples/quantizer/new.cpp '#include <CLI/CLI.hpp>' '<CLI/CLI.hpp> may be included in @(examples|tool) only'
  seeded "$1" examples/quantizer/new.cpp '#include <caffe.pb.h>' '<caffe.pb.h> may be included in'
  seeded "$1" examples/cnn/new.cpp '#include "net.hpp"' '"net.hpp" is included by its path, "cnn/net.hpp"'
  seeded "$1" examples/new/new.cpp '#include "cnn/net.hpp"' 'examples/new: is in no row'
}

shopt -s extglob
if [[ ${1-} == --self-test ]]; then
  cd "$tree"
  self_test "$2"
else
  cd "${1-$tree}"
  check_library
  check_examples
fi
exit "$failed"
