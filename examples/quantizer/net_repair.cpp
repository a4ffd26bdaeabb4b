// SPDX-License-Identifier: MIT
// Repairs of trimmed nets.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns of its own AVX-512 header, inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "quantizer/net_repair.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <variant>
#include <vector>

#include <ristretto/range.hpp>
#include <ristretto/repair.hpp>

#include "cnn/moments.hpp"
#include "cnn/progress.hpp"
#include "quantizer/interruption.hpp"
#include "quantizer/walk.hpp"

namespace quantizer {
namespace {

namespace rt = ristretto;

/// What is known of the inputs of a group of a layer's filters.
struct GroupMoments {
  rt::Moments own;
  std::optional<rt::CrossMoment> cross{};  // with those of the net in float
};

template <class Layer>
bool can_compensate(const Layer& layer) {
  return cnn::inputs_of_a_row(layer) <= most_compensated_inputs;
}

template <class Layer>
std::vector<GroupMoments> observe(Layer& layer, int position, Walk& walk, Walk* reference, std::size_t batches) {
  const cnn::Index size = cnn::inputs_of_a_row(layer);
  std::vector<GroupMoments> groups(static_cast<std::size_t>(cnn::groups_of(layer)), {rt::Moments(size)});
  for (GroupMoments& g : groups) {
    if (reference) g.cross.emplace(size);
  }
  for (std::size_t b = 0; b < batches; ++b) {
    stop_if_interrupted();
    const cnn::Tensor& x = walk.input(position, b);
    const cnn::Tensor* y = reference ? &reference->input(position, b) : nullptr;
    cnn::each_columns(layer, x, y, [&](int group, const cnn::Columns& own, const cnn::Columns* other) {
      GroupMoments& g = groups[static_cast<std::size_t>(group)];
      g.own.add(own, cnn::InParallel{});
      if (other) g.cross->add(*other, own, cnn::InParallel{});
    });
  }
  return groups;
}

/// Rounds the rows of one group, in place, after choosing their shifts anew where they have some.
void round_rows(rt::WeightRows& rows, const rt::AnyFormat& format, std::span<int> shifts, const GroupMoments& moments) {
  constexpr int scales = 2;  // powers of two to look on both sides
  const rt::Compensation compensation(moments.own.second());
  if (moments.cross) rows = compensation.retarget(rows, moments.cross->mean());
  if (!shifts.empty()) {
    const std::vector<rt::AnyFormat> now = cnn::scaled(format, shifts);
    const std::vector<int> more = compensation.choose_scales(rows, now, scales, cnn::InParallel{});
    for (std::size_t r = 0; r < shifts.size(); ++r) shifts[r] += more[r];
  }
  const std::vector<rt::AnyFormat> formats =
      shifts.empty() ? std::vector(static_cast<std::size_t>(rows.rows()), format) : cnn::scaled(format, shifts);
  rows = compensation.round(rows, formats, cnn::InParallel{});
}

template <class Layer>
void compensate_layer(Layer& layer, const std::vector<GroupMoments>& groups) {
  const auto size = static_cast<std::size_t>(cnn::inputs_of_a_row(layer));
  cnn::Formats& f = layer.formats;
  const auto all = static_cast<std::size_t>(layer.weight.value().shape().N), count = all / groups.size();
  std::span<float> weights = layer.weight.edit().values();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t first = g * count;
    Eigen::Map<rt::WeightRows> map(weights.data() + first * size, static_cast<Eigen::Index>(count),
                                   static_cast<Eigen::Index>(size));
    rt::WeightRows rows = map;
    const std::span<int> shifts(f.weight_shifts);
    round_rows(rows, *f.weight, shifts.empty() ? shifts : shifts.subspan(first, count), groups[g]);
    map = rows;
  }
}

/// f(channel, values before the activation, values wanted behind it), in order for each channel.
template <class F>
void each_channel(const cnn::Tensor& before, const cnn::Tensor& wanted, F f) {
  const cnn::Shape shape = before.shape();
  const auto plane = static_cast<std::size_t>(shape.plane());
  cnn::parallel_for(shape.C, [&](cnn::Index c, int) {
    for (int n = 0; n < shape.N; ++n) {
      const auto at = static_cast<std::size_t>(n * shape.image() + c * shape.plane());
      f(static_cast<std::size_t>(c), before.values().subspan(at, plane), wanted.values().subspan(at, plane));
    }
  });
}

/// Corrects the biases of some versions of one layer with pictures, which Walks take to it.
template <class Layer>
void correct_biases(std::span<Layer> versions, Layer in_float, const cnn::Relu* relu, int position, Walk& walk,
                    Walk& reference, std::size_t batches) {
  if (!in_float.has_bias) return;
  in_float.formats = {};
  std::vector<Layer> open(versions.begin(), versions.end());
  for (Layer& layer : open) layer.formats.output.reset();  // what lies beyond its ends counts
  const auto channels = static_cast<std::size_t>(in_float.bias.value().size());
  const rt::BiasCorrection none(relu ? relu->negative_slope : 1);
  std::vector<std::vector<rt::BiasCorrection>> corrections(open.size(), std::vector(channels, none));
  cnn::Workspace work;
  cnn::Tensor before, wanted;
  for (const bool judging : {false, true}) {
    for (std::size_t b = 0; b < batches; ++b) {
      stop_if_interrupted();
      const cnn::Tensor& x = walk.input(position, b);
      const cnn::Tensor& y = &walk == &reference ? x : reference.input(position, b);
      cnn::Pass plain{{}, &work}, activated{.work = &work, .relu = relu};
      in_float.forward(y, wanted, activated);
      for (std::size_t v = 0; v < open.size(); ++v) {
        open[v].forward(x, before, plain);
        each_channel(before, wanted, [&](std::size_t c, auto found, auto right) {
          judging ? corrections[v][c].judge(found, right) : corrections[v][c].propose(found, right);
        });
      }
    }
  }
  for (std::size_t v = 0; v < open.size(); ++v) {
    Layer& layer = versions[v];
    std::span<float> bias = layer.bias.edit().values();
    for (std::size_t c = 0; c < channels; ++c) bias[c] += corrections[v][c].result();
    if (!layer.formats.bias) continue;
    rt::Range range;
    range.observe(bias);
    layer.formats.bias = rt::choose_scaled(std::span(&*layer.formats.bias, 1), range);
  }
}

// ---- Equalization ----

/// Where the output of a layer is multiplied with weights: the layer, and the channel of its input that is the output's
/// first.
struct Reader {
  int layer;
  int first_channel;
};

/// Adds the readers of this node's output, whose channels are those of the layer in question from first_channel on;
/// false where it is one of those `kept`, or something else reads it than weights, behind what keeps channels apart and
/// scales with them.
bool add_readers(const cnn::Net& net, int position, int first_channel, std::span<const std::string> kept,
                 std::vector<Reader>& readers) {
  bool any = false;
  const auto nodes = net.nodes();
  const std::string& name = nodes[static_cast<std::size_t>(position)].name;
  if (std::find(kept.begin(), kept.end(), name) != kept.end()) return false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const cnn::Node& node = nodes[i];
    int channel = 0;
    for (const int input : node.inputs) {
      const int at = channel;  // in what a Concat makes
      channel += input < 0 ? net.input_shape().C : nodes[static_cast<std::size_t>(input)].shape.C;
      if (input != position) continue;
      any = true;
      const auto follow = [&]<class L>(const L& layer) {
        if constexpr (std::is_same_v<L, cnn::Convolution>) {
          if (layer.groups != 1) return false;
          readers.push_back({static_cast<int>(i), first_channel});
          return true;
        } else if constexpr (std::is_same_v<L, cnn::InnerProduct>) {
          readers.push_back({static_cast<int>(i), first_channel});
          return true;
        } else if constexpr (std::is_same_v<L, cnn::Concat>) {
          return add_readers(net, static_cast<int>(i), first_channel + at, kept, readers);
        } else if constexpr (std::is_same_v<L, cnn::Relu> || std::is_same_v<L, cnn::Pooling> ||
                             std::is_same_v<L, cnn::Dropout>) {
          return add_readers(net, static_cast<int>(i), first_channel, kept, readers);
        } else {
          return false;
        }
      };
      if (!std::visit(follow, node.layer)) return false;
    }
  }
  return any;
}

/// f(layer) with the layer at a position, a Convolution or an InnerProduct.
template <class F>
void with_layer(cnn::Net& net, int position, F f) {
  const cnn::Node& node = net.nodes()[static_cast<std::size_t>(position)];
  if (std::holds_alternative<cnn::Convolution>(node.layer)) return f(net.layer<cnn::Convolution>(node.name));
  f(net.layer<cnn::InnerProduct>(node.name));
}

template <class Layer>
Eigen::Map<rt::WeightRows> rows_of(Layer& layer) {
  cnn::Tensor& weight = layer.weight.edit();
  return {weight.data(), weight.shape().N, weight.shape().image()};
}

/// The largest weight of a layer that reads each of these channels.
template <class Layer>
std::vector<float> sizes_of_columns(Layer& layer, const Reader& reader, int channels, int all_channels) {
  const auto rows = rows_of(layer);
  const Eigen::Index each = rows.cols() / all_channels;
  std::vector<float> sizes;
  for (int c = 0; c < channels; ++c) {
    sizes.push_back(rows.middleCols((reader.first_channel + c) * each, each).cwiseAbs().maxCoeff());
  }
  return sizes;
}

/// The largest weight that makes each channel.
template <class Layer>
std::vector<float> sizes_of_rows(Layer& layer) {
  const Eigen::VectorXf sizes = rows_of(layer).cwiseAbs().rowwise().maxCoeff();
  return {sizes.begin(), sizes.end()};
}

}  // namespace

int equalize(cnn::Net& net, bool per_channel, std::span<const std::string> kept) {
  int changed = 0;
  for (const int position : positions_of(net)) {
    const cnn::Node& node = net.nodes()[static_cast<std::size_t>(position)];
    std::vector<Reader> readers;
    if (std::holds_alternative<cnn::Deconvolution>(node.layer) || !add_readers(net, position, 0, kept, readers))
      continue;
    const auto channels_of = [&](const Reader& r) {
      return net.input_shape(net.nodes()[static_cast<std::size_t>(r.layer)]).C;
    };
    std::vector<float> read(static_cast<std::size_t>(node.shape.C)), made;
    for (const Reader& reader : readers) {
      with_layer(net, reader.layer, [&](auto& layer) {
        const auto sizes = sizes_of_columns(layer, reader, node.shape.C, channels_of(reader));
        for (std::size_t c = 0; c < sizes.size(); ++c) read[c] = std::max(read[c], sizes[c]);
      });
    }
    with_layer(net, position, [&](auto& layer) {
      if (!per_channel) made = sizes_of_rows(layer);
      const std::vector<int> exponents = rt::equalizing_exponents(read, made);
      changed += std::any_of(exponents.begin(), exponents.end(), [](int e) { return e != 0; });
      rt::scale_rows(rows_of(layer), layer.has_bias ? layer.bias.edit().values() : std::span<float>(), exponents);
      for (const Reader& reader : readers) {
        std::vector<int> all(static_cast<std::size_t>(channels_of(reader)));
        std::copy(exponents.begin(), exponents.end(), all.begin() + reader.first_channel);
        with_layer(net, reader.layer, [&](auto& next) { rt::scale_columns(rows_of(next), all); });
      }
    });
  }
  return changed;
}

void repair(cnn::Net& net, cnn::Net& reference, Batches& batches, const Repair& how, const std::string& title) {
  const std::vector<int> positions = positions_of(net);
  net.each_trimmed([&]<class Layer>(cnn::Node& node, Layer& layer) {
    const Layer& in_float = reference.layer<Layer>(node.name);
    layer.weight.edit() = in_float.weight.value();
    layer.bias.edit() = in_float.bias.value();
  });
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, static_cast<std::int64_t>(positions.size()));
  Walk walk(net, batches), in_float(reference, batches);
  std::size_t at = 0;
  net.each_trimmed([&]<class Layer>(cnn::Node& node, Layer& layer) {
    const int position = positions[at++];
    if constexpr (!std::is_same_v<Layer, cnn::Deconvolution>) {
      if (how.compensate && layer.formats.weight && can_compensate(layer)) {
        const auto groups = observe(layer, position, walk, how.retarget ? &in_float : nullptr, batches.size());
        compensate_layer(layer, groups);
      }
    }
    if (how.bias) {
      correct_biases(std::span(&layer, 1), reference.layer<Layer>(node.name), relu_behind(net, position), position,
                     walk, in_float, batches.size());
    }
    if (progress) progress->at(static_cast<std::int64_t>(at));
  });
}

void repair_alone(cnn::Net& reference, Batches& batches, const Repair& how, std::vector<std::vector<LayerState>>& all,
                  const std::string& title) {
  const std::vector<int> positions = positions_of(reference);
  std::optional<cnn::Progress> progress;
  if (!title.empty()) progress.emplace(title, static_cast<std::int64_t>(positions.size()));
  Walk walk(reference, batches);
  std::size_t at = 0;
  reference.each_trimmed([&]<class Layer>(cnn::Node&, Layer& layer) {
    const std::size_t i = at++;
    const int position = positions[i];
    std::vector<GroupMoments> groups;
    std::vector<Layer> versions;
    for (const LayerState& state : all[i]) {
      Layer& trimmed = versions.emplace_back(layer);
      trimmed.formats = state.formats;
      trimmed.formats.input.reset();
      if constexpr (!std::is_same_v<Layer, cnn::Deconvolution>) {
        if (!how.compensate || !can_compensate(layer)) continue;
        if (groups.empty()) groups = observe(trimmed, position, walk, nullptr, batches.size());
        compensate_layer(trimmed, groups);
      }
    }
    if (how.bias) {
      correct_biases(std::span(versions), layer, relu_behind(reference, position), position, walk, walk,
                     batches.size());
    }
    for (std::size_t v = 0; v < versions.size(); ++v) {
      LayerState& state = all[i][v];
      state.formats.weight_shifts = versions[v].formats.weight_shifts;
      state.formats.bias = versions[v].formats.bias;
      state.values = std::make_shared<LayerValues>(LayerValues{versions[v].weight.value(), versions[v].bias.value()});
    }
    if (progress) progress->at(static_cast<std::int64_t>(at));
  });
}

const cnn::Relu* relu_behind(const cnn::Net& net, int position) {
  const auto nodes = net.nodes();
  int reader = -1;
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    const std::vector<int>& inputs = nodes[static_cast<std::size_t>(i)].inputs;
    if (std::find(inputs.begin(), inputs.end(), position) == inputs.end()) continue;
    if (reader >= 0) return nullptr;
    reader = i;
  }
  if (reader < 0) return nullptr;
  const cnn::Layer& layer = nodes[static_cast<std::size_t>(reader)].layer;
  const auto* pooling = std::get_if<cnn::Pooling>(&layer);
  if (pooling && pooling->method == cnn::Pooling::Method::max) return relu_behind(net, reader);
  return std::get_if<cnn::Relu>(&layer);
}

std::vector<int> positions_of(cnn::Net& net) {
  std::vector<int> positions;
  net.each_trimmed([&](cnn::Node& node, auto&) { positions.push_back(static_cast<int>(&node - net.nodes().data())); });
  return positions;
}

std::vector<LayerState> states_of(cnn::Net& net) {
  std::vector<LayerState> states;
  net.each_trimmed([&](cnn::Node&, auto& layer) {
    states.push_back(
        {layer.formats, std::make_shared<LayerValues>(LayerValues{layer.weight.value(), layer.bias.value()})});
  });
  return states;
}

void set_states(cnn::Net& net, const std::vector<LayerState>& states) {
  std::size_t i = 0;
  net.each_trimmed([&](cnn::Node&, auto& layer) {
    layer.formats = states[i].formats;
    layer.weight.edit() = states[i].values->weight;
    layer.bias.edit() = states[i].values->bias;
    ++i;
  });
}

}  // namespace quantizer
