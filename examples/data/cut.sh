#!/bin/sh
# Cuts the first 10,000 training and 2,000 test images of Fashion-MNIST out of the full set.
# usage: cut.sh [DIR]    DIR holds the four IDX files; default: where Debian's dataset-fashion-mnist puts them
set -eu
from=${1:-/usr/share/datasets/fashion-mnist}
here=$(dirname "$0")

big_endian() { printf "\\$(printf %03o $(($1 >> 24 & 255)))\\$(printf %03o $(($1 >> 16 & 255)))\\$(printf %03o $(($1 >> 8 & 255)))\\$(printf %03o $(($1 & 255)))"; }

# cut_file NAME HEADER_BYTES ITEM_BYTES COUNT: the header with its item count (bytes 4 to 7) replaced, then the first COUNT items
cut_file() {
  {
    zcat "$from/$1" | head -c 4
    big_endian "$4"
    zcat "$from/$1" | head -c "$2" | tail -c +9
    zcat "$from/$1" | tail -c +$(($2 + 1)) | head -c $(($3 * $4))
  } | gzip -9n > "$here/$1"
}

cut_file train-images-idx3-ubyte.gz 16 784 10000
cut_file train-labels-idx1-ubyte.gz 8 1 10000
cut_file t10k-images-idx3-ubyte.gz 16 784 2000
cut_file t10k-labels-idx1-ubyte.gz 8 1 2000
