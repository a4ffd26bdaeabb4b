// SPDX-License-Identifier: MIT
// Reading and transforming of pictures.
#include "pictures/source.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include <ristretto/random.hpp>

#include "cnn/check.hpp"
#include "cnn/parallel.hpp"

namespace pictures {
namespace {

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

// ---- Transform ----

/// The part of a picture that is taken, and whether it is mirrored.
struct Crop {
  int top = 0, left = 0;
  bool mirrored = false;
};

/// As Caffe chooses it: anywhere in training, otherwise in the middle.
Crop choose_crop(const Source& source, cnn::Shape stored, std::int64_t position) {
  constexpr std::uint64_t stream = 0xFFFFFFFE'00000000;  // not one of a tensor
  const ristretto::RandomStream random{.seed = source.how.seed, .stream = stream};
  const ristretto::Words4 words = random.block(static_cast<std::uint64_t>(position));
  const auto below = [&](int word, int count) {  // 0 .. count - 1
    return static_cast<int>(std::uint64_t{words.word[word]} * static_cast<std::uint64_t>(count) >> 32);
  };
  const int rows = stored.H - source.image.H, columns = stored.W - source.image.W;
  Crop crop{rows / 2, columns / 2, source.how.transform.mirror && below(2, 2) == 1};
  if (source.how.training) crop = {below(0, rows + 1), below(1, columns + 1), crop.mirrored};
  return crop;
}

template <class T>
void apply(const Transform& transform, const T* from, cnn::Shape stored, Crop crop, cnn::Shape image, float* to) {
  for (int c = 0; c < image.C; ++c) {
    const auto values = static_cast<int>(transform.mean_values.size());
    const float value = values == 0 ? 0 : transform.mean_values[static_cast<std::size_t>(values == 1 ? 0 : c)];
    for (int y = 0; y < image.H; ++y, to += image.W) {
      const cnn::Index start = (cnn::Index{c} * stored.H + y + crop.top) * stored.W + crop.left;
      const T* row = from + start;
      const float* mean = transform.mean.empty() ? nullptr : transform.mean.data() + start;
      for (int x = 0; x < image.W; ++x) {
        const float centred = static_cast<float>(row[x]) - (mean ? mean[x] : value);
        to[crop.mirrored ? image.W - 1 - x : x] = centred * transform.scale;
      }
    }
  }
}

/// Throws unless the transform makes `source.image` of this picture.
void check_picture(const Source& source, const Decoded& picture, std::int64_t i) {
  const cnn::Shape shape = picture.shape;
  const int crop = source.how.transform.crop_size;
  const bool whole = crop == 0 || !source.how.transform.mean.empty();
  const bool fits = whole ? shape == source.stored : shape.C == source.stored.C && shape.H >= crop && shape.W >= crop;
  if (fits) return;
  fail(source.name + ": " + (picture.place.empty() ? "record " + std::to_string(i) : picture.place),
       "expected a picture of " + size_text(source.stored) + ", as the first, " +
           (whole ? "found " : "or at least of " + size_text(source.image) + ", found ") + size_text(shape));
}

void transform_one(const Source& source, const Decoded& picture, std::int64_t position, float* to) {
  const Crop crop = choose_crop(source, picture.shape, position);
  if (picture.floats.empty()) {
    apply(source.how.transform, picture.bytes.data(), picture.shape, crop, source.image, to);
  } else {
    apply(source.how.transform, picture.floats.data(), picture.shape, crop, source.image, to);
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

/// Whether the decoded pictures are few enough to keep.
bool is_small(const Source& source) {
  return source.size <= static_cast<std::int64_t>(source.how.keep_bytes) / source.stored.image();
}

}  // namespace

Source::Source(std::string opened_by, SourceOptions options, std::int64_t count, Decode decode)
    : name(std::move(opened_by)), how(std::move(options)), size(count), decode_(std::move(decode)) {
  if (size == 0) fail(name, "expected pictures, found none");
  if (size > std::numeric_limits<int>::max()) fail(name, "expected fewer than 2^31 pictures, found more");
  stored = decode_(0).shape;
  image = transformed(how.transform, stored, name);
}

Source source_of(Dataset data, std::string name, SourceOptions how) {
  how.keep_bytes = 0;  // they are in memory
  const std::int64_t size = data.size();
  const auto shared = std::make_shared<const Dataset>(std::move(data));
  return {std::move(name), std::move(how), size, [shared](std::int64_t i) {
            const std::uint8_t* from = shared->pixels.data() + i * shared->shape.image();
            return Decoded{.shape = shared->shape.with_batch(1),
                           .label = shared->labels[static_cast<std::size_t>(i)],
                           .bytes = {from, from + shared->shape.image()}};
          }};
}

void Source::read(std::int64_t first, int count, Batch& batch) {
  constexpr cnn::Index most = cnn::Index{1} << 31;
  cnn::check(first >= 0 && count >= 1 && count <= most / image.image(), name,
             "a batch of " + std::to_string(count) + " pictures from number " + std::to_string(first),
             "choose a number from 0 on and a batch of 1 to " + std::to_string(most / image.image()));
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const std::int64_t epoch = (first + i) / size, place = (first + i) % size;
    if (how.shuffle && ordered_epoch_ != epoch) {
      order_ = shuffled(static_cast<int>(size), how.seed, static_cast<std::uint64_t>(epoch));
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
    Decoded own = known ? Decoded{} : decode_(indices[at]);
    if (!known) check_picture(*this, own, indices[at]);
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

}  // namespace pictures
