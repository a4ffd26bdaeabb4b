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
#include "repair.hpp"

namespace tool {
namespace {

namespace rt = ristretto;
using caffe::QuantizationParameter;

constexpr int least_bias_bits = 16;          // accumulators have more; the original trims biases as the weights
constexpr cnn::Index most_scores = 1 << 22;  // that are kept to choose their format

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

using Minifloat = rt::Minifloat<rt::runtime, rt::runtime, rt::Encoding::finite>;

/// The formats of this width, up to a power of two; none by the original's rule, which scales no formats.
std::vector<rt::AnyFormat> shapes(const Rule& rule, int bits, Tensor tensor, bool is_unsigned) {
  std::vector<rt::AnyFormat> all;
  if (rule.is_original()) return all;
  if (rule.mode == QuantizationParameter::MINIFLOAT) {
    constexpr int most_exponent_bits = 5;  // more would only be wider than any range
    for (int e = 1; e <= std::min(bits - 1, most_exponent_bits) && bits - 1 - e <= 23; ++e) {
      all.push_back(Minifloat(bits - 1 - e, e));
    }
  } else if (rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS && tensor == Tensor::weight) {
    const int codes = 1 << (bits - 1);  // with a sign; one of them is zero
    if (bits >= 2 && bits <= 8) all.push_back(rt::PowerOfTwoOrZero<>(2 - codes, 0));
  } else if (is_unsigned) {
    all.push_back(rt::UnsignedFixedPoint<>(0, bits));
  } else {
    all.push_back(rt::DynamicFixedPoint<>(1, bits - 1));
  }
  if (all.empty()) throw std::invalid_argument("there is no format with " + std::to_string(bits) + " bits");
  return all;
}

rt::Choice choice_for(const Rule& rule, Tensor tensor) {
  return {.rule = rule.ranges, .role = tensor == Tensor::activation ? rt::Role::activations : rt::Role::parameters};
}

rt::AnyFormat original_format(const Rule& rule, int bits, Tensor tensor, const rt::Range& range) {
  if (rule.mode == QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS && tensor == Tensor::weight) {
    return rt::choose<rt::PowerOfTwo<>>(bits, range, choice_for(rule, tensor));
  }
  return rt::choose<rt::DynamicFixedPoint<>>(bits, range, choice_for(rule, tensor));
}

rt::AnyFormat format_for(const Rule& rule, int bits, Tensor tensor, const rt::Range& range) {
  if (rule.is_original()) return original_format(rule, bits, tensor, range);
  const bool never_negative = tensor == Tensor::activation && range.count() > 0 && range.min() >= 0;
  return rt::choose_scaled(shapes(rule, bits, tensor, never_negative && rule.is_unsigned), range,
                           choice_for(rule, tensor));
}

/// The format that leaves the softmax of these scores nearest. Most scores matter little to it, and those below 0 often
/// so little that they need no sign.
rt::AnyFormat format_for_scores(const Rule& rule, int bits, const rt::Range& range,
                                const std::vector<cnn::Tensor>& scores) {
  constexpr int reach = 4;  // powers of two from the scale of the least squared error
  std::vector<rt::AnyFormat> all = shapes(rule, bits, Tensor::activation, false);
  if (rule.is_unsigned && rule.mode != QuantizationParameter::MINIFLOAT) {
    const auto without_sign = shapes(rule, bits, Tensor::activation, true);
    all.insert(all.end(), without_sign.begin(), without_sign.end());
  }
  cnn::DivergenceLoss loss;
  const auto divergence = [&](const rt::AnyFormat& format) {
    double sum = 0;
    for (const cnn::Tensor& wanted : scores) {
      cnn::Tensor found = wanted;
      rt::trim(found.values(), rt::Trimmer{format});
      sum += loss.forward(found, wanted) * static_cast<double>(wanted.shape().N);
    }
    return sum;
  };
  rt::AnyFormat best = format_for(rule, bits, Tensor::activation, range);
  double least = divergence(best);
  for (const rt::AnyFormat& shape : all) {
    const rt::AnyFormat middle = rt::choose_scaled(std::span(&shape, 1), range, choice_for(rule, Tensor::activation));
    for (int shift = -reach; shift <= reach; ++shift) {
      if (!middle.can_scale(shift)) continue;
      const rt::AnyFormat format = middle.scaled(shift);
      const double found = divergence(format);
      if (found >= least * (1 - 1e-9)) continue;  // sums of exponentials differ a little between machines
      best = format;
      least = found;
    }
  }
  return best;
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

cnn::Formats formats_for(const LayerStatistics& layer, const Rule& rule, const LayerWidths& widths) {
  cnn::Formats f;
  if (widths.weights || widths.activations) f.ties = rule.ties;
  if (const auto width = widths.weights) {
    if (rule.per_channel && layer.rows > 0 && !rule.is_original()) {
      auto chosen = rt::choose_rows(shapes(rule, *width, Tensor::weight, false), layer.values, layer.rows,
                                    choice_for(rule, Tensor::weight));
      f.weight = chosen.format;
      f.weight_shifts = std::move(chosen.shifts);
    } else {
      f.weight = format_for(rule, *width, Tensor::weight, layer.ranges.weight);
    }
    f.bias = bias_format(layer, rule, *width, *f.weight);
  }
  if (widths.activations) {
    f.input = format_for(rule, *widths.activations, Tensor::activation, layer.ranges.input);
    f.output = layer.scores.empty() ? format_for(rule, *widths.activations, Tensor::activation, layer.ranges.output)
                                    : format_for_scores(rule, *widths.activations, layer.ranges.output, layer.scores);
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
                      .biases = layer.bias.value().size(),
                      .multiplies = model.net.multiplies(node),
                      .values{layer.weight.value().values().begin(), layer.weight.value().values().end()},
                      .rows = std::is_same_v<Layer, cnn::Deconvolution>
                                  ? 0
                                  : static_cast<std::size_t>(layer.weight.value().shape().N)});
  });
  return layers;
}

/// Whether what is below 0 in a layer's output becomes 0 anyway. By the original's rule, where it is 0 already in the
/// blob that the original looks at: where the ReLU works in place.
bool is_output_rectified(const caffe_files::Model& model, int position, const Rule& rule) {
  const cnn::Relu* relu = relu_behind(model.net, position);
  const std::string& name = model.net.nodes()[static_cast<std::size_t>(position)].name;
  const auto reads_it = [&](const caffe_files::Accuracy& a) { return a.input == name; };
  if (!relu || relu->negative_slope != 0 || name == model.logits ||
      std::any_of(model.accuracies.begin(), model.accuracies.end(), reads_it)) {
    return false;
  }
  if (!rule.is_original()) return true;
  const auto& layers = model.description.layer();
  const auto at = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.name() == name; });
  return at != layers.end() && std::any_of(at, layers.end(), [&](const auto& l) {
           return l.type() == "ReLU" && l.bottom(0) == at->top(0) && l.top(0) == at->top(0);
         });
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

std::vector<LayerStatistics> observe(caffe_files::Model& model, Pictures& pictures, const Rule& rule,
                                     const std::string& title) {
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, pictures.count());
  std::vector<LayerStatistics> layers = describe(model);
  const auto nodes = model.net.nodes();
  const bool keeps_scores = rule.ranges == rt::RangeRule::min_mse && !layers.empty() &&
                            layers.back().name == model.logits && nodes.back().name == model.logits &&
                            nodes.back().shape.plane() == 1;
  std::vector<cnn::LayerRanges> ranges;
  std::int64_t done = 0;
  for (std::size_t b = 0; b < pictures.batches(); ++b) {
    stop_if_interrupted();
    const cnn::Batch& batch = pictures.batch(b);
    model.net.observe(batch.images, ranges);
    if (keeps_scores && done * nodes.back().shape.image() < most_scores) {
      layers.back().scores.push_back(model.net.output(model.logits));
    }
    done += batch.images.shape().N;
    if (progress) progress->at(done);
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].ranges = std::move(ranges.at(i));
    rt::Range& out = layers[i].ranges.output;
    if (is_output_rectified(model, layers[i].position, rule)) out = positive_part(out);
  }
  return layers;
}

void share_ranges_of_concats(const cnn::Net& net, std::vector<LayerStatistics>& layers) {
  const auto nodes = net.nodes();
  for (const cnn::Node& node : nodes) {
    if (!std::holds_alternative<cnn::Concat>(node.layer)) continue;
    std::vector<LayerStatistics*> joined;
    for (int input : node.inputs) {
      if (input >= 0 && std::holds_alternative<cnn::Relu>(nodes[static_cast<std::size_t>(input)].layer)) {
        input = nodes[static_cast<std::size_t>(input)].inputs.front();
      }
      const auto at = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.position == input; });
      if (at != layers.end()) joined.push_back(&*at);
    }
    rt::Range all;
    for (const LayerStatistics* l : joined) all.merge(l->ranges.output);
    for (LayerStatistics* l : joined) l->ranges.output = all;
  }
}

std::vector<LayerWidths> widths_of_layers(const std::vector<LayerStatistics>& layers, const Widths& widths) {
  std::vector<LayerWidths> all;
  for (const LayerStatistics& layer : layers)
    all.push_back({layer.is_fc ? widths.fc : widths.conv, widths.activations});
  return all;
}

cnn::Formats formats_for(const std::vector<LayerStatistics>& layers, std::size_t place, const Rule& rule,
                         const LayerWidths& widths) {
  if (rule.mode == QuantizationParameter::MINIFLOAT && rule.is_original()) {
    if (!widths.activations) return {};
    const rt::AnyFormat one = original_minifloat(layers, *widths.activations);
    return {.input = one, .weight = one, .bias = one, .output = one, .ties = rule.ties};
  }
  try {
    return formats_for(layers[place], rule, widths);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(layers[place].name + ": " + error.what());
  }
}

std::vector<int> possible(const std::vector<LayerStatistics>& layers, const Rule& rule, std::vector<int> widths,
                          Trimmed of) {
  // A range that has formats of every width that the family has, so that real ranges keep their errors.
  std::vector<LayerStatistics> samples(1);
  for (rt::Range* range : {&samples[0].ranges.input, &samples[0].ranges.weight, &samples[0].ranges.output}) {
    range->observe(std::vector<float>{-1, 1});
  }
  const bool has_one = rule.mode == QuantizationParameter::MINIFLOAT && rule.is_original();
  std::erase_if(widths, [&](int bits) {
    LayerWidths tried;
    if (of != Trimmed::activations) tried.weights = bits;
    if (of != Trimmed::weights) tried.activations = bits;
    try {
      formats_for(has_one ? layers : samples, 0, rule, tried);
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  });
  return widths;
}

void set_ties(cnn::Net& net, cnn::Ties ties) {
  net.each_trimmed([&](cnn::Node&, auto& layer) { layer.formats.ties = ties; });
  for (const cnn::Node& node : net.nodes()) {
    if (std::holds_alternative<cnn::Lrn>(node.layer)) net.layer<cnn::Lrn>(node.name).formats.ties = ties;
  }
}

}  // namespace tool
