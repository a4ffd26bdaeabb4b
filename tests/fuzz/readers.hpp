// SPDX-License-Identifier: MIT
// Every reader of a file as a function of bytes, which returns whether they are a good file. What it may throw is
// caught, everything else is a finding.
#pragma once

#include <cstdint>
#include <span>

namespace fuzz {

using Bytes = std::span<const std::uint8_t>;

// Text: nets, solvers, and nets that are then built and run.
bool prototxt(Bytes bytes);
bool solver(Bytes bytes);
bool build(Bytes bytes);
// Binary: weights, states of solvers, mean images.
bool caffemodel(Bytes bytes);
bool solverstate(Bytes bytes);
bool mean(Bytes bytes);
// Pictures: databases, one record of a database, and files.
bool lmdb(Bytes bytes);
bool datum(Bytes bytes);
bool jpeg(Bytes bytes);
bool png(Bytes bytes);
bool idx(Bytes bytes);
bool cifar10(Bytes bytes);
bool xz(Bytes bytes);

struct Reader {
  const char* name;
  bool (*read)(Bytes);
};
inline constexpr Reader readers[] = {{"prototxt", prototxt},
                                     {"solver", solver},
                                     {"build", build},
                                     {"caffemodel", caffemodel},
                                     {"solverstate", solverstate},
                                     {"mean", mean},
                                     {"lmdb", lmdb},
                                     {"datum", datum},
                                     {"jpeg", jpeg},
                                     {"png", png},
                                     {"idx", idx},
                                     {"cifar10", cifar10},
                                     {"xz", xz}};

/// A net of one convolution and one inner product.
inline constexpr const char* small_net = R"(
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
)";

}  // namespace fuzz
