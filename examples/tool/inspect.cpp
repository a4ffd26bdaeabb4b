// SPDX-License-Identifier: MIT
// ristretto inspect.
#include "tool/inspect.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ristretto/range.hpp>

#include "caffe/weights.hpp"
#include "result_file.hpp"
#include "tool/common.hpp"

namespace tool {
namespace {

constexpr std::array widths{32, 16, 8, 4};

struct InspectOptions {
  std::string model{}, weights{};
  CommonOptions common{};
};

struct Row {
  std::string name{}, type{};
  cnn::Shape shape{};                           // of the output for one image
  std::int64_t parameters = 0, multiplies = 0;  // multiplies: for one image
  std::int64_t weights = 0;
  std::optional<ristretto::MinMax> range{};  // of the weights
  cnn::Formats formats{};
};

std::vector<Row> rows_of(const caffe_files::Model& model, bool has_weights) {
  std::map<std::string, std::string> types;
  for (const caffe::LayerParameter& l : model.description.layer()) types[l.name()] = l.type();
  const auto nodes = model.net.nodes();
  std::vector<Row> rows;
  for (const cnn::Node& node : nodes) {
    Row row{.name = node.name, .type = types[node.name], .shape = node.shape};
    row.multiplies = model.net.multiplies(node);
    const auto see = [&]<class L>(const L& l) {
      if constexpr (cnn::Trained<const L>) {
        row.weights = l.weight.value().size();
        row.parameters = row.weights + l.bias.value().size();
        if (has_weights) row.range = ristretto::min_max(l.weight.value().values());
      }
      if constexpr (cnn::HasFormats<const L>) row.formats = l.formats;
    };
    std::visit(see, node.layer);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string shape_text(const cnn::Shape& s) { return fmt::format("{}x{}x{}", s.C, s.H, s.W); }

std::string range_text(const Row& row) {
  return row.range ? fmt::format("{:.4g} to {:.4g}", row.range->min, row.range->max) : "";
}

std::string formats_text(const cnn::Formats& f) {
  const auto text = [](const auto& format) { return format ? ristretto::to_string(*format) : std::string("float"); };
  if (!f.input && !f.weight && !f.bias && !f.output) return "";
  return fmt::format("in {}  weights {}  bias {}  out {}", text(f.input), text(f.weight), text(f.bias), text(f.output));
}

void print(const std::vector<Row>& rows) {
  std::size_t name = 5, type = 4;  // of columns
  for (const Row& r : rows) {
    name = std::max(name, r.name.size());
    type = std::max(type, r.type.size());
  }
  std::int64_t parameters = 0, products = 0;
  const auto print_row = [&](const auto& of_name, const auto& of_type, const auto&... cells) {
    fmt::print("{:<{}}  {:<{}}  {:>12}  {:>10}  {:>12}  {}\n", of_name, name, of_type, type, cells...);
  };
  print_row("layer", "type", "output", "parameters", "multiplies", "weights");
  for (const Row& r : rows) {
    print_row(r.name, r.type, shape_text(r.shape), r.parameters, r.multiplies, range_text(r));
    if (const std::string formats = formats_text(r.formats); !formats.empty()) fmt::print("  {}\n", formats);
    parameters += r.parameters;
    products += r.multiplies;
  }
  print_row("all", "", "", parameters, products, "");
  fmt::print(
      "\nMultiplies are those of weights with activations, for one image. What a width of the parameters costs:\n");
  for (const int bits : widths) {
    fmt::print("  {:>2} bits  {:>12} bytes  {:>5.1f}x smaller\n", bits, (parameters * bits + 7) / 8, 32.0 / bits);
  }
}

std::string json_text(const InspectOptions& o, const std::vector<Row>& rows) {
  nlohmann::ordered_json out{{"command", "inspect"}, {"model", o.model}, {"weights", o.weights}};
  out["layers"] = nlohmann::ordered_json::array();
  for (const Row& r : rows) {
    nlohmann::ordered_json row{{"name", r.name},
                               {"type", r.type},
                               {"output", {r.shape.C, r.shape.H, r.shape.W}},
                               {"parameters", r.parameters},
                               {"multiplies", r.multiplies}};
    if (r.range) row["weight_range"] = {r.range->min, r.range->max};
    if (const std::string formats = formats_text(r.formats); !formats.empty()) row["formats"] = formats;
    if (r.parameters > 0) {
      for (const int bits : widths) row["parameter_bits"][std::to_string(bits)] = r.parameters * bits;
    }
    out["layers"].push_back(std::move(row));
  }
  return out.dump(2) + "\n";
}

std::string csv_text(const std::vector<Row>& rows) {
  std::string text = "layer,type,C,H,W,parameters,multiplies,weight_min,weight_max\n";
  for (const Row& r : rows) {
    const std::string range = r.range ? fmt::format("{},{}", r.range->min, r.range->max) : ",";
    text += fmt::format("{},{},{},{},{},{},{},{}\n", r.name, r.type, r.shape.C, r.shape.H, r.shape.W, r.parameters,
                        r.multiplies, range);
  }
  return text;
}

/// The shape of pictures: what the net says, or that of those that --data or the net names, or that of a crop.
std::optional<cnn::Shape> image_shape(const caffe::NetParameter& net, const CommonOptions& o) {
  const caffe_files::DataLayer layer = caffe_files::data_layer(net, caffe::TEST);
  if (o.data.empty() && layer.shape) return {};
  const auto crop = static_cast<int>(layer.transform.crop_size());
  if (o.data.empty() && crop > 0) return cnn::Shape{1, layer.transform.force_gray() ? 1 : 3, crop, crop};
  return open_data(net, caffe::TEST, o).source.image;
}

int inspect(InspectOptions& o) {
  start(o.common);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv");
  const caffe::NetParameter net = read_net(o.model);
  caffe_files::Model model = caffe_files::build(net, caffe::TEST, image_shape(net, o.common));
  for (const std::string& note : model.notes) fmt::print(stderr, "note: {}\n", note);
  if (!o.weights.empty()) load_weights(model, read_weights(o.weights), o.weights);
  const std::vector<Row> rows = rows_of(model, !o.weights.empty());
  print(rows);
  json.write(json_text(o, rows));
  csv.write(csv_text(rows));
  return 0;
}

}  // namespace

std::function<int()> add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App& command = *app.add_subcommand("inspect", "shows the layers of a net and what widths cost");
  command.add_option("--model", options->model, "description of the net (.prototxt)")->required();
  command.add_option("--weights", options->weights, "its weights (.caffemodel); without them, no ranges");
  add_options(command, options->common);
  return [options] { return inspect(*options); };
}

}  // namespace tool
