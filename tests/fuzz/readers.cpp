// SPDX-License-Identifier: MIT
// The readers: good files are read, bad ones refused by the two exceptions that say why.
#include "readers.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "caffe/files.hpp"
#include "caffe/pictures.hpp"
#include "caffe/weights.hpp"
#include "pictures/data.hpp"
#include "pictures/image.hpp"
#include "pictures/xz_file.hpp"
#include "sample_files.hpp"

namespace fuzz {
namespace {

std::string_view text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Ends the program: a reader has accepted what it should not have, or contradicts itself.
void require(bool condition) {
  if (!condition) std::abort();
}

/// A file in memory, with a path by which it can be opened.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0);
    while (!bytes.empty()) {
      const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
      require(written > 0);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  explicit MemoryFile(Bytes bytes) : MemoryFile(text(bytes)) {}
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// Whether f throws no error that says what is wrong with the file.
template <class F>
bool tolerant(F&& f) {
  try {
    f();
    return true;
  } catch (const std::runtime_error& e) {
    require(*e.what() != '\0');
  } catch (const std::invalid_argument& e) {
    require(*e.what() != '\0');
  }
  return false;
}

/// Runs a net that is small enough.
void run(cnn::Net net) {
  cnn::Index values = net.input_shape().image(), weights = 0, plane = 1;
  for (const cnn::Node& node : net.nodes()) {
    values += node.shape.image();
    plane = std::max(plane, node.shape.plane());
  }
  net.each_parameter([&](const std::string&, const cnn::Parameter& p) { weights += p.value().size(); });
  if (values > 1 << 16 || weights > 1 << 16 || weights * plane > 1 << 20) return;
  net.forward(cnn::Tensor(net.input_shape().with_batch(1), 0.5f));
}

caffe_files::Model small_model() {
  caffe_files::Warnings warnings;
  return caffe_files::build(caffe_files::parse_net(small_net, "small", warnings), caffe::TEST);
}

void read_some(const std::string& spec) {
  pictures::SourceOptions how{.transform = {.mirror = true, .crop_size = 1}, .training = true};
  pictures::Source source = caffe_files::open_source(spec, how);
  pictures::Batch batch;
  bool refused = false;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(source.size, 20); ++i) {
    refused = !tolerant([&] { source.read(i, 1, batch); }) || refused;
  }
  if (refused) throw std::runtime_error("a record is refused");
}

/// JPEG or PNG; the size decides the colours.
bool picture(Bytes bytes) {
  return tolerant([&] {
    const auto colours = static_cast<pictures::Colours>(bytes.size() % 3);
    const pictures::Picture picture = pictures::decode_picture(bytes, "picture", colours);
    require(picture.values.size() == static_cast<std::size_t>(picture.shape.size()));
    pictures::resized(picture, 3, 5);
  });
}

}  // namespace

// ---- Text ----

/// What is written is read again as the same.
bool prototxt(Bytes bytes) {
  return tolerant([&] {
    caffe_files::Warnings warnings, none;
    const caffe::NetParameter net = caffe_files::parse_net(text(bytes), "net", warnings);
    const std::string written = protobuf_files::to_text(net);
    require(protobuf_files::to_text(caffe_files::parse_net(written, "again", none)) == written);
    require(none.unknown_fields.empty());
  });
}

bool solver(Bytes bytes) {
  return tolerant([&] {
    caffe_files::Warnings warnings;
    caffe_files::parse_solver(text(bytes), "solver", warnings);
  });
}

bool build(Bytes bytes) {
  return tolerant([&] {
    caffe_files::Warnings warnings;
    const caffe::NetParameter net = caffe_files::parse_net(text(bytes), "net", warnings);
    for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) {
      tolerant([&] { caffe_files::source_of(caffe_files::data_layer(net, phase)); });
      tolerant([&] { run(caffe_files::build(net, phase).net); });
      tolerant([&] { run(caffe_files::build(net, phase, cnn::Shape{1, 3, 8, 8}).net); });
    }
  });
}

// ---- Binary ----

bool caffemodel(Bytes bytes) {
  return tolerant([&] {
    caffe_files::Warnings warnings;
    const caffe::NetParameter weights = caffe_files::parse_weights(text(bytes), "weights", warnings);
    tolerant([&] { caffe_files::fold_batch_norm(weights, weights); });
    caffe_files::Model model = small_model();
    caffe_files::load_weights(model, weights, true);
    run(std::move(model.net));
  });
}

bool solverstate(Bytes bytes) {
  return tolerant([&] { caffe_files::read_solver_state(MemoryFile(bytes).path()); });
}

bool mean(Bytes bytes) {
  return tolerant([&] { caffe_files::read_mean(MemoryFile(bytes).path()); });
}

// ---- Pictures ----

bool lmdb(Bytes bytes) {
  const MemoryFile file(bytes);
  return tolerant([&] { read_some("lmdb:" + file.path()); });
}

/// A record in a database that is whole.
bool datum(Bytes bytes) {
  const MemoryFile file(samples::small_lmdb({samples::datum(1, 3, 2, 2), std::string(text(bytes))}));
  return tolerant([&] { read_some("lmdb:" + file.path()); });
}

bool jpeg(Bytes bytes) { return picture(bytes); }
bool png(Bytes bytes) { return picture(bytes); }

bool idx(Bytes bytes) {
  static const MemoryFile images(samples::idx_images(2)), labels(samples::idx_labels(2));
  const MemoryFile file(bytes);
  const bool are_images = tolerant([&] {
    const pictures::Dataset data = pictures::read_idx(file.path(), labels.path());
    require(data.size() == 2 && data.pixels.size() == static_cast<std::size_t>(data.shape.size()));
  });
  const bool are_labels = tolerant([&] {
    const pictures::Dataset data = pictures::read_idx(images.path(), file.path());
    require(data.labels.size() == 2);
  });
  return are_images || are_labels;
}

bool cifar10(Bytes bytes) {
  const MemoryFile file(bytes);
  return tolerant([&] {
    const pictures::Dataset data = pictures::read_cifar10(std::array{file.path()});
    require(data.pixels.size() == static_cast<std::size_t>(data.shape.size()));
    for (const int label : data.labels) require(label >= 0 && label < 10);
  });
}

bool xz(Bytes bytes) {
  const MemoryFile file(bytes);
  return tolerant([&] { require(pictures::read_xz_file(file.path(), 1 << 20).size() <= 1 << 20); });
}

}  // namespace fuzz
