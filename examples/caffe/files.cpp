// SPDX-License-Identifier: MIT
// Reading Caffe's files, and bringing them up to date.
#include "caffe/files.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace caffe_files {
namespace {

namespace pb = google::protobuf;
using namespace protobuf_files;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

// ---- Upgrades ----

/// INNER_PRODUCT -> InnerProduct, and the names that have their own spelling.
std::string upgraded_type(caffe::V1LayerParameter::LayerType type) {
  const std::string old = caffe::V1LayerParameter::LayerType_Name(type);
  constexpr std::array<std::array<std::string_view, 2>, 12> special{{{"ABSVAL", "AbsVal"},
                                                                     {"ARGMAX", "ArgMax"},
                                                                     {"BNLL", "BNLL"},
                                                                     {"HDF5_DATA", "HDF5Data"},
                                                                     {"HDF5_OUTPUT", "HDF5Output"},
                                                                     {"IM2COL", "Im2col"},
                                                                     {"LRN", "LRN"},
                                                                     {"MVN", "MVN"},
                                                                     {"NONE", ""},
                                                                     {"RELU", "ReLU"},
                                                                     {"SOFTMAX_LOSS", "SoftmaxWithLoss"},
                                                                     {"TANH", "TanH"}}};
  for (const auto& [from, to] : special) {
    if (old == from) return std::string(to);
  }
  std::string name;
  bool first = true;
  for (const char c : old) {
    if (c != '_') name.push_back(first || c < 'A' ? c : static_cast<char>(c - 'A' + 'a'));
    first = c == '_';
  }
  return name;
}

/// Messages of the same name and type that both layers can have.
void copy_parameters(const caffe::V1LayerParameter& from, caffe::LayerParameter& to) {
  const pb::Descriptor& new_fields = *caffe::LayerParameter::descriptor();
  std::vector<const pb::FieldDescriptor*> set;
  from.GetReflection()->ListFields(from, &set);
  for (const pb::FieldDescriptor* field : set) {
    const pb::FieldDescriptor* same = new_fields.FindFieldByName(field->name());
    if (!same || field->is_repeated() || !field->message_type() || field->message_type() != same->message_type()) {
      continue;
    }
    to.GetReflection()->MutableMessage(&to, same)->CopyFrom(from.GetReflection()->GetMessage(from, field));
  }
}

/// Transformations once stood among the data's own settings.
template <class Data>
void move_transformation(Data& data, caffe::TransformationParameter& transform) {
  if (data.has_scale()) transform.set_scale(data.scale());
  if (data.has_mean_file()) transform.set_mean_file(data.mean_file());
  if (data.has_crop_size()) transform.set_crop_size(data.crop_size());
  if (data.has_mirror()) transform.set_mirror(data.mirror());
  data.clear_scale();
  data.clear_mean_file();
  data.clear_crop_size();
  data.clear_mirror();
}

template <class Data>
bool has_transformation(const Data& data) {
  return data.has_scale() || data.has_mean_file() || data.has_crop_size() || data.has_mirror();
}

caffe::LayerParameter upgraded(const caffe::V1LayerParameter& old) {
  caffe::LayerParameter layer;
  if (old.has_name()) layer.set_name(old.name());
  if (old.has_type()) layer.set_type(upgraded_type(old.type()));
  *layer.mutable_bottom() = old.bottom();
  *layer.mutable_top() = old.top();
  *layer.mutable_loss_weight() = old.loss_weight();
  *layer.mutable_blobs() = old.blobs();
  *layer.mutable_include() = old.include();
  *layer.mutable_exclude() = old.exclude();
  const auto param = [&](int i) {
    while (layer.param_size() <= i) layer.add_param();
    return layer.mutable_param(i);
  };
  for (int i = 0; i < old.param_size(); ++i) param(i)->set_name(old.param(i));
  for (int i = 0; i < old.blob_share_mode_size(); ++i) {
    const bool strict = old.blob_share_mode(i) == caffe::V1LayerParameter::STRICT;
    param(i)->set_share_mode(strict ? caffe::ParamSpec::STRICT : caffe::ParamSpec::PERMISSIVE);
  }
  for (int i = 0; i < old.blobs_lr_size(); ++i) param(i)->set_lr_mult(old.blobs_lr(i));
  for (int i = 0; i < old.weight_decay_size(); ++i) param(i)->set_decay_mult(old.weight_decay(i));
  copy_parameters(old, layer);
  if (has_transformation(layer.data_param())) {
    move_transformation(*layer.mutable_data_param(), *layer.mutable_transform_param());
  }
  if (has_transformation(layer.image_data_param())) {
    move_transformation(*layer.mutable_image_data_param(), *layer.mutable_transform_param());
  }
  return layer;
}

void upgrade_layers(caffe::NetParameter& net, const std::string& name) {
  if (net.layers_size() == 0) return;
  if (net.layer_size() > 0) {
    fail(name, "has both \"layer\" and \"layers\", which is its older form; keep one of them");
  }
  for (int i = 0; i < net.layers_size(); ++i) {
    if (net.layers(i).has_layer()) {
      fail(name, "layers " + std::to_string(i) + " (\"" + printable(net.layers(i).layer().name()) +
                     "\") is in Caffe's first format of 2013; convert the file with Caffe's upgrade_net_proto tools");
    }
    *net.add_layer() = upgraded(net.layers(i));
  }
  net.clear_layers();
}

/// Inputs of the net itself become a layer in front of all others.
void upgrade_inputs(caffe::NetParameter& net, const std::string& name) {
  const int inputs = net.input_size(), shapes = net.input_shape_size(), sizes = net.input_dim_size();
  if (inputs == 0) {
    if (shapes + sizes > 0) fail(name, "has the shape of an input, but no \"input\"; name it");
    return;
  }
  if ((shapes > 0 && sizes > 0) || (shapes > 0 && shapes != inputs) || (sizes > 0 && sizes != 4 * inputs)) {
    fail(name, "expected one input_shape or four input_dim for each of " + std::to_string(inputs) + " inputs, found " +
                   std::to_string(shapes) + " input_shape and " + std::to_string(sizes) + " input_dim");
  }
  caffe::LayerParameter layer;
  layer.set_name("input");
  layer.set_type("Input");
  *layer.mutable_top() = net.input();
  *layer.mutable_input_param()->mutable_shape() = net.input_shape();
  for (int i = 0; i < sizes; ++i) {
    if (i % 4 == 0) layer.mutable_input_param()->add_shape();
    layer.mutable_input_param()->mutable_shape(i / 4)->add_dim(net.input_dim(i));
  }
  net.clear_input();
  net.clear_input_shape();
  net.clear_input_dim();
  *net.add_layer() = std::move(layer);
  std::rotate(net.mutable_layer()->pointer_begin(), net.mutable_layer()->pointer_end() - 1,
              net.mutable_layer()->pointer_end());
}

void upgrade(caffe::BlobProto& blob) {
  if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width()) {
    if (!blob.has_shape()) {
      for (const int size : {blob.num(), blob.channels(), blob.height(), blob.width()}) {
        blob.mutable_shape()->add_dim(size);
      }
    }
    blob.clear_num();
    blob.clear_channels();
    blob.clear_height();
    blob.clear_width();
  }
}

void upgrade(caffe::NetParameter& net, const std::string& name) {
  upgrade_layers(net, name);
  upgrade_inputs(net, name);
  for (caffe::LayerParameter& layer : *net.mutable_layer()) {
    for (caffe::BlobProto& blob : *layer.mutable_blobs()) upgrade(blob);
  }
}

void upgrade(caffe::SolverParameter& solver, const std::string& name) {
  if (solver.has_solver_type()) {
    constexpr std::array<const char*, 6> types{"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};
    const std::string type = types.at(static_cast<std::size_t>(solver.solver_type()));
    if (solver.has_type() && solver.type() != type) {
      fail(name, "type \"" + printable(solver.type()) + "\" contradicts solver_type " +
                     caffe::SolverParameter::SolverType_Name(solver.solver_type()) + "; keep one of them");
    }
    solver.set_type(type);
    solver.clear_solver_type();
  }
  if (solver.has_net_param()) upgrade(*solver.mutable_net_param(), name);
  if (solver.has_train_net_param()) upgrade(*solver.mutable_train_net_param(), name);
  for (caffe::NetParameter& net : *solver.mutable_test_net_param()) upgrade(net, name);
}

}  // namespace

caffe::NetParameter parse_net(std::string_view text, const std::string& name, Warnings& warnings) {
  caffe::NetParameter net;
  parse_text(net, text, name, warnings);
  upgrade(net, name);
  return net;
}

caffe::SolverParameter parse_solver(std::string_view text, const std::string& name, Warnings& warnings) {
  caffe::SolverParameter solver;
  parse_text(solver, text, name, warnings);
  upgrade(solver, name);
  return solver;
}

caffe::NetParameter parse_weights(std::string_view bytes, const std::string& name, Warnings& warnings) {
  caffe::NetParameter net;
  parse_binary(net, bytes, name, warnings);
  upgrade(net, name);
  return net;
}

caffe::NetParameter read_net(const std::string& path, Warnings& warnings) {
  return parse_net(read_file(path, largest_text), path, warnings);
}

caffe::SolverParameter read_solver(const std::string& path, Warnings& warnings) {
  return parse_solver(read_file(path, largest_text), path, warnings);
}

caffe::NetParameter read_weights(const std::string& path, Warnings& warnings) {
  return parse_weights(read_file(path, largest_binary), path, warnings);
}

caffe::BlobProto read_blob(const std::string& path) {
  caffe::BlobProto blob;
  Warnings warnings;
  parse_binary(blob, read_file(path, largest_binary), path, warnings);
  upgrade(blob);
  return blob;
}

caffe::SolverState read_solver_state(const std::string& path) {
  caffe::SolverState state;
  Warnings warnings;
  parse_binary(state, read_file(path, largest_binary), path, warnings);
  for (caffe::BlobProto& blob : *state.mutable_history()) upgrade(blob);
  return state;
}

}  // namespace caffe_files
