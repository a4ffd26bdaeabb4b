// SPDX-License-Identifier: MIT
// Readers of labelled images.
#include "pictures/data.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

#include <zlib.h>

#include <ristretto/random.hpp>

#include "cnn/check.hpp"
#include "cnn/parallel.hpp"

namespace pictures {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

/// A plain or gzipped file, read from front to back.
class InputFile {
 public:
  explicit InputFile(std::string path) : path_(std::move(path)), file_(gzopen(path_.c_str(), "rb")) {
    if (!file_) fail(path_, "cannot be opened; check the name");
    gzbuffer(file_.get(), 1 << 17);
  }

  /// Appends up to `count` bytes and returns how many there were. Memory grows with what is found, not with what a
  /// header claims.
  std::uint64_t read(std::vector<std::uint8_t>& to, std::uint64_t count) {
    constexpr std::uint64_t chunk = 1 << 16;
    const std::uint64_t before = to.size();
    while (to.size() - before < count) {
      const std::uint64_t old = to.size(), want = std::min(chunk, count - (old - before));
      to.resize(old + want);
      const int got = gzread(file_.get(), to.data() + old, static_cast<unsigned>(want));
      to.resize(old + static_cast<std::uint64_t>(std::max(got, 0)));
      if (got < 0) fail_reading();
      if (got == 0) break;
    }
    int code = Z_OK;
    gzerror(file_.get(), &code);
    if (code != Z_OK && code != Z_STREAM_END) fail_reading();
    return to.size() - before;
  }

  void expect(std::vector<std::uint8_t>& to, std::uint64_t count, const std::string& what) {
    const std::uint64_t found = read(to, count);
    if (found == count) return;
    fail(path_,
         "truncated: expected " + std::to_string(count) + " bytes of " + what + ", found " + std::to_string(found));
  }

  void expect_end(const std::string& what) {
    std::vector<std::uint8_t> more;
    if (read(more, 1) > 0) fail(path_, "oversized: expected its end after " + what + ", found more bytes");
  }

  const std::string& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(gzFile f) const noexcept { gzclose(f); }
  };

  [[noreturn]] void fail_reading() {
    int code = Z_OK;
    const std::string message = gzerror(file_.get(), &code);
    fail(path_, "expected a whole gzip or plain file, found " + (message.empty() ? "a damaged one" : message));
  }

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

std::uint32_t big_endian(const std::uint8_t* b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

struct Idx {
  std::vector<int> sizes;
  std::vector<std::uint8_t> values;
};

/// An IDX file of unsigned bytes: 0, 0, type 8, number of dimensions, their sizes (32 bits, big endian), the values.
Idx read_idx_file(const std::string& path, int dimensions) {
  InputFile file(path);
  std::vector<std::uint8_t> head;
  file.expect(head, 4, "magic number");
  const std::uint32_t magic = big_endian(head.data()), expected = 0x800u + static_cast<std::uint32_t>(dimensions);
  if (magic != expected) {
    fail(path, "expected magic number " + std::to_string(expected) + " (IDX, bytes, " + std::to_string(dimensions) +
                   " dimensions), found " + std::to_string(magic));
  }
  head.clear();
  file.expect(head, 4 * static_cast<std::uint64_t>(dimensions), "sizes");
  Idx idx;
  std::uint64_t total = 1;
  for (int i = 0; i < dimensions; ++i) {
    const std::uint32_t size = big_endian(head.data() + 4 * i);
    total *= size;  // no overflow: below 2^31 after each check, times less than 2^32
    if (size == 0 || total >= 0x80000000u) {
      fail(path, "expected sizes with a product from 1 to 2^31 - 1, found size " + std::to_string(size) +
                     " in dimension " + std::to_string(i));
    }
    idx.sizes.push_back(static_cast<int>(size));
  }
  file.expect(idx.values, total, "values");
  file.expect_end(std::to_string(total) + " values");
  return idx;
}

}  // namespace

Dataset Dataset::first(int n) const {
  const int count = std::clamp(n, 0, size());
  return {shape.with_batch(count),
          {pixels.begin(), pixels.begin() + count * shape.image()},
          {labels.begin(), labels.begin() + count}};
}

void fill(Batch& batch, const Dataset& data, std::span<const int> indices, const Preprocessing& how) {
  const cnn::Index image = data.shape.image(), means = static_cast<cnn::Index>(how.mean.size());
  cnn::check(
      means == 0 || means == data.shape.C || means == image, "preprocessing",
      "the mean has " + std::to_string(means) + " values",
      "give it one per channel, " + std::to_string(data.shape.C) + ", or one per pixel, " + std::to_string(image));
  for (const int i : indices) {
    cnn::check(i >= 0 && i < data.size(), "batch",
               "index " + std::to_string(i) + " of " + std::to_string(data.size()) + " images",
               "choose smaller indices");
  }
  batch.images.resize(data.shape.with_batch(static_cast<int>(indices.size())));
  batch.labels.resize(indices.size());
  const cnn::Index values_per_mean = means == 0 ? image : image / means;
  cnn::parallel_for(static_cast<cnn::Index>(indices.size()), [&](cnn::Index n, int) {
    const int i = indices[static_cast<std::size_t>(n)];
    batch.labels[static_cast<std::size_t>(n)] = data.labels[static_cast<std::size_t>(i)];
    const std::uint8_t* from = data.pixels.data() + i * image;
    float* to = batch.images.image(n);
    for (cnn::Index first = 0; first < image; first += values_per_mean) {
      const float mean = means == 0 ? 0 : how.mean[static_cast<std::size_t>(first / values_per_mean)];
      for (cnn::Index j = first; j < first + values_per_mean; ++j)
        to[j] = (static_cast<float>(from[j]) - mean) * how.scale;
    }
  });
}

std::vector<int> shuffled(int n, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<int> order(static_cast<std::size_t>(std::max(n, 0)));
  std::iota(order.begin(), order.end(), 0);
  const ristretto::RandomStream random{.seed = seed, .stream = 0xFFFFFFFF'00000000 | epoch};  // not one of a tensor
  for (std::size_t i = order.size(); i > 1; --i) {                                            // Fisher and Yates
    std::swap(order[i - 1], order[static_cast<std::size_t>(std::uint64_t{random.word(i)} * i >> 32)]);
  }
  return order;
}

std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t most) {
  InputFile file(path);
  std::vector<std::uint8_t> bytes;
  if (file.read(bytes, most) == most) file.expect_end(std::to_string(most) + " bytes");
  return bytes;
}

Dataset read_idx(const std::string& images, const std::string& labels) {
  Idx pictures = read_idx_file(images, 3), names = read_idx_file(labels, 1);
  if (pictures.sizes[0] != names.sizes[0]) {
    fail(labels, "expected " + std::to_string(pictures.sizes[0]) + " labels, one per image of " + images + ", found " +
                     std::to_string(names.sizes[0]));
  }
  return {{pictures.sizes[0], 1, pictures.sizes[1], pictures.sizes[2]},
          std::move(pictures.values),
          {names.values.begin(), names.values.end()}};
}

void append_cifar10(Dataset& data, std::span<const std::uint8_t> batch, const std::string& name) {
  data.shape = {data.size(), 3, 32, 32};
  const auto image = static_cast<std::size_t>(data.shape.image());
  if (batch.empty()) fail(name, "expected records of " + std::to_string(image + 1) + " bytes, found an empty file");
  for (std::size_t record = 0; !batch.empty(); ++record) {
    const std::uint8_t label = batch.front();
    if (label > 9) {
      fail(name,
           "expected a label from 0 to 9 in record " + std::to_string(record) + ", found " + std::to_string(label));
    }
    if (batch.size() < image + 1) {
      fail(name, "truncated: expected " + std::to_string(image) + " bytes of pixels in record " +
                     std::to_string(record) + ", found " + std::to_string(batch.size() - 1));
    }
    data.pixels.insert(data.pixels.end(), batch.begin() + 1, batch.begin() + 1 + static_cast<std::ptrdiff_t>(image));
    data.labels.push_back(label);
    batch = batch.subspan(image + 1);
  }
  data.shape.N = static_cast<int>(data.labels.size());
}

Dataset read_cifar10(std::span<const std::string> batches) {
  Dataset data;
  for (const std::string& path : batches) append_cifar10(data, read_file(path), path);
  return data;
}

}  // namespace pictures
