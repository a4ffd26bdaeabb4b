// SPDX-License-Identifier: MIT
// JPEG and PNG files: pixels, resizing, and damaged files.
#include "pictures/image.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "checks.hpp"
#include "folder.hpp"
#include "sample_files.hpp"

using namespace pictures;
using checks::contains;

namespace {

std::string message_of(auto f) { return checks::message_of<std::runtime_error>(f); }

Picture decode(const std::string& file, Colours colours = Colours::bgr) {
  return decode_picture({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, "NAME", colours);
}

int value(const Picture& p, int c, int y, int x) {
  return p.values[static_cast<std::size_t>(c * p.shape.plane() + y * p.shape.W + x)];
}

/// The largest difference between a picture and the pattern, whose channels are R, G, B in the file.
int worst_difference(const Picture& p) {
  int worst = 0;
  for (int c = 0; c < p.shape.C; ++c) {
    for (int y = 0; y < p.shape.H; ++y) {
      for (int x = 0; x < p.shape.W; ++x) {
        worst = std::max(worst, std::abs(value(p, c, y, x) - samples::pattern(p.shape.C - 1 - c, y, x)));
      }
    }
  }
  return worst;
}

std::string refusal(const std::string& file) {
  return message_of([&] { decode(file); });
}

bool accepts(const std::string& file) { return refusal(file) == "nothing thrown"; }

/// A PNG file whose header names another size, with a right checksum.
std::string png_of_size(std::uint32_t width, std::uint32_t height) {
  std::string file = samples::png(3, 4, 4);
  file.replace(16, 8, samples::big_endian(width) + samples::big_endian(height));
  const auto* header = reinterpret_cast<const Bytef*>(file.data() + 12);
  return file.replace(29, 4, samples::big_endian(static_cast<std::uint32_t>(crc32(0, header, 17))));
}

/// A JPEG file whose header names another size.
std::string jpeg_of_size(int height, int width, const samples::JpegSettings& how = {}) {
  std::string file = samples::jpeg(16, 16, how);
  const char marker = static_cast<char>(how.progressive ? 0xC2 : 0xC0);
  const std::size_t frame = file.find(std::string{'\xFF', marker}) + 5;
  int at = 0;
  for (const int byte : {height >> 8, height, width >> 8, width}) {
    file[frame + static_cast<std::size_t>(at++)] = static_cast<char>(byte);
  }
  return file;
}

}  // namespace

TEST_CASE("PNG files keep every pixel") {
  for (const int channels : {1, 3}) {
    const Picture picture = decode(samples::png(channels, 5, 9), Colours::as_stored);
    CHECK(picture.shape == cnn::Shape{1, channels, 5, 9});
    CHECK(worst_difference(picture) == 0);
  }
  const Picture grey = decode(samples::png(1, 5, 9));
  CHECK(grey.shape == cnn::Shape{1, 3, 5, 9});
  CHECK(value(grey, 0, 4, 8) == samples::pattern(0, 4, 8));
  CHECK(value(grey, 2, 4, 8) == samples::pattern(0, 4, 8));

  const std::string interlaced = samples::png(samples::pattern_pixels(3, 13, 11), 13, 11, {.interlaced = true});
  CHECK(worst_difference(decode(interlaced)) == 0);
}

TEST_CASE("PNG files of other depths and colours") {
  // alpha is dropped
  const Picture rgba = decode(samples::png({10, 20, 30, 0, 40, 50, 60, 255}, 1, 2, {PNG_COLOR_TYPE_RGB_ALPHA, 8}));
  CHECK(rgba.values == std::vector<std::uint8_t>{30, 60, 20, 50, 10, 40});
  const Picture grey_alpha =
      decode(samples::png({10, 0, 20, 255}, 1, 2, {PNG_COLOR_TYPE_GRAY_ALPHA, 8}), Colours::as_stored);
  CHECK(grey_alpha.values == std::vector<std::uint8_t>{10, 20});
  // the upper 8 of 16 bits
  const Picture deep = decode(samples::png({1, 255, 2, 255, 3, 255}, 1, 1, {PNG_COLOR_TYPE_RGB, 16}));
  CHECK(deep.values == std::vector<std::uint8_t>{3, 2, 1});
  // one bit is black or white, two bits are thirds
  const Picture bilevel = decode(samples::png({0b10100000}, 1, 3, {PNG_COLOR_TYPE_GRAY, 1}), Colours::grey);
  CHECK(bilevel.values == std::vector<std::uint8_t>{255, 0, 255});
  const Picture two_bits = decode(samples::png({0b00011011}, 1, 4, {PNG_COLOR_TYPE_GRAY, 2}), Colours::as_stored);
  CHECK(two_bits.values == std::vector<std::uint8_t>{0, 85, 170, 255});
  // palettes
  const Picture palette = decode(samples::png({3, 200}, 1, 2, {PNG_COLOR_TYPE_PALETTE, 8}), Colours::as_stored);
  CHECK(palette.values == std::vector<std::uint8_t>{7, 7, 252, 55, 3, 200});
  // luma of a colour picture
  CHECK(decode(samples::png({255, 0, 0}, 1, 1), Colours::grey).values == std::vector<std::uint8_t>{76});
}

TEST_CASE("JPEG files, baseline and progressive") {
  for (const int sampling : {1, 2}) {
    const samples::JpegSettings how{.quality = 100, .sampling = sampling};
    const Picture picture = decode(samples::jpeg(12, 8, how));
    CHECK(picture.shape == cnn::Shape{1, 3, 12, 8});
    CHECK(worst_difference(picture) <= 12);
    samples::JpegSettings other = how;
    other.progressive = true;
    CHECK(decode(samples::jpeg(12, 8, other)).values == picture.values);
    other.arithmetic = true;
    CHECK(decode(samples::jpeg(12, 8, other)).values == picture.values);
  }
  const std::string grey = samples::jpeg(12, 8, {.colours = JCS_GRAYSCALE, .quality = 100});
  CHECK(decode(grey, Colours::as_stored).shape == cnn::Shape{1, 1, 12, 8});
  CHECK(worst_difference(decode(grey, Colours::as_stored)) <= 2);
  CHECK(decode(grey).shape == cnn::Shape{1, 3, 12, 8});
  CHECK(decode(samples::jpeg(12, 8), Colours::grey).shape == cnn::Shape{1, 1, 12, 8});
}

TEST_CASE("JPEG files with four inks are read as Adobe writes them, inverted") {
  // c, m, y, k: no ink but half of the black; then all of the cyan
  const std::vector<std::uint8_t> pixels{255, 255, 255, 128};
  std::vector<std::uint8_t> flat, cyan;
  for (int i = 0; i < 64; ++i) {
    flat.insert(flat.end(), pixels.begin(), pixels.end());
    cyan.insert(cyan.end(), {0, 255, 255, 255});
  }
  const samples::JpegSettings how{.colours = JCS_CMYK, .quality = 100};
  const Picture half = decode(samples::jpeg(flat, 8, 8, how), Colours::as_stored);
  CHECK(half.shape == cnn::Shape{1, 3, 8, 8});
  CHECK(std::all_of(half.values.begin(), half.values.end(), [](int v) { return std::abs(v - 128) <= 2; }));
  const Picture ink = decode(samples::jpeg(cyan, 8, 8, how));
  CHECK(value(ink, 0, 3, 3) >= 253);
  CHECK(value(ink, 1, 3, 3) >= 253);
  CHECK(value(ink, 2, 3, 3) <= 2);
  CHECK(decode(samples::jpeg(cyan, 8, 8, how), Colours::grey).shape == cnn::Shape{1, 1, 8, 8});
}

TEST_CASE("resizing is bilinear between pixel centres") {
  const Picture step{{1, 1, 1, 2}, {0, 100}};
  CHECK(resized(step, 1, 4).values == std::vector<std::uint8_t>{0, 25, 75, 100});
  CHECK(resized(step, 2, 2).values == std::vector<std::uint8_t>{0, 100, 0, 100});
  CHECK(resized(step, 1, 1).values == std::vector<std::uint8_t>{50});
  CHECK(resized(step, 1, 2).values == step.values);
  CHECK_THROWS_AS(resized(step, 0, 2), std::invalid_argument);
  CHECK_THROWS_AS(resized(step, 1 << 30, 1 << 30), std::invalid_argument);

  const Picture picture = decode(samples::png(3, 20, 31));
  const Picture other = resized(picture, 33, 17);
  CHECK(other.shape == cnn::Shape{1, 3, 33, 17});
  double worst = 0;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 33; ++y) {
      for (int x = 0; x < 17; ++x) {
        const double v = std::clamp((y + 0.5) * 20 / 33 - 0.5, 0., 19.), u = (x + 0.5) * 31 / 17 - 0.5;
        const int top = std::min(static_cast<int>(v), 18), left = std::min(static_cast<int>(u), 29);
        const double down = v - top, right = u - left;
        const double upper = value(picture, c, top, left) * (1 - right) + value(picture, c, top, left + 1) * right;
        const double lower =
            value(picture, c, top + 1, left) * (1 - right) + value(picture, c, top + 1, left + 1) * right;
        worst = std::max(worst, std::abs(upper * (1 - down) + lower * down - value(other, c, y, x)));
      }
    }
  }
  CHECK(worst < 1);
}

TEST_CASE("what is no picture is refused with what was found") {
  CHECK(refusal("") == "NAME: expected a JPEG or PNG file, found an empty one");
  CHECK(refusal("GIF89a") == "NAME: expected a JPEG or PNG file, found one that begins with 47 49 46 38");
  CHECK(contains(refusal("\xFF\xD8\xFF"), "NAME: damaged JPEG file: Premature end"));
  CHECK(contains(refusal("\x89PNG\r\n\x1A\n"), "NAME: damaged PNG file: truncated"));
  const checks::Folder folder;
  CHECK(contains(message_of([&] { read_picture(folder / "absent"); }), "absent: cannot be opened"));
  CHECK(contains(message_of([&] { read_picture(folder.path.string()); }), folder.path.string()));
  CHECK(contains(message_of([&] { read_picture(folder.write("empty.jpg", "")); }), "empty.jpg: expected"));
}

TEST_CASE("pictures that are cut short are refused at every length") {
  for (const std::string& whole :
       {samples::jpeg(40, 24), samples::jpeg(24, 24, {.progressive = true}),
        samples::jpeg(24, 24, {.arithmetic = true}), samples::png(3, 24, 24),
        samples::png(samples::pattern_pixels(1, 24, 24), 24, 24, {PNG_COLOR_TYPE_GRAY, 8, true})}) {
    decode(whole);
    int accepted = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) accepted += accepts(whole.substr(0, size));
    CHECK(accepted <= 1);  // libjpeg takes one byte less for the end marker
  }
}

TEST_CASE("damaged pictures are refused or decoded, and nothing else") {
  std::minstd_rand random(1);
  int refused = 0, decoded = 0;
  for (const std::string& whole :
       {samples::jpeg(40, 24), samples::jpeg(24, 24, {.progressive = true}),
        samples::jpeg(16, 16, {.arithmetic = true}), samples::jpeg(16, 16, {.colours = JCS_CMYK}),
        samples::png(3, 24, 24), samples::png({3, 200}, 1, 2, {PNG_COLOR_TYPE_PALETTE, 8})}) {
    for (int trial = 0; trial < 500; ++trial) {
      std::string damaged = whole;
      damaged[random() % damaged.size()] = static_cast<char>(random());
      const std::string message = refusal(damaged);
      ++(message == "nothing thrown" ? decoded : refused);
      if (message != "nothing thrown" && !contains(message, "NAME: ")) FAIL(message);
    }
  }
  CHECK(refused > 500);
  CHECK(decoded > 100);
}

TEST_CASE("sizes that a header only claims cost no memory") {
  CHECK(contains(refusal(jpeg_of_size(60000, 60000)), "found 60000 x 60000 pixels"));
  CHECK(contains(refusal(jpeg_of_size(9000, 9000)), "expected the 9000 x 9000 pixels of its header, found only"));
  CHECK(contains(refusal(jpeg_of_size(9000, 9000, {.progressive = true})), "9000 x 9000"));
  CHECK(contains(refusal(jpeg_of_size(0, 16)), "damaged JPEG file"));
  CHECK(contains(refusal(png_of_size(100000, 100000)), "found 100000 x 100000 pixels"));
  CHECK(contains(refusal(png_of_size(0x7FFFFFFF, 1)), "found 2147483647 x 1 pixels"));
  CHECK(contains(refusal(png_of_size(9000, 9000)), "expected the 9000 x 9000 pixels of its header, found only"));
  CHECK(contains(refusal(png_of_size(0, 1)), "damaged PNG file"));
  CHECK(contains(refusal(png_of_size(5, 4)), "damaged PNG file"));
}

TEST_CASE("a progressive file of endless scans is refused") {
  const std::string whole = samples::jpeg(16, 16, {.progressive = true});
  const std::size_t scan = whole.rfind("\xFF\xDA");
  std::string endless = whole;
  for (int i = 0; i < 200; ++i) endless.insert(scan, whole.substr(scan, whole.size() - scan - 2));
  CHECK(!accepts(endless));
}
