// SPDX-License-Identifier: MIT
// Sources of labelled pictures, the transforms, and bad files of every kind.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "caffe/pictures.hpp"
#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"
#include "pictures/lmdb_file.hpp"
#include "pictures/xz_file.hpp"
#include "sample_files.hpp"

using namespace caffe_files;
using namespace pictures;
using checks::contains;
using checks::Folder;
using cnn::Shape;

namespace {

std::string message_of(auto f) { return checks::message_of<std::runtime_error>(f); }

std::vector<std::string> datums(int count, int channels, int height, int width) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(samples::datum(i, channels, height, width));
  return all;
}

std::string open_message(const std::string& spec, const SourceOptions& how = {}) {
  return message_of([&] { open_source(spec, how); });
}

std::string read_message(const std::string& spec, const SourceOptions& how = {}) {
  return message_of([&] {
    Source source = open_source(spec, how);
    pictures::Batch batch;
    for (std::int64_t i = 0; i < source.size; ++i) source.read(i, 1, batch);
  });
}

std::string complaint(const std::string& spec, const SourceOptions& how = {}) {
  return checks::message_of<std::invalid_argument>([&] { open_source(spec, how); });
}

/// A database of 8 pictures of 3 x 6 x 8, with values as in samples::datum.
struct Database {
  Folder folder{};
  std::string spec = "lmdb:" + folder.path.string();

  Database() { samples::lmdb(folder.path.string(), datums(8, 3, 6, 8)); }
};

float pattern(int c, int y, int x) { return static_cast<float>(samples::pattern(c, y, x)); }

int stored_value(std::int64_t record, int c, int y, int x) {
  return (samples::pattern(c, y, x) + static_cast<int>(record)) % 256;
}

}  // namespace

TEST_CASE("IDX folders, plain and gzipped, of training and of test images") {
  const Folder folder;
  folder.write("t10k-images-idx3-ubyte", samples::idx_images(2));
  folder.write("t10k-labels-idx1-ubyte", samples::idx_labels(2));
  folder.write_gzip("train-images-idx3-ubyte.gz", samples::idx_images(3));
  folder.write_gzip("train-labels-idx1-ubyte.gz", samples::idx_labels(3));
  const std::string spec = "idx:" + folder.path.string();
  Source test = open_source(spec, {.transform = {.scale = 0.5f}}), training = open_source(spec, {.training = true});
  CHECK(test.size == 2);
  CHECK(training.size == 3);
  CHECK(test.image == Shape{1, 1, 2, 3});
  pictures::Batch batch;
  test.read(1, 2, batch);  // the second image and, from the next epoch, the first
  CHECK(batch.images.shape() == Shape{2, 1, 2, 3});
  CHECK(batch.labels == std::vector{1, 0});
  CHECK(batch.images[0] == 3);
  CHECK(batch.images[11] == 2.5f);
}

TEST_CASE("CIFAR-10 folders, plain, gzipped and packed by xz") {
  const Folder folder;
  folder.write("data_batch_1.bin", samples::cifar_record(3) + samples::cifar_record(4));
  folder.write_gzip("data_batch_2.bin.gz", samples::cifar_record(5));
  folder.write("data_batch_4.bin.xz", samples::xz(samples::cifar_record(6)));
  folder.write("test_batch.bin", samples::cifar_record(9));
  const std::string spec = "cifar10:" + folder.path.string();
  Source training = open_source(spec, {.training = true}), test = open_source(spec);
  CHECK(training.size == 4);
  CHECK(test.size == 1);
  CHECK(training.image == Shape{1, 3, 32, 32});
  pictures::Batch batch;
  training.read(0, 4, batch);
  CHECK(batch.labels == std::vector{3, 4, 5, 6});
  CHECK(batch.images.image(3)[0] == 7);  // 1 + label
  CHECK(batch.images.image(3)[3071] == (3072 + 6) % 251);
}

TEST_CASE("lists of pictures") {
  const Folder folder;
  std::filesystem::create_directories(folder.path / "sub dir");
  folder.write("a.png", samples::png(3, 6, 8));
  folder.write("sub dir/b.png", samples::png(1, 6, 8));
  folder.write("c.jpg", samples::jpeg(6, 8));
  const std::string list = folder.write("list.txt", "a.png 3\r\n\nsub dir/b.png 14\n" + (folder / "c.jpg") + "  7");
  Source source = open_source("images:" + list);
  CHECK(source.size == 3);
  CHECK(source.image == Shape{1, 3, 6, 8});
  pictures::Batch batch;
  source.read(0, 3, batch);
  CHECK(batch.labels == std::vector{3, 14, 7});
  CHECK(batch.images[0] == pattern(2, 0, 0));  // B comes first
  CHECK(batch.images.image(1)[0] == pattern(0, 0, 0));
  CHECK(batch.images.image(1)[2 * 48 + 47] == pattern(0, 5, 7));

  const Folder elsewhere;
  const std::string other = elsewhere.write("list", "a.png 1\n");
  CHECK(open_source("images:" + other, {.root_folder = folder.path.string() + "/"}).size == 1);
  CHECK(open_source("images:" + list, {.colours = Colours::grey}).image == Shape{1, 1, 6, 8});
  CHECK(open_source("images:" + list, {.new_height = 12, .new_width = 5}).image == Shape{1, 3, 12, 5});
}

TEST_CASE("databases of raw, encoded and float records, in the order of the keys") {
  const Folder folder;
  std::vector<std::string> records = datums(3, 3, 6, 8);
  records.push_back(samples::encoded_datum(11, samples::png(3, 6, 8)));
  caffe::Datum floats;
  floats.set_channels(3);
  floats.set_height(6);
  floats.set_width(8);
  floats.set_label(12);
  for (int i = 0; i < 144; ++i) floats.add_float_data(static_cast<float>(i) + 0.25f);
  records.push_back(floats.SerializeAsString());
  samples::lmdb(folder.path.string(), records);
  for (const std::string& path : {folder.path.string(), folder / "data.mdb"}) {
    Source source = open_source("lmdb:" + path);
    CHECK(source.size == 5);
    CHECK(source.image == Shape{1, 3, 6, 8});
    pictures::Batch batch;
    source.read(0, 5, batch);
    CHECK(batch.labels == std::vector{0, 1, 2, 11, 12});
    CHECK(batch.images.image(2)[0] == 2);
    CHECK(batch.images.image(2)[143] == pattern(2, 5, 7) + 2);
    CHECK(batch.images.image(3)[0] == pattern(2, 0, 0));  // B comes first in encoded records
    CHECK(batch.images.image(4)[143] == 143.25f);
  }
  CHECK(std::filesystem::exists(folder.path / "lock.mdb") == false);
}

TEST_CASE("a database of many records, with values in pages of their own") {
  const Folder folder;
  samples::lmdb(folder.path.string(), datums(700, 3, 9, 11 * 16));
  Source source = open_source("lmdb:" + folder.path.string());
  CHECK(source.size == 700);
  pictures::Batch batch;
  source.read(690, 10, batch);
  CHECK(batch.labels.front() == 690);
  CHECK(batch.images[1] == (5 + 690) % 256);
}

TEST_CASE("databases with small pages") {
  const Folder folder;
  for (const int count : {0, 1, 2, 40}) {
    std::vector<std::string> records = datums(count, 1, 4, 5);
    for (std::size_t i = 1; i < records.size(); i += 3) records[i] = samples::datum(static_cast<int>(i), 1, 30, 40);
    const std::string file = folder.write("small.mdb", samples::small_lmdb(records));
    const LmdbFile database(file);
    REQUIRE(database.records().size() == records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      CHECK(database.records()[i].key == samples::key(i));
      const auto value = database.records()[i].value;
      CHECK(std::string(value.begin(), value.end()) == records[i]);
    }
  }
}

TEST_CASE("transforms are those of plain loops") {
  const Database database;
  const int H = 6, W = 8;
  cnn::Tensor mean({1, 3, H, W});
  for (cnn::Index i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(i) * 0.37f;
  for (const int crop : {0, 1, 3, 6}) {
    for (const int means : {0, 1, 3, -1}) {
      SourceOptions how{.transform = {.scale = 0.125f, .crop_size = crop}};
      if (means > 0) how.transform.mean_values = {10.5f, 20.25f, 30.125f};
      if (means == 1) how.transform.mean_values.resize(1);
      if (means == -1) how.transform.mean = mean;
      Source source = open_source(database.spec, how);
      const int h = crop == 0 ? H : crop, w = crop == 0 ? W : crop;
      REQUIRE(source.image == Shape{1, 3, h, w});
      pictures::Batch batch;
      source.read(2, 3, batch);
      int wrong = 0;
      for (int n = 0; n < 3; ++n) {
        for (int c = 0; c < 3; ++c) {
          for (int y = 0; y < h; ++y) {
            for (int x = 0; x < w; ++x) {
              const int top = (H - h) / 2 + y, left = (W - w) / 2 + x;
              float m = 0;
              if (means > 0) m = how.transform.mean_values[static_cast<std::size_t>(means == 1 ? 0 : c)];
              if (means == -1) m = mean[(c * H + top) * W + left];
              const float expected = (static_cast<float>(stored_value(n + 2, c, top, left)) - m) * 0.125f;
              wrong += batch.images.image(n)[(c * h + y) * w + x] != expected;
            }
          }
        }
      }
      INFO(crop << " " << means);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("parts and mirroring in training: every place comes, and the mean goes along") {
  const Database database;
  cnn::Tensor mean({1, 3, 6, 8});
  for (cnn::Index i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(i);
  Source source =
      open_source(database.spec, {.transform = {.mirror = true, .crop_size = 5, .mean = mean}, .training = true});
  std::map<std::tuple<int, int, bool>, int> places;
  pictures::Batch batch;
  source.read(0, 800, batch);
  for (int n = 0; n < 800; ++n) {
    int matches = 0;
    for (int top = 0; top < 2; ++top) {
      for (int left = 0; left < 4; ++left) {
        for (const bool mirrored : {false, true}) {
          bool same = true;
          for (int i = 0; i < 75 && same; ++i) {
            const int c = i / 25, y = i / 5 % 5 + top, x = (mirrored ? 4 - i % 5 : i % 5) + left;
            const float expected = static_cast<float>(stored_value(n % 8, c, y, x)) - mean[(c * 6 + y) * 8 + x];
            same = batch.images.image(n)[i] == expected;
          }
          if (same) ++places[{top, left, mirrored}];
          matches += same;
        }
      }
    }
    if (matches != 1) FAIL("picture " << n << " is at " << matches << " places");
  }
  CHECK(places.size() == 16);
  for (const auto& [place, times] : places) CHECK(std::abs(times - 50) < 35);  // 5 standard deviations
}

TEST_CASE("what a number looks like is a function of it and the seed") {
  const Database database;
  const SourceOptions how{.transform = {.mirror = true, .crop_size = 4}, .training = true, .shuffle = true, .seed = 5};
  Source one = open_source(database.spec, how), other = open_source(database.spec, how);
  pictures::Batch whole, part;
  one.read(0, 40, whole);
  for (const int first : {33, 0, 7, 14, 26}) {  // in any order, across epochs
    other.read(first, 7, part);
    const cnn::Index image = one.image.image();
    CHECK(std::equal(part.images.data(), part.images.data() + 7 * image, whole.images.image(first)));
    CHECK(std::equal(part.labels.begin(), part.labels.end(), whole.labels.begin() + first));
  }
  SourceOptions again = how;
  again.seed = 6;
  Source third = open_source(database.spec, again);
  third.read(0, 40, part);
  CHECK(part.labels != whole.labels);
  std::set<std::vector<int>> orders;
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::vector<int> order(whole.labels.begin() + 8 * epoch, whole.labels.begin() + 8 * epoch + 8);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    CHECK(order == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
  }
  CHECK(orders.size() >= 4);
}

TEST_CASE("pictures that are kept look like those that are not") {
  const Folder folder;
  std::vector<std::string> records = datums(4, 3, 6, 8);
  records.push_back(samples::datum(4, 3, 9, 9));
  samples::lmdb(folder.path.string(), records);
  pictures::Batch expected, batch;
  for (const std::size_t bytes : {0u, 700u, 800u, 1u << 20}) {  // none; none; all but the last; all
    Source source = open_source("lmdb:" + folder.path.string(),
                                {.transform = {.mirror = true, .crop_size = 4}, .training = true, .keep_bytes = bytes});
    if (bytes == 0) source.read(0, 20, expected);
    for (const int first : {0, 7}) {  // the second time some are known, some are not, and some come twice
      source.read(first, 13, batch);
      CHECK(std::equal(batch.images.data(), batch.images.data() + batch.images.size(), expected.images.image(first)));
      CHECK(std::equal(batch.labels.begin(), batch.labels.end(), expected.labels.begin() + first));
    }
  }
}

TEST_CASE("without a crop the mean of a file is taken off pixel by pixel") {
  const Folder folder;
  caffe::BlobProto blob;
  blob.set_num(1);
  blob.set_channels(3);
  blob.set_height(6);
  blob.set_width(8);
  for (int i = 0; i < 144; ++i) blob.add_data(static_cast<float>(i));
  const std::string file = folder.write("mean.binaryproto", blob.SerializeAsString());
  CHECK(read_mean(file).shape() == Shape{1, 3, 6, 8});
  CHECK(read_mean(file)[143] == 143);
  caffe::TransformationParameter said;
  said.set_mean_file(file);
  said.set_scale(2);
  said.set_crop_size(4);
  said.set_mirror(true);
  const Transform transform = transform_of(said, "data");
  CHECK(transform.scale == 2);
  CHECK(transform.crop_size == 4);
  CHECK(transform.mirror);
  CHECK(transform.mean[7] == 7);

  caffe::BlobProto modern;
  for (const int dim : {3, 6, 8}) modern.mutable_shape()->add_dim(dim);
  *modern.mutable_data() = blob.data();
  CHECK(read_mean(folder.write("modern", modern.SerializeAsString())).shape() == Shape{1, 3, 6, 8});

  const auto refused = [&](const std::string& bytes, const std::string& part) {
    folder.write("bad", bytes);
    std::string message;
    try {
      read_mean(folder / "bad");
    } catch (const std::exception& e) {
      message = e.what();
    }
    INFO(message);
    CHECK(contains(message, folder / "bad: "));
    CHECK(contains(message, part));
  };
  refused("not a blob", "damaged");
  refused("", "expected a mean image of C x H x W values");
  blob.set_width(7);
  refused(blob.SerializeAsString(), "144 values");
  blob.set_width(0x7FFFFFFF);
  refused(blob.SerializeAsString(), "2147483647");
  blob.set_width(-8);
  refused(blob.SerializeAsString(), "-8");
  blob.set_width(8);
  blob.set_num(2);
  refused(blob.SerializeAsString(), "found the sizes 2 x 3 x 6 x 8");
  CHECK_THROWS_AS(read_mean(folder / "absent"), std::runtime_error);
}

TEST_CASE("what the data layers of a net say") {
  DataLayer layer{.name = "data", .type = "Data", .source = "train_lmdb", .backend = caffe::DataParameter::LMDB};
  layer.transform.set_crop_size(4);
  CHECK(source_of(layer) == "lmdb:train_lmdb");
  CHECK(options_of(layer, true).training);
  CHECK(options_of(layer, true).transform.crop_size == 4);
  CHECK(!options_of(layer, false).colours);
  layer.transform.set_force_gray(true);
  CHECK(options_of(layer, false).colours == Colours::grey);
  layer.transform.clear_force_gray();
  layer.transform.set_force_color(true);
  CHECK(options_of(layer, false).colours == Colours::bgr);
  layer.backend = caffe::DataParameter::LEVELDB;
  CHECK_THROWS_AS(source_of(layer), std::invalid_argument);

  DataLayer list{.name = "data", .type = "ImageData", .source = "list.txt"};
  list.images.set_new_height(5);
  list.images.set_new_width(6);
  list.images.set_shuffle(true);
  list.images.set_root_folder("root/");
  CHECK(source_of(list) == "images:list.txt");
  const SourceOptions how = options_of(list, false);
  CHECK(how.new_height == 5);
  CHECK(how.new_width == 6);
  CHECK(how.shuffle);
  CHECK(how.root_folder == "root/");
  CHECK(how.colours == Colours::bgr);
  list.images.set_is_color(false);
  CHECK(options_of(list, false).colours == Colours::grey);
  list.images.set_new_width(0xFFFFFFFF);
  CHECK_THROWS_AS(options_of(list, false), std::invalid_argument);
  CHECK(source_of({.name = "data", .type = "Input"}).empty());
}

TEST_CASE("specs and options that do not fit are refused with the remedy") {
  CHECK(contains(complaint("mnist"), "choose idx:FOLDER, cifar10:FOLDER, images:LIST or lmdb:FOLDER"));
  CHECK(contains(complaint("leveldb:x"), "unknown source \"leveldb:x\""));
  CHECK(contains(complaint("idx:"), "unknown source \"idx:\""));
  const Database database;
  CHECK(contains(complaint(database.spec, {.transform = {.crop_size = 7}}), "crop_size is 7, pictures are 3 x 6 x 8"));
  CHECK(contains(complaint(database.spec, {.transform = {.mean_values = {1, 2}}}), "2 mean values for 3 channels"));
  CHECK(
      contains(complaint(database.spec, {.transform = {.mean = cnn::Tensor({1, 3, 8, 6})}}), "the mean is 3 x 8 x 6"));
  CHECK(contains(complaint(database.spec, {.transform = {.mean_values = {1}, .mean = cnn::Tensor({1, 3, 6, 8})}}),
                 "give one"));
  CHECK(contains(complaint(database.spec, {.new_height = 3}), "give both"));
  Source source = open_source(database.spec);
  pictures::Batch batch;
  CHECK_THROWS_AS(source.read(0, 0, batch), std::invalid_argument);
  CHECK_THROWS_AS(source.read(-1, 1, batch), std::invalid_argument);
  CHECK_THROWS_AS(source.read(0, 0x7FFFFFFF, batch), std::invalid_argument);
  caffe::TransformationParameter said;
  said.set_crop_size(0xFFFFFFFF);
  CHECK_THROWS_AS(transform_of(said, "data"), std::invalid_argument);
}

TEST_CASE("absent and empty files") {
  const Folder folder;
  const std::string path = folder.path.string();
  CHECK(contains(open_message("idx:" + path), "t10k-images-idx3-ubyte: cannot be found"));
  CHECK(contains(open_message("idx:" + path, {.training = true}), "train-images-idx3-ubyte: cannot be found"));
  CHECK(contains(open_message("cifar10:" + path), "test_batch.bin: cannot be found"));
  CHECK(contains(open_message("cifar10:" + path, {.training = true}), "data_batch_1.bin: cannot be found"));
  CHECK(contains(open_message("images:" + path + "/absent"), "absent: cannot be opened"));
  CHECK(contains(open_message("images:" + folder.write("list", "")), "expected pictures, found none"));
  CHECK(contains(open_message("lmdb:" + path), "data.mdb: cannot be opened"));
  CHECK(contains(open_message("lmdb:" + path + "/absent"), "absent: cannot be opened"));
  folder.write("data.mdb", "");
  CHECK(contains(open_message("lmdb:" + path), "data.mdb: truncated: expected 152 bytes at 0"));
  const Folder empty;
  samples::lmdb(empty.path.string(), {});
  CHECK(contains(open_message("lmdb:" + empty.path.string()), "found none"));
}

TEST_CASE("bad CIFAR-10 files packed by xz") {
  const Folder folder;
  const std::string spec = "cifar10:" + folder.path.string(), whole = samples::xz(samples::cifar_record(3));
  const auto refused = [&](const std::string& bytes, const std::string& part) {
    folder.write("test_batch.bin.xz", bytes);
    const std::string message = open_message(spec);
    INFO(message);
    CHECK(contains(message, "test_batch.bin.xz: "));
    CHECK(contains(message, part));
  };
  refused(whole.substr(0, 60), "truncated");
  refused(whole + "x", "expected");
  refused("no xz file at all", "another format");
  std::string damaged = whole;
  damaged[40] = static_cast<char>(damaged[40] ^ 1);
  refused(damaged, "damaged");
  refused(samples::xz(samples::cifar_record(10)), "found 10");
  refused(samples::xz("\x01"), "record 0, found 0");
  refused("", "expected");
  folder.write("zeros.xz", samples::xz(std::string(100000, '\0')));
  CHECK(contains(message_of([&] { read_xz_file(folder / "zeros.xz", 99999); }), "oversized"));
  CHECK(read_xz_file(folder / "zeros.xz", 100000).size() == 100000);
}

TEST_CASE("bad lists name the line") {
  const Folder folder;
  folder.write("a.png", samples::png(3, 6, 8));
  folder.write("small.png", samples::png(3, 4, 4));
  folder.write("cut.png", samples::png(3, 6, 8).substr(0, 70));
  const auto refused = [&](const std::string& list, const std::string& part) {
    const std::string message = read_message("images:" + folder.write("list", list));
    INFO(message);
    CHECK(contains(message, folder / "list"));
    CHECK(contains(message, part));
  };
  refused("a.png 0\na.png\n", "line 2: expected a path, a blank and a label from 0 on, found \"a.png\"");
  refused("a.png x\n", "line 1: expected a path");
  refused("a.png 1x\n", "line 1: expected a path");
  refused("a.png -1\n", "line 1: expected a path");
  refused("a.png 99999999999\n", "line 1: expected a path");
  refused(std::string("\x7f\x45LF\0\1\2\3", 8),
          "line 1: expected a path, a blank and a label from 0 on, found \"?ELF????\"");
  refused(std::string(100000, 'x'), "line 1: expected");
  refused("a.png 0\n\nabsent.png 1\n", "line 3: ");
  refused("a.png 0\nabsent.png 1\n", "absent.png: cannot be opened");
  refused("a.png 0\ncut.png 1\n", "cut.png: damaged PNG file");
  refused("a.png 0\nsmall.png 1\n", "small.png: expected a picture of 3 x 6 x 8, as the first, found 3 x 4 x 4");
  refused("a.png 0\n. 1\n", "line 2: ");
}

TEST_CASE("pictures of several sizes need a crop that fits them all") {
  const Folder folder;
  const std::vector<std::string> records{samples::datum(0, 3, 6, 8), samples::datum(1, 3, 5, 5),
                                         samples::datum(2, 3, 4, 9), samples::datum(3, 1, 6, 8)};
  samples::lmdb(folder.path.string(), records);
  Source source = open_source("lmdb:" + folder.path.string(), {.transform = {.crop_size = 4}});
  pictures::Batch batch;
  source.read(0, 3, batch);
  CHECK(batch.images.image(1)[0] == 1);
  CHECK(batch.images.image(2)[0] == pattern(0, 0, 2) + 2);
  CHECK(contains(message_of([&] { source.read(3, 1, batch); }),
                 "record 3: expected a picture of 3 x 6 x 8, as the first, or at least of 3 x 4 x 4, found 1 x 6 x 8"));
  Source five = open_source("lmdb:" + folder.path.string(), {.transform = {.crop_size = 5}});
  five.read(0, 2, batch);
  CHECK(contains(message_of([&] { five.read(0, 3, batch); }), "record 2"));
  Source whole = open_source("lmdb:" + folder.path.string());
  CHECK(contains(message_of([&] { whole.read(0, 2, batch); }), "record 1: expected a picture of 3 x 6 x 8"));
}

TEST_CASE("records that do not fit are refused with their key") {
  const auto refused = [&](const std::string& record, const std::string& part) {
    const Folder folder;
    samples::lmdb(folder.path.string(), {samples::datum(0, 3, 6, 8), record});
    const std::string message = read_message("lmdb:" + folder.path.string());
    INFO(message);
    CHECK(contains(message, folder.path.string() + ": record 1, key \"00000001\": expected"));
    CHECK(contains(message, part));
  };
  const auto changed = [](const std::function<void(caffe::Datum&)>& change) {
    caffe::Datum datum;
    datum.ParseFromString(samples::datum(1, 3, 6, 8));
    change(datum);
    return datum.SerializeAsString();
  };
  refused("\xFF\xFF\xFF", "expected a Datum, found 3 other bytes");
  refused("", "channels, height and width of a picture, found 0 x 0 x 0");
  refused(samples::datum(1, 3, 6, 8).substr(0, 100), "expected a Datum");
  refused(changed([](caffe::Datum& d) { d.set_height(7); }), "expected 168 values, 3 x 7 x 8, found 144");
  refused(changed([](caffe::Datum& d) { d.set_height(-6); }), "found 3 x -6 x 8");
  refused(changed([](caffe::Datum& d) { d.set_width(0x7FFFFFFF); }), "found 3 x 6 x 2147483647");
  refused(changed([](caffe::Datum& d) { d.set_channels(0x7FFFFFFF); }), "2147483647 x 6 x 8");
  refused(changed([](caffe::Datum& d) { d.add_float_data(1); }), "found 1 and bytes beside them");
  refused(changed([](caffe::Datum& d) { d.set_label(-5); }), "a label from 0 on, found -5");
  refused(changed([](caffe::Datum& d) { d.set_encoded(true); }), "a JPEG or PNG file");
  refused(changed([](caffe::Datum& d) { d.clear_data(); }), "found 0");
  const Folder folder;
  samples::lmdb(folder.path.string(), {samples::encoded_datum(0, samples::jpeg(16, 16).substr(0, 200))});
  CHECK(contains(open_message("lmdb:" + folder.path.string()), "record 0, key \"00000000\": damaged JPEG file"));
}

TEST_CASE("the first of several errors is told, whatever the order of the threads") {
  const Folder folder;
  std::vector<std::string> records = datums(20, 1, 4, 4);
  for (const std::size_t i : {5u, 6u, 11u, 19u}) records[i] = "broken";
  samples::lmdb(folder.path.string(), records);
  Source source = open_source("lmdb:" + folder.path.string());
  pictures::Batch batch;
  for (int trial = 0; trial < 20; ++trial) {
    CHECK(contains(message_of([&] { source.read(0, 20, batch); }), "record 5, key"));
  }
  source.read(0, 5, batch);
  CHECK(batch.labels.back() == 4);
}

TEST_CASE("damaged databases are refused or read, and nothing else") {
  const Folder folder;
  std::vector<std::string> records = datums(150, 1, 5, 40);
  records.push_back(samples::datum(3, 3, 50, 50));  // in pages of its own
  samples::lmdb(folder.path.string(), records);
  const std::string file = folder / "data.mdb", spec = "lmdb:" + file;
  std::string whole;
  for (const std::uint8_t byte : pictures::read_file(file)) whole.push_back(static_cast<char>(byte));
  REQUIRE(open_message(spec) == "nothing thrown");

  for (std::size_t size = 0; size < whole.size() - 4096; size += 1000) {  // the last page is not full
    folder.write("data.mdb", whole.substr(0, size));
    const std::string message = open_message(spec);
    INFO(size << " " << message);
    CHECK(contains(message, file + ": "));
  }
  std::minstd_rand random(1);
  int refused = 0;
  for (int trial = 0; trial < 600; ++trial) {
    std::string damaged = whole;
    for (int i = 0; i <= trial % 3; ++i) {
      const std::size_t page = random() % (whole.size() / 4096) * 4096;  // most of what liblmdb trusts is at the start
      damaged[page + random() % (trial % 2 == 0 ? 200 : 4096)] = static_cast<char>(random());
    }
    folder.write("data.mdb", damaged);
    const std::string message = read_message(spec, {.transform = {.crop_size = 1}});
    refused += message != "nothing thrown";
  }
  CHECK(refused > 60);
}

TEST_CASE("databases of a kind that is not read are refused") {
  const Folder folder;
  samples::lmdb(folder.path.string(), {"a", "b"}, MDB_DUPSORT);
  CHECK(contains(open_message("lmdb:" + folder.path.string()), "expected plain keys and values"));
  folder.write("data.mdb", std::string(8192, 'x'));
  CHECK(contains(open_message("lmdb:" + folder.path.string()), "expected an LMDB database, found no magic number"));
}

TEST_CASE("MNIST and CIFAR-10 in full") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  for (const bool training : {false, true}) {
    Source mnist = open_source("idx:" + data + "mnist", {.training = training});
    CHECK(mnist.size == (training ? 60000 : 10000));
    CHECK(mnist.image == Shape{1, 1, 28, 28});
    Source cifar = open_source("cifar10:" + data + "cifar10", {.training = training});
    CHECK(cifar.size == (training ? 20000 : 10000));
    pictures::Batch batch;
    std::vector<int> count(10);
    for (std::int64_t first = 0; first < cifar.size; first += 1000) {
      cifar.read(first, 1000, batch);
      for (const int label : batch.labels) ++count[static_cast<std::size_t>(label)];
    }
    if (!training) CHECK(count == std::vector<int>(10, 1000));
  }
  const cnn::Tensor mean = read_mean(data + "cifar10_full/mean.binaryproto");
  CHECK(mean.shape() == Shape{1, 3, 32, 32});
  Source centred = open_source("cifar10:" + data + "cifar10", {.transform = {.mean = mean}});
  pictures::Batch batch;
  centred.read(0, 10000, batch);
  double sum = 0;
  for (const float x : batch.images.values()) sum += x;
  CHECK(std::abs(sum / static_cast<double>(batch.images.size())) < 1);
}

TEST_CASE("decoded and cropped photographs equal the reference inputs") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  const std::vector<std::uint8_t> reference =
      read_xz_file(data + "squeezenet/reference_inputs_20x3x227x227_bgr_u8.bin.xz");
  Source source = open_source("images:" + data + "imagenet1k-sample/dev/labels.txt", {.transform = {.crop_size = 227}});
  CHECK(source.size == 500);
  pictures::Batch batch;
  source.read(0, 20, batch);
  REQUIRE(reference.size() == static_cast<std::size_t>(batch.images.size()));
  int different = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    different += batch.images[static_cast<cnn::Index>(i)] != static_cast<float>(reference[i]);
  }
  CHECK(different == 0);
}

TEST_CASE("every photograph of the samples can be read") {
  const std::string data = checks::published("data");
  if (data.empty()) return;
  for (const std::string set : {"imagenet1k-sample", "imagenet-val-sample"}) {
    Source source = open_source("images:" + data + set + "/dev/labels.txt", {.transform = {.crop_size = 227}});
    CHECK(source.size == 500);
    pictures::Batch batch;
    for (std::int64_t first = 0; first < source.size; first += 50) source.read(first, 50, batch);
    CHECK(batch.labels.back() >= 0);
  }
}
