// SPDX-License-Identifier: MIT
// Weights in and out.
#include "caffe/weights.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include <ristretto/ops.hpp>
#include <ristretto/random.hpp>

#include "caffe/quantization.hpp"
#include "cnn/check.hpp"

namespace caffe_files {
namespace {

using caffe::BlobProto;
using caffe::LayerParameter;
using caffe::NetParameter;
using cnn::check;
using Dims = std::vector<std::int64_t>;

std::string to_text(const Dims& dims) {
  std::string text = "(";
  for (const std::int64_t d : dims) text.append(text.size() > 1 ? ", " : "").append(std::to_string(d));
  return text + ")";
}

// ---- Fillers ----

constexpr std::uint64_t first_values = 0xFFFFFFFE'00000000;  // a stream per tensor, none of those that trim it

/// Values that a filler makes: element i is a function of the stream and i.
class Fill {
 public:
  Fill(const caffe::FillerParameter& how, const std::string& layer, ristretto::RandomStream random)
      : how_(how), layer_(layer), random_(random) {}

  void operator()(cnn::Tensor& t) const {
    check(how_.sparse() < 0, layer_, "filler with sparse " + std::to_string(how_.sparse()), "remove sparse");
    const std::string& type = how_.type();
    if (type == "constant") return constant(t, how_.value());
    if (type == "uniform") return uniform(t, how_.min(), how_.max());
    if (type == "gaussian") return gaussian(t, how_.mean(), how_.std());
    if (type == "xavier") {
      const float s = std::sqrt(3 / fan(t));
      return uniform(t, -s, s);
    }
    if (type == "msra") return gaussian(t, 0, std::sqrt(2 / fan(t)));
    if (type == "positive_unitball") return unitball(t);
    if (type == "bilinear") return bilinear(t);
    check(false, layer_, "filler \"" + type + "\"",
          "use constant, uniform, gaussian, xavier, msra, positive_unitball or bilinear");
  }

 private:
  float random(cnn::Index i) const {
    return ristretto::Ops<float>::uniform<32, 10>(random_, static_cast<std::uint64_t>(i));
  }

  /// What the variance is divided by.
  float fan(const cnn::Tensor& t) const {
    const auto in = static_cast<float>(t.shape().image());
    const auto out = static_cast<float>(t.size() / std::max(t.shape().C, 1));
    if (how_.variance_norm() == caffe::FillerParameter::FAN_OUT) return out;
    return how_.variance_norm() == caffe::FillerParameter::AVERAGE ? (in + out) / 2 : in;
  }

  static void constant(cnn::Tensor& t, float value) { std::fill_n(t.data(), t.size(), value); }

  void uniform(cnn::Tensor& t, float low, float high) const {
    for (cnn::Index i = 0; i < t.size(); ++i) t[i] = low + (high - low) * random(i);
  }

  void gaussian(cnn::Tensor& t, float mean, float deviation) const {
    cnn::fill_gaussian(t, deviation, random_);
    for (cnn::Index i = 0; i < t.size(); ++i) t[i] += mean;
  }

  /// Positive values that sum to 1 in each output.
  void unitball(cnn::Tensor& t) const {
    uniform(t, 0, 1);
    for (int n = 0; n < t.shape().N; ++n) {
      float *values = t.image(n), sum = 0;
      for (cnn::Index i = 0; i < t.shape().image(); ++i) sum += values[i];
      for (cnn::Index i = 0; i < t.shape().image(); ++i) values[i] /= sum;
    }
  }

  /// Linear interpolation between neighbours, for a Deconvolution that enlarges.
  void bilinear(cnn::Tensor& t) const {
    const int side = t.shape().W;
    check(t.shape().H == side, layer_, "filler \"bilinear\" for a kernel that is not square", "use another filler");
    const float f = std::ceil(static_cast<float>(side) / 2), centre = static_cast<float>(side - 1) / (2 * f);
    for (cnn::Index i = 0; i < t.size(); ++i) {
      const auto x = static_cast<float>(i % side), y = static_cast<float>(i / side % side);
      t[i] = (1 - std::abs(x / f - centre)) * (1 - std::abs(y / f - centre));
    }
  }

  const caffe::FillerParameter& how_;
  const std::string& layer_;
  ristretto::RandomStream random_;
};

/// The fillers of a layer's weight and bias.
std::pair<caffe::FillerParameter, caffe::FillerParameter> fillers(const LayerParameter& layer) {
  const std::string type = plain_type(layer.type());
  if (type == "InnerProduct") {
    return {layer.inner_product_param().weight_filler(), layer.inner_product_param().bias_filler()};
  }
  if (type == "Scale") {
    caffe::FillerParameter one;
    one.set_value(1);
    const caffe::ScaleParameter& p = layer.scale_param();
    return {p.has_filler() ? p.filler() : one, p.bias_filler()};
  }
  return {layer.convolution_param().weight_filler(), layer.convolution_param().bias_filler()};
}

// ---- Blobs ----

/// A tensor of a layer, and its shape as Caffe has it.
struct Part {
  std::string name{};  // "conv1.weight"
  const cnn::Tensor* value = nullptr;
  Dims dims{};
};

Dims caffe_dims(const cnn::Layer& layer, const std::string& what, const cnn::Shape& s) {
  if (what != "weight") return {s.size()};
  if (std::holds_alternative<cnn::InnerProduct>(layer)) return {s.N, s.image()};
  if (std::holds_alternative<cnn::Scale>(layer)) return {s.N};
  return {s.N, s.C, s.H, s.W};
}

/// The tensors of all layers, in Caffe's order, by the names of the layers.
std::map<std::string, std::vector<Part>> parts_of(const cnn::Net& net) {
  std::map<std::string, const cnn::Layer*> layers;
  for (const cnn::Node& node : net.nodes()) layers[node.name] = &node.layer;
  std::map<std::string, std::vector<Part>> parts;
  const auto add = [&](const std::string& name, const cnn::Tensor& value) {
    const std::size_t dot = name.rfind('.');
    const std::string layer = name.substr(0, dot);
    parts[layer].push_back({name, &value, caffe_dims(*layers.at(layer), name.substr(dot + 1), value.shape())});
  };
  net.each_parameter([&](const std::string& name, const cnn::Parameter& p) { add(name, p.value()); });
  net.each_statistic([&](const std::string& name, const cnn::Tensor& t) { add(name, t); });
  return parts;
}

/// The sizes without leading ones, which older files have more of.
Dims significant(const Dims& dims) {
  const auto first = std::find_if(dims.begin(), dims.end(), [](std::int64_t d) { return d != 1; });
  return {first, dims.end()};
}

Dims dims_of(const BlobProto& blob) { return {blob.shape().dim().begin(), blob.shape().dim().end()}; }

BlobProto blob_of(const Part& part) {
  BlobProto blob;
  for (const std::int64_t d : part.dims) blob.mutable_shape()->add_dim(d);
  blob.mutable_data()->Add(part.value->data(), part.value->data() + part.value->size());
  return blob;
}

}  // namespace

std::vector<float> values_of(const BlobProto& blob, const std::string& name) {
  const std::int64_t found = blob.data_size() > 0 ? blob.data_size() : blob.double_data_size();
  std::int64_t expected = 1;
  for (const std::int64_t d : blob.shape().dim()) {
    const bool fits = d > 0 && expected <= std::int64_t{1} << 31 && d <= std::int64_t{1} << 31;
    expected = fits ? expected * d : -1;
    if (!fits) break;
  }
  check(found == expected, name, std::to_string(found) + " values for the shape " + to_text(dims_of(blob)),
        "the file is damaged");
  if (blob.data_size() > 0) return {blob.data().begin(), blob.data().end()};
  std::vector<float> values;
  for (const double x : blob.double_data()) values.push_back(static_cast<float>(x));
  return values;
}

void fill(Model& model, std::uint64_t seed) {
  std::map<std::string, const LayerParameter*> layers;
  for (const LayerParameter& layer : model.description.layer()) layers[layer.name()] = &layer;
  model.net.each_parameter([&](const std::string& name, cnn::Parameter& p) {
    const std::size_t dot = name.rfind('.');
    const std::string layer = name.substr(0, dot);
    const auto [weight, bias] = fillers(*layers.at(layer));
    const ristretto::RandomStream random{.seed = seed, .stream = first_values | p.number};
    Fill(name.substr(dot) == ".weight" ? weight : bias, layer, random)(p.edit());
  });
}

Unmatched load_weights(Model& model, const NetParameter& weights, bool may_miss) {
  Unmatched unmatched;
  const auto parts = parts_of(model.net);
  std::map<std::string, std::vector<float>> values;  // by the names of the parts
  for (const LayerParameter& layer : weights.layer()) {
    if (layer.blobs_size() == 0) continue;
    const auto at = parts.find(layer.name());
    if (at == parts.end()) {
      unmatched.of_file.push_back(layer.name());
      continue;
    }
    const std::vector<Part>& expected = at->second;
    check(static_cast<std::size_t>(layer.blobs_size()) == expected.size(), layer.name(),
          "expected " + std::to_string(expected.size()) + " blobs, found " + std::to_string(layer.blobs_size()),
          "take the weights of this net");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const BlobProto& blob = layer.blobs(static_cast<int>(i));
      const Dims found = dims_of(blob);
      check(significant(found) == significant(expected[i].dims), expected[i].name,
            "expected the shape " + to_text(expected[i].dims) + ", found " + to_text(found),
            "take the weights of this net");
      values[expected[i].name] = values_of(blob, expected[i].name);
    }
  }
  for (const auto& [layer, list] : parts) {
    if (!values.contains(list.front().name)) unmatched.of_net.push_back(layer);
  }
  if (!may_miss && !unmatched.of_net.empty()) {
    std::string others;
    for (const std::string& name : unmatched.of_file) others += " " + name;
    check(false, unmatched.of_net.front(),
          "there are no weights for it and " + std::to_string(unmatched.of_net.size() - 1) + " other layers",
          others.empty() ? "take the weights of this net" : "layers are matched by name; left over are:" + others);
  }
  const auto copy = [&](const std::string& name, auto&& edit) {
    if (const auto at = values.find(name); at != values.end()) std::copy(at->second.begin(), at->second.end(), edit());
  };
  model.net.each_parameter(
      [&](const std::string& name, cnn::Parameter& p) { copy(name, [&] { return p.edit().data(); }); });
  model.net.each_statistic([&](const std::string& name, cnn::Tensor& t) { copy(name, [&] { return t.data(); }); });
  return unmatched;
}

NetParameter save_weights(const Model& model) {
  NetParameter result = model.description;
  const auto parts = parts_of(model.net);
  for (LayerParameter& layer : *result.mutable_layer()) {
    layer.clear_blobs();
    const auto at = parts.find(layer.name());
    if (at == parts.end()) continue;
    for (const Part& part : at->second) *layer.add_blobs() = blob_of(part);
  }
  return result;
}

// ---- Folding ----

namespace {

/// y = factor * x + offset of each channel.
struct Affine {
  std::vector<double> factor{}, offset{};
};

const LayerParameter& weights_of(const NetParameter& weights, const LayerParameter& layer, int blobs) {
  for (const LayerParameter& found : weights.layer()) {
    if (found.name() == layer.name() && found.blobs_size() >= blobs) return found;
  }
  check(false, layer.name(), "there are no weights of it to fold", "take the weights of this net");
  return layer;
}

Affine normalization(const LayerParameter& layer, const NetParameter& weights) {
  const LayerParameter& found = weights_of(weights, layer, 3);
  const std::vector<float> mean = values_of(found.blobs(0), layer.name()),
                           variance = values_of(found.blobs(1), layer.name());
  const std::vector<float> kept = values_of(found.blobs(2), layer.name());
  check(mean.size() == variance.size() && kept.size() == 1, layer.name(), "mean and variance differ in size",
        "the file is damaged");
  const double divisor = kept[0] == 0 ? 0 : 1 / static_cast<double>(kept[0]);
  Affine a;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double factor = 1 / std::sqrt(variance[c] * divisor + static_cast<double>(layer.batch_norm_param().eps()));
    a.factor.push_back(factor);
    a.offset.push_back(-mean[c] * divisor * factor);
  }
  return a;
}

void then_scale(Affine& a, const LayerParameter& layer, const NetParameter& weights) {
  const bool has_bias = layer.scale_param().bias_term();
  const LayerParameter& found = weights_of(weights, layer, has_bias ? 2 : 1);
  const std::vector<float> factor = values_of(found.blobs(0), layer.name());
  const std::vector<float> bias =
      has_bias ? values_of(found.blobs(1), layer.name()) : std::vector<float>(factor.size());
  check(factor.size() == a.factor.size() && bias.size() == factor.size(), layer.name(),
        std::to_string(factor.size()) + " channels after " + std::to_string(a.factor.size()), "the file is damaged");
  for (std::size_t c = 0; c < factor.size(); ++c) {
    a.factor[c] *= factor[c];
    a.offset[c] = a.offset[c] * factor[c] + bias[c];
  }
}

/// Changes the weights of a Convolution or InnerProduct such that it does what comes behind it, too.
void absorb(LayerParameter& found, const Affine& a) {
  std::vector<float> weight = values_of(found.blobs(0), found.name());
  std::vector<float> bias(a.factor.size());
  if (found.blobs_size() > 1) bias = values_of(found.blobs(1), found.name());
  check(bias.size() == a.factor.size() && weight.size() % bias.size() == 0, found.name(),
        std::to_string(weight.size()) + " weights and " + std::to_string(bias.size()) + " biases before " +
            std::to_string(a.factor.size()) + " channels",
        "take the weights of this net");
  const std::size_t each = weight.size() / bias.size();
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(weight[i] * a.factor[i / each]);
  for (std::size_t c = 0; c < bias.size(); ++c) bias[c] = static_cast<float>(bias[c] * a.factor[c] + a.offset[c]);
  found.mutable_blobs(0)->clear_double_data();
  found.mutable_blobs(0)->mutable_data()->Assign(weight.begin(), weight.end());
  if (found.blobs_size() == 1) found.add_blobs()->mutable_shape()->add_dim(static_cast<std::int64_t>(bias.size()));
  found.mutable_blobs(1)->clear_double_data();
  found.mutable_blobs(1)->mutable_data()->Assign(bias.begin(), bias.end());
}

bool same_rules(const LayerParameter& a, const LayerParameter& b) {
  const auto rules = [](const LayerParameter& layer) {
    LayerParameter only;
    *only.mutable_include() = layer.include();
    *only.mutable_exclude() = layer.exclude();
    return only.SerializeAsString();
  };
  return rules(a) == rules(b);
}

bool reads(const LayerParameter& layer, const std::string& blob) {
  return std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
}

bool writes(const LayerParameter& layer, const std::string& blob) {
  return std::find(layer.top().begin(), layer.top().end(), blob) != layer.top().end();
}

/// The only layer that reads what layer i writes, if it has one top and there is one such layer; else -1.
int only_reader(const NetParameter& net, int i) {
  if (net.layer(i).top_size() != 1) return -1;
  const std::string& blob = net.layer(i).top(0);
  int found = -1;
  for (int k = i + 1; k < net.layer_size(); ++k) {
    if (reads(net.layer(k), blob)) {
      if (found >= 0) return -1;
      found = k;
    }
    if (writes(net.layer(k), blob)) break;  // from here on it is another's
  }
  return found >= 0 && net.layer(found).bottom_size() == 1 && net.layer(found).top_size() == 1 &&
                 same_rules(net.layer(i), net.layer(found))
             ? found
             : -1;
}

bool scales_channels(const LayerParameter& layer) {
  return layer.type() == "Scale" && layer.scale_param().axis() == 1 && layer.scale_param().num_axes() == 1;
}

void remove(NetParameter& net, const std::string& name) {
  auto& layers = *net.mutable_layer();
  layers.erase(std::remove_if(layers.begin(), layers.end(), [&](const LayerParameter& l) { return l.name() == name; }),
               layers.end());
}

}  // namespace

Folded fold_batch_norm(const NetParameter& net, const NetParameter& weights) {
  Folded result{.net = net, .weights = weights};
  for (int i = 0; i < result.net.layer_size(); ++i) {
    LayerParameter& layer = *result.net.mutable_layer(i);
    if (layer.type() != "Convolution" && layer.type() != "InnerProduct") continue;
    const int norm = only_reader(result.net, i);
    if (norm < 0 || result.net.layer(norm).type() != "BatchNorm") continue;
    Affine a = normalization(result.net.layer(norm), weights);
    int last = norm;
    if (const int scale = only_reader(result.net, norm); scale >= 0 && scales_channels(result.net.layer(scale))) {
      then_scale(a, result.net.layer(scale), weights);
      last = scale;
    }
    for (LayerParameter& found : *result.weights.mutable_layer()) {
      if (found.name() == layer.name() && found.blobs_size() > 0) absorb(found, a);
    }
    if (layer.type() == "Convolution") layer.mutable_convolution_param()->clear_bias_term();
    if (layer.type() == "InnerProduct") layer.mutable_inner_product_param()->clear_bias_term();
    layer.set_top(0, result.net.layer(last).top(0));
    const std::string names[] = {result.net.layer(norm).name(), result.net.layer(last).name()};
    for (const std::string& name : names) {
      if (result.layers.empty() || result.layers.back() != name) result.layers.push_back(name);
      remove(result.net, name);
      remove(result.weights, name);
    }
  }
  return result;
}

}  // namespace caffe_files
