// SPDX-License-Identifier: MIT
// Opening of sources, reading and transforming of pictures.
#include "caffe/source.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <ristretto/random.hpp>

#include "caffe/files.hpp"
#include "caffe/weights.hpp"
#include "caffe/xz_file.hpp"
#include "cnn/check.hpp"
#include "cnn/parallel.hpp"

namespace caffe_files {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

/// "3 x 32 x 32"
std::string size_text(const cnn::Shape& s) {
  return std::to_string(s.C) + " x " + std::to_string(s.H) + " x " + std::to_string(s.W);
}

/// As cnn::parallel_for, for a body that may throw: what the first i threw is thrown again when all have ended.
template <class F>
void parallel_for_throwing(cnn::Index count, F&& body) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(count));
  cnn::parallel_for(count, [&](cnn::Index i, int) {
    try {
      body(i);
    } catch (...) {
      thrown[static_cast<std::size_t>(i)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& e : thrown) {
    if (e) std::rethrow_exception(e);
  }
}

/// Text from a file, fit to be shown: at most 60 printable characters.
std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, 60)) shown += c >= ' ' && c < 127 ? c : '?';
  return shown + (text.size() > 60 ? "...\"" : "\"");
}

// ---- Pictures of the sources ----

using Decoded = Source::Decoded;

Decoded decoded(const cnn::Dataset& data, const Source&, std::int64_t i) {
  const std::uint8_t* from = data.pixels.data() + i * data.shape.image();
  return {data.shape.with_batch(1), data.labels[static_cast<std::size_t>(i)], {from, from + data.shape.image()}, {}};
}

Decoded decoded(const std::vector<Source::Listed>& list, const Source& source, std::int64_t i) {
  const Source::Listed& listed = list[static_cast<std::size_t>(i)];
  try {
    Picture picture = read_picture(listed.path, source.how.colours.value_or(Colours::bgr));
    if (source.how.new_height > 0) picture = resized(picture, source.how.new_height, source.how.new_width);
    return {picture.shape, listed.label, std::move(picture.values), {}};
  } catch (const std::runtime_error& e) {
    fail(source.name, "line " + std::to_string(listed.line) + ": " + e.what());
  }
}

/// The shape that a record states, if a picture may have it.
cnn::Shape shape_of(const caffe::Datum& datum, const std::string& name) {
  const std::int64_t C = datum.channels(), H = datum.height(), W = datum.width();
  const bool fits = C > 0 && C <= 4096 && H > 0 && W > 0 && W <= largest_picture / H;
  if (!fits || C * H * W > std::numeric_limits<int>::max()) {
    fail(name, "expected channels, height and width of a picture, found " + std::to_string(C) + " x " +
                   std::to_string(H) + " x " + std::to_string(W));
  }
  return {1, datum.channels(), datum.height(), datum.width()};
}

Decoded decoded(const LmdbFile& database, const Source& source, std::int64_t i) {
  const LmdbFile::Record& record = database.records()[static_cast<std::size_t>(i)];
  const std::string name = source.name + ": record " + std::to_string(i) + ", key " + quoted(record.key);
  caffe::Datum datum;
  if (record.value.size() > std::numeric_limits<int>::max() ||
      !datum.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
    fail(name, "expected a Datum, found " + std::to_string(record.value.size()) + " other bytes");
  }
  if (datum.label() < 0) fail(name, "expected a label from 0 on, found " + std::to_string(datum.label()));
  const std::string& data = datum.data();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  if (datum.encoded()) {
    Picture picture = decode_picture({bytes, data.size()}, name, source.how.colours.value_or(Colours::as_stored));
    return {picture.shape, datum.label(), std::move(picture.values), {}};
  }
  const cnn::Shape shape = shape_of(datum, name);
  const bool floats = datum.float_data_size() > 0;
  const auto found = floats ? static_cast<std::size_t>(datum.float_data_size()) : data.size();
  if (found != static_cast<std::size_t>(shape.image()) || (floats && !data.empty())) {
    fail(name, "expected " + std::to_string(shape.image()) + " values, " + size_text(shape) + ", found " +
                   std::to_string(found) + (floats && !data.empty() ? " and bytes beside them" : ""));
  }
  if (floats) return {shape, datum.label(), {}, {datum.float_data().begin(), datum.float_data().end()}};
  return {shape, datum.label(), {bytes, bytes + data.size()}, {}};
}

Decoded decoded(const Source& source, std::int64_t i) {
  return std::visit([&](const auto& pictures) { return decoded(pictures, source, i); }, source.pictures);
}

std::string picture_name(const Source& source, std::int64_t i) {
  if (const auto* list = std::get_if<std::vector<Source::Listed>>(&source.pictures)) {
    const Source::Listed& listed = (*list)[static_cast<std::size_t>(i)];
    return source.name + ": line " + std::to_string(listed.line) + ": " + listed.path;
  }
  return source.name + ": record " + std::to_string(i);
}

// ---- Transform ----

/// The part of a picture that is taken, and whether it is mirrored.
struct Part {
  int top = 0, left = 0;
  bool mirrored = false;
};

/// As Caffe chooses it: anywhere in training, otherwise in the middle.
Part choose_part(const Source& source, cnn::Shape stored, std::int64_t position) {
  constexpr std::uint64_t stream = 0xFFFFFFFE'00000000;  // not one of a tensor
  const ristretto::RandomStream random{.seed = source.how.seed, .stream = stream};
  const ristretto::Words4 words = random.block(static_cast<std::uint64_t>(position));
  const auto below = [&](int word, int count) {  // 0 .. count - 1
    return static_cast<int>(std::uint64_t{words.word[word]} * static_cast<std::uint64_t>(count) >> 32);
  };
  const int rows = stored.H - source.image.H, columns = stored.W - source.image.W;
  Part part{rows / 2, columns / 2, source.how.transform.mirror && below(2, 2) == 1};
  if (source.how.training) part = {below(0, rows + 1), below(1, columns + 1), part.mirrored};
  return part;
}

template <class T>
void apply(const Transform& transform, const T* from, cnn::Shape stored, Part part, cnn::Shape image, float* to) {
  for (int c = 0; c < image.C; ++c) {
    const auto values = static_cast<int>(transform.mean_values.size());
    const float value = values == 0 ? 0 : transform.mean_values[static_cast<std::size_t>(values == 1 ? 0 : c)];
    for (int y = 0; y < image.H; ++y, to += image.W) {
      const cnn::Index start = (cnn::Index{c} * stored.H + y + part.top) * stored.W + part.left;
      const T* row = from + start;
      const float* mean = transform.mean.empty() ? nullptr : transform.mean.data() + start;
      for (int x = 0; x < image.W; ++x) {
        const float centred = static_cast<float>(row[x]) - (mean ? mean[x] : value);
        to[part.mirrored ? image.W - 1 - x : x] = centred * transform.scale;
      }
    }
  }
}

/// Throws unless the transform makes `source.image` of this picture.
void check_picture(const Source& source, cnn::Shape shape, std::int64_t i) {
  const int crop = source.how.transform.crop_size;
  const bool whole = crop == 0 || !source.how.transform.mean.empty();
  const bool fits = whole ? shape == source.stored : shape.C == source.stored.C && shape.H >= crop && shape.W >= crop;
  if (fits) return;
  fail(picture_name(source, i), "expected a picture of " + size_text(source.stored) + ", as the first, " +
                                    (whole ? "found " : "or at least of " + size_text(source.image) + ", found ") +
                                    size_text(shape));
}

void transform_one(const Source& source, const Decoded& picture, std::int64_t position, float* to) {
  const Part part = choose_part(source, picture.shape, position);
  if (picture.floats.empty()) {
    apply(source.how.transform, picture.bytes.data(), picture.shape, part, source.image, to);
  } else {
    apply(source.how.transform, picture.floats.data(), picture.shape, part, source.image, to);
  }
}

/// Shape of what the transform makes of a picture. Throws std::invalid_argument when it does not fit.
cnn::Shape transformed(const Transform& transform, cnn::Shape stored, const std::string& name) {
  const int crop = transform.crop_size;
  cnn::check(crop >= 0 && crop <= std::min(stored.H, stored.W), name,
             "crop_size is " + std::to_string(crop) + ", pictures are " + size_text(stored),
             "choose a crop_size that fits, or 0");
  const auto values = static_cast<int>(transform.mean_values.size());
  cnn::check(values <= 1 || values == stored.C, name,
             "there are " + std::to_string(values) + " mean values for " + std::to_string(stored.C) + " channels",
             "give one, or one per channel");
  cnn::check(values == 0 || transform.mean.empty(), name, "there are both a mean file and mean values", "give one");
  cnn::check(transform.mean.empty() || transform.mean.shape() == stored, name,
             "the mean is " + size_text(transform.mean.shape()) + ", pictures are " + size_text(stored),
             "give the mean of pictures of this size");
  return crop == 0 ? stored : cnn::Shape{1, stored.C, crop, crop};
}

/// Whether the decoded pictures are worth keeping and few enough.
bool is_small(const Source& source) {
  const auto most = static_cast<std::int64_t>(source.how.keep_bytes) / source.stored.image();
  return !std::holds_alternative<cnn::Dataset>(source.pictures) && source.size <= most;
}

// ---- Opening ----

/// The first of the files `stem` + ending that is there; empty if there is none.
std::string first_existing(const fs::path& stem, std::initializer_list<const char*> endings) {
  for (const char* ending : endings) {
    const std::string path = stem.string() + ending;
    if (std::error_code error; fs::exists(path, error)) return path;
  }
  return "";
}

cnn::Dataset open_idx(const std::string& folder, bool training) {
  const std::string prefix = training ? "train-" : "t10k-";
  const auto file = [&](const std::string& name) {
    const fs::path stem = fs::path(folder) / (prefix + name);
    const std::string path = first_existing(stem, {"", ".gz"});
    if (path.empty()) fail(stem.string(), "cannot be found, nor with .gz; give the folder of MNIST's four files");
    return path;
  };
  const std::string images = file("images-idx3-ubyte"), labels = file("labels-idx1-ubyte");
  return cnn::read_idx(images, labels);
}

cnn::Dataset open_cifar10(const std::string& folder, bool training) {
  std::vector<std::string> names{"test_batch"};
  if (training) names = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"};
  cnn::Dataset data;
  for (const std::string& name : names) {
    const std::string path = first_existing(fs::path(folder) / name, {".bin", ".bin.gz", ".bin.xz"});
    if (path.empty()) continue;
    if (path.ends_with(".xz")) {
      cnn::append_cifar10(data, read_xz_file(path), path);
    } else {
      cnn::append_cifar10(data, cnn::read_file(path), path);
    }
  }
  if (data.size() == 0) {
    fail((fs::path(folder) / names.front()).string() + ".bin",
         "cannot be found, nor with .gz or .xz; give the folder of CIFAR-10's binary batches");
  }
  return data;
}

/// Lines `path label`; the label is what follows the last blank.
std::vector<Source::Listed> open_list(const std::string& list, const std::string& root) {
  const std::vector<std::uint8_t> bytes = cnn::read_file(list);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string folder = fs::path(list).parent_path().string();
  const std::string before = !root.empty() ? root : folder.empty() ? "" : folder + "/";
  std::vector<Source::Listed> all;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t blank = line.find_last_of(" \t");
    const std::string_view label = line.substr(blank == std::string_view::npos ? line.size() : blank + 1);
    Source::Listed listed{{}, -1, number};
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), listed.label);
    if (error != std::errc{} || end != label.data() + label.size() || listed.label < 0) {
      fail(list, "line " + std::to_string(number) + ": expected a path, a blank and a label from 0 on, found " +
                     quoted(line));
    }
    std::string_view path = line.substr(0, blank);
    while (!path.empty() && (path.back() == ' ' || path.back() == '\t')) path.remove_suffix(1);
    listed.path = root.empty() && path.starts_with('/') ? std::string(path) : before + std::string(path);
    all.push_back(std::move(listed));
  }
  return all;
}

std::int64_t count(const cnn::Dataset& data) { return data.size(); }
std::int64_t count(const std::vector<Source::Listed>& list) { return static_cast<std::int64_t>(list.size()); }
std::int64_t count(const LmdbFile& database) { return static_cast<std::int64_t>(database.records().size()); }

Source::Pictures open_pictures(const std::string& spec, const SourceOptions& how) {
  const std::size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon), path = colon == std::string::npos ? "" : spec.substr(colon + 1);
  cnn::check(!path.empty() && (kind == "idx" || kind == "cifar10" || kind == "images" || kind == "lmdb"), "data source",
             "unknown source \"" + spec + "\"", "choose idx:FOLDER, cifar10:FOLDER, images:LIST or lmdb:FOLDER");
  if (kind == "idx") return open_idx(path, how.training);
  if (kind == "cifar10") return open_cifar10(path, how.training);
  if (kind == "images") return open_list(path, how.root_folder);
  return LmdbFile(path);
}

}  // namespace

Source open_source(const std::string& spec, const SourceOptions& how) {
  cnn::check((how.new_height > 0) == (how.new_width > 0) && how.new_height >= 0 && how.new_width >= 0, spec,
             "new_height is " + std::to_string(how.new_height) + " and new_width " + std::to_string(how.new_width),
             "give both, or none");
  Source source;
  source.name = spec;
  source.how = how;
  source.pictures = open_pictures(spec, how);
  source.size = std::visit([](const auto& pictures) { return count(pictures); }, source.pictures);
  if (source.size == 0) fail(spec, "expected pictures, found none");
  if (source.size > std::numeric_limits<int>::max()) fail(spec, "expected fewer than 2^31 pictures, found more");
  source.stored = decoded(source, 0).shape;
  source.image = transformed(how.transform, source.stored, spec);
  return source;
}

void Source::read(std::int64_t first, int count, cnn::Batch& batch) {
  constexpr cnn::Index most = cnn::Index{1} << 31;
  cnn::check(first >= 0 && count >= 1 && count <= most / image.image(), name,
             "a batch of " + std::to_string(count) + " pictures from number " + std::to_string(first),
             "choose a number from 0 on and a batch of 1 to " + std::to_string(most / image.image()));
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const std::int64_t epoch = (first + i) / size, place = (first + i) % size;
    if (how.shuffle && ordered_epoch_ != epoch) {
      order_ = cnn::shuffled(static_cast<int>(size), how.seed, static_cast<std::uint64_t>(epoch));
      ordered_epoch_ = epoch;
    }
    indices[static_cast<std::size_t>(i)] = how.shuffle ? order_[static_cast<std::size_t>(place)] : place;
  }
  batch.images.resize(image.with_batch(count));
  batch.labels.resize(indices.size());
  if (is_small(*this)) kept_.resize(static_cast<std::size_t>(size));
  std::vector<Decoded> fresh(kept_.empty() ? 0 : indices.size());
  parallel_for_throwing(count, [&](cnn::Index n) {
    const auto at = static_cast<std::size_t>(n), i = static_cast<std::size_t>(indices[at]);
    const bool known = !kept_.empty() && kept_[i].shape != cnn::Shape{};
    Decoded own = known ? Decoded{} : decoded(*this, indices[at]);
    if (!known) check_picture(*this, own.shape, indices[at]);
    const Decoded& picture = known ? kept_[i] : own;
    transform_one(*this, picture, first + n, batch.images.image(n));
    batch.labels[at] = picture.label;
    if (!known && !fresh.empty()) fresh[at] = std::move(own);
  });
  for (std::size_t at = 0; at < fresh.size(); ++at) keep(indices[at], fresh[at]);
}

void Source::keep(std::int64_t i, Decoded& picture) {
  const std::size_t bytes = picture.bytes.size() + picture.floats.size() * sizeof(float);
  Decoded& place = kept_[static_cast<std::size_t>(i)];
  if (bytes == 0 || place.shape != cnn::Shape{} || kept_bytes_ + bytes > how.keep_bytes) return;
  place = std::move(picture);
  kept_bytes_ += bytes;
}

std::string source_of(const DataLayer& layer) {
  if (layer.type == "ImageData") return "images:" + layer.source;
  if (layer.type != "Data") return "";
  cnn::check(layer.backend == caffe::DataParameter::LMDB, layer.name, "its backend is LEVELDB, which is not read",
             "convert the database and write backend: LMDB, or name other data");
  return "lmdb:" + layer.source;
}

SourceOptions options_of(const DataLayer& layer, bool training) {
  SourceOptions how{.transform = transform_of(layer.transform, layer.name), .training = training};
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

Transform transform_of(const caffe::TransformationParameter& said, const std::string& layer) {
  cnn::check(said.crop_size() <= 1 << 20, layer, "crop_size is " + std::to_string(said.crop_size()),
             "choose one of the size of pictures");
  cnn::check(!said.force_color() || !said.force_gray(), layer, "both force_color and force_gray are set", "set one");
  Transform transform{said.scale(),
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
