// experiments
#include <fmt/format.h>
#include <chrono>
#include <CLI/CLI.hpp>
#include <iostream>
#include "common.hpp"
#include "formats.hpp"
#include "moments.hpp"
#include "parallel.hpp"
#include "pictures.hpp"
#include "progress.hpp"
#include "repair.hpp"
#include "weights.hpp"
using namespace tool;
namespace rt = ristretto;
using Clock = std::chrono::steady_clock;
static double now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

std::vector<cnn::Batch> read_all(Data& d, std::int64_t n, int bs) {
  std::vector<cnn::Batch> all;
  n = std::min(n, d.source.size);
  for (std::int64_t i = 0; i < n; i += bs) {
    cnn::Batch b;
    d.source.read(i, static_cast<int>(std::min<std::int64_t>(bs, n - i)), b);
    all.push_back(std::move(b));
  }
  return all;
}
struct Eval {
  std::vector<bool> right;
  cnn::Buffer logits;
  int classes = 0;
};
Eval evaluate(cnn::Net& net, const std::vector<cnn::Batch>& pics) {
  Eval e;
  for (const auto& b : pics) {
    const auto& out = net.forward(b.images);
    add_hits(out, b.labels, 1, e.right);
    e.classes = out.shape().C;
    e.logits.insert(e.logits.end(), out.data(), out.data() + out.size());
  }
  return e;
}
void report(const char* what, const Eval& a, const Eval& f) {
  double g = 0, l = 0, acc = 0, kl = 0, agree = 0;
  const std::size_t n = a.right.size();
  for (std::size_t i = 0; i < n; ++i) {
    acc += a.right[i];
    g += a.right[i] && !f.right[i];
    l += !a.right[i] && f.right[i];
    const float *p = f.logits.data() + i * a.classes, *q = a.logits.data() + i * a.classes;
    const float mp = *std::max_element(p, p + a.classes), mq = *std::max_element(q, q + a.classes);
    agree += (std::max_element(p, p + a.classes) - p) == (std::max_element(q, q + a.classes) - q);
    double zp = 0, zq = 0;
    for (int c = 0; c < a.classes; ++c) {
      zp += std::exp(p[c] - mp);
      zq += std::exp(q[c] - mq);
    }
    double s = 0;
    for (int c = 0; c < a.classes; ++c)
      s += std::exp(p[c] - mp) / zp * ((p[c] - mp - std::log(zp)) - (q[c] - mq - std::log(zq)));
    kl += s;
  }
  const double d = (g - l) / double(n), se = std::sqrt(std::max(0.0, (g + l) / double(n) - d * d) / double(n));
  fmt::print("{:<28} acc {:.4f} diff {:+.2f} +- {:.2f}  KL {:.4f} agree {:.3f}\n", what, acc / double(n), 100 * d,
             100 * se, kl / double(n), agree / double(n));
  std::fflush(stdout);
}

int main(int argc, char** argv) {
  CLI::App app;
  std::string model, weights, cal, score, mode = "fixed", first_last_layers;
  int wbits = 4, abits = 8, ends = 0, ncal = 500, reach = 2, nscore = 100000;
  double damping = 0.01;
  bool seq = true, bias = false, eq = false, per_channel = true, comp = true, retarget = true, float_in = false,
       uns = true;
  Options common;
  std::string mean;
  app.add_option("--model", model);
  app.add_option("--weights", weights);
  app.add_option("--cal", cal);
  app.add_option("--score", score);
  app.add_option("--mode", mode);
  app.add_option("--wbits", wbits);
  app.add_option("--abits", abits);
  app.add_option("--ends", ends);
  app.add_option("--ncal", ncal);
  app.add_option("--nscore", nscore);
  app.add_option("--damping", damping);
  app.add_option("--reach", reach);
  app.add_option("--per_channel", per_channel);
  app.add_option("--comp", comp);
  app.add_option("--bias", bias);
  app.add_option("--eq", eq);
  app.add_option("--seq", seq);
  app.add_option("--retarget", retarget);
  app.add_option("--float_in", float_in);
  app.add_option("--uns", uns);
  app.add_option("--mean_file", common.mean_file);
  CLI11_PARSE(app, argc, argv);
  cnn::set_workers(0);
  const auto net_file = read_net(model);
  Options oc = common, os = common;
  oc.data = cal;
  os.data = score;
  Data dc = open_data(net_file, caffe::TEST, oc), ds = open_data(net_file, caffe::TEST, os);
  caffe_files::Model m = build(net_file, caffe::TEST, ds);
  load_weights(m, read_weights(weights), weights);
  const int bs = part_of(ds, 0).batch_size;
  double t0 = now();
  auto pc = read_all(dc, ncal, bs), ps = read_all(ds, nscore, bs);
  fmt::print("read {:.1f} s, {} + {} batches\n", now() - t0, pc.size(), ps.size());
  Eval fl = evaluate(m.net, ps);
  report("float", fl, fl);

  Part part{.count = std::min<std::int64_t>(ncal, dc.source.size), .batch_size = bs};
  if (eq) {
    Pictures pictures(dc.source, part);
    t0 = now();
    const int n = tool::equalize(m.net, pictures);
    fmt::print("equalized {} layers in {:.1f} s  ", n, now() - t0);
    report("equalized float", evaluate(m.net, ps), fl);
  }
  auto layers = observe(m, dc.source, part, "");
  Rule rule;
  if (mode == "minifloat") rule.mode = caffe::QuantizationParameter::MINIFLOAT;
  if (mode == "pow2") rule.mode = caffe::QuantizationParameter::INTEGER_POWER_OF_2_WEIGHTS;
  const auto width = [](int b) { return b > 0 ? std::optional(b) : std::nullopt; };
  auto formats = formats_for(layers, rule, {width(wbits), width(wbits), width(abits)});
  if (ends) {
    auto wide = formats_for(layers, rule, {ends, ends, width(abits)});
    formats.front() = wide.front();
    formats.back() = wide.back();
  }
  cnn::Net reference = m.net;
  set_formats(m.net, formats);
  report("per tensor", evaluate(m.net, ps), fl);
  if (!per_channel) return 0;
  rule.per_channel = true;
  auto widths = widths_of_layers(layers, {width(wbits), width(wbits), width(abits)});
  if (ends) widths.front().weights = widths.back().weights = ends;
  set_formats(m.net, formats_for(layers, rule, widths));
  report("per channel", evaluate(m.net, ps), fl);
  if (!comp) return 0;
  Pictures pictures(dc.source, part);
  const auto formats0 = formats_for(layers, rule, widths);
  const auto attempt = [&](const char* name, Repair how) {
    t0 = now();
    set_formats(m.net, formats0);
    tool::repair(m.net, reference, pictures, how, "");
    fmt::print("{:.1f} s  ", now() - t0);
    report(name, evaluate(m.net, ps), fl);
  };
  Repair how{.damping = damping, .scales = reach, .sequential = seq, .retarget = retarget};
  if (bias) {
    how.bias = true;
    attempt("bias", how);
    how.bias = false;
  }
  how.compensate = true;
  attempt("compensated", how);
  if (bias) {
    how.bias = true;
    attempt("compensated, bias", how);
  }
  report("  on calibration", evaluate(m.net, pc), evaluate(reference, pc));
}
