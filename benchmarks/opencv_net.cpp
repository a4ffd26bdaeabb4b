// SPDX-License-Identifier: MIT
// Builds a net in OpenCV's dnn module, layer by layer.
#include "opencv_net.hpp"

#include <stdexcept>

#include <opencv2/dnn.hpp>

namespace {

using cv::dnn::LayerParams;

/// A copy of the values in a matrix of these sizes.
cv::Mat copy_of(const cnn::Tensor& t, const std::vector<int>& sizes) {
  cv::Mat mat(sizes, CV_32F);
  std::copy(t.values().begin(), t.values().end(), mat.ptr<float>());
  return mat;
}

void set_window(LayerParams& p, const auto& layer) {
  const auto set = [&](const std::string& name, cnn::Extent e) {
    p.set(name + "_h", e.h);
    p.set(name + "_w", e.w);
  };
  set("kernel", layer.kernel);
  set("stride", layer.stride);
  set("pad", layer.pad);
}

LayerParams params_of(const cnn::Node& node) {
  LayerParams p;
  p.name = node.name;
  if (const auto* l = std::get_if<cnn::Convolution>(&node.layer)) {
    p.type = "Convolution";
    set_window(p, *l);
    p.set("num_output", l->filters);
    p.set("group", l->groups);
    p.set("bias_term", l->has_bias);
    const cnn::Shape w = l->weight.value().shape();
    p.blobs.push_back(copy_of(l->weight.value(), {w.N, w.C, w.H, w.W}));
    if (l->has_bias) p.blobs.push_back(copy_of(l->bias.value(), {1, l->filters}));
  } else if (const auto* pool = std::get_if<cnn::Pooling>(&node.layer)) {
    p.type = "Pooling";
    p.set<cv::String>("pool", pool->method == cnn::Pooling::Method::max ? "max" : "ave");
    p.set("global_pooling", pool->global);
    if (!pool->global) set_window(p, *pool);
  } else if (std::holds_alternative<cnn::Relu>(node.layer)) {
    p.type = "ReLU";
  } else if (std::holds_alternative<cnn::Concat>(node.layer)) {
    p.type = "Concat";
  } else if (std::holds_alternative<cnn::Dropout>(node.layer)) {
    p.type = "Dropout";
  } else {
    throw std::invalid_argument(node.name + ": not translated to OpenCV; compare another net");
  }
  return p;
}

}  // namespace

std::function<std::vector<float>()> opencv_forward(const cnn::Net& net, const cnn::Tensor& images) {
  cv::dnn::Net peer;
  std::vector<int> ids;
  for (const cnn::Node& node : net.nodes()) {
    LayerParams p = params_of(node);
    const int id = peer.addLayer(p.name, p.type, p);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const int from = node.inputs[i];
      peer.connect(from < 0 ? 0 : ids[static_cast<std::size_t>(from)], 0, id, static_cast<int>(i));
    }
    ids.push_back(id);
  }
  peer.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
  const cnn::Shape s = images.shape();
  return [peer, input = copy_of(images, {s.N, s.C, s.H, s.W})]() mutable {
    peer.setInput(input);
    const cv::Mat out = peer.forward();
    return std::vector<float>(out.ptr<float>(), out.ptr<float>() + out.total());
  };
}

void opencv_threads(int count) { cv::setNumThreads(count); }
