#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The installed tool runs, and its man page and completions know every option that it shows. Usage: tool.sh PREFIX
set -euo pipefail
prefix=$1
tool=$prefix/bin/ristretto
man=$prefix/share/man/man1/ristretto.1
zsh=$prefix/share/zsh/site-functions/_ristretto

fail() {
  printf '%s\n' "$*"
  exit 1
}

version=$("$tool" --version)
[[ $version =~ ^ristretto\ [0-9]+\.[0-9]+\.[0-9]+\ \(.+,\ Eigen\ [0-9.]+,\ xsimd\ [0-9.]+\)$ ]] || fail "--version says: $version"
printf '%s\n' "$version"

# complete WORD...: what bash offers in place of the last word, in `offered`.
source "$prefix/share/bash-completion/completions/ristretto"
complete() {
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _ristretto || true  # its status means nothing
  offered="${COMPREPLY[*]-}"
}
offers() {  # EXPECTED WORD...
  complete "${@:2}"
  [[ $offered == "$1" ]] || fail "bash offers \"$offered\" after ${*:2}, expected \"$1\""
}

commands=$("$tool" --help | sed -n '/^Subcommands:/,$s/^  \([a-z]*\) .*/\1/p' | tr '\n' ' ')
offers "$commands--help --version" ristretto ''
text=$(sed 's/\\-/-/g' "$man")
for command in $commands; do
  options=$("$tool" "$command" --help | sed -nE 's/^  (-h,)?(--[a-z_]+).*/\2/p')
  [[ $options == *--model* ]] || fail "no options in the help of $command"
  complete ristretto "$command" --
  for option in $options; do
    [[ " ${offered//=/} " == *" $option "* ]] || fail "bash does not offer $option after $command"
    sed -n "/^.SH ${command^^}\$/,/^.SH/p" <<< "$text" | grep -qE -- "^\.BI? $option(=|\$)" || fail "$man has no $option of $command"
    sed -n "/^    $command)/,/;;/p" "$zsh" | grep -qE -- "'(\([^)]*\))?$option=?\[" || fail "$zsh has no $option of $command"
  done
done

offers quantize ristretto qu
offers 'layers parts' ristretto quantize --search ''
offers layers ristretto quantize --search = la
offers 'dynamic_fixed_point integer_power_of_2_weights minifloat' ristretto quantize --trimming_mode =
offers 'bias,compensate' ristretto quantize --repair = bias,co
offers '' ristretto quantize --iterations =
offers '--model= --model_quantized=' ristretto quantize --mod
offers "$man" ristretto test --model = "${man%1}"
offers '' ristretto nonsense ''

# What can judge the pages does.
if [[ $(type -P groff) ]]; then
  said=$(groff -man -ww -z "$man" 2>&1)
  [[ -z $said ]] || fail "groff says: $said"
elif [[ $(type -P mandoc) ]]; then
  mandoc -T lint -W warning "$man" || fail 'mandoc refuses the man page'
else
  echo 'the man page was not judged: neither groff nor mandoc'
fi
if [[ $(type -P zsh) ]]; then
  zsh -n "$zsh" || fail 'zsh refuses its completions'
else
  echo 'the completions for zsh were not judged: no zsh'
fi
