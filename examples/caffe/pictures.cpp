// SPDX-License-Identifier: MIT
// Pictures as Caffe's files name them.
#include "caffe/pictures.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "cnn/check.hpp"

namespace caffe_files {
namespace {

using pictures::Colours;
using pictures::Decoded;
using pictures::Picture;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

/// "3 x 32 x 32"
std::string size_text(const cnn::Shape& s) {
  return std::to_string(s.C) + " x " + std::to_string(s.H) + " x " + std::to_string(s.W);
}

/// The shape that a record states, if a picture may have it.
cnn::Shape shape_of(const caffe::Datum& datum, const std::string& name) {
  const std::int64_t C = datum.channels(), H = datum.height(), W = datum.width();
  const bool fits = C > 0 && C <= 4096 && H > 0 && W > 0 && W <= pictures::largest_picture / H;
  if (!fits || C * H * W > std::numeric_limits<int>::max()) {
    fail(name, "expected channels, height and width of a picture, found " + std::to_string(C) + " x " +
                   std::to_string(H) + " x " + std::to_string(W));
  }
  return {1, datum.channels(), datum.height(), datum.width()};
}

}  // namespace

Decoded decode_datum(std::span<const std::uint8_t> record, const std::string& name, std::optional<Colours> colours) {
  caffe::Datum datum;
  if (record.size() > std::numeric_limits<int>::max() ||
      !datum.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    fail(name, "expected a Datum, found " + std::to_string(record.size()) + " other bytes");
  }
  if (datum.label() < 0) fail(name, "expected a label from 0 on, found " + std::to_string(datum.label()));
  const std::string& data = datum.data();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  if (datum.encoded()) {
    Picture picture = pictures::decode_picture({bytes, data.size()}, name, colours.value_or(Colours::as_stored));
    return {.shape = picture.shape, .label = datum.label(), .bytes = std::move(picture.values)};
  }
  const cnn::Shape shape = shape_of(datum, name);
  const bool floats = datum.float_data_size() > 0;
  const auto found = floats ? static_cast<std::size_t>(datum.float_data_size()) : data.size();
  if (found != static_cast<std::size_t>(shape.image()) || (floats && !data.empty())) {
    fail(name, "expected " + std::to_string(shape.image()) + " values, " + size_text(shape) + ", found " +
                   std::to_string(found) + (floats && !data.empty() ? " and bytes beside them" : ""));
  }
  if (floats) {
    return {.shape = shape, .label = datum.label(), .floats = {datum.float_data().begin(), datum.float_data().end()}};
  }
  return {.shape = shape, .label = datum.label(), .bytes = {bytes, bytes + data.size()}};
}

pictures::Source open_source(const std::string& spec, const pictures::SourceOptions& how) {
  return pictures::open_source(spec, how, decode_datum);
}

std::string source_of(const DataLayer& layer) {
  if (layer.type == "ImageData") return "images:" + layer.source;
  if (layer.type != "Data") return "";
  cnn::check(layer.backend == caffe::DataParameter::LMDB, layer.name, "its backend is LEVELDB, which is not read",
             "convert the database and write backend: LMDB, or name other data");
  return "lmdb:" + layer.source;
}

pictures::SourceOptions options_of(const DataLayer& layer, bool training) {
  pictures::SourceOptions how{.transform = transform_of(layer.transform, layer.name), .training = training};
  if (layer.transform.force_color()) how.colours = Colours::bgr;
  if (layer.transform.force_gray()) how.colours = Colours::grey;
  if (layer.type != "ImageData") return how;
  const caffe::ImageDataParameter& images = layer.images;
  cnn::check(std::max(images.new_height(), images.new_width()) <= 1 << 20, layer.name,
             "pictures would be resized to " + std::to_string(images.new_height()) + " x " +
                 std::to_string(images.new_width()),
             "choose a smaller new_height and new_width");
  how.colours = images.is_color() ? Colours::bgr : Colours::grey;
  how.new_height = static_cast<int>(images.new_height());
  how.new_width = static_cast<int>(images.new_width());
  how.shuffle = images.shuffle();
  how.root_folder = images.root_folder();
  return how;
}

pictures::Transform transform_of(const caffe::TransformationParameter& said, const std::string& layer) {
  cnn::check(said.crop_size() <= 1 << 20, layer, "crop_size is " + std::to_string(said.crop_size()),
             "choose one of the size of pictures");
  cnn::check(!said.force_color() || !said.force_gray(), layer, "both force_color and force_gray are set", "set one");
  pictures::Transform transform{said.scale(),
                                said.mirror(),
                                static_cast<int>(said.crop_size()),
                                {said.mean_value().begin(), said.mean_value().end()},
                                {}};
  if (said.has_mean_file()) transform.mean = read_mean(said.mean_file());
  return transform;
}

cnn::Tensor read_mean(const std::string& path) {
  const caffe::BlobProto blob = read_blob(path);
  std::vector<std::int64_t> sizes(blob.shape().dim().begin(), blob.shape().dim().end());
  while (sizes.size() > 3 && sizes.front() == 1) sizes.erase(sizes.begin());
  if (sizes.size() != 3) {
    std::string text;
    for (const std::int64_t size : sizes) text += (text.empty() ? "" : " x ") + std::to_string(size);
    fail(path, "expected a mean image of C x H x W values, found the sizes " + (text.empty() ? "of nothing" : text));
  }
  const std::vector<float> values = values_of(blob, path);  // as many as the sizes say, so that these are ints
  cnn::Tensor mean({1, static_cast<int>(sizes[0]), static_cast<int>(sizes[1]), static_cast<int>(sizes[2])});
  std::copy(values.begin(), values.end(), mean.data());
  return mean;
}

}  // namespace caffe_files
