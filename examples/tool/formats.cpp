// SPDX-License-Identifier: MIT
// Choosing formats.
#include "formats.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <variant>

#include "progress.hpp"

namespace tool {
namespace {

namespace rt = ristretto;
using caffe::QuantizationParameter;

constexpr int least_bias_bits = 8;  // the original trims biases in the format of the weights

enum class Tensor { weight, bias, activation };

/// What a ReLU leaves of the values.
rt::Range positive_part(const rt::Range& range) {
  std::array<std::uint64_t, rt::Range::bins> counts{};
  const auto seen = range.histogram();
  for (std::size_t b = 0; b < seen.size(); ++b) counts[b < rt::Range::bins / 2 ? b : 0] += seen[b];
  rt::Range positive;
  if (!seen.empty()) positive.add(counts, {std::max(range.min(), 0.0f), std::max(range.max(), 0.0f)});
  return positive;
}

rt::AnyFormat format_for(const Rule& rule, int bits, Tensor tensor, const rt::Range& range) {
  using enum rt::Encoding;
  const rt::Choice choice{.rule = rule.ranges,
                          .role = tensor == Tensor::activation ? rt::Role::activations : rt::Role::parameters};
  if (rule.mode == QuantizationParameter::MINIFLOAT) {
    return rt::choose<rt::Minifloat<rt::runtime, rt::runtime, finite>>(bits, range, choice);
  }
  if (rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS && tensor == Tensor::weight) {
    if (rule.is_original()) return rt::choose<rt::PowerOfTwo<>>(bits, range, choice);
    return rt::choose<rt::PowerOfTwoOrZero<>>(bits, range, choice);
  }
  const bool never_negative = tensor == Tensor::activation && range.min() >= 0;
  if (never_negative && !rule.is_original()) return rt::choose<rt::UnsignedFixedPoint<>>(bits, range, choice);
  return rt::choose<rt::DynamicFixedPoint<>>(bits, range, choice);
}

/// The original gives all layers one minifloat format, with exponent bits for the largest activation of the net.
rt::AnyFormat original_minifloat(const std::vector<LayerStatistics>& layers, int bits) {
  rt::Range all;
  for (const LayerStatistics& l : layers) {
    all.merge(l.ranges.input);
    all.merge(l.ranges.output);
  }
  using Original = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::ristretto2016>;
  return rt::choose<Original>(bits, all, {.rule = rt::RangeRule::ristretto2016});
}

std::optional<rt::AnyFormat> bias_format(const LayerStatistics& layer, const Rule& rule, int bits,
                                         const rt::AnyFormat& weight) {
  const bool powers = rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS;
  if (rule.is_original() || layer.biases == 0) return powers ? std::nullopt : std::optional(weight);
  return format_for(rule, std::max(bits, least_bias_bits), Tensor::bias, layer.ranges.bias);
}

cnn::Formats formats_for(const LayerStatistics& layer, const Rule& rule, const Widths& widths) {
  cnn::Formats f{.ties = rule.ties};
  if (const auto width = layer.is_fc ? widths.fc : widths.conv) {
    f.weight = format_for(rule, *width, Tensor::weight, layer.ranges.weight);
    f.bias = bias_format(layer, rule, *width, *f.weight);
  }
  if (widths.activations) {
    f.input = format_for(rule, *widths.activations, Tensor::activation, layer.ranges.input);
    f.output = format_for(rule, *widths.activations, Tensor::activation, layer.ranges.output);
  }
  return f;
}

/// The layers with weights; without ranges.
std::vector<LayerStatistics> describe(caffe_files::Model& model) {
  std::map<std::string, std::string> types;
  for (const caffe::LayerParameter& l : model.description.layer()) types[l.name()] = l.type();
  std::vector<LayerStatistics> layers;
  model.net.each_trimmed([&]<class Layer>(cnn::Node& node, Layer& layer) {
    layers.push_back({.name = node.name,
                      .type = types[node.name],
                      .position = static_cast<int>(&node - model.net.nodes().data()),
                      .is_fc = std::is_same_v<Layer, cnn::InnerProduct>,
                      .weights = layer.weight.value().size(),
                      .biases = layer.bias.value().size()});
  });
  return layers;
}

/// Whether the layer's only reader is a ReLU that keeps nothing below 0, in place as Caffe's blobs go.
bool has_relu_in_place(const caffe_files::Model& model, int position) {
  const auto nodes = model.net.nodes();
  const cnn::Node* reader = nullptr;
  for (const cnn::Node& node : nodes) {
    if (std::find(node.inputs.begin(), node.inputs.end(), position) == node.inputs.end()) continue;
    if (reader) return false;
    reader = &node;
  }
  const auto* relu = reader ? std::get_if<cnn::Relu>(&reader->layer) : nullptr;
  if (!relu || relu->negative_slope != 0) return false;
  const auto& layers = model.description.layer();
  const auto at = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.name() == reader->name; });
  return at != layers.end() && at->bottom(0) == at->top(0);
}

}  // namespace

const std::map<std::string, TrimmingMode>& trimming_modes() {
  static const std::map<std::string, TrimmingMode> modes{
      {"dynamic_fixed_point", QuantizationParameter::DYNAMIC_FIXED_POINT},
      {"minifloat", QuantizationParameter::MINIFLOAT},
      {"integer_power_of_2_weights", QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS}};
  return modes;
}

const std::map<std::string, cnn::Ties>& tie_rules() {
  static const std::map<std::string, cnn::Ties> rules{{"even", cnn::Ties::to_even},
                                                      {"away", cnn::Ties::away_from_zero}};
  return rules;
}

std::vector<LayerStatistics> observe(caffe_files::Model& model, caffe_files::Source& source, const Part& part,
                                     const std::string& title) {
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, part.count);
  std::vector<cnn::LayerRanges> ranges;
  cnn::Batch batch;
  for (std::int64_t done = 0; done < part.count;) {
    stop_if_interrupted();
    const int count = static_cast<int>(std::min<std::int64_t>(part.batch_size, part.count - done));
    source.read(part.first + done, count, batch);
    model.net.observe(batch.images, ranges);
    done += count;
    if (progress) progress->at(done);
  }
  std::vector<LayerStatistics> layers = describe(model);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].ranges = std::move(ranges.at(i));
    rt::Range& out = layers[i].ranges.output;
    if (has_relu_in_place(model, layers[i].position)) out = positive_part(out);
  }
  return layers;
}

std::vector<cnn::Formats> formats_for(const std::vector<LayerStatistics>& layers, const Rule& rule,
                                      const Widths& widths) {
  std::vector<cnn::Formats> all;
  if (rule.mode == QuantizationParameter::MINIFLOAT && rule.is_original()) {
    if (!widths.activations) return std::vector<cnn::Formats>(layers.size());
    const rt::AnyFormat one = original_minifloat(layers, *widths.activations);
    return std::vector<cnn::Formats>(layers.size(),
                                     {.input = one, .weight = one, .bias = one, .output = one, .ties = rule.ties});
  }
  for (const LayerStatistics& layer : layers) {
    try {
      all.push_back(formats_for(layer, rule, widths));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(layer.name + ": " + error.what());
    }
  }
  return all;
}

std::vector<int> possible(const std::vector<LayerStatistics>& layers, const Rule& rule, std::vector<int> widths) {
  // A range that has formats of every width that the family has, so that real ranges keep their errors.
  std::vector<LayerStatistics> samples(1);
  for (rt::Range* range : {&samples[0].ranges.input, &samples[0].ranges.weight, &samples[0].ranges.output}) {
    range->observe(std::vector<float>{-1, 1});
  }
  const bool minifloat = rule.mode == QuantizationParameter::MINIFLOAT;
  const bool powers = rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS;
  std::erase_if(widths, [&](int bits) {
    try {
      const std::optional<int> weights = powers ? std::nullopt : std::optional(bits);
      formats_for(minifloat && rule.is_original() ? layers : samples, rule, {weights, weights, bits});
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  });
  return widths;
}

void set_formats(cnn::Net& net, const std::vector<cnn::Formats>& formats) {
  auto next = formats.begin();
  net.each_trimmed([&](cnn::Node&, auto& layer) { layer.formats = *next++; });
}

void set_ties(cnn::Net& net, cnn::Ties ties) {
  net.each_trimmed([&](cnn::Node&, auto& layer) { layer.formats.ties = ties; });
  for (const cnn::Node& node : net.nodes()) {
    if (std::holds_alternative<cnn::Lrn>(node.layer)) net.layer<cnn::Lrn>(node.name).formats.ties = ties;
  }
}

}  // namespace tool
