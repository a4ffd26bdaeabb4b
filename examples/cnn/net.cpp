// SPDX-License-Identifier: MIT
// Running a net forward and backward.
#include "cnn/net.hpp"

#include <algorithm>
#include <stdexcept>

#include "cnn/check.hpp"
#include "cnn/parallel.hpp"
#include "cnn/trimmed.hpp"

namespace cnn {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

template <class L>
concept Joins = requires(L& layer, std::span<const Shape> ins) { layer.setup("", ins); };

/// In training only Relu: where it changes a value, that value carries no gradient. (zero_where_saturated looks at what
/// is left.)
bool works_in_place(const Layer& layer, bool training) {
  if (const auto* relu = std::get_if<Relu>(&layer)) return !training || relu->negative_slope == 0;
  const auto in_inference = []<class L>(const L&) {
    return std::is_same_v<L, Dropout> || std::is_same_v<L, Sigmoid> || std::is_same_v<L, Tanh> ||
           std::is_same_v<L, Softmax> || std::is_same_v<L, Flatten> || std::is_same_v<L, BatchNorm> ||
           std::is_same_v<L, Scale>;
  };
  return !training && std::visit(in_inference, layer);
}

/// Copies channels of all images from one tensor to another.
void copy_channels(const Tensor& from, int first_from, Tensor& to, int first_to) {
  const Index plane = from.shape().plane(), count = std::min(from.shape().C, to.shape().C) * plane;
  parallel_for(from.shape().N, [&](Index n, int) {
    std::copy_n(from.image(n) + first_from * plane, count, to.image(n) + first_to * plane);
  });
}

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
    if constexpr (Trained<L>) {
      l.weight.number = parameters_++;
      if (l.has_bias) l.bias.number = parameters_++;
    }
    if constexpr (std::is_same_v<L, Dropout>) l.number = 0x80000000u + dropouts_++;  // apart from the parameters
    return l.setup(name, shapes.front());
  };
  const auto joined = [&](Joins auto& l) { return l.setup(name, shapes); };
  const Shape shape = std::visit(Overload{joined, single}, layer);

  places_.clear();
  nodes_.push_back({std::move(name), std::move(layer), std::move(positions), shape});
  return static_cast<int>(nodes_.size()) - 1;
}

void Net::check_input(const Tensor& in) const {
  check(in.shape().N > 0 && in.shape().with_batch(1) == image_, input_name_, "the input is " + to_string(in.shape()),
        "give it (N, " + to_string(image_).substr(4));
  if (nodes_.empty()) throw std::logic_error("the net has no layers; add some before forward");
}

/// Decides who works in place, who shares memory, and who needs a gradient.
void Net::plan(Layout layout) {
  if (layout == layout_ && !places_.empty()) return;
  layout_ = layout;
  std::vector<int> readers(nodes_.size());
  for (const Node& node : nodes_) {
    for (const int i : node.inputs) {
      if (i >= 0) ++readers[static_cast<std::size_t>(i)];
    }
  }
  places_.assign(nodes_.size(), {});
  trained_.assign(nodes_.size(), false);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const bool own = std::visit([]<class L>(const L&) { return Trained<const L>; }, node.layer);
    trained_[i] = own || std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](int j) { return j >= 0 && trained_[static_cast<std::size_t>(j)]; });
    const int input = node.inputs.front();
    const bool overwrites = works_in_place(node.layer, layout.training) && (layout.training || !layout.keeps);
    places_[i].in_place = overwrites && input >= 0 && readers[static_cast<std::size_t>(input)] == 1;
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) plan_concat(i, readers);
  plan_memory();
}

/// Lets the inputs of a Concat write into its memory, where each is a Convolution, or one with its relu, that nobody
/// else reads.
void Net::plan_concat(std::size_t concat, std::span<const int> readers) {
  if (!std::holds_alternative<Concat>(nodes_[concat].layer) || layout_.training || layout_.keeps || !layout_.fuses)
    return;
  std::vector<std::size_t> writers;
  for (const int input : nodes_[concat].inputs) {
    if (input < 0 || readers[static_cast<std::size_t>(input)] != 1) return;
    const auto last = static_cast<std::size_t>(input);
    const bool relu = last > 0 && fused_relu(last - 1) != nullptr;
    if (!std::holds_alternative<Convolution>(nodes_[relu ? last - 1 : last].layer)) return;
    writers.push_back(relu ? last - 1 : last);
  }
  int channel = 0;
  for (const std::size_t writer : writers) {
    for (std::size_t i = writer; i < writer + (fused_relu(writer) ? 2 : 1); ++i) {
      places_[i].concat = static_cast<int>(concat);
      places_[i].first_channel = channel;
    }
    channel += nodes_[writer].shape.C;
  }
}

/// Gives each node its memory. Nodes that share theirs by working in place or in a Concat form a group; when the last
/// reader of a group is done, its memory is free for the next, unless outputs are kept.
void Net::plan_memory() {
  struct Group {
    std::size_t last = 0;  // position of its last reader, or of its last member
    Index size = 0;        // floats of an image
    bool placed = false;
    std::size_t memory = 0;
  };
  std::vector<Group> groups;
  std::vector<std::size_t> group_of(nodes_.size());
  for (std::size_t i = nodes_.size(); i-- > 0;) {  // a Concat before those that write into it
    if (places_[i].concat >= 0) {
      group_of[i] = group_of[static_cast<std::size_t>(places_[i].concat)];
    } else {
      group_of[i] = groups.size();
      groups.push_back({});
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (places_[i].in_place) group_of[i] = group_of[static_cast<std::size_t>(nodes_[i].inputs.front())];
    const auto use = [&](std::size_t node) { groups[group_of[node]].last = std::max(groups[group_of[node]].last, i); };
    use(i);
    for (const int j : nodes_[i].inputs) {
      if (j >= 0) use(static_cast<std::size_t>(j));
    }
    groups[group_of[i]].size = std::max(groups[group_of[i]].size, nodes_[i].shape.image());
  }

  const bool reuse = !layout_.training && !layout_.keeps;
  std::vector<Index> sizes;          // of the memories
  std::vector<std::size_t> busy_to;  // position until which a memory is in use
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Group& group = groups[group_of[i]];
    if (!group.placed) {
      group.memory = sizes.size();
      const auto misfit = [&](std::size_t m) { return std::abs(sizes[m] - group.size); };
      for (std::size_t m = 0; m < sizes.size() && reuse; ++m) {
        const bool free = busy_to[m] < i;
        if (free && (group.memory == sizes.size() || misfit(m) < misfit(group.memory))) group.memory = m;
      }
      if (group.memory == sizes.size()) {
        sizes.push_back(0);
        busy_to.push_back(0);
      }
      sizes[group.memory] = std::max(sizes[group.memory], group.size);
      busy_to[group.memory] = group.last;
      group.placed = true;
    }
    places_[i].memory = group.memory;
  }
  memory_.assign(sizes.size(), {});
  spare_.clear();

  for (Place& place : places_) place.kept = !reuse;
  for (std::size_t i = nodes_.size() - 1;; i = static_cast<std::size_t>(nodes_[i].inputs.front())) {
    places_[i].kept = true;
    if (!places_[i].in_place) break;
  }
}

const Tensor& Net::value_of(int node, const Tensor& in) const {
  return node < 0 ? in : memory_[places_[static_cast<std::size_t>(node)].memory].value;
}

/// The relu that runs with this node: the next one, in place over it.
const Relu* Net::fused_relu(std::size_t node) const {
  if (!layout_.fuses || node + 1 >= nodes_.size() || !places_[node + 1].in_place ||
      nodes_[node + 1].inputs.front() != static_cast<int>(node)) {
    return nullptr;
  }
  const bool can = std::visit([]<class L>(const L&) { return Trimmed<const L>; }, nodes_[node].layer);
  return can ? std::get_if<Relu>(&nodes_[node + 1].layer) : nullptr;
}

void Net::run(std::size_t i, const Tensor& in) {
  Node& node = nodes_[i];
  const Place& place = places_[i];
  Tensor& out = memory_[place.memory].value;
  if (i > 0 && fused_relu(i - 1)) return;  // done
  Pass pass{phase_, &work_, fused_relu(i)};
  if (place.concat >= 0) {
    pass.channels = nodes_[static_cast<std::size_t>(place.concat)].shape.C;
    pass.first_channel = place.first_channel;
  }
  const auto joined = [&](Joins auto& l) {
    std::vector<const Tensor*> ins;
    for (const int j : node.inputs) ins.push_back(&value_of(j, in));
    if (ins.front() != &out) l.forward(ins, out, pass);  // else the inputs wrote it
  };
  std::visit(Overload{joined, [&](auto& l) { l.forward(value_of(node.inputs.front(), in), out, pass); }}, node.layer);
}

const Tensor& Net::forward(const Tensor& in, Phase phase) {
  check_input(in);
  plan({.training = phase.training, .keeps = phase.training || keep_outputs_});
  phase_ = phase;
  if (phase.training) input_ = in;
  for (std::size_t i = 0; i < nodes_.size(); ++i) run(i, in);
  return memory_[places_.back().memory].value;
}

/// Positions below `first` of what the layers from there on read.
std::vector<int> Net::read_across(int first) const {
  std::vector<int> nodes;
  for (std::size_t i = static_cast<std::size_t>(first); i < nodes_.size(); ++i) {
    std::copy_if(nodes_[i].inputs.begin(), nodes_[i].inputs.end(), std::back_inserter(nodes),
                 [&](int j) { return j < first; });
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

void Net::save(int node, const Tensor& in, Tensor& value) const {
  const Tensor& all = value_of(node, in);
  if (node < 0 || places_[static_cast<std::size_t>(node)].concat < 0) {
    value = all;
    return;
  }
  const auto i = static_cast<std::size_t>(node);
  value.resize(nodes_[i].shape.with_batch(all.shape().N));
  copy_channels(all, places_[i].first_channel, value, 0);
}

void Net::restore(int node, const Tensor& value) {
  if (node < 0) return;
  const auto i = static_cast<std::size_t>(node);
  Tensor& all = memory_[places_[i].memory].value;
  if (places_[i].concat < 0) {
    all = value;
    return;
  }
  all.resize(nodes_[static_cast<std::size_t>(places_[i].concat)].shape.with_batch(value.shape().N));
  copy_channels(value, 0, all, places_[i].first_channel);
}

/// A cut without values, moved before a layer whose Relu would be its first.
Cut Net::empty_cut(int first) const {
  check(first >= 0 && first < static_cast<int>(nodes_.size()), "cut",
        "it begins at layer " + std::to_string(first) + " of " + std::to_string(nodes_.size()),
        "choose the position of a layer");
  Cut cut{.first = first};
  if (first > 0 && fused_relu(static_cast<std::size_t>(first) - 1)) --cut.first;
  cut.nodes = read_across(cut.first);
  return cut;
}

void Net::save(Cut& cut, const Tensor& in) const {
  cut.values.resize(cut.nodes.size());
  for (std::size_t k = 0; k < cut.nodes.size(); ++k) save(cut.nodes[k], in, cut.values[k]);
}

const Tensor& Net::forward(const Tensor& in, Cut& cut) {
  check_input(in);
  plan({.keeps = keep_outputs_});
  phase_ = {};
  Cut found = empty_cut(cut.first);
  found.values.swap(cut.values);  // for their memory
  cut = std::move(found);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (static_cast<int>(i) == cut.first) save(cut, in);
    run(i, in);
  }
  return memory_[places_.back().memory].value;
}

void Net::check_cut(const Cut& cut) const {
  bool fits = cut.first >= 0 && cut.first < static_cast<int>(nodes_.size()) && !cut.values.empty() &&
              cut.nodes.size() == cut.values.size() && cut.nodes == read_across(cut.first);
  for (std::size_t k = 0; k < cut.nodes.size() && fits; ++k) {
    const Shape shape = cut.nodes[k] < 0 ? image_ : nodes_[static_cast<std::size_t>(cut.nodes[k])].shape;
    fits = cut.values[k].shape() == shape.with_batch(cut.values[0].shape().N);
  }
  check(fits, "cut", "it was not made by this net", "give forward(in, cut) of the same net a cut first");
}

const Tensor& Net::forward_from(const Cut& cut) {
  check_cut(cut);
  plan({.keeps = keep_outputs_});
  phase_ = {};
  for (std::size_t k = 0; k < cut.nodes.size(); ++k) restore(cut.nodes[k], cut.values[k]);
  for (auto i = static_cast<std::size_t>(cut.first); i < nodes_.size(); ++i) run(i, cut.values[0]);  // -1 is the first
  return memory_[places_.back().memory].value;
}

Cut Net::cut_at(int first, const Tensor& in) {
  check_input(in);
  plan({.keeps = keep_outputs_});
  phase_ = {};
  Cut cut = empty_cut(first);
  for (std::size_t i = 0; i < static_cast<std::size_t>(cut.first); ++i) run(i, in);
  save(cut, in);
  return cut;
}

Cut Net::cut_at(int first, const Cut& from) {
  check_cut(from);
  plan({.keeps = keep_outputs_});
  phase_ = {};
  Cut cut = empty_cut(first);
  check(cut.first >= from.first, "cut", "it begins before the one it comes from", "choose a later layer");
  for (std::size_t k = 0; k < from.nodes.size(); ++k) restore(from.nodes[k], from.values[k]);
  for (auto i = static_cast<std::size_t>(from.first); i < static_cast<std::size_t>(cut.first); ++i) {
    run(i, from.values[0]);
  }
  save(cut, from.values[0]);
  return cut;
}

const Tensor& Net::input_of(const Cut& cut) const {
  check_cut(cut);
  const int read = nodes_[static_cast<std::size_t>(cut.first)].inputs.front();
  return cut.values[static_cast<std::size_t>(std::find(cut.nodes.begin(), cut.nodes.end(), read) - cut.nodes.begin())];
}

/// Gives a memory without a gradient the spare one that fits best.
void Net::take_gradient(Memory& memory) {
  if (memory.has_gradient || spare_.empty()) return;
  const auto misfit = [&](const Tensor& t) { return std::abs(t.size() - memory.value.size()); };
  const auto best = std::min_element(spare_.begin(), spare_.end(),
                                     [&](const Tensor& a, const Tensor& b) { return misfit(a) < misfit(b); });
  memory.gradient = std::move(*best);
  spare_.erase(best);
}

void Net::run_back(std::size_t i) {
  Memory& own = memory_[places_[i].memory];
  if (trained_[i]) run_back(i, own);
  if (places_[i].in_place || !own.has_gradient) return;
  spare_.push_back(std::move(own.gradient));  // nobody needs it any more
  own.gradient = {};
  own.has_gradient = false;
}

void Net::run_back(std::size_t i, Memory& own) {
  Node& node = nodes_[i];
  if (!own.has_gradient) {  // nobody reads this layer
    take_gradient(own);
    own.gradient.resize(own.value.shape());
    std::fill_n(own.gradient.data(), own.gradient.size(), 0.0f);
    own.has_gradient = true;
  }
  std::visit(
      [&]<class L>(const L& l) {
        if constexpr (HasFormats<L>) zero_where_saturated(own.value, active(l.formats.output, phase_), own.gradient);
      },
      node.layer);
  Pass pass{phase_, &work_};
  std::vector<const Tensor*> ins;
  for (const int j : node.inputs) ins.push_back(&value_of(j, input_));
  int first_channel = 0;
  for (std::size_t which = 0; which < ins.size(); ++which) {
    const int input = node.inputs[which];
    const Tensor& in = *ins[which];
    const bool wanted = input >= 0 && trained_[static_cast<std::size_t>(input)];
    Memory* before = wanted ? &memory_[places_[static_cast<std::size_t>(input)].memory] : nullptr;
    const bool add = wanted && before != &own && before->has_gradient;
    if (wanted) take_gradient(*before);
    Tensor* din = !wanted ? nullptr : add ? &extra_ : &before->gradient;

    const auto concat = [&](Concat& l) {
      if (din) {
        din->resize(in.shape());
        l.backward(own.gradient, first_channel, *din, pass);
      }
      first_channel += in.shape().C;
    };
    const auto eltwise = [&](Eltwise& l) {
      if (din) l.backward(ins, own.gradient, which, *din);
    };
    std::visit(Overload{concat, eltwise, [&](auto& l) { l.backward(in, own.gradient, din, pass); }}, node.layer);
    if (wanted) before->has_gradient = true;
    if (!add) continue;
    parallel_blocks(extra_.size(), [&](Index first, Index count) {
      for (Index j = first; j < first + count; ++j) before->gradient[j] += extra_[j];
    });
  }
}

void Net::backward(const Tensor& doutput) {
  if (!phase_.training || places_.empty()) {
    throw std::logic_error("backward without a forward pass for training; call forward(in, {.training = true}) first");
  }
  Memory& last = memory_[places_.back().memory];
  check(doutput.shape() == last.value.shape(), nodes_.back().name, "its gradient is " + to_string(doutput.shape()),
        "give it " + to_string(last.value.shape()));
  for (Memory& m : memory_) m.has_gradient = false;
  take_gradient(last);
  last.gradient = doutput;
  last.has_gradient = true;
  for (std::size_t i = nodes_.size(); i-- > 0;) run_back(i);
}

void Net::keep_outputs(bool keep) { keep_outputs_ = keep; }

const Tensor& Net::output(std::string_view name) const {
  const std::size_t i = position(name);
  if (places_.empty()) throw std::logic_error("no output before the first forward pass");
  if (!places_[i].kept) {
    throw std::logic_error(std::string(name) + ": its output was not kept; call keep_outputs(true) before the pass");
  }
  return memory_[places_[i].memory].value;
}

Shape Net::input_shape(const Node& node) const {
  const int input = node.inputs.front();
  return input < 0 ? image_ : nodes_[static_cast<std::size_t>(input)].shape;
}

std::int64_t Net::multiplies(const Node& node) const {
  const auto count = [&]<class L>(const L& l) -> std::int64_t {
    if constexpr (std::is_same_v<L, Deconvolution>) return l.weight.value().shape().image() * input_shape(node).image();
    if constexpr (std::is_same_v<L, Convolution>) return l.weight.value().shape().image() * node.shape.image();
    if constexpr (std::is_same_v<L, InnerProduct>) return l.weight.value().size();
    return 0;
  };
  return std::visit(count, node.layer);
}

void Net::observe(const Tensor& in, std::vector<LayerRanges>& ranges) {
  check_input(in);
  plan({.keeps = false, .fuses = false});
  phase_ = {};
  if (ranges.empty()) {
    each_trimmed([&](Node& node, auto&) { ranges.push_back({node.name, {}, {}, {}, {}}); });
  }
  auto next = ranges.begin();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto see_input = [&]<class L>(L& l) {
      if constexpr (Trimmed<L>) {
        check(next != ranges.end() && next->name == nodes_[i].name, nodes_[i].name, "the ranges are of another net",
              "start with an empty vector");
        observe_values(value_of(nodes_[i].inputs.front(), in), next->input);
        if (next->weight.count() == 0) observe_values(l.weight.value(), next->weight);
        if (next->bias.count() == 0) observe_values(l.bias.value(), next->bias);
      }
    };
    std::visit(see_input, nodes_[i].layer);
    run(i, in);
    const auto see_output = [&]<class L>(L&) {
      if constexpr (Trimmed<L>) observe_values(memory_[places_[i].memory].value, (next++)->output);
    };
    std::visit(see_output, nodes_[i].layer);
  }
}

namespace {

template <class Nodes, class F>
void visit_parameters(Nodes& nodes, F&& f) {
  for (auto& node : nodes) {
    const auto see = [&]<class L>(L& layer) {
      if constexpr (Trained<L>) {
        f(node.name + ".weight", layer.weight);
        if (layer.has_bias) f(node.name + ".bias", layer.bias);
      }
    };
    std::visit(see, node.layer);
  }
}

template <class Nodes, class F>
void visit_statistics(Nodes& nodes, F&& f) {
  for (auto& node : nodes) {
    auto* layer = std::get_if<BatchNorm>(&node.layer);
    if (!layer) continue;
    f(node.name + ".mean", layer->mean);
    f(node.name + ".variance", layer->variance);
    f(node.name + ".scale_factor", layer->scale_factor);
  }
}

}  // namespace

void Net::each_parameter(const std::function<void(const std::string&, Parameter&)>& f) { visit_parameters(nodes_, f); }

void Net::each_parameter(const std::function<void(const std::string&, const Parameter&)>& f) const {
  visit_parameters(nodes_, f);
}

void Net::each_statistic(const std::function<void(const std::string&, Tensor&)>& f) { visit_statistics(nodes_, f); }

void Net::each_statistic(const std::function<void(const std::string&, const Tensor&)>& f) const {
  visit_statistics(nodes_, f);
}

}  // namespace cnn
