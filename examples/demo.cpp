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
#include <type_traits>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ristretto/range.hpp>
#include <ristretto/search.hpp>

#include "cnn/model.hpp"
#include "cnn/parallel.hpp"
#include "cnn/progress.hpp"
#include "cnn/solver.hpp"
#include "pictures/data.hpp"
#include "pictures/source.hpp"
#include "quantizer/batches.hpp"
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

enum class Family { dynamic_fixed_point, minifloat, power_of_two };

const std::map<std::string, Family> families{{"dynamic_fixed_point", Family::dynamic_fixed_point},
                                             {"minifloat", Family::minifloat},
                                             {"power_of_two", Family::power_of_two}};

struct Options {
  std::string data = DEMO_DATA;
  Family family = Family::dynamic_fixed_point;
  rt::RangeRule rule = rt::RangeRule::min_mse;
  double margin = 1.0;  // percentage points
  std::vector<std::string> bits{"4,4,4", "2,4,4"};
  int epochs = 12, finetune_epochs = 10, batch = 64;
  std::uint64_t seed = 1;
  int threads = 0;
  std::string json_file;
};

// ---- formats ------------------------------------------------------------------------------------------------------

/// What a layer trims.
enum class Operand { weight, bias, activation };

/// The format of a width for what was observed. Throws std::invalid_argument when the family has none.
rt::AnyFormat format_for(const Options& o, int bits, Operand operand, const rt::Range& range) {
  const bool original = o.rule == rt::RangeRule::ristretto2016;
  const rt::Choice choice{.rule = o.rule,
                          .role = operand == Operand::activation ? rt::Role::activations : rt::Role::parameters};
  using enum rt::Encoding;
  if (o.family == Family::minifloat) {
    if (original) return rt::choose<rt::Minifloat<rt::runtime, rt::runtime, ristretto2016>>(bits, range, choice);
    return rt::choose<rt::Minifloat<rt::runtime, rt::runtime, finite>>(bits, range, choice);
  }
  if (o.family == Family::power_of_two && operand == Operand::weight) {
    if (original) return rt::choose<rt::PowerOfTwo<>>(bits, range, choice);
    return rt::choose<rt::PowerOfTwoOrZero<>>(bits, range, choice);
  }
  const bool never_negative = operand == Operand::activation && range.min() >= 0;
  if (never_negative && !original) return rt::choose<rt::UnsignedFixedPoint<>>(bits, range, choice);
  return rt::choose<rt::DynamicFixedPoint<>>(bits, range, choice);
}

/// Whether the family has formats of this width.
bool has_width(const Options& o, int bits, Operand operand) {
  rt::Range range;
  range.observe(std::vector<float>{-1, 1});
  try {
    format_for(o, bits, operand, range);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

/// Biases get a format of their own, of at least 8 bits; the original trims them in the format of the weights.
constexpr int least_bias_bits = 8;

/// Gives every layer the formats of these widths.
void set_formats(cnn::Net& net, const std::vector<cnn::LayerRanges>& ranges, const Options& o,
                 const qz::Widths& widths) {
  auto range = ranges.begin();
  net.each_trimmed([&]<class Layer>(cnn::Node&, Layer& layer) {
    cnn::Formats formats;
    if (const auto bits = std::is_same_v<Layer, cnn::Convolution> ? widths.conv : widths.fc) {
      formats.weight = format_for(o, *bits, Operand::weight, range->weight);
      formats.bias = o.rule == rt::RangeRule::ristretto2016
                         ? formats.weight
                         : format_for(o, std::max(*bits, least_bias_bits), Operand::bias, range->bias);
    }
    if (widths.activations) {
      formats.input = format_for(o, *widths.activations, Operand::activation, range->input);
      formats.output = format_for(o, *widths.activations, Operand::activation, range->output);
    }
    layer.formats = formats;
    ++range;
  });
}

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

/// The widths of the original's search that the family has formats for, widest first.
std::vector<int> widths_of(const Options& o, Operand operand) {
  std::vector<int> widths{16, 8, 4, 2, 1};
  std::erase_if(widths, [&](int bits) { return !has_width(o, bits, operand); });
  return widths;
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

/// What every layer meets in float.
std::vector<cnn::LayerRanges> observe(cnn::Net& net, Data& data, const std::string& title) {
  net.each_trimmed([](cnn::Node&, auto& layer) { layer.formats = {}; });
  std::vector<cnn::LayerRanges> ranges;
  qz::Batches seen(data.observed, {.count = data.observed.size, .batch_size = 100});
  cnn::Progress progress(title, seen.pictures());
  for (std::size_t b = 0; b < seen.size(); ++b) {
    qz::stop_if_interrupted();
    net.observe(seen.batch(b).images, ranges);
    progress.at(static_cast<long long>(b + 1) * 100);
  }
  return ranges;
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
std::vector<qz::LayerRow> describe_layers(cnn::Net& net, Data& data) {
  cnn::Net in_float = net;
  const auto ranges = observe(in_float, data, "measure layers");
  std::vector<qz::LayerRow> rows;
  net.each_trimmed([&](cnn::Node& node, auto& layer) {
    rows.push_back(qz::describe(node.name, layer, layer.formats, ranges[rows.size()]));
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
    if (!has_width(o, bits[i], i == 2 ? Operand::activation : Operand::weight)) {
      throw std::invalid_argument(fmt::format("--bits is \"{}\", but {} has no {} of {} bits; choose another width",
                                              text, qz::name_of(families, o.family), i == 2 ? "activations" : "weights",
                                              bits[i]));
    }
  }
  return {bits[0], bits[1], bits[2]};
}

void search_widths(cnn::Model& model, const std::vector<cnn::LayerRanges>& ranges, Data& data, const Options& o,
                   Results& results) {
  const auto weights = widths_of(o, Operand::weight);
  const auto activations = widths_of(o, Operand::activation);
  const std::vector<rt::Part<int>> parts{
      {part_names[0], weights}, {part_names[1], weights}, {part_names[2], activations}};
  const auto score_assignment = [&](const rt::Assignment<int>& assignment) {
    set_formats(model.net, ranges, o, widths_from(assignment));
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
                   .accuracies = {{.name = "accuracy", .input = "ip2"}}};
  cnn::Net& net = model.net;
  train(net, data.train, o, {"train in float", o.epochs, 0.01, o.seed});
  results.baseline = score(model, data);

  const auto ranges = observe(net, data, "observe ranges");
  search_widths(model, ranges, data, o, results);

  set_formats(net, ranges, o, {8, 8, 8});
  results.eight_bit = score(model, data);

  const cnn::Net trained = net;
  for (const std::string& bits : o.bits) {
    Condensed& condensed = results.condensed.emplace_back(Condensed{.widths = parse_widths(o, bits)});
    net = trained;
    set_formats(net, ranges, o, condensed.widths);
    condensed.quantized = score(model, data);
    if (o.rule != rt::RangeRule::ristretto2016) sharpen_logits(net);
    train(net, data.train, o, {"fine-tune " + bits, o.finetune_epochs, 0.02, o.seed + 1});
    condensed.finetuned = score(model, data);
    if (results.layers.empty()) results.layers = describe_layers(net, data);
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
    const bool fixed = o.family == Family::power_of_two && part == 2;
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
             qz::name_of(qz::range_rules, o.rule));
}

json to_json(const Options& o, const Results& r, bool complete) {
  const auto bits = [](std::optional<int> width) { return width ? json(*width) : json(nullptr); };
  const auto widths = [&](const qz::Widths& w) {
    return json{{"conv_weights", bits(w.conv)}, {"fc_weights", bits(w.fc)}, {"activations", bits(w.activations)}};
  };
  const auto number = [](std::optional<double> x) { return x ? json(*x) : json(nullptr); };
  json out{{"complete", complete},
           {"format", qz::name_of(families, o.family)},
           {"ranges", qz::name_of(qz::range_rules, o.rule)},
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
  app.add_option("--ranges", o.rule, "max_abs, percentile, min_mse or ristretto2016 (the original's rule)")
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
