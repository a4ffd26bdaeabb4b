// SPDX-License-Identifier: MIT
// ristretto test.
#include "tool/score.hpp"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "quantizer/layer_formats.hpp"
#include "result_file.hpp"
#include "tool/choice.hpp"
#include "tool/common.hpp"

namespace tool {
namespace {

struct TestOptions {
  std::string model{}, weights{};
  std::string hits{};  // file to write; empty: none
  int iterations = 0;
  cnn::Ties ties = cnn::Ties::to_even;
  CommonOptions common{};
};

/// As Caffe prints it.
void print(const quantizer::Scores& scores) {
  for (const quantizer::Score& s : scores.accuracies) fmt::print("{} = {:g}\n", s.name, s.value);
  for (const quantizer::Score& s : scores.losses) fmt::print("{} = {:g} (* 1 = {:g} loss)\n", s.name, s.value, s.value);
}

std::string json_text(const TestOptions& o, const quantizer::Scores& scores) {
  nlohmann::ordered_json out{{"command", "test"}, {"model", o.model}, {"weights", o.weights}};
  out["pictures"] = scores.pictures;
  out["seconds"] = scores.seconds;
  out["threads"] = o.common.threads;
  out["seed"] = o.common.seed;
  out["scores"] = nlohmann::ordered_json::object();
  for (const auto* all : {&scores.accuracies, &scores.losses}) {
    for (const quantizer::Score& s : *all) out["scores"][s.name] = s.value;
  }
  return out.dump(2) + "\n";
}

std::string csv_text(const quantizer::Scores& scores) {
  std::string text = "score,value,pictures\n";
  for (const auto* all : {&scores.accuracies, &scores.losses}) {
    for (const quantizer::Score& s : *all) text += fmt::format("{},{},{}\n", s.name, s.value, scores.pictures);
  }
  return text;
}

/// Which pictures were right, in the order of the data: what two nets have in common is seen only there.
std::string hits_text(const quantizer::Scores& scores) {
  std::string text = "picture";
  for (const quantizer::Score& s : scores.accuracies) text += "," + s.name;
  text += "\n";
  for (std::size_t i = 0; i < static_cast<std::size_t>(scores.pictures); ++i) {
    text += std::to_string(i);
    for (const std::vector<bool>& right : scores.right) text += right[i] ? ",1" : ",0";
    text += "\n";
  }
  return text;
}

int test(TestOptions& o) {
  start(o.common);
  ResultFile json(o.common.json), csv(o.common.csv, "--csv"), hits(o.hits, "--hits");
  const caffe::NetParameter net = read_net(o.model);
  Data data = open_data(net, caffe::TEST, o.common);
  caffe_files::Model model = build(net, caffe::TEST, data);
  if (model.accuracies.empty() && model.loss.empty()) {
    throw std::invalid_argument(o.model +
                                ": the net has neither an Accuracy nor a SoftmaxWithLoss layer for the phase TEST; "
                                "add one that reads its scores");
  }
  load_weights(model, read_weights(o.weights), o.weights);
  quantizer::set_ties(model.net, o.ties);
  const quantizer::Selection selection = selection_of(data, o.iterations);
  const quantizer::Scores scores = quantizer::evaluate(model, data.source, selection, o.common.quiet ? "" : "test");
  fmt::print(stderr, "{} pictures, {:.1f} pictures/s\n", scores.pictures,
             static_cast<double>(scores.pictures) / scores.seconds);
  print(scores);
  json.write(json_text(o, scores));
  csv.write(csv_text(scores));
  hits.write(hits_text(scores));
  return 0;
}

}  // namespace

std::function<int()> add_test(CLI::App& app) {
  auto options = std::make_shared<TestOptions>();
  CLI::App& command = *app.add_subcommand("test", "scores a net");
  command.add_option("--model", options->model, "description of the net (.prototxt)")->required();
  command.add_option("--weights", options->weights, "its weights (.caffemodel)")->required();
  command.add_option("--iterations", options->iterations, "batches to score; by default all pictures")
      ->check(CLI::Range(1, 1 << 30));
  add_choice(command, "--ties", quantizer::tie_rules(), options->ties,
             "where numbers midway between two of a format go");
  command.add_option("--hits", options->hits, "where to write which pictures were right, as CSV");
  add_options(command, options->common);
  return [options] { return test(*options); };
}

}  // namespace tool
