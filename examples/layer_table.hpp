// SPDX-License-Identifier: MIT
// What formats do to the layers of a net: measured, for people and as JSON.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ristretto/measure.hpp>

#include "cnn/net.hpp"
#include "cnn/parallel_trim.hpp"

struct LayerRow {
  std::string name{}, type{};
  long long parameters = 0;
  cnn::Formats formats{};
  double weight_sqnr_db = 0;
  double saturated_in = 0, saturated_weight = 0, saturated_out = 0;  // shares
  double float_bytes = 0, bytes = 0;                                 // of the parameters
};

/// The weights of a layer, trimmed to nearest.
inline cnn::Tensor trimmed(const cnn::Tensor& weight, const cnn::Formats& f) {
  cnn::Parameter parameter;
  parameter.edit() = weight;
  parameter.prepare(f.weight, {}, f.rounding, f.ties, f.weight_shifts);
  return parameter.in_use();
}

/// What these formats do to the layer's parameters, and to the values that it met in float. `repaired`: the weights
/// that they are to trim instead of the layer's own.
template <class Layer>
LayerRow describe(const std::string& name, const Layer& layer, const cnn::Formats& f, const cnn::LayerRanges& ranges,
                  const cnn::Tensor* repaired = nullptr) {
  namespace rt = ristretto;
  const auto beyond = [](const rt::Range& r, const std::optional<rt::AnyFormat>& format) {
    return format ? r.share_beyond(format->lowest(), format->largest()) : 0.0;
  };
  const auto bits = [](const std::optional<rt::AnyFormat>& format) { return format ? format->bits() : 32; };
  const cnn::Tensor &weight = layer.weight.value(), &bias = layer.bias.value();
  LayerRow row{.name = name,
               .type = std::is_same_v<Layer, cnn::InnerProduct> ? "fc" : "conv",
               .parameters = weight.size() + bias.size(),
               .formats = f};
  row.saturated_in = beyond(ranges.input, f.input);
  row.saturated_out = beyond(ranges.output, f.output);
  row.float_bytes = 4.0 * static_cast<double>(row.parameters);
  row.bytes = static_cast<double>(weight.size() * bits(f.weight) + bias.size() * bits(f.bias)) / 8;
  if (f.weight) {
    const cnn::Tensor found = trimmed(repaired ? *repaired : weight, f);
    const auto formats = f.weight_shifts.empty() ? std::vector{*f.weight} : cnn::scaled(*f.weight, f.weight_shifts);
    const std::size_t rows = formats.size(), length = weight.values().size() / rows;
    rt::Measurement m;
    for (std::size_t r = 0; r < rows; ++r) {
      m.merge(rt::measure(weight.values().subspan(r * length, length), found.values().subspan(r * length, length),
                          formats[r]));
    }
    row.weight_sqnr_db = m.sqnr_db();
    row.saturated_weight = m.saturated_share();
  }
  return row;
}

inline std::string text(const std::optional<ristretto::AnyFormat>& format) {
  return format ? ristretto::to_string(*format) : "float";
}

/// With the scales of the channels, as in "fixed:1,3 x2^-4..-1".
inline std::string weight_text(const cnn::Formats& f) {
  if (!f.weight || f.weight_shifts.empty()) return text(f.weight);
  const auto [least, most] = std::minmax_element(f.weight_shifts.begin(), f.weight_shifts.end());
  return fmt::format("{} x2^{}..{}", text(f.weight), *least, *most);
}

inline void print_layers(std::span<const LayerRow> rows) {
  std::size_t name = 5, width = 7;  // of columns
  for (const LayerRow& l : rows) {
    name = std::max(name, l.name.size());
    for (const auto* f : {&l.formats.input, &l.formats.bias, &l.formats.output}) {
      width = std::max(width, text(*f).size());
    }
    width = std::max(width, weight_text(l.formats).size());
  }
  fmt::print("{:<{n}} {:<4} {:>8}  {:<{w}} {:<{w}} {:<{w}} {:<{w}} {:>7}  {:>17}\n", "layer", "type", "params", "input",
             "weights", "bias", "output", "SQNR w", "saturated % i/w/o", fmt::arg("n", name), fmt::arg("w", width));
  double float_bytes = 0, bytes = 0;
  for (const LayerRow& l : rows) {
    const std::string sqnr = l.formats.weight ? fmt::format("{:.1f} dB", l.weight_sqnr_db) : "-";
    fmt::print("{:<{n}} {:<4} {:>8}  {:<{w}} {:<{w}} {:<{w}} {:<{w}} {:>7}  {:>5.2f} {:>5.2f} {:>5.2f}\n", l.name,
               l.type, l.parameters, text(l.formats.input), weight_text(l.formats), text(l.formats.bias),
               text(l.formats.output), sqnr, 100 * l.saturated_in, 100 * l.saturated_weight, 100 * l.saturated_out,
               fmt::arg("n", name), fmt::arg("w", width));
    float_bytes += l.float_bytes;
    bytes += l.bytes;
  }
  fmt::print(
      "SQNR is that of the weights. Saturated: how much of input, weights and output, as the net in float has them,\n"
      "lies beyond the ends of the format. Parameters: {:.0f} -> {:.0f} bytes ({:.1f}x smaller).\n",
      float_bytes, bytes, float_bytes / bytes);
}

inline nlohmann::ordered_json to_json(const LayerRow& l) {
  return {{"name", l.name},
          {"type", l.type},
          {"parameters", l.parameters},
          {"input", text(l.formats.input)},
          {"weight", text(l.formats.weight)},
          {"weight_shifts", l.formats.weight_shifts},
          {"bias", text(l.formats.bias)},
          {"output", text(l.formats.output)},
          {"weight_sqnr_db", l.weight_sqnr_db},
          {"saturated_input", l.saturated_in},
          {"saturated_weight", l.saturated_weight},
          {"saturated_output", l.saturated_out},
          {"float_bytes", l.float_bytes},
          {"bytes", l.bytes}};
}
