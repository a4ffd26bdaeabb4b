// SPDX-License-Identifier: MIT
// Printing what formats do to layers.
#include "quantizer/layer_table.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace quantizer {
namespace {

std::string text(const std::optional<ristretto::AnyFormat>& format) {
  return format ? ristretto::to_string(*format) : "float";
}

/// With the scales of the channels, as in "fixed:1,3 x2^-4..-1".
std::string weight_text(const cnn::Formats& f) {
  if (!f.weight || f.weight_shifts.empty()) return text(f.weight);
  const auto [least, most] = std::minmax_element(f.weight_shifts.begin(), f.weight_shifts.end());
  return fmt::format("{} x2^{}..{}", text(f.weight), *least, *most);
}

}  // namespace

cnn::Tensor trimmed(const cnn::Tensor& weight, const cnn::Formats& f) {
  cnn::Parameter parameter;
  parameter.edit() = weight;
  parameter.prepare(f.weight, f, {}, f.weight_shifts);
  return parameter.in_use();
}

void print_layers(std::span<const LayerRow> rows) {
  std::size_t name = 5, width = 7;  // of columns
  for (const LayerRow& l : rows) {
    name = std::max(name, l.name.size());
    for (const auto* f : {&l.formats.input, &l.formats.bias, &l.formats.output}) {
      width = std::max(width, text(*f).size());
    }
    width = std::max(width, weight_text(l.formats).size());
  }
  fmt::print("{:<{}} {:<4} {:>8}  {:<{}} {:<{}} {:<{}} {:<{}} {:>7}  {:>17}\n", "layer", name, "type", "params",
             "input", width, "weights", width, "bias", width, "output", width, "SQNR w", "saturated % i/w/o");
  double float_bytes = 0, bytes = 0;
  for (const LayerRow& l : rows) {
    const std::string sqnr = l.formats.weight ? fmt::format("{:.1f} dB", l.weight_sqnr_db) : "-";
    fmt::print("{:<{}} {:<4} {:>8}  {:<{}} {:<{}} {:<{}} {:<{}} {:>7}  {:>5.2f} {:>5.2f} {:>5.2f}\n", l.name, name,
               l.type, l.parameters, text(l.formats.input), width, weight_text(l.formats), width, text(l.formats.bias),
               width, text(l.formats.output), width, sqnr, 100 * l.saturated_in, 100 * l.saturated_weight,
               100 * l.saturated_out);
    float_bytes += l.float_bytes;
    bytes += l.bytes;
  }
  fmt::print(
      "SQNR is that of the weights. Saturated: how much of input, weights and output, as the net in float has them,\n"
      "lies beyond the ends of the format. Parameters: {:.0f} -> {:.0f} bytes ({:.1f}x smaller).\n",
      float_bytes, bytes, float_bytes / bytes);
}

nlohmann::ordered_json to_json(const LayerRow& l) {
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

}  // namespace quantizer
