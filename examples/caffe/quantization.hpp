// SPDX-License-Identifier: MIT
// Ristretto's layers: the formats that quantization_param names, and back.
#pragma once

#include <span>
#include <string>

#include <caffe.pb.h>

#include "cnn/parameter.hpp"

namespace caffe_files {

using Precision = caffe::QuantizationParameter::Precision;

/// ConvolutionRistretto, DeconvolutionRistretto, FcRistretto or LRNRistretto.
bool is_ristretto(const std::string& type);
/// "FcRistretto" -> "InnerProduct"; other types as they are.
std::string plain_type(const std::string& type);

/// The formats of a Ristretto layer. Without fields of ours:
///   DYNAMIC_FIXED_POINT         inputs, parameters and outputs in fixed point of bw bits, fl of them fractional; what
///                               has neither bw nor fl stays float (the original: 16 + 16 bits)
///   MINIFLOAT                   all in minifloat:mant_bits,exp_bits,ristretto2016
///   INTEGER_POWER_OF_2_WEIGHTS  weights in pow2:exp_min,exp_max, biases in float, the rest in fixed point as above
/// Biases have the format of the weights otherwise. shift_params gives each output channel of the weights a scale.
/// Throws std::invalid_argument naming the layer for settings that make no format.
cnn::Formats formats_of(const caffe::LayerParameter& layer);

struct LayerFormats {
  std::string name;
  cnn::Formats formats;
};

/// The net with these layers trimmed: their types and quantization_param are such that formats_of gives the formats
/// back. The mode decides in which fields they stand; without any format a layer is of its plain type. Throws
/// std::invalid_argument for a name that is none of a layer with formats.
caffe::NetParameter quantized(const caffe::NetParameter& net, std::span<const LayerFormats> layers, Precision mode);

}  // namespace caffe_files
