// SPDX-License-Identifier: MIT
// ristretto train on published nets, in the folder data/ of RISTRETTO_DATA: the original's example, and LeNet at the
// widths of its guide.
#include <cstdio>
#include <string>
#include <vector>

#include "caffe/files.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"
#include "tool/train.hpp"

namespace {

/// What a training prints; it must end well.
std::string run(const tool::TrainOptions& o) {
  const checks::Folder folder;
  const std::string name = folder / "out";
  std::FILE* file = std::fopen(name.c_str(), "w");
  REQUIRE(file != nullptr);
  const int code = tool::train(o, file);
  std::fclose(file);
  CHECK(code == 0);
  return checks::bytes_of(name);
}

/// The numbers behind these words, in order.
std::vector<double> numbers(const std::string& text, const std::string& words) {
  std::vector<double> found;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    found.push_back(std::stod(text.substr(at + words.size())));
  }
  return found;
}

}  // namespace

TEST_CASE("the original's example for fine-tuning trains") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const std::string demo = data + "ristretto-demo/";
  const checks::Folder folder;
  tool::TrainOptions o;
  o.solver = demo + "solver_finetune.prototxt";
  o.weights = data + "squeezenet/squeezenet_v1.0_deepcompression.caffemodel";
  o.snapshot_prefix = folder / "squeezenet";
  o.common.data = o.test_data = "images:" + data + "imagenet1k-sample/dev/labels.txt";
  o.common.batch_size = 2;
  o.common.quiet = true;
  o.max_iter = 0;
  o.test_iter = 1;
  CHECK(numbers(run(o), "Iteration 0, Testing net (#").size() == 1);  // as it stands; 25 pictures

  std::string solver = checks::bytes_of(o.solver);
  solver.replace(solver.find("iter_size: 32"), 13, "iter_size: 1");
  solver.replace(solver.find("display: 10"), 11, "display: 1");
  o.solver = folder.write("solver.prototxt", solver);
  o.model = demo + "quantized.prototxt";
  o.max_iter = 2;
  o.test_iter = 0;
  const std::string out = run(o);
  CAPTURE(out);
  CHECK(numbers(out, ", loss = ").size() == 2);
  CHECK(numbers(out, ", lr = ").back() == Approx(1e-6));
  const caffe::SolverState state = caffe_files::read_solver_state(folder / "squeezenet_iter_2.solverstate");
  CHECK(state.history_size() == 2 * 2 * 26);
}

TEST_CASE("LeNet at 2 bits, 4 bits and 4 bits learns from fine-tuning") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const checks::Folder folder;
  tool::TrainOptions o;
  o.solver = "examples/tool/lenet_finetune_solver.prototxt";
  o.snapshot_prefix = folder / "lenet";
  o.max_iter = 300;
  o.model = data + "lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt";
  o.weights = data + "lenet/lenet_iter_10000.caffemodel";
  o.common.data = "idx:" + data + "mnist";
  o.shuffle = true;
  o.common.quiet = true;
  const std::vector<double> accuracy = numbers(run(o), "output #0: accuracy = ");
  REQUIRE(accuracy.size() == 2);
  std::printf("LeNet at 2/4/4 bits: %.4f, after 300 iterations %.4f\n", accuracy[0], accuracy[1]);
  CHECK(accuracy[1] > 0.9624);
  CHECK(accuracy[1] > accuracy[0] + 0.01);
}
