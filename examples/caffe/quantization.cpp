// SPDX-License-Identifier: MIT
// Formats of Ristretto layers.
#include "caffe/quantization.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include <ristretto/rows.hpp>

#include "cnn/check.hpp"

namespace caffe_files {
namespace {

namespace rt = ristretto;
using caffe::QuantizationParameter;
using Format = std::optional<rt::AnyFormat>;
using Original = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ristretto2016>;

struct Types {
  std::string_view plain, ristretto;
};
constexpr std::array<Types, 4> types{{{"Convolution", "ConvolutionRistretto"},
                                      {"Deconvolution", "DeconvolutionRistretto"},
                                      {"InnerProduct", "FcRistretto"},
                                      {"LRN", "LRNRistretto"}}};

int width(std::uint32_t bits) {
  if (bits < 1 || bits > 32) {
    throw std::invalid_argument("a width of " + std::to_string(bits) + " bits; choose 1 to 32");
  }
  return static_cast<int>(bits);
}

/// bw bits, fl of them fractional.
rt::AnyFormat fixed_point(std::uint32_t bw, int fl) {
  const int bits = width(bw);
  if (fl < -96 || fl > 126) {  // before it is subtracted
    throw std::invalid_argument("a fractional length of " + std::to_string(fl) + "; choose -96 to 126");
  }
  return rt::DynamicFixedPoint<>(bits - fl, fl);
}

int small(std::uint32_t bits) { return static_cast<int>(std::min(bits, 1000u)); }  // the format refuses what is wrong

/// What the text says, or the format without it.
Format overridden(const Format& format, bool has_text, const std::string& text) {
  if (!has_text) return format;
  if (text == "float") return {};
  return rt::AnyFormat::parse(text);
}

/// "0,-1,2"
std::vector<int> shifts_of(const std::string& text) {
  std::vector<int> shifts;
  const char *at = text.data(), *end = at + text.size();
  while (true) {
    int shift = 0;
    const auto [next, error] = std::from_chars(at, end, shift);
    if (error != std::errc() || (next != end && *next != ',')) {
      throw std::invalid_argument("shift_params is \"" + text + "\"; write numbers with commas between");
    }
    shifts.push_back(shift);
    if (next == end) return shifts;
    at = next + 1;
  }
}

std::string text_of(const std::vector<int>& shifts) {
  std::string text;
  for (const int shift : shifts) text.append(text.empty() ? "" : ",").append(std::to_string(shift));
  return text;
}

cnn::Formats base_formats(const QuantizationParameter& q) {
  cnn::Formats f;
  if (q.precision() == QuantizationParameter::MINIFLOAT) {
    f.input = f.weight = f.bias = f.output = Original(small(q.mant_bits()), small(q.exp_bits()));
    return f;
  }
  if (q.has_bw_layer_in() || q.has_fl_layer_in()) f.input = fixed_point(q.bw_layer_in(), q.fl_layer_in());
  if (q.has_bw_layer_out() || q.has_fl_layer_out()) f.output = fixed_point(q.bw_layer_out(), q.fl_layer_out());
  if (q.precision() == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS) {
    f.weight = rt::PowerOfTwo<>(q.exp_min(), q.exp_max());
  } else if (q.has_bw_params() || q.has_fl_params()) {
    f.weight = fixed_point(q.bw_params(), q.fl_params());
    f.bias = f.weight;
  }
  return f;
}

/// Without the layer's name in errors.
cnn::Formats formats_of(const QuantizationParameter& q) {
  if (q.rounding_scheme() == QuantizationParameter::STOCHASTIC) {
    throw std::invalid_argument("rounding_scheme STOCHASTIC asks for chance where a net is used; remove it");
  }
  cnn::Formats f = base_formats(q);
  f.input = overridden(f.input, q.has_format_layer_in(), q.format_layer_in());
  f.weight = overridden(f.weight, q.has_format_params(), q.format_params());
  if (q.has_format_params() && q.precision() != QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS) f.bias = f.weight;
  f.bias = overridden(f.bias, q.has_format_bias(), q.format_bias());
  f.output = overridden(f.output, q.has_format_layer_out(), q.format_layer_out());
  if (q.training_rounding() == QuantizationParameter::NEAREST) f.training_rounding.reset();
  if (q.has_shift_params()) {
    if (!f.weight) throw std::invalid_argument("shift_params scales the format of weights that are not trimmed");
    f.weight_shifts = shifts_of(q.shift_params());
    rt::row_formats(*f.weight, f.weight_shifts);  // throws where there is no such format
  }
  return f;
}

template <class F>
const F* as(const Format& format) {
  return format ? std::get_if<F>(&format->variant()) : nullptr;
}

/// The fields that the original has, as far as they can say it.
QuantizationParameter original_fields(const cnn::Formats& f, Precision mode) {
  QuantizationParameter q;
  if (mode != QuantizationParameter::DYNAMIC_FIXED_POINT) q.set_precision(mode);
  if (mode == QuantizationParameter::MINIFLOAT) {
    for (const Format* part : {&f.weight, &f.input, &f.output, &f.bias}) {
      const auto* minifloat = as<Original>(*part);
      if (!minifloat) continue;
      q.set_mant_bits(static_cast<std::uint32_t>(minifloat->mantissa_bits()));
      q.set_exp_bits(static_cast<std::uint32_t>(minifloat->exponent_bits()));
      break;
    }
    return q;
  }
  if (const auto* in = as<rt::DynamicFixedPoint<>>(f.input)) {
    q.set_bw_layer_in(static_cast<std::uint32_t>(in->bits()));
    q.set_fl_layer_in(in->fractional_length());
  }
  if (const auto* out = as<rt::DynamicFixedPoint<>>(f.output)) {
    q.set_bw_layer_out(static_cast<std::uint32_t>(out->bits()));
    q.set_fl_layer_out(out->fractional_length());
  }
  if (mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS) {
    if (const auto* weight = as<rt::PowerOfTwo<>>(f.weight)) {
      q.set_exp_min(weight->min_exponent());
      q.set_exp_max(weight->max_exponent());
    }
  } else if (const auto* weight = as<rt::DynamicFixedPoint<>>(f.weight)) {
    q.set_bw_params(static_cast<std::uint32_t>(weight->bits()));
    q.set_fl_params(weight->fractional_length());
  }
  return q;
}

std::string text_of(const Format& format) { return format ? rt::to_string(*format) : "float"; }

/// Fields of ours only where the original's give another format.
QuantizationParameter fields(const cnn::Formats& f, Precision mode, bool has_parameters) {
  QuantizationParameter q = original_fields(f, mode);
  if (!f.training_rounding) q.set_training_rounding(QuantizationParameter::NEAREST);
  cnn::Formats said = formats_of(q);
  if (said.input != f.input) q.set_format_layer_in(text_of(f.input));
  if (said.output != f.output) q.set_format_layer_out(text_of(f.output));
  if (!has_parameters) return q;
  if (said.weight != f.weight) q.set_format_params(text_of(f.weight));
  said = formats_of(q);
  if (said.bias != f.bias) q.set_format_bias(text_of(f.bias));
  if (!f.weight_shifts.empty()) q.set_shift_params(text_of(f.weight_shifts));
  return q;
}

bool trims(const cnn::Formats& f) { return f.input || f.weight || f.bias || f.output; }

std::string_view ristretto_type(const std::string& type) {
  for (const Types& t : types) {
    if (type == t.plain || type == t.ristretto) return t.ristretto;
  }
  return {};
}

}  // namespace

bool is_ristretto(const std::string& type) { return !type.empty() && ristretto_type(type) == type; }

std::string plain_type(const std::string& type) {
  for (const Types& t : types) {
    if (type == t.ristretto) return std::string(t.plain);
  }
  return type;
}

cnn::Formats formats_of(const caffe::LayerParameter& layer) {
  if (!is_ristretto(layer.type()) || !layer.has_quantization_param()) return {};
  try {
    cnn::Formats formats = formats_of(layer.quantization_param());
    if (layer.type() == "LRNRistretto") {  // it has none
      formats.weight = formats.bias = {};
      formats.weight_shifts.clear();
    }
    return formats;
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(layer.name() + ": quantization_param: " + error.what());
  }
}

caffe::NetParameter quantized(const caffe::NetParameter& net, std::span<const LayerFormats> layers, Precision mode) {
  caffe::NetParameter result = net;
  for (const LayerFormats& wanted : layers) {
    bool found = false;
    for (caffe::LayerParameter& layer : *result.mutable_layer()) {
      const std::string_view type = ristretto_type(layer.type());
      if (layer.name() != wanted.name || type.empty()) continue;
      found = true;
      if (trims(wanted.formats)) {
        layer.set_type(std::string(type));
        *layer.mutable_quantization_param() = fields(wanted.formats, mode, type != "LRNRistretto");
      } else {
        layer.set_type(plain_type(layer.type()));
        layer.clear_quantization_param();
      }
    }
    cnn::check(found, wanted.name, "the net has no such layer with formats",
               "name a Convolution, Deconvolution, InnerProduct or LRN");
  }
  return result;
}

}  // namespace caffe_files
