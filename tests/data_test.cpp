// SPDX-License-Identifier: MIT
// Readers of labelled images, batches made of them, and the progress line.
#include "pictures/data.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"
#include "cnn/progress.hpp"
#include "folder.hpp"

using namespace cnn;
using namespace pictures;
using checks::contains;
using checks::Folder;

namespace {

std::string message_of(auto f) { return checks::message_of<std::runtime_error>(f); }

std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

/// Two images of 2 x 3 pixels, 0 to 11.
std::string idx_images() {
  std::string bytes = big_endian(0x803) + big_endian(2) + big_endian(2) + big_endian(3);
  for (char pixel = 0; pixel < 12; ++pixel) bytes += pixel;
  return bytes;
}
std::string idx_labels() { return big_endian(0x801) + big_endian(2) + "\x07\x02"; }

std::string cifar_record(char label) {
  std::string bytes(3073, label);
  for (std::size_t i = 1; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

}  // namespace

TEST_CASE("IDX files, plain and gzipped") {
  const Folder folder;
  const std::string labels = folder.write("labels", idx_labels());
  for (const std::string& images : {folder.write("plain", idx_images()), folder.write_gzip("zip.gz", idx_images())}) {
    const Dataset data = read_idx(images, labels);
    CHECK(data.shape == Shape{2, 1, 2, 3});
    CHECK(data.labels == std::vector{7, 2});
    CHECK(data.pixels.size() == 12);
    CHECK(data.pixels[11] == 11);
    CHECK(data.first(1).pixels.size() == 6);
    CHECK(data.first(9).size() == 2);
  }
}

TEST_CASE("bad IDX files are refused with what was expected and found") {
  const Folder folder;
  const std::string good = folder.write("good", idx_images()), labels = folder.write("labels", idx_labels());
  const auto refused = [&](const std::string& images, const std::string& part) {
    const std::string message = message_of([&] { read_idx(images, labels); });
    INFO(message);
    CHECK(contains(message, images));
    CHECK(contains(message, part));
  };
  refused((folder.path / "absent").string(), "cannot be opened");
  refused(folder.write("empty", ""), "expected 4 bytes of magic number, found 0");
  refused(labels, "expected magic number 2051");
  refused(folder.write("magic", "not an IDX file at all"), "found 1852797984");
  refused(folder.write("short_head", idx_images().substr(0, 10)), "sizes, found 6");
  refused(folder.write("truncated", idx_images().substr(0, 20)), "expected 12 bytes of values, found 4");
  refused(folder.write("oversized", idx_images() + "x"), "oversized");
  refused(folder.write_gzip("oversized.gz", idx_images() + "x"), "oversized");
  refused(folder.write("huge", big_endian(0x803) + big_endian(0x7FFFFFFF) + big_endian(2) + big_endian(3)), "2^31");
  refused(folder.write("wrapping", big_endian(0x803) + big_endian(65536) + big_endian(65536) + big_endian(65536)),
          "2^31");
  refused(folder.write("none", big_endian(0x803) + big_endian(0) + big_endian(2) + big_endian(3)), "size 0");
  refused(folder.write("claims", big_endian(0x803) + big_endian(0x1FFFFFFF) + big_endian(1) + big_endian(3)),
          "found 0");

  const std::string zip = folder.write_gzip("cut.gz", idx_images());
  std::filesystem::resize_file(zip, std::filesystem::file_size(zip) - 10);
  refused(zip, "expected");

  const std::string three = folder.write("three", big_endian(0x801) + big_endian(3) + "\x01\x02\x03");
  CHECK(contains(message_of([&] { read_idx(good, three); }), "expected 2 labels"));
}

TEST_CASE("CIFAR-10 batches") {
  const Folder folder;
  const std::string one = folder.write("one", cifar_record(3) + cifar_record(9));
  const std::string two = folder.write_gzip("two.gz", cifar_record(0));
  const Dataset data = read_cifar10(std::vector{one, two});
  CHECK(data.shape == Shape{3, 3, 32, 32});
  CHECK(data.labels == std::vector{3, 9, 0});
  CHECK(data.pixels[3071] == 3072 % 251);

  const auto refused = [&](const std::string& file, const std::string& part) {
    const std::string message = message_of([&] { read_cifar10(std::vector{file}); });
    INFO(message);
    CHECK(contains(message, file));
    CHECK(contains(message, part));
  };
  refused(folder.write("truncated", cifar_record(3).substr(0, 3000)),
          "expected 3072 bytes of pixels in record 0, found 2999");
  refused(folder.write("oversized", cifar_record(3) + "\x01"), "record 1, found 0");
  refused(folder.write("label", cifar_record(10)), "found 10");
  refused(folder.write("empty", ""), "empty");
  refused((folder.path / "absent").string(), "cannot be opened");
}

TEST_CASE("whole files, plain and gzipped, up to a limit") {
  const Folder folder;
  const std::string text(100000, 'x');
  for (const std::string& file : {folder.write("plain", text), folder.write_gzip("zip.gz", text)}) {
    CHECK(read_file(file) == std::vector<std::uint8_t>(text.begin(), text.end()));
    CHECK(read_file(file, 100000).size() == 100000);
    CHECK(contains(message_of([&] { read_file(file, 99999); }), file + ": oversized"));
  }
  CHECK(contains(message_of([&] { read_file(folder.path.string()); }), folder.path.string()));
}

TEST_CASE("batches are scaled after the mean is taken off") {
  const Dataset data{{2, 2, 1, 2}, {10, 20, 30, 40, 50, 60, 70, 80}, {1, 0}};
  Batch batch;
  const std::vector<int> second{1};
  fill(batch, data, second, {.scale = 0.5f});
  CHECK(batch.images.shape() == Shape{1, 2, 1, 2});
  CHECK(batch.labels == std::vector{0});
  CHECK(batch.images[3] == 40);
  fill(batch, data, second, {.scale = 0.5f, .mean = {50, 60}});
  CHECK(batch.images[1] == 5);
  CHECK(batch.images[3] == 10);
  fill(batch, data, second, {.scale = 1, .mean = {1, 2, 3, 4}});
  CHECK(batch.images[2] == 67);
  CHECK_THROWS_AS(fill(batch, data, second, {.mean = {1, 2, 3}}), std::invalid_argument);
  CHECK_THROWS_AS(fill(batch, data, std::vector{2}), std::invalid_argument);
}

TEST_CASE("shuffling is a permutation that the seed and the epoch decide") {
  std::vector<int> order = shuffled(100, 1, 2);
  CHECK(order == shuffled(100, 1, 2));
  CHECK(order != shuffled(100, 1, 3));
  CHECK(order != shuffled(100, 2, 2));
  std::sort(order.begin(), order.end());
  std::vector<int> identity(100);
  std::iota(identity.begin(), identity.end(), 0);
  CHECK(order == identity);
  CHECK(shuffled(0, 1, 1).empty());
}

TEST_CASE("the progress line tells rate and remaining time") {
  CHECK(progress_text("train", "img", 6100, 10000, 5) == "train   61%  6100/10000 img  1220 img/s  ETA 0:03");
  CHECK(progress_text("train", "img", 10000, 10000, 3725) == "train  100%  10000/10000 img  2.68 img/s  1:02:05");
  CHECK(progress_text("train", "img", 0, 10, 0) == "train    0%  0/10 img  0.00 img/s  ETA ?");
}

TEST_CASE("progress in a file is plain lines, about one per tenth") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    Progress progress("score", 1000, "img", file);
    for (int i = 1; i <= 1000; ++i) progress.at(i);
    progress.at(1000);
  }
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text.push_back(static_cast<char>(c));
  std::fclose(file);
  CHECK(std::count(text.begin(), text.end(), '\n') == 10);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
}
