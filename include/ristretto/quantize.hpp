// SPDX-License-Identifier: MIT
// All of ristretto for the host: a table of contents.
#pragma once

// Numbers
#include <ristretto/any_format.hpp>    // formats chosen at run time, their text form
#include <ristretto/any_rounding.hpp>  // roundings chosen at run time
#include <ristretto/format.hpp>        // what a format is
#include <ristretto/formats.hpp>       // fixed point, minifloats, powers of two, and presets
#include <ristretto/random.hpp>        // random numbers that are addressed: Philox, RandomStream
#include <ristretto/rounding.hpp>      // to nearest, directed, stochastic
#include <ristretto/trimmer.hpp>       // Trimmer{format, rounding}: what trimming is

// Tensors
#include <ristretto/choose.hpp>   // the format that suits a range
#include <ristretto/eigen.hpp>    // trim of Eigen's matrices, arrays and tensors
#include <ristretto/measure.hpp>  // what a trim did: SQNR, saturated, flushed
#include <ristretto/min_max.hpp>  // where values end
#include <ristretto/range.hpp>    // what was seen of a tensor: Range
#include <ristretto/rows.hpp>     // formats for the rows of a matrix
#include <ristretto/span.hpp>     // trim of vectors, arrays and spans; rows with a format each

// Networks
#include <ristretto/compensate.hpp>    // compensated rounding (GPTQ, OBQ): post-training quantization (PTQ)
#include <ristretto/moments.hpp>       // moments of a layer's inputs
#include <ristretto/repair.hpp>        // bias correction, cross-layer equalization
#include <ristretto/search.hpp>        // bit widths of parts, within a margin of any score
#include <ristretto/search_costs.hpp>  // of many parts, under a cost
#include <ristretto/shadow.hpp>        // shadow weights: quantization-aware training (QAT)
