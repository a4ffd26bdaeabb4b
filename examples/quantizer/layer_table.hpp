// SPDX-License-Identifier: MIT
// What formats do to the layers of a net: measured, for people and as JSON.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include <ristretto/measure.hpp>

#include "cnn/net.hpp"

namespace quantizer {

struct LayerRow {
  std::string name{}, type{};
  long long parameters = 0;
  cnn::Formats formats{};
  double weight_sqnr_db = 0;
  double saturated_in = 0, saturated_weight = 0, saturated_out = 0;  // shares
  double float_bytes = 0, bytes = 0;                                 // of the parameters
};

/// The weights of a layer, trimmed to nearest.
cnn::Tensor trimmed(const cnn::Tensor& weight, const cnn::Formats& formats);

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

/// One line for each layer, below their names; on stdout.
void print_layers(std::span<const LayerRow> rows);
nlohmann::ordered_json to_json(const LayerRow& row);

}  // namespace quantizer
