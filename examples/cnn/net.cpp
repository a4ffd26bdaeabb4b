// SPDX-License-Identifier: MIT
// Running a net forward and backward.
#include "net.hpp"

#include <algorithm>
#include <stdexcept>

#include "check.hpp"
#include "parallel.hpp"
#include "trimmed.hpp"

namespace cnn {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

template <class L>
constexpr bool has_parameters = requires(L& layer) { layer.weight; };

/// Only Relu: where it changes a value, that value carries no gradient. (zero_where_saturated looks at what is left.)
bool works_in_place(const Layer& layer) { return std::holds_alternative<Relu>(layer); }

/// Observes a tensor in parallel; a Range does not depend on how its values are split.
void observe_values(const Tensor& values, ristretto::Range& range) {
  const Index part = std::max(Index{1} << 16, (values.size() + 7) / 8);
  std::vector<ristretto::Range> ranges(static_cast<std::size_t>((values.size() + part - 1) / part));
  parallel_for(static_cast<Index>(ranges.size()), [&](Index i, int) {
    const Index first = i * part, count = std::min(part, values.size() - first);
    ranges[static_cast<std::size_t>(i)].observe(
        values.values().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
  });
  for (const ristretto::Range& r : ranges) range.merge(r);
}

}  // namespace

Net::Net(Shape image, std::string input_name) : image_(image.with_batch(1)), input_name_(std::move(input_name)) {
  check(image_.size() > 0, input_name_, "the images have shape " + to_string(image_), "give them at least one value");
}

std::size_t Net::position(std::string_view name) const {
  const auto at = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.name == name; });
  check(at != nodes_.end(), name, "the net has no such layer", "use the name of a layer that was added");
  return static_cast<std::size_t>(at - nodes_.begin());
}

int Net::add(std::string name, Layer layer, std::vector<std::string> inputs) {
  const bool taken = std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.name == name; });
  check(!name.empty() && !taken && name != input_name_, name, "the name is taken or empty", "give each layer its own");

  std::vector<int> positions;
  for (const std::string& input : inputs) {
    if (input == input_name_) {
      positions.push_back(-1);
      continue;
    }
    const auto at = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.name == input; });
    check(at != nodes_.end(), name, "there is no input \"" + input + "\"", "add that layer first, or use its name");
    positions.push_back(static_cast<int>(at - nodes_.begin()));
  }
  if (positions.empty()) positions.push_back(static_cast<int>(nodes_.size()) - 1);

  std::vector<Shape> shapes;
  for (const int i : positions) shapes.push_back(i < 0 ? image_ : nodes_[static_cast<std::size_t>(i)].shape);
  const auto single = [&]<class L>(L& l) {
    check(shapes.size() == 1, name, std::to_string(shapes.size()) + " inputs", "give it one");
    if constexpr (has_parameters<L>) {
      l.weight.number = parameters_++;
      if (l.has_bias) l.bias.number = parameters_++;
    }
    if constexpr (std::is_same_v<L, Dropout>) l.number = 0x80000000u + dropouts_++;  // apart from the parameters
    return l.setup(name, shapes.front());
  };
  const Shape shape = std::visit(Overload{[&](Concat& l) { return l.setup(name, shapes); }, single}, layer);

  memory_of_.clear();
  nodes_.push_back({std::move(name), std::move(layer), std::move(positions), shape});
  return static_cast<int>(nodes_.size()) - 1;
}

/// Decides who works in place and who needs a gradient.
void Net::plan() {
  std::vector<int> readers(nodes_.size());
  for (const Node& node : nodes_) {
    for (const int i : node.inputs) {
      if (i >= 0) ++readers[static_cast<std::size_t>(i)];
    }
  }
  std::size_t count = 0;
  trained_.assign(nodes_.size(), false);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const bool own = std::visit([]<class L>(const L&) { return has_parameters<const L>; }, node.layer);
    trained_[i] = own || std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](int j) { return j >= 0 && trained_[static_cast<std::size_t>(j)]; });
    const int input = node.inputs.front();
    const bool in_place = works_in_place(node.layer) && input >= 0 && readers[static_cast<std::size_t>(input)] == 1;
    memory_of_.push_back(in_place ? memory_of_[static_cast<std::size_t>(input)] : count++);
  }
  memory_.assign(count, {});
}

const Tensor& Net::value_of(int node, const Tensor& in) const {
  return node < 0 ? in : memory_[memory_of_[static_cast<std::size_t>(node)]].value;
}

void Net::run(std::size_t i, const Tensor& in) {
  Node& node = nodes_[i];
  Tensor& out = memory_[memory_of_[i]].value;
  Pass pass{phase_, &work_};
  const auto concat = [&](Concat& l) {
    std::vector<const Tensor*> ins;
    for (const int j : node.inputs) ins.push_back(&value_of(j, in));
    l.forward(ins, out, pass);
  };
  std::visit(Overload{concat, [&](auto& l) { l.forward(value_of(node.inputs.front(), in), out, pass); }}, node.layer);
}

const Tensor& Net::forward(const Tensor& in, Phase phase) {
  check(in.shape().N > 0 && in.shape().with_batch(1) == image_, input_name_, "the input is " + to_string(in.shape()),
        "give it (N, " + to_string(image_).substr(4));
  if (nodes_.empty()) throw std::logic_error("the net has no layers; add some before forward");
  if (memory_of_.empty()) plan();
  phase_ = phase;
  if (phase.training) input_ = in;
  for (std::size_t i = 0; i < nodes_.size(); ++i) run(i, in);
  return memory_[memory_of_.back()].value;
}

void Net::run_back(std::size_t i) {
  Node& node = nodes_[i];
  Memory& own = memory_[memory_of_[i]];
  if (!trained_[i]) return;
  if (!own.has_gradient) {  // nobody reads this layer
    own.gradient = Tensor(own.value.shape());
    own.has_gradient = true;
  }
  std::visit(
      [&]<class L>(const L& l) {
        if constexpr (has_parameters<L>) zero_where_saturated(own.value, l.formats.output, own.gradient);
      },
      node.layer);
  Pass pass{phase_, &work_};
  int first_channel = 0;
  for (const int input : node.inputs) {
    const Tensor& in = value_of(input, input_);
    const bool wanted = input >= 0 && trained_[static_cast<std::size_t>(input)];
    Memory* before = wanted ? &memory_[memory_of_[static_cast<std::size_t>(input)]] : nullptr;
    const bool add = wanted && before != &own && before->has_gradient;
    Tensor* din = !wanted ? nullptr : add ? &extra_ : &before->gradient;

    const auto concat = [&](Concat& l) {
      if (din) {
        din->resize(in.shape());
        l.backward(own.gradient, first_channel, *din, pass);
      }
      first_channel += in.shape().C;
    };
    std::visit(Overload{concat, [&](auto& l) { l.backward(in, own.gradient, din, pass); }}, node.layer);
    if (wanted) before->has_gradient = true;
    if (!add) continue;
    parallel_blocks(extra_.size(), [&](Index first, Index count) {
      for (Index j = first; j < first + count; ++j) before->gradient[j] += extra_[j];
    });
  }
}

void Net::backward(const Tensor& doutput) {
  if (!phase_.training || memory_of_.empty()) {
    throw std::logic_error("backward without a forward pass for training; call forward(in, {.training = true}) first");
  }
  Memory& last = memory_[memory_of_.back()];
  check(doutput.shape() == last.value.shape(), nodes_.back().name, "its gradient is " + to_string(doutput.shape()),
        "give it " + to_string(last.value.shape()));
  for (Memory& m : memory_) m.has_gradient = false;
  last.gradient = doutput;
  last.has_gradient = true;
  for (std::size_t i = nodes_.size(); i-- > 0;) run_back(i);
}

const Tensor& Net::output(std::string_view name) const {
  const std::size_t i = position(name);
  if (memory_of_.empty()) throw std::logic_error("no output before the first forward pass");
  return memory_[memory_of_[i]].value;
}

void Net::observe(const Tensor& in, std::vector<LayerRanges>& ranges) {
  check(in.shape().N > 0 && in.shape().with_batch(1) == image_, input_name_, "the input is " + to_string(in.shape()),
        "give it (N, " + to_string(image_).substr(4));
  if (memory_of_.empty()) plan();
  phase_ = {};
  if (ranges.empty()) {
    each_trimmed([&](Node& node, auto&) { ranges.push_back({node.name, {}, {}, {}, {}}); });
  }
  auto next = ranges.begin();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    run(i, in);
    const auto see = [&]<class L>(L& l) {
      if constexpr (has_parameters<L>) {
        check(next != ranges.end() && next->name == nodes_[i].name, nodes_[i].name, "the ranges are of another net",
              "start with an empty vector");
        observe_values(value_of(nodes_[i].inputs.front(), in), next->input);
        if (next->weight.count() == 0) observe_values(l.weight.value(), next->weight);
        if (next->bias.count() == 0) observe_values(l.bias.value(), next->bias);
        observe_values(memory_[memory_of_[i]].value, next->output);
        ++next;
      }
    };
    std::visit(see, nodes_[i].layer);
  }
}

void Net::each_parameter(const std::function<void(const std::string&, Parameter&)>& f) {
  each_trimmed([&](Node& node, auto& layer) {
    f(node.name + ".weight", layer.weight);
    if (layer.has_bias) f(node.name + ".bias", layer.bias);
  });
}

void Net::each_parameter(const std::function<void(const std::string&, const Parameter&)>& f) const {
  const auto see = [&]<class L>(const std::string& name, const L& layer) {
    if constexpr (has_parameters<const L>) {
      f(name + ".weight", layer.weight);
      if (layer.has_bias) f(name + ".bias", layer.bias);
    }
  };
  for (const Node& node : nodes_) std::visit([&](const auto& layer) { see(node.name, layer); }, node.layer);
}

}  // namespace cnn
