// SPDX-License-Identifier: MIT
// Decoding through libjpeg-turbo and libpng, and resizing.
#include "pictures/image.hpp"

#include <cstddef>
#include <cstdio>  // before jpeglib.h, which needs FILE

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
#include <stdexcept>
#include <utility>

#include "cnn/check.hpp"
#include "pictures/data.hpp"

namespace pictures {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

std::string size_text(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " pixels";
}

/// Refuses a picture of zero or too many pixels.
void check_size(const std::string& name, std::int64_t width, std::int64_t height) {
  if (width > 0 && height > 0 && width <= largest_picture / height) return;
  fail(name,
       "expected a picture of 1 to " + std::to_string(largest_picture) + " pixels, found " + size_text(width, height));
}

/// Refuses a picture whose header claims more than any file of this size can hold.
void check_claim(const std::string& name, std::int64_t width, std::int64_t height, bool possible, std::size_t bytes) {
  if (possible) return;
  fail(name, "truncated: expected the " + size_text(width, height) + " of its header, found only " +
                 std::to_string(bytes) + " bytes");
}

/// Rows of interleaved values -> planes. `to` holds planes.size() planes of `plane` values.
void scatter_row(const std::uint8_t* row, int width, int channels, std::uint8_t* to, std::ptrdiff_t plane) {
  for (int c = 0; c < channels; ++c) {
    for (int x = 0; x < width; ++x) to[c * plane + x] = row[x * channels + c];
  }
}

/// Weights of luma in 2^-14, as OpenCV has them.
std::uint8_t luma(int b, int g, int r) {
  return static_cast<std::uint8_t>((1868 * b + 9617 * g + 4899 * r + 8192) >> 14);
}

Picture to_grey(const Picture& bgr) {
  const std::ptrdiff_t plane = bgr.shape.plane();
  Picture grey{{1, 1, bgr.shape.H, bgr.shape.W}, std::vector<std::uint8_t>(static_cast<std::size_t>(plane))};
  const std::uint8_t* from = bgr.values.data();
  for (std::ptrdiff_t i = 0; i < plane; ++i) {
    grey.values[static_cast<std::size_t>(i)] = luma(from[i], from[i + plane], from[i + 2 * plane]);
  }
  return grey;
}

Picture new_picture(int channels, std::int64_t height, std::int64_t width) {
  const cnn::Shape shape{1, channels, static_cast<int>(height), static_cast<int>(width)};
  return {shape, std::vector<std::uint8_t>(static_cast<std::size_t>(shape.size()))};
}

// ---- JPEG ----

/// libjpeg's state. Its errors end in a longjmp back to guarded(), over C frames and over functions without
/// destructors.
class JpegReader {
 public:
  JpegReader(std::span<const std::uint8_t> file, const std::string& name) : name_(name), bytes_(file.size()) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr info) { self(info).leave(); };
    errors_.emit_message = [](j_common_ptr info, int level) { self(info).message(level); };
    errors_.output_message = [](j_common_ptr) {};
    info_.client_data = this;
    guarded([&] {
      jpeg_create_decompress(&info_);
      jpeg_mem_src(&info_, file.data(), static_cast<unsigned long>(file.size()));
    });
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  Picture decode(Colours colours) {
    guarded([&] { jpeg_read_header(&info_, TRUE); });
    check_size(name_, info_.image_width, info_.image_height);
    check_claim(name_, info_.image_width, info_.image_height, blocks() <= most_blocks(), bytes_);
    const bool inverted = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    const bool one = colours == Colours::grey || (colours == Colours::as_stored && info_.num_components == 1);
    info_.out_color_space = inverted ? JCS_CMYK : one ? JCS_GRAYSCALE : JCS_EXT_BGR;
    info_.dct_method = JDCT_ISLOW;
    info_.do_fancy_upsampling = TRUE;
    jpeg_progress_mgr progress{};
    progress.progress_monitor = [](j_common_ptr info) { self(info).count_scans(); };
    info_.progress = &progress;

    const int channels = one && !inverted ? 1 : 3;
    Picture picture = new_picture(channels, info_.image_height, info_.image_width);
    std::vector<std::uint8_t> row(std::size_t{4} * info_.image_width);
    guarded([&] { read_rows(row.data(), picture.values.data(), channels); });
    return one && inverted ? to_grey(picture) : std::move(picture);
  }

 private:
  static JpegReader& self(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

  template <class F>
  void guarded(F&& f) {
    if (setjmp(jump_) != 0) fail(name_, std::string("damaged JPEG file: ") + text_);
    f();
  }

  [[noreturn]] void leave() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), text_);
    std::longjmp(jump_, 1);
  }

  /// A warning is an error unless all pixels are there and right.
  void message(int level) {
    if (level >= 0) return;
    const auto harmless = {JWRN_ADOBE_XFORM, JWRN_EXTRANEOUS_DATA, JWRN_JFIF_MAJOR, JWRN_TOO_MUCH_DATA};
    if (std::find(harmless.begin(), harmless.end(), errors_.msg_code) == harmless.end()) leave();
  }

  /// A progressive file may send each of its blocks in any number of scans.
  void count_scans() {
    constexpr int most = 100;
    if (info_.input_scan_number <= most) return;
    std::snprintf(text_, sizeof text_, "expected at most %d scans, found more", most);
    std::longjmp(jump_, 1);
  }

  std::int64_t blocks() const {
    std::int64_t sum = 0;
    for (int i = 0; i < info_.num_components; ++i) {
      sum += std::int64_t{info_.comp_info[i].width_in_blocks} * info_.comp_info[i].height_in_blocks;
    }
    return sum;
  }
  /// A Huffman code takes one bit or more for each block; an arithmetic code may take less, here up to 64 times.
  std::int64_t most_blocks() const { return static_cast<std::int64_t>(bytes_) * 8 * (info_.arith_code ? 64 : 1); }

  void read_rows(std::uint8_t* row, std::uint8_t* to, int channels) {
    jpeg_start_decompress(&info_);
    const int width = static_cast<int>(info_.output_width);
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(info_.output_height) * width;
    while (info_.output_scanline < info_.output_height) {
      if (jpeg_read_scanlines(&info_, &row, 1) != 1) continue;
      if (info_.out_color_space == JCS_CMYK) cmyk_to_bgr(row, width);
      scatter_row(row, width, channels, to, plane);
      to += width;
    }
    jpeg_finish_decompress(&info_);
  }

  /// In place. Source: OpenCV's decoder.
  static void cmyk_to_bgr(std::uint8_t* row, int width) {
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* from = row + 4 * x;
      const int k = from[3];
      const auto value = [&](int ink) { return static_cast<std::uint8_t>(k - ((255 - from[ink]) * k >> 8)); };
      const std::array bgr{value(2), value(1), value(0)};
      std::copy(bgr.begin(), bgr.end(), row + 3 * x);
    }
  }

  const std::string& name_;
  std::size_t bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf jump_{};
  char text_[JMSG_LENGTH_MAX]{};
};

// ---- PNG ----

/// libpng's state; errors as in JpegReader.
class PngReader {
 public:
  PngReader(std::span<const std::uint8_t> file, const std::string& name) : name_(name), file_(file), rest_(file) {
    const auto on_error = [](png_structp png, png_const_charp text) {
      static_cast<PngReader*>(png_get_error_ptr(png))->leave(text);
    };
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      fail(name_, "libpng found no memory");
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  Picture decode(Colours colours) {
    guarded([&] { read_header(); });
    const std::int64_t width = png_get_image_width(png_, info_), height = png_get_image_height(png_, info_);
    check_size(name_, width, height);
    const auto bytes = static_cast<std::int64_t>(file_.size());
    const auto row_bytes = static_cast<std::int64_t>(png_get_rowbytes(png_, info_));
    check_claim(name_, width, height, row_bytes <= 1032 * bytes / height, file_.size());  // deflate packs 1032 to 1
    guarded([&] { set_conversions(colours); });

    const int channels = png_get_channels(png_, info_);
    const auto row = static_cast<std::size_t>(width * channels);
    if (png_get_rowbytes(png_, info_) != row || (channels != 1 && channels != 3)) {
      fail(name_, "damaged PNG file: expected 1 or 3 channels of 8 bits, found " + std::to_string(channels));
    }
    std::vector<std::uint8_t> interleaved(row * static_cast<std::size_t>(height));
    std::vector<std::uint8_t*> rows(static_cast<std::size_t>(height));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = interleaved.data() + y * row;
    guarded([&] {
      png_read_image(png_, rows.data());
      png_read_end(png_, nullptr);
    });

    Picture picture = new_picture(channels, height, width);
    std::uint8_t* to = picture.values.data();
    for (std::size_t y = 0; y < rows.size(); ++y, to += width) {
      scatter_row(rows[y], picture.shape.W, channels, to, picture.shape.plane());
    }
    return picture;
  }

 private:
  template <class F>
  void guarded(F&& f) {
    if (setjmp(jump_) != 0) fail(name_, std::string("damaged PNG file: ") + text_);
    f();
  }

  [[noreturn]] void leave(const char* text) {
    std::snprintf(text_, sizeof text_, "%s", text);
    std::longjmp(jump_, 1);
  }

  void read(png_bytep to, std::size_t count) {
    if (count > rest_.size()) leave("truncated");
    std::copy_n(rest_.begin(), count, to);
    rest_ = rest_.subspan(count);
  }

  void read_header() {
    png_set_user_limits(png_, 0x7FFFFFFF, 0x7FFFFFFF);  // ours are below
    png_set_chunk_malloc_max(png_, 1 << 20);
    png_set_chunk_cache_max(png_, 100);
    png_set_read_fn(png_, this, [](png_structp png, png_bytep to, std::size_t count) {
      static_cast<PngReader*>(png_get_io_ptr(png))->read(to, count);
    });
    png_read_info(png_, info_);
  }

  void set_conversions(Colours colours) {
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_bgr(png_);
    if (colours == Colours::bgr) png_set_gray_to_rgb(png_);
    if (colours == Colours::grey) png_set_rgb_to_gray(png_, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }

  const std::string& name_;
  std::span<const std::uint8_t> file_, rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_{};
  char text_[200]{};
};

/// Where an output row or column lies between two of the input, with weights in 2^-11.
struct Place {
  int first, second;
  int weight_first, weight_second;
};

std::vector<Place> places(int from, int to) {
  std::vector<Place> all(static_cast<std::size_t>(to));
  const double scale = static_cast<double>(from) / to;
  for (int i = 0; i < to; ++i) {
    const auto position = static_cast<float>((i + 0.5) * scale - 0.5);
    const int first = static_cast<int>(std::floor(position));
    const float part = position - static_cast<float>(first);
    all[static_cast<std::size_t>(i)] = {std::clamp(first, 0, from - 1), std::clamp(first + 1, 0, from - 1),
                                        static_cast<int>(std::lrint((1 - part) * 2048)),
                                        static_cast<int>(std::lrint(part * 2048))};
  }
  return all;
}

}  // namespace

Picture decode_picture(std::span<const std::uint8_t> file, const std::string& name, Colours colours) {
  constexpr std::array<std::uint8_t, 3> jpeg{0xFF, 0xD8, 0xFF};
  constexpr std::array<std::uint8_t, 8> png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  const auto begins_with = [&](std::span<const std::uint8_t> magic) {
    return file.size() >= magic.size() && std::equal(magic.begin(), magic.end(), file.begin());
  };
  if (begins_with(jpeg)) return JpegReader(file, name).decode(colours);
  if (begins_with(png)) return PngReader(file, name).decode(colours);
  std::string found = file.empty() ? "an empty one" : "one that begins with";
  for (std::size_t i = 0; i < std::min<std::size_t>(file.size(), 4); ++i) {
    char hex[8];
    std::snprintf(hex, sizeof hex, " %02x", file[i]);
    found += hex;
  }
  fail(name, "expected a JPEG or PNG file, found " + found);
}

Picture read_picture(const std::string& path, Colours colours) {
  return decode_picture(read_file(path), path, colours);
}

Picture resized(const Picture& picture, int height, int width) {
  cnn::check(height > 0 && width > 0 && width <= largest_picture / height, "resized picture", size_text(width, height),
             "choose a height and a width from 1 on");
  const cnn::Shape from = picture.shape;
  if (from.H == height && from.W == width) return picture;
  const std::vector<Place> rows = places(from.H, height), columns = places(from.W, width);
  Picture result = new_picture(from.C, height, width);
  std::uint8_t* to = result.values.data();
  for (int c = 0; c < from.C; ++c) {
    const std::uint8_t* plane = picture.values.data() + c * from.plane();
    for (const Place& row : rows) {
      const std::uint8_t *upper = plane + cnn::Index{row.first} * from.W,
                         *lower = plane + cnn::Index{row.second} * from.W;
      for (const Place& column : columns) {
        const auto between = [&](const std::uint8_t* line) {
          return line[column.first] * column.weight_first + line[column.second] * column.weight_second;
        };
        const int sum = (row.weight_first * (between(upper) >> 4) >> 16) +
                        (row.weight_second * (between(lower) >> 4) >> 16);  // in 2^-2
        *to++ = static_cast<std::uint8_t>((sum + 2) >> 2);
      }
    }
  }
  return result;
}

}  // namespace pictures
