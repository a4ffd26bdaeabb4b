// SPDX-License-Identifier: MIT
// Small files of every format that is read, made in memory by the libraries that define the formats.
#pragma once

#include <cstdint>
#include <cstdio>  // before jpeglib.h, which needs FILE

#include <jpeglib.h>
#include <lmdb.h>
#include <lzma.h>
#include <png.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "caffe.pb.h"

namespace samples {

// ---- IDX and CIFAR-10 ----

inline std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

/// `count` images of 2 x 3 pixels: 0, 1, 2, ...
inline std::string idx_images(std::uint32_t count) {
  std::string bytes = big_endian(0x803) + big_endian(count) + big_endian(2) + big_endian(3);
  for (std::uint32_t i = 0; i < count * 6; ++i) bytes += static_cast<char>(i);
  return bytes;
}
/// 0, 1, ..., 9, 0, ...
inline std::string idx_labels(std::uint32_t count) {
  std::string bytes = big_endian(0x801) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

inline std::string cifar_record(char label) {
  std::string bytes(3073, label);
  for (std::size_t i = 1; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>((i + static_cast<std::size_t>(label)) % 251);
  return bytes;
}

inline std::string xz(const std::string& bytes) {
  std::string out(bytes.size() + 1024, '\0');
  std::size_t size = 0;
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr, from, bytes.size(),
                              reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()) != LZMA_OK) {
    throw std::runtime_error("liblzma cannot pack");
  }
  out.resize(size);
  return out;
}

// ---- JPEG and PNG ----

/// Value of an example picture: a smooth pattern that differs between channels.
inline int pattern(int c, int y, int x) { return (40 * c + 7 * y + 5 * x) % 256; }

/// Interleaved pixels of the pattern.
inline std::vector<std::uint8_t> pattern_pixels(int channels, int height, int width) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) pixels.push_back(static_cast<std::uint8_t>(pattern(c, y, x)));
    }
  }
  return pixels;
}

struct JpegSettings {
  J_COLOR_SPACE colours = JCS_RGB;
  int quality = 90;
  bool progressive = false;
  bool arithmetic = false;
  int sampling = 2;  // of the first channel; 2: 4:2:0
};

inline std::string jpeg(const std::vector<std::uint8_t>& pixels, int height, int width, const JpegSettings& how = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = how.colours == JCS_GRAYSCALE ? 1 : how.colours == JCS_CMYK ? 4 : 3;
  info.in_color_space = how.colours;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, how.quality, TRUE);
  info.dct_method = JDCT_ISLOW;
  info.arith_code = how.arithmetic ? TRUE : FALSE;
  info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = how.colours == JCS_RGB ? how.sampling : 1;
  if (how.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  const int stride = width * info.input_components;
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPLE*>(pixels.data() + static_cast<std::ptrdiff_t>(info.next_scanline) * stride);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string bytes(reinterpret_cast<char*>(memory), size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

inline std::string jpeg(int height, int width, const JpegSettings& how = {}) {
  const int channels = how.colours == JCS_GRAYSCALE ? 1 : how.colours == JCS_CMYK ? 4 : 3;
  return jpeg(pattern_pixels(channels, height, width), height, width, how);
}

struct PngSettings {
  int colour_type = PNG_COLOR_TYPE_RGB;
  int bits = 8;
  bool interlaced = false;
};

/// `rows`: the packed rows, one after the other. A palette has the colours (i, 255 - i, 7).
inline std::string png(const std::vector<std::uint8_t>& rows, int height, int width, const PngSettings& how = {}) {
  png_structp out = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(out);
  std::string bytes;
  png_set_write_fn(
      out, &bytes,
      [](png_structp p, png_bytep from, std::size_t n) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(from), n);
      },
      nullptr);
  png_set_IHDR(out, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), how.bits, how.colour_type,
               how.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (int i = 0; i < 1 << std::min(how.bits, 8); ++i) {
    palette.push_back({static_cast<png_byte>(i), static_cast<png_byte>(255 - i), 7});
  }
  if (how.colour_type == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(out, info, palette.data(), static_cast<int>(palette.size()));
  }
  png_write_info(out, info);
  const std::size_t stride = rows.size() / static_cast<std::size_t>(height);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y) {
    pointers.push_back(const_cast<png_bytep>(rows.data() + static_cast<std::size_t>(y) * stride));
  }
  png_write_image(out, pointers.data());
  png_write_end(out, nullptr);
  png_destroy_write_struct(&out, &info);
  return bytes;
}

inline std::string png(int channels, int height, int width) {
  return png(pattern_pixels(channels, height, width), height, width,
             {.colour_type = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB});
}

// ---- LMDB ----

/// A raw record with the pattern, its values plus `label`.
inline std::string datum(int label, int channels, int height, int width) {
  caffe::Datum record;
  record.set_channels(channels);
  record.set_height(height);
  record.set_width(width);
  record.set_label(label);
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) record.mutable_data()->push_back(static_cast<char>(pattern(c, y, x) + label));
    }
  }
  return record.SerializeAsString();
}

inline std::string encoded_datum(int label, const std::string& file) {
  caffe::Datum record;
  record.set_label(label);
  record.set_encoded(true);
  record.set_data(file);
  return record.SerializeAsString();
}

/// The key of a record, as Caffe's tools make it.
inline std::string key(std::size_t record) {
  std::string digits = std::to_string(record);
  return std::string(8 - digits.size(), '0') + digits;
}

/// Makes folder/data.mdb with the keys 00000000, 00000001, ... as Caffe's tools do.
inline void lmdb(const std::string& folder, const std::vector<std::string>& records, unsigned flags = 0) {
  const auto check = [](int code) {
    if (code != MDB_SUCCESS) throw std::runtime_error(mdb_strerror(code));
  };
  MDB_env* environment = nullptr;
  check(mdb_env_create(&environment));
  check(mdb_env_set_mapsize(environment, std::size_t{1} << 26));
  check(mdb_env_open(environment, folder.c_str(), MDB_NOLOCK, 0664));
  MDB_txn* transaction = nullptr;
  check(mdb_txn_begin(environment, nullptr, 0, &transaction));
  MDB_dbi database{};
  check(mdb_dbi_open(transaction, nullptr, flags, &database));
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::string name = key(i);
    MDB_val record_key{name.size(), name.data()}, value{records[i].size(), const_cast<char*>(records[i].data())};
    check(mdb_put(transaction, database, &record_key, &value, 0));
  }
  check(mdb_txn_commit(transaction));
  mdb_env_close(environment);
}

/// A database file with pages of 512 bytes, written without liblmdb: a thirtieth of what that makes of it.
inline std::string small_lmdb(const std::vector<std::string>& records) {
  constexpr std::size_t page_size = 512;
  std::string file(2 * page_size, '\0');
  const auto put = [&](std::size_t at, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> 8 * i);
  };
  const auto new_page = [&](std::size_t flags, std::size_t pages = 1) {
    const std::size_t at = file.size();
    file.resize(at + pages * page_size);
    put(at, at / page_size, 8);
    put(at + 10, flags, 2);
    return at;
  };
  struct Node {
    std::string key, value;
    std::size_t low = 0, flags = 0;  // size of the value, or page of the child
  };
  const auto put_tree_page = [&](std::size_t flags, const std::vector<Node>& nodes) {
    const std::size_t page = new_page(flags);
    std::size_t upper = page_size;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::string bytes = nodes[i].key + nodes[i].value;
      upper -= (8 + bytes.size() + 1) / 2 * 2;
      put(page + 16 + 2 * i, upper, 2);
      put(page + upper, nodes[i].low, 4);
      put(page + upper + 4, nodes[i].flags, 2);
      put(page + upper + 6, nodes[i].key.size(), 2);
      file.replace(page + upper + 8, bytes.size(), bytes);
    }
    put(page + 12, 16 + 2 * nodes.size(), 2);
    put(page + 14, upper, 2);
    return page / page_size;
  };

  std::vector<Node> branches, leaf;
  const auto end_leaf = [&] {
    if (leaf.empty()) return;
    branches.push_back({branches.empty() ? "" : leaf.front().key, "", put_tree_page(2, leaf), 0});
    leaf.clear();
  };
  std::size_t room = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Node node{key(i), records[i], records[i].size(), 0};
    if (node.value.size() > 200) {  // in pages of its own
      const std::size_t pages = (16 + node.value.size() + page_size - 1) / page_size, page = new_page(4, pages);
      put(page + 12, pages, 4);
      file.replace(page + 16, node.value.size(), node.value);
      node.value.assign(8, '\0');
      node.value[0] = static_cast<char>(page / page_size);
      node.value[1] = static_cast<char>(page / page_size >> 8);
      node.flags = 1;
    }
    const std::size_t size = 8 + node.key.size() + node.value.size() + 4;
    if (size > room) end_leaf();
    room = (leaf.empty() ? page_size - 16 : room) - size;
    leaf.push_back(node);
  }
  end_leaf();
  const std::size_t root = branches.empty()       ? ~std::size_t{0}
                           : branches.size() == 1 ? branches.front().low
                                                  : put_tree_page(1, branches);
  const std::size_t last_page = file.size() / page_size - 1;
  for (const std::size_t meta : {std::size_t{0}, page_size}) {
    put(meta, meta / page_size, 8);
    put(meta + 10, 8, 2);
    put(meta + 16, 0xBEEFC0DE, 4);
    put(meta + 20, 1, 4);
    put(meta + 32, file.size(), 8);
    put(meta + 40, page_size, 4);
    put(meta + 44, 8, 2);
    put(meta + 80, ~std::uint64_t{0}, 8);
    put(meta + 94, branches.empty() ? 0 : branches.size() == 1 ? 1 : 2, 2);
    put(meta + 120, records.size(), 8);
    put(meta + 128, root, 8);
    put(meta + 136, last_page, 8);
    put(meta + 144, meta / page_size, 8);
  }
  return file;
}

}  // namespace samples
