// SPDX-License-Identifier: MIT
// Building nets: which layers, what they read, and how they are set.
#include "caffe/build.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>

#include "caffe/quantization.hpp"
#include "cnn/check.hpp"

namespace caffe_files {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using cnn::check;

// What a description may ask for; more is taken for a mistake before memory is.
constexpr int most_layers = 10'000;
constexpr int longest_kernel = 4096;         // also strides, pads and dilations
constexpr int longest_side = 65'536;         // of a plane
constexpr double most_values = 1 << 26;      // of one image, anywhere in the net
constexpr double most_parameters = 1 << 28;  // of the net
constexpr std::uint32_t most_outputs = 1 << 24;
constexpr std::uint32_t largest_region = 255;  // of an LRN

std::string quote(const std::string& text) { return '"' + text + '"'; }

void require(bool condition, const LayerParameter& layer, const std::string& problem, std::string_view remedy) {
  check(condition, layer.name(), problem, remedy);
}

bool is_data(const LayerParameter& layer) {
  return layer.type() == "Data" || layer.type() == "ImageData" || layer.type() == "Input";
}

// ---- Phases ----

bool has(const google::protobuf::RepeatedPtrField<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool meets(const caffe::NetState& state, const caffe::NetStateRule& rule) {
  if (rule.has_phase() && rule.phase() != state.phase()) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  const auto is_set = [&](const std::string& stage) { return has(state.stage(), stage); };
  return std::all_of(rule.stage().begin(), rule.stage().end(), is_set) &&
         std::none_of(rule.not_stage().begin(), rule.not_stage().end(), is_set);
}

bool included(const LayerParameter& layer, const caffe::NetState& state) {
  require(layer.include_size() == 0 || layer.exclude_size() == 0, layer, "it has include and exclude rules",
          "keep those of one kind");
  const auto met = [&](const caffe::NetStateRule& rule) { return meets(state, rule); };
  if (layer.include_size() > 0) return std::any_of(layer.include().begin(), layer.include().end(), met);
  return std::none_of(layer.exclude().begin(), layer.exclude().end(), met);
}

// ---- Data ----

/// Sizes of an Input's blob: 1 to 4 of them, the first for the batch.
std::optional<cnn::Shape> input_shape(const LayerParameter& layer) {
  if (layer.input_param().shape_size() == 0) return {};
  const auto& dims = layer.input_param().shape(0).dim();
  require(dims.size() >= 2 && dims.size() <= 4, layer, "its shape has " + std::to_string(dims.size()) + " sizes",
          "give it batch, channels, height and width");
  std::array<int, 4> sizes{1, 1, 1, 1};
  double values = 1;
  for (int i = 0; i < dims.size(); ++i) {
    require(dims[i] > 0 && static_cast<double>(dims[i]) <= most_values, layer,
            "its shape has a size of " + std::to_string(dims[i]), "choose at least 1");
    sizes.at(static_cast<std::size_t>(i)) = static_cast<int>(dims[i]);
    if (i > 0) values *= static_cast<double>(dims[i]);
  }
  require(values <= most_values, layer, "its images have too many values", "choose smaller images");
  return cnn::Shape{1, sizes[1], sizes[2], sizes[3]};
}

int size(const LayerParameter& layer, std::string_view what, std::uint32_t value, std::uint32_t most) {
  require(value <= most, layer, std::string(what) + " is " + std::to_string(value),
          "choose at most " + std::to_string(most));
  return static_cast<int>(value);
}

DataLayer describe(const LayerParameter& layer) {
  DataLayer d{.name = layer.name(), .type = layer.type()};
  constexpr std::uint32_t most = 1 << 20;
  if (layer.type() == "Input") {
    d.shape = input_shape(layer);
    if (d.shape) d.batch_size = static_cast<int>(layer.input_param().shape(0).dim(0));
    return d;
  }
  d.transform = layer.transform_param();
  const auto common = [&](const auto& param) {
    d.source = param.source();
    d.batch_size = size(layer, "batch_size", param.batch_size(), most);
    require(!param.has_scale() && !param.has_mean_file() && !param.has_crop_size() && !param.has_mirror(), layer,
            "scale, mean_file, crop_size or mirror stand beside the source", "move them into transform_param");
    require(param.rand_skip() == 0, layer, "rand_skip is " + std::to_string(param.rand_skip()), "remove it");
  };
  if (layer.type() == "Data") {
    common(layer.data_param());
    d.backend = layer.data_param().backend();
  } else {
    common(layer.image_data_param());
    d.images = layer.image_data_param();
  }
  return d;
}

/// The first layer that reads data; others may only be Inputs that serve as labels.
const LayerParameter& find_data(const NetParameter& net) {
  const LayerParameter* found = nullptr;
  for (const LayerParameter& layer : net.layer()) {
    if (!is_data(layer)) continue;
    require(!found || layer.type() == "Input", layer,
            "there is a second layer with data beside " + (found ? found->name() : ""),
            "keep one of them in this phase");
    if (!found) found = &layer;
  }
  if (!found) {
    throw std::invalid_argument(
        "the net has no Data, ImageData or Input layer in this phase; give it one, or the other phase");
  }
  return *found;
}

// ---- Settings of layers ----

/// Two sizes from a repeated field, or from one for each direction.
struct Pair {
  std::string_view what;
  const google::protobuf::RepeatedField<std::uint32_t>& both;
  bool has_h, has_w;
  std::uint32_t h, w;
  std::uint32_t otherwise;
};

cnn::Extent extent(const LayerParameter& layer, const Pair& p) {
  const bool apart = p.has_h || p.has_w;
  require(!apart || p.both.empty(), layer, std::string(p.what) + " is given twice", "give it once, or as _h and _w");
  require(p.both.size() <= 2, layer, std::string(p.what) + " is given " + std::to_string(p.both.size()) + " times",
          "give it once, or for height and width");
  const std::uint32_t h = apart ? p.h : p.both.empty() ? p.otherwise : p.both[0];
  const std::uint32_t w = apart ? p.w : p.both.empty() ? p.otherwise : p.both[p.both.size() - 1];
  return {size(layer, p.what, h, longest_kernel), size(layer, p.what, w, longest_kernel)};
}

/// What Convolution and Deconvolution share.
template <class L>
L convolution(const LayerParameter& layer) {
  const caffe::ConvolutionParameter& c = layer.convolution_param();
  require(c.axis() == 1, layer, "convolution_param.axis is " + std::to_string(c.axis()), "use 1, the channels");
  L l;
  l.filters = size(layer, "num_output", c.num_output(), most_outputs);
  l.kernel = extent(
      layer, {"kernel_size", c.kernel_size(), c.has_kernel_h(), c.has_kernel_w(), c.kernel_h(), c.kernel_w(), 0});
  l.stride = extent(layer, {"stride", c.stride(), c.has_stride_h(), c.has_stride_w(), c.stride_h(), c.stride_w(), 1});
  l.pad = extent(layer, {"pad", c.pad(), c.has_pad_h(), c.has_pad_w(), c.pad_h(), c.pad_w(), 0});
  l.dilation = extent(layer, {"dilation", c.dilation(), false, false, 0, 0, 1});
  l.groups = size(layer, "group", c.group(), most_outputs);
  l.has_bias = c.bias_term();
  l.formats = formats_of(layer);
  return l;
}

cnn::InnerProduct inner_product(const LayerParameter& layer) {
  const caffe::InnerProductParameter& p = layer.inner_product_param();
  require(p.axis() == 1, layer, "inner_product_param.axis is " + std::to_string(p.axis()), "use 1, the whole image");
  require(!p.transpose(), layer, "inner_product_param.transpose is set", "store the weights as (outputs, inputs)");
  return {.outputs = size(layer, "num_output", p.num_output(), most_outputs),
          .has_bias = p.bias_term(),
          .formats = formats_of(layer)};
}

cnn::Pooling pooling(const LayerParameter& layer) {
  const caffe::PoolingParameter& p = layer.pooling_param();
  require(p.pool() != caffe::PoolingParameter::STOCHASTIC, layer, "pool is STOCHASTIC", "use MAX or AVE");
  require(p.round_mode() == caffe::PoolingParameter::CEIL, layer, "round_mode is FLOOR", "use CEIL");
  cnn::Pooling l{
      .method = p.pool() == caffe::PoolingParameter::AVE ? cnn::Pooling::Method::average : cnn::Pooling::Method::max,
      .global = p.global_pooling()};
  const auto one = [&](std::string_view what, bool given, std::uint32_t value, std::array<bool, 2> apart,
                       std::uint32_t h, std::uint32_t w) {
    google::protobuf::RepeatedField<std::uint32_t> both;
    if (given || !(apart[0] || apart[1])) both.Add(value);
    return extent(layer, {what, both, apart[0], apart[1], h, w, 0});
  };
  if (l.global) {
    require(!p.has_kernel_size() && !p.has_kernel_h() && !p.has_kernel_w(), layer, "global_pooling beside a kernel",
            "remove one of them");
    return l;
  }
  l.kernel = one("kernel_size", p.has_kernel_size(), p.kernel_size(), {p.has_kernel_h(), p.has_kernel_w()},
                 p.kernel_h(), p.kernel_w());
  l.stride =
      one("stride", p.has_stride(), p.stride(), {p.has_stride_h(), p.has_stride_w()}, p.stride_h(), p.stride_w());
  l.pad = one("pad", p.has_pad(), p.pad(), {p.has_pad_h(), p.has_pad_w()}, p.pad_h(), p.pad_w());
  return l;
}

cnn::Layer lrn(const LayerParameter& layer, caffe::Phase, std::vector<std::string>& notes) {
  const caffe::LRNParameter& p = layer.lrn_param();
  const bool across = p.norm_region() == caffe::LRNParameter::ACROSS_CHANNELS;
  if (!across && p.k() != 1)
    notes.push_back(layer.name() + ": k is 1 within a channel, as in Caffe, whatever is given");
  return cnn::Lrn{.size = size(layer, "local_size", p.local_size(), largest_region),
                  .alpha = p.alpha(),
                  .beta = p.beta(),
                  .k = across ? p.k() : 1,
                  .region = across ? cnn::Lrn::Region::across_channels : cnn::Lrn::Region::within_channel,
                  .formats = formats_of(layer)};
}

cnn::Concat concat(const LayerParameter& layer) {
  const caffe::ConcatParameter& p = layer.concat_param();
  require(p.axis() == 1 && p.concat_dim() == 1, layer, "concat_param.axis is not 1", "use 1, the channels");
  return {};
}

cnn::Eltwise eltwise(const LayerParameter& layer) {
  const caffe::EltwiseParameter& p = layer.eltwise_param();
  using enum cnn::Eltwise::Operation;
  const bool is_sum = p.operation() == caffe::EltwiseParameter::SUM;
  require(p.coeff_size() == 0 || (is_sum && p.coeff_size() == layer.bottom_size()), layer,
          std::to_string(p.coeff_size()) + " coeff for " + std::to_string(layer.bottom_size()) + " bottoms",
          "give a SUM one for each, or none");
  return {.operation = is_sum                                           ? sum
                       : p.operation() == caffe::EltwiseParameter::PROD ? product
                                                                        : max,
          .coefficients = {p.coeff().begin(), p.coeff().end()}};
}

cnn::Flatten flatten(const LayerParameter& layer) {
  const caffe::FlattenParameter& p = layer.flatten_param();
  require(p.axis() == 1 && p.end_axis() == -1, layer, "flatten_param does not flatten the whole image",
          "use axis 1 and end_axis -1");
  return {};
}

cnn::BatchNorm batch_norm(const LayerParameter& layer, caffe::Phase phase) {
  const caffe::BatchNormParameter& p = layer.batch_norm_param();
  require(phase == caffe::TRAIN || !p.has_use_global_stats() || p.use_global_stats(), layer,
          "use_global_stats is false outside of training", "remove it");
  return {.epsilon = p.eps(),
          .moving_average_fraction = p.moving_average_fraction(),
          .batch_statistics = !p.use_global_stats()};
}

cnn::Scale scale(const LayerParameter& layer) {
  const caffe::ScaleParameter& p = layer.scale_param();
  require(p.axis() == 1 && p.num_axes() == 1, layer, "scale_param does not scale channels",
          "use axis 1 and num_axes 1");
  return {.has_bias = p.bias_term()};
}

cnn::Dropout dropout(const LayerParameter& layer) { return {.ratio = layer.dropout_param().dropout_ratio()}; }

cnn::Relu relu(const LayerParameter& layer) { return {.negative_slope = layer.relu_param().negative_slope()}; }

void check_softmax(const LayerParameter& layer) {
  require(layer.softmax_param().axis() == 1, layer,
          "softmax_param.axis is " + std::to_string(layer.softmax_param().axis()), "use 1, the channels");
}

cnn::Softmax softmax(const LayerParameter& layer) {
  check_softmax(layer);
  return {};
}

void check_loss(const LayerParameter& layer) {
  check_softmax(layer);
  const caffe::LossParameter& p = layer.loss_param();
  require(!p.has_ignore_label(), layer, "ignore_label is set", "remove it");
  require(p.normalization() != caffe::LossParameter::NONE, layer, "normalization is NONE", "use VALID");
  require(layer.loss_weight_size() == 0 || layer.loss_weight(0) == 1, layer, "loss_weight is not 1",
          "change the learning rate instead");
}

cnn::Accuracy accuracy(const LayerParameter& layer) {
  const caffe::AccuracyParameter& p = layer.accuracy_param();
  require(p.axis() == 1, layer, "accuracy_param.axis is " + std::to_string(p.axis()), "use 1, the channels");
  require(!p.has_ignore_label(), layer, "ignore_label is set", "remove it");
  require(p.top_k() > 0, layer, "top_k is 0", "choose at least 1");
  return {.name = layer.top_size() > 0 ? layer.top(0) : layer.name(),
          .top_k = size(layer, "top_k", p.top_k(), most_outputs)};
}

// ---- Types ----

/// A type of layers and what makes one; null where it is none of a net that computes.
struct LayerType {
  std::string_view name;
  cnn::Layer (*make)(const LayerParameter& layer, caffe::Phase phase, std::vector<std::string>& notes) = nullptr;
};

template <auto f>
cnn::Layer made(const LayerParameter& layer, caffe::Phase, std::vector<std::string>&) {
  return f(layer);
}

constexpr std::array<LayerType, 25> layer_types{{
    {"Accuracy"},
    {"BatchNorm", [](const auto& layer, caffe::Phase phase, auto&) -> cnn::Layer { return batch_norm(layer, phase); }},
    {"Concat", made<concat>},
    {"Convolution", made<convolution<cnn::Convolution>>},
    {"ConvolutionRistretto", made<convolution<cnn::Convolution>>},
    {"Data"},
    {"Deconvolution", made<convolution<cnn::Deconvolution>>},
    {"DeconvolutionRistretto", made<convolution<cnn::Deconvolution>>},
    {"Dropout", made<dropout>},
    {"Eltwise", made<eltwise>},
    {"FcRistretto", made<inner_product>},
    {"Flatten", made<flatten>},
    {"ImageData"},
    {"InnerProduct", made<inner_product>},
    {"Input"},
    {"LRN", lrn},
    {"LRNRistretto", lrn},
    {"Pooling", made<pooling>},
    {"ReLU", made<relu>},
    {"Scale", made<scale>},
    {"Sigmoid", [](const auto&, caffe::Phase, auto&) -> cnn::Layer { return cnn::Sigmoid{}; }},
    {"Softmax", made<softmax>},
    {"SoftmaxWithLoss"},
    {"Split"},
    {"TanH", [](const auto&, caffe::Phase, auto&) -> cnn::Layer { return cnn::Tanh{}; }},
}};

/// Throws std::invalid_argument for a type that is not there.
const LayerType& type_of(const LayerParameter& layer) {
  const auto found = std::find_if(layer_types.begin(), layer_types.end(),
                                  [&](const LayerType& type) { return type.name == layer.type(); });
  require(found != layer_types.end(), layer, "type " + quote(layer.type()) + " is not supported", [] {
    std::string all = "what is:";
    for (const LayerType& type : layer_types) all.append(" ").append(type.name);
    return all;
  }());
  return *found;
}

// ---- What reads what ----

constexpr int image_source = -1, label_source = -2;

/// What each layer of a net reads: positions of layers, or one of the two above.
struct Wiring {
  std::vector<std::vector<int>> inputs{};
  std::map<std::string, int> blobs{};  // what wrote each blob last
};

/// A layer that passes on what it gets.
bool passes_on(const LayerParameter& layer, caffe::Phase phase) {
  return layer.type() == "Split" || (layer.type() == "Dropout" && phase == caffe::TEST);
}

bool is_output(const LayerParameter& layer) { return layer.type() == "SoftmaxWithLoss" || layer.type() == "Accuracy"; }

void check_tops(const LayerParameter& layer, std::size_t inputs) {
  const auto expect = [&](bool good, const std::string& what) {
    require(good, layer,
            "a layer of type " + layer.type() + " with " + std::to_string(inputs) + " bottoms and " +
                std::to_string(layer.top_size()) + " tops",
            "give it " + what);
  };
  if (is_output(layer)) return expect(inputs == 2 && layer.top_size() <= 2, "two bottoms: scores and labels");
  if (layer.type() == "Split") return expect(inputs == 1 && layer.top_size() > 0, "one bottom and one top or more");
  if (layer.type() == "Concat" || layer.type() == "Eltwise") {
    return expect(inputs > 0 && layer.top_size() == 1, "one bottom or more and one top");
  }
  expect(inputs == 1 && layer.top_size() == 1, "one of each");
}

Wiring wire(const NetParameter& net, caffe::Phase phase, const LayerParameter& data) {
  Wiring w;
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    std::vector<int>& inputs = w.inputs.emplace_back();
    if (is_data(layer)) {
      for (int top = 0; top < layer.top_size(); ++top) {
        w.blobs[layer.top(top)] = &layer == &data && top == 0 ? image_source : label_source;
      }
      continue;
    }
    type_of(layer);
    for (const std::string& bottom : layer.bottom()) {
      const auto at = w.blobs.find(bottom);
      require(at != w.blobs.end(), layer, "nothing before it writes its bottom " + quote(bottom),
              "name a top of an earlier layer");
      inputs.push_back(at->second);
    }
    check_tops(layer, inputs.size());
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const bool labels = is_output(layer) && k == 1;
      require((inputs[k] == label_source) == labels, layer,
              quote(layer.bottom(static_cast<int>(k))) + (labels ? " holds no labels" : " holds labels"),
              labels ? "name the second top of the layer with the data" : "name another blob");
    }
    if (is_output(layer)) continue;
    for (const std::string& top : layer.top()) w.blobs[top] = passes_on(layer, phase) ? inputs[0] : i;
  }
  return w;
}

// ---- Memory ----

/// How many parameters the layer will have for an input of this shape.
double parameters(const cnn::Layer& layer, cnn::Shape in) {
  const auto area = [](cnn::Extent e) { return double(e.h) * e.w; };
  if (const auto* c = std::get_if<cnn::Convolution>(&layer)) {
    return double(c->filters) * in.C / std::max(c->groups, 1) * area(c->kernel);
  }
  if (const auto* d = std::get_if<cnn::Deconvolution>(&layer)) {
    return double(d->filters) * in.C / std::max(d->groups, 1) * area(d->kernel);
  }
  if (const auto* p = std::get_if<cnn::InnerProduct>(&layer)) return double(p->outputs) * double(in.image());
  return 0;
}

void check_shape(const LayerParameter& layer, double values, int H, int W) {
  require(values <= most_values && H <= longest_side && W <= longest_side, layer,
          "its images are too large for this program", "check num_output, stride and the shape of the input");
}

void set_rates(cnn::Layer& made, const LayerParameter& layer) {
  for (const caffe::ParamSpec& param : layer.param()) {
    require(param.name().empty(), layer, "its parameter " + quote(param.name()) + " is shared", "remove the name");
  }
  const auto set = [&](cnn::Parameter& parameter, int i) {
    if (i >= layer.param_size()) return;
    parameter.rate = layer.param(i).lr_mult();
    parameter.decay = layer.param(i).decay_mult();
  };
  const auto visit = [&]<class L>(L& l) {
    if constexpr (cnn::Trained<L>) {
      set(l.weight, 0);
      set(l.bias, 1);
    }
  };
  std::visit(visit, made);
}

/// Adds the layers one by one.
class Builder {
 public:
  Builder(Model& model, const Wiring& wiring, caffe::Phase phase) : model_(model), wiring_(wiring), phase_(phase) {}

  void add(int i) {
    const LayerParameter& layer = model_.description.layer(i);
    require(!layer.has_phase() || layer.phase() == phase_, layer,
            "its phase is " + caffe::Phase_Name(layer.phase()) + " in a net for " + caffe::Phase_Name(phase_),
            "use include { phase: ... }, or remove it");
    require(phase_ == caffe::TEST || std::none_of(layer.propagate_down().begin(), layer.propagate_down().end(),
                                                  [](bool down) { return !down; }),
            layer, "propagate_down is false", "remove it; lr_mult 0 keeps parameters as they are");
    if (layer.has_quantization_param() && !is_ristretto(layer.type())) {
      model_.notes.push_back(layer.name() + ": quantization_param is not used by the type " + layer.type());
    }
    cnn::Layer made = type_of(layer).make(layer, phase_, model_.notes);
    set_rates(made, layer);

    std::vector<std::string> names;
    cnn::Shape first{};
    double channels = 0;
    for (const int input : wiring_.inputs[static_cast<std::size_t>(i)]) {
      names.push_back(input == image_source ? model_.net.input_name() : model_.description.layer(input).name());
      const cnn::Shape shape = input == image_source ? model_.net.input_shape() : shapes_.at(input);
      if (names.size() == 1) first = shape;
      channels += shape.C;
    }
    check_shape(layer, channels * double(first.plane()), first.H, first.W);
    total_ += parameters(made, first);
    require(total_ <= most_parameters, layer, "the net has too many parameters for this program",
            "check num_output and kernel_size");
    model_.net.add(layer.name(), std::move(made), std::move(names));
    const cnn::Shape out = model_.net.output_shape();
    require(out.C > 0 && out.H > 0 && out.W > 0, layer, "its output is " + to_string(out), "give it a larger input");
    check_shape(layer, double(out.image()), out.H, out.W);
    shapes_[i] = out;
  }

  /// The shape that a source of scores has; scores are one number per class.
  void check_scores(const LayerParameter& layer, int source) const {
    const cnn::Shape shape = source == image_source ? model_.net.input_shape() : shapes_.at(source);
    require(shape.plane() == 1, layer, "its scores are " + to_string(shape), "give it (N, classes, 1, 1)");
  }

 private:
  Model& model_;
  const Wiring& wiring_;
  caffe::Phase phase_;
  std::map<int, cnn::Shape> shapes_{};
  double total_ = 0;
};

/// Which layers the wanted ones need, themselves included.
std::vector<bool> needed(const Wiring& wiring, const std::vector<int>& wanted) {
  std::vector<bool> result(wiring.inputs.size(), false);
  for (const int i : wanted) {
    if (i >= 0) result[static_cast<std::size_t>(i)] = true;
  }
  for (std::size_t i = result.size(); i-- > 0;) {
    if (!result[i]) continue;
    for (const int input : wiring.inputs[i]) {
      if (input >= 0) result[static_cast<std::size_t>(input)] = true;
    }
  }
  return result;
}

/// What a net is computed for.
struct Goals {
  struct Scored {
    int layer, scores;
  };
  std::vector<int> losses{};
  std::vector<Scored> accuracies{};
  int logits = image_source;
  std::vector<int> wanted{};  // the sources of all these
};

Goals find_goals(const NetParameter& net, caffe::Phase phase, const Wiring& wiring) {
  const auto source = [&](int i) { return wiring.inputs[static_cast<std::size_t>(i)][0]; };
  const auto before_softmax = [&](int i) {  // which leaves the order of scores as it is
    while (i >= 0 && net.layer(i).type() == "Softmax") {
      check_softmax(net.layer(i));
      i = source(i);
    }
    return i;
  };
  Goals goals;
  int last = image_source;
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() == "SoftmaxWithLoss") {
      check_loss(layer);
      goals.losses.push_back(i);
    } else if (layer.type() == "Accuracy") {
      goals.accuracies.push_back({i, before_softmax(source(i))});
    } else if (!is_data(layer) && !passes_on(layer, phase)) {
      last = i;
    }
  }
  require(phase == caffe::TEST || goals.losses.size() < 2, net.layer(goals.losses.empty() ? 0 : goals.losses.back()),
          "the net has " + std::to_string(goals.losses.size()) + " losses", "keep one of them");
  goals.logits = before_softmax(last);
  if (!goals.accuracies.empty()) goals.logits = goals.accuracies.front().scores;
  if (!goals.losses.empty()) goals.logits = source(goals.losses.back());
  if (phase == caffe::TRAIN) std::erase_if(goals.accuracies, [&](const auto& a) { return a.scores != goals.logits; });
  goals.wanted.push_back(goals.logits);
  for (const auto& a : goals.accuracies) goals.wanted.push_back(a.scores);
  return goals;
}

/// Layers over whose top a ReLU writes its own.
std::vector<std::string> rectified_in_place(const NetParameter& net) {
  std::vector<std::string> names;
  std::set<std::string> overwritten;  // tops, by the layers from here on
  for (int i = net.layer_size(); i-- > 0;) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() == "ReLU" && layer.bottom(0) == layer.top(0)) overwritten.insert(layer.top(0));
    if (layer.top_size() > 0 && overwritten.contains(layer.top(0))) names.push_back(layer.name());
  }
  return names;
}

cnn::Shape image_shape(const LayerParameter& layer, const DataLayer& data, std::optional<cnn::Shape> image) {
  require(image || data.shape, layer, "the shape of its pictures is not known", "open its source first");
  if (!image) return *data.shape;
  const cnn::Shape one = image->with_batch(1);
  require(!data.shape || *data.shape == one, layer,
          "the pictures are " + to_string(one) + ", the net is made for " + (data.shape ? to_string(*data.shape) : ""),
          "crop or scale the pictures, or change the net's input");
  require(one.C > 0 && one.H > 0 && one.W > 0, layer, "the pictures are " + to_string(one), "give them a size");
  check_shape(layer, double(one.C) * one.H * one.W, one.H, one.W);
  return one;
}

}  // namespace

NetParameter in_phase(const NetParameter& net, caffe::Phase phase) {
  caffe::NetState state = net.state();
  state.set_phase(phase);
  NetParameter result = net;
  result.clear_layer();
  for (const LayerParameter& layer : net.layer()) {
    if (included(layer, state)) *result.add_layer() = layer;
  }
  return result;
}

DataLayer data_layer(const NetParameter& net, caffe::Phase phase) { return describe(find_data(in_phase(net, phase))); }

Model build(const NetParameter& net, caffe::Phase phase, std::optional<cnn::Shape> image) {
  const NetParameter description = in_phase(net, phase);
  if (description.layer_size() > most_layers) {
    throw std::invalid_argument("the net has " + std::to_string(description.layer_size()) +
                                " layers; this program takes " + std::to_string(most_layers));
  }
  const LayerParameter& data = find_data(description);
  require(data.top_size() > 0, data, "it has no top", "name the blob that it fills");
  const DataLayer described = describe(data);
  const Wiring wiring = wire(description, phase, data);
  const Goals goals = find_goals(description, phase, wiring);
  Model model{{.net = cnn::Net(image_shape(data, described, image), data.top(0))}, description, described, {}};

  const std::vector<bool> is_needed = needed(wiring, goals.wanted);
  std::string left_out;
  Builder builder(model, wiring, phase);
  for (int i = 0; i < description.layer_size(); ++i) {
    const LayerParameter& layer = description.layer(i);
    if (is_needed[static_cast<std::size_t>(i)]) {
      builder.add(i);
    } else if (!is_data(layer) && !is_output(layer) && !passes_on(layer, phase)) {
      left_out += " " + layer.name();
    }
  }
  if (model.net.nodes().empty()) throw std::invalid_argument("the net has no layer that computes; give it some");
  if (!left_out.empty()) model.notes.push_back("not computed, because the scores do not need them:" + left_out);
  if (goals.losses.size() > 1) {
    model.notes.push_back("of " + std::to_string(goals.losses.size()) + " losses the last is used");
  }

  const auto name_of = [&](int i) { return i < 0 ? model.net.input_name() : description.layer(i).name(); };
  model.logits = name_of(goals.logits);
  if (!goals.losses.empty()) {
    const LayerParameter& loss = description.layer(goals.losses.back());
    builder.check_scores(loss, goals.logits);
    model.loss = loss.top_size() > 0 ? loss.top(0) : loss.name();
  }
  for (const auto& [i, scores] : goals.accuracies) {
    builder.check_scores(description.layer(i), scores);
    model.accuracies.push_back(accuracy(description.layer(i)));
    model.accuracies.back().input = name_of(scores);
  }
  model.rectified_in_place = rectified_in_place(description);
  return model;
}

}  // namespace caffe_files
