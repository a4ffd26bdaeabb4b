// SPDX-License-Identifier: MIT
// The demo: trains LeNet, finds how few bits each part of it needs, fine-tunes the condensed net and scores it.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ristretto/search.hpp>

#include "cnn/model.hpp"
#include "cnn/parallel.hpp"
#include "cnn/progress.hpp"
#include "cnn/solver.hpp"
#include "pictures/data.hpp"
#include "pictures/source.hpp"
#include "quantizer/batches.hpp"
#include "quantizer/candidates.hpp"
#include "quantizer/interruption.hpp"
#include "quantizer/layer_formats.hpp"
#include "quantizer/layer_table.hpp"
#include "quantizer/names.hpp"
#include "quantizer/scores.hpp"
#include "result_file.hpp"

namespace {

namespace rt = ristretto;
namespace qz = quantizer;
using nlohmann::json;

const std::map<std::string, qz::TrimmingMode> families{{"dynamic_fixed_point", qz::TrimmingMode::dynamic_fixed_point},
                                                       {"minifloat", qz::TrimmingMode::minifloat},
                                                       {"power_of_two", qz::TrimmingMode::integer_power_of_2_weights}};

struct Options {
  std::string data = DEMO_DATA;
  qz::TrimmingMode family = qz::TrimmingMode::dynamic_fixed_point;
  rt::RangeRule ranges = rt::RangeRule::min_mse;
  double margin = 1.0;  // percentage points
  std::vector<std::string> bits{"4,4,4", "2,4,4"};
  int epochs = 12, finetune_epochs = 10, batch = 64;
  std::uint64_t seed = 1;
  int threads = 0;
  std::string json_file;

  qz::Rule rule() const { return qz::usual_rule(family, ranges); }
};

// ---- formats ------------------------------------------------------------------------------------------------------

/// Those of the widths that the family has formats of, whatever is observed.
std::vector<int> possible(const Options& o, std::vector<int> widths, qz::Operands of) {
  std::vector<qz::LayerStatistics> one(1);
  one[0].ranges.input.observe(std::vector<float>{-1, 1});
  return qz::possible(one, o.rule(), std::move(widths), of);
}

/// The nets that the trained one becomes: its formats for widths, from what its layers met.
struct Formats {
  std::vector<qz::LayerStatistics> layers;
  qz::Rule rule;
  qz::Candidates candidates;

  Formats(cnn::Net& trained, std::vector<qz::LayerStatistics> met, const Options& o)
      : layers(std::move(met)), rule(o.rule()), candidates(layers, rule, qz::states_of(trained)) {}
  Formats(const Formats&) = delete;  // the candidates look at the rest
  Formats& operator=(const Formats&) = delete;

  /// Makes `net` the trained one with these widths.
  void set(cnn::Net& net, const qz::Widths& widths) {
    qz::set_states(net, candidates.unrepaired(qz::widths_of_layers(layers, widths)));
  }
};

/// Moves a bit of the last layer's fixed-point output from range to resolution. Two equal largest logits lose an image,
/// and training keeps logits within the range they have.
void sharpen_logits(cnn::Net& net) {
  cnn::Formats* last = nullptr;
  net.each_trimmed([&](cnn::Node&, auto& layer) { last = &layer.formats; });
  if (!last->output) return;
  if (const auto* fixed = std::get_if<rt::DynamicFixedPoint<>>(&last->output->variant())) {
    last->output = rt::DynamicFixedPoint{fixed->integer_length() - 1, fixed->fractional_length() + 1};
  }
}

// ---- training and scoring -----------------------------------------------------------------------------------------

struct Data {
  pictures::Dataset train;
  pictures::Source observed, scored;  // the first 1000 of those images, and those of the test
};

constexpr float pixel_scale = 1.0f / 256;

/// NAME, or NAME.gz where only that exists.
std::string idx_file(const std::string& folder, const std::string& name) {
  const std::string path = (std::filesystem::path(folder) / name).string();
  return !std::filesystem::exists(path) && std::filesystem::exists(path + ".gz") ? path + ".gz" : path;
}

Data read_data(const Options& o) {
  const auto read = [&](const std::string& set) {
    const std::string labels = idx_file(o.data, set + "-labels-idx1-ubyte");
    pictures::Dataset data = pictures::read_idx(idx_file(o.data, set + "-images-idx3-ubyte"), labels);
    const int largest = data.labels.empty() ? 0 : *std::max_element(data.labels.begin(), data.labels.end());
    if (largest > 9) {
      throw std::runtime_error(fmt::format("{}: a label is {}, but the net has the classes 0 to 9", labels, largest));
    }
    return data;
  };
  pictures::Dataset train = read("train"), test = read("t10k");
  if (train.size() < o.batch || test.size() < 1) {
    throw std::runtime_error(fmt::format("{}: {} training and {} test images are too few; give at least {} and 1",
                                         o.data, train.size(), test.size(), o.batch));
  }
  if (train.shape.with_batch(1) != test.shape.with_batch(1)) {
    throw std::runtime_error(fmt::format("{}: training images are {}, test images {}; they must be of one size", o.data,
                                         to_string(train.shape), to_string(test.shape)));
  }
  const pictures::SourceOptions how{.transform = {.scale = pixel_scale}};
  pictures::Source observed = source_of(train.first(1000), o.data, how);
  return {std::move(train), std::move(observed), source_of(std::move(test), o.data, how)};
}

/// Top-1 accuracy, in [0, 1].
double score(cnn::Model& model, Data& data) {
  return qz::evaluate(model, data.scored, {.count = data.scored.size, .batch_size = 200}, "").accuracies[0].value;
}

struct Schedule {
  std::string title;
  int epochs;
  double rate;  // falls to 0 along a line
  std::uint64_t seed;
};

void train(cnn::Net& net, const pictures::Dataset& data, const Options& o, const Schedule& schedule) {
  const int steps_per_epoch = data.size() / o.batch;
  const int steps = steps_per_epoch * schedule.epochs;
  cnn::Solver solver = cnn::Sgd{
      .rate = {.policy = cnn::LearningRate::Policy::poly, .base = schedule.rate, .power = 1, .max_iterations = steps},
      .momentum = 0.9,
      .weight_decay = 5e-4};
  cnn::Progress progress(schedule.title, static_cast<long long>(steps) * o.batch);
  pictures::Batch batch;
  std::vector<int> order;
  for (int step = 0; step < steps; ++step) {
    qz::stop_if_interrupted();
    const auto epoch = static_cast<std::uint64_t>(step / steps_per_epoch);
    const auto at = static_cast<std::size_t>(step % steps_per_epoch) * static_cast<std::size_t>(o.batch);
    if (at == 0) order = pictures::shuffled(data.size(), schedule.seed, epoch);
    pictures::fill(batch, data, std::span(order).subspan(at, static_cast<std::size_t>(o.batch)),
                   {.scale = pixel_scale});
    const double loss = cnn::train(net, solver, batch.images, batch.labels, {.seed = schedule.seed, .iteration = step});
    if (!std::isfinite(loss)) {
      throw std::runtime_error(
          fmt::format("{}: the loss of step {} is {}; try another seed", schedule.title, step, loss));
    }
    progress.at(static_cast<long long>(step + 1) * o.batch);
  }
}

/// What every layer meets in float, from here on.
std::vector<qz::LayerStatistics> observe(cnn::Model& model, Data& data, const Options& o, const std::string& title) {
  model.net.each_trimmed([](cnn::Node&, auto& layer) { layer.formats = {}; });
  qz::Batches seen(data.observed, {.count = data.observed.size, .batch_size = 100});
  return qz::observe(model, seen, o.rule(), title);
}

// ---- what was found -----------------------------------------------------------------------------------------------

/// A net with these widths, scored before and after fine-tuning.
struct Condensed {
  qz::Widths widths;
  double quantized = 0;
  std::optional<double> finetuned = std::nullopt;
};

struct Results {
  std::optional<double> baseline;
  rt::SearchResult<int> search;
  std::optional<double> eight_bit;
  std::vector<Condensed> condensed;
  std::vector<qz::LayerRow> layers;  // of the first condensed net, fine-tuned
  double seconds = 0;
};

constexpr const char* part_names[] = {"CONV weights", "FC weights", "layer activations"};

qz::Widths widths_from(const rt::Assignment<int>& assignment) { return {assignment[0], assignment[1], assignment[2]}; }

std::string to_string(const qz::Widths& w) {
  const auto bits = [](std::optional<int> width) {
    return width ? fmt::format("{}-bit", *width) : std::string("float");
  };
  return fmt::format("{} CONV weights, {} FC weights, {} layer activations", bits(w.conv), bits(w.fc),
                     bits(w.activations));
}

double points(double difference) { return 100 * difference; }

/// What the formats of the net do to the values that its layers meet.
std::vector<qz::LayerRow> describe_layers(cnn::Model& model, Data& data, const Options& o) {
  cnn::Model in_float = model;
  const auto layers = observe(in_float, data, o, "measure layers");
  std::vector<qz::LayerRow> rows;
  model.net.each_trimmed([&](cnn::Node& node, auto& layer) {
    rows.push_back(qz::describe(node.name, layer, layer.formats, layers[rows.size()].ranges));
  });
  return rows;
}

// ---- the run ------------------------------------------------------------------------------------------------------

/// Reads "4,4,8". Throws std::invalid_argument for anything else and for widths that the family has no formats of.
qz::Widths parse_widths(const Options& o, const std::string& text) {
  int bits[3] = {};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, bits[i]);
    const bool ended = i == 2 ? next == end : next != end && *next == ',';
    if (error != std::errc{} || !ended) {
      throw std::invalid_argument("--bits is \"" + text + "\"; write CONV,FC,ACTIVATIONS, e.g. 4,4,4");
    }
    at = next + 1;
    if (possible(o, {bits[i]}, i == 2 ? qz::Operands::activations : qz::Operands::weights).empty()) {
      throw std::invalid_argument(fmt::format("--bits is \"{}\", but {} has no {} of {} bits; choose another width",
                                              text, qz::name_of(families, o.family), i == 2 ? "activations" : "weights",
                                              bits[i]));
    }
  }
  return {bits[0], bits[1], bits[2]};
}

void search_widths(cnn::Model& model, Formats& formats, Data& data, const Options& o, Results& results) {
  const std::vector<int> widths{16, 8, 4, 2, 1};  // as the original
  const auto weights = possible(o, widths, qz::Operands::weights);
  const auto activations = possible(o, widths, qz::Operands::activations);
  const std::vector<rt::Part<int>> parts{
      {part_names[0], weights}, {part_names[1], weights}, {part_names[2], activations}};
  const auto score_assignment = [&](const rt::Assignment<int>& assignment) {
    formats.set(model.net, widths_from(assignment));
    return score(model, data);
  };
  const auto report = [&](const rt::Trial<int>& t) {
    const std::string what = t.part ? fmt::format("{:<17} {:>2} bit", part_names[*t.part], *t.assignment[*t.part])
                             : results.search.trials.size() == 1 ? "float"
                                                                 : to_string(widths_from(t.assignment));
    fmt::print(stderr, "search  {:<24}  top-1 {:.4f}  ({:+.2f} points)  {}\n", what, t.score,
               points(t.score - results.search.baseline), t.within_margin ? "ok" : "below the margin");
  };
  rt::search(std::span<const rt::Part<int>>(parts), score_assignment, o.margin / 100, report, results.search);
}

void run(const Options& o, Results& results) {
  Data data = read_data(o);
  cnn::Model model{.net = cnn::lenet(data.train.shape, 10, o.seed),
                   .logits = "ip2",
                   .accuracies = {{.name = "accuracy", .input = "ip2"}},
                   .rectified_in_place = {"ip1"}};
  cnn::Net& net = model.net;
  train(net, data.train, o, {"train in float", o.epochs, 0.01, o.seed});
  results.baseline = score(model, data);

  Formats formats(net, observe(model, data, o, "observe ranges"), o);
  search_widths(model, formats, data, o, results);

  formats.set(net, {8, 8, 8});
  results.eight_bit = score(model, data);

  for (const std::string& bits : o.bits) {
    Condensed& condensed = results.condensed.emplace_back(Condensed{.widths = parse_widths(o, bits)});
    formats.set(net, condensed.widths);
    condensed.quantized = score(model, data);
    if (o.ranges != rt::RangeRule::ristretto2016) sharpen_logits(net);
    train(net, data.train, o, {"fine-tune " + bits, o.finetune_epochs, 0.02, o.seed + 1});
    condensed.finetuned = score(model, data);
    if (results.layers.empty()) results.layers = describe_layers(model, data, o);
  }
}

// ---- the report ---------------------------------------------------------------------------------------------------

void print_analysis(const Options& o, const Results& r) {
  std::string family = qz::name_of(families, o.family);
  std::replace(family.begin(), family.end(), '_', ' ');
  family[0] = static_cast<char>(std::toupper(family[0]));
  fmt::print("Network accuracy analysis for convolutional (CONV) and fully connected (FC) layers.\n");
  fmt::print("Baseline 32-bit float: {:.4f}\n", *r.baseline);
  for (std::size_t part = 0; part < std::size(part_names); ++part) {
    const bool fixed = o.family == qz::TrimmingMode::integer_power_of_2_weights && part == 2;
    fmt::print("{} {}:\n", fixed ? "Dynamic fixed point" : family, part_names[part]);
    for (const auto& t : r.search.trials) {
      if (t.part == part) fmt::print("  {:>2}-bit:  {:.4f}\n", *t.assignment[part], t.score);
    }
  }
  if (r.search.alone_score) {
    fmt::print("{} net, what each part can bear alone (margin {} points):\n  {}\n  Accuracy: {:.4f}\n", family,
               o.margin, to_string(widths_from(r.search.alone)), *r.search.alone_score);
  }
  if (!r.search.trials.empty()) {
    fmt::print("{}:\n  {}\n  Accuracy: {:.4f} ({:+.2f})\n",
               r.search.finished ? "The same, stepped back up until the margin holds" : "The best combination so far",
               to_string(widths_from(r.search.assignment)), r.search.score, points(r.search.score - *r.baseline));
  }
  if (r.eight_bit) {
    fmt::print("8 bits everywhere:\n  Accuracy: {:.4f} ({:+.2f})\n", *r.eight_bit, points(*r.eight_bit - *r.baseline));
  }
}

void print_report(const Options& o, const Results& r) {
  if (!r.baseline) return fmt::print("Stopped before the float net was trained: no result.\n");
  print_analysis(o, r);
  for (const Condensed& c : r.condensed) {
    fmt::print("\n{}:\n  without training  {:.4f} ({:+.2f})\n", to_string(c.widths), c.quantized,
               points(c.quantized - *r.baseline));
    if (c.finetuned)
      fmt::print("  fine-tuned        {:.4f} ({:+.2f})\n", *c.finetuned, points(*c.finetuned - *r.baseline));
  }
  if (!r.layers.empty()) {
    fmt::print("\nThe net with {}, fine-tuned:\n", to_string(r.condensed.front().widths));
    qz::print_layers(r.layers);
  }
  fmt::print("time {:.1f} s   seed {}   threads {}   ranges {}\n", r.seconds, o.seed, o.threads,
             qz::name_of(qz::range_rules, o.ranges));
}

json to_json(const Options& o, const Results& r, bool complete) {
  const auto bits = [](std::optional<int> width) { return width ? json(*width) : json(nullptr); };
  const auto widths = [&](const qz::Widths& w) {
    return json{{"conv_weights", bits(w.conv)}, {"fc_weights", bits(w.fc)}, {"activations", bits(w.activations)}};
  };
  const auto number = [](std::optional<double> x) { return x ? json(*x) : json(nullptr); };
  json out{{"complete", complete},
           {"format", qz::name_of(families, o.family)},
           {"ranges", qz::name_of(qz::range_rules, o.ranges)},
           {"margin", o.margin},
           {"seed", o.seed},
           {"threads", o.threads},
           {"seconds", r.seconds},
           {"baseline", number(r.baseline)},
           {"eight_bit", number(r.eight_bit)},
           {"quantized", nullptr},
           {"finetuned", nullptr},
           {"analysis", json::array()},
           {"nets", json::array()},
           {"layers", json::array()}};
  for (const auto& t : r.search.trials) {
    if (t.part) {
      out["analysis"].push_back(
          {{"part", part_names[*t.part]}, {"bits", *t.assignment[*t.part]}, {"accuracy", t.score}});
    }
  }
  if (!r.search.trials.empty()) {
    out["combination"] = json{{"alone", widths(widths_from(r.search.alone))},
                              {"alone_accuracy", number(r.search.alone_score)},
                              {"checked", widths(widths_from(r.search.assignment))},
                              {"checked_accuracy", r.search.score},
                              {"finished", r.search.finished}};
  }
  for (const Condensed& c : r.condensed) {
    out["nets"].push_back({{"bits", widths(c.widths)}, {"quantized", c.quantized}, {"finetuned", number(c.finetuned)}});
  }
  if (!out["nets"].empty()) {
    out["quantized"] = out["nets"][0]["quantized"];
    out["finetuned"] = out["nets"][0]["finetuned"];
  }
  for (const qz::LayerRow& l : r.layers) out["layers"].push_back(json(to_json(l)));
  return out;
}

/// Reads the command line; an exit status when there is nothing more to do.
std::optional<int> parse(int argc, char** argv, Options& o) {
  CLI::App app{"Trains LeNet on Fashion-MNIST, finds how few bits it needs, fine-tunes the condensed net, scores it."};
  app.add_option("--data", o.data, "folder with train- and t10k- IDX files (.gz or not): Fashion-MNIST or MNIST")
      ->check(CLI::ExistingDirectory);
  app.add_option("--format", o.family, "dynamic_fixed_point, minifloat or power_of_two (weights)")
      ->transform(CLI::CheckedTransformer(families).description(""));
  app.add_option("--ranges", o.ranges, "max_abs, percentile, min_mse or ristretto2016 (the original's rule)")
      ->transform(CLI::CheckedTransformer(qz::range_rules).description(""));
  app.add_option("--margin", o.margin, "accuracy the search may lose, in percentage points")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--bits", o.bits, "widths CONV,FC,ACTIVATIONS of a net to fine-tune; may be given several times");
  app.add_option("--epochs", o.epochs, "epochs of training in float")->check(CLI::Range(1, 1000));
  app.add_option("--finetune-epochs", o.finetune_epochs, "epochs of fine-tuning")->check(CLI::Range(1, 1000));
  app.add_option("--seed", o.seed, "of weights, order and rounding");
  app.add_option("--threads", o.threads, "0: one per core")->check(CLI::Range(0, 1024));
  app.add_option("--json", o.json_file, "where to write the results");
  try {
    app.parse(argc, argv);
    for (const std::string& bits : o.bits) parse_widths(o, bits);
    if (!std::isfinite(o.margin)) throw std::invalid_argument("--margin is not a number; choose points in [0, 100]");
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& e) {
    fmt::print(stderr, "demo: {}\n", e.what());
    return 2;
  }
  o.threads = cnn::set_workers(o.threads);
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto status = parse(argc, argv, options)) return *status;
  std::signal(SIGINT, [](int) { qz::interrupted() = true; });

  try {
    ResultFile file(options.json_file);
    Results results;
    int status = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      run(options, results);
    } catch (const qz::Interrupted&) {
      fmt::print(stderr, "\ninterrupted; what was found so far:\n");
      status = 130;
    } catch (const std::exception& e) {
      fmt::print(stderr, "demo: {}\n", e.what());
      if (!results.baseline) return 1;
      status = 1;
    }
    results.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    print_report(options, results);
    file.write(to_json(options, results, status == 0).dump(2) + "\n");
    return status;
  } catch (const std::exception& e) {
    fmt::print(stderr, "demo: {}\n", e.what());
    return 1;
  }
}
