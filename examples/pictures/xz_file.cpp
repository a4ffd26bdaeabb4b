// SPDX-License-Identifier: MIT
// Unpacking through liblzma.
#include "pictures/xz_file.hpp"

#include <array>
#include <fstream>
#include <memory>
#include <stdexcept>

#include <lzma.h>

namespace pictures {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

const char* message(lzma_ret code) {
  switch (code) {
    case LZMA_FORMAT_ERROR:
      return "expected an xz file, found another format";
    case LZMA_BUF_ERROR:
      return "truncated: expected more bytes of an xz file, found its end";
    case LZMA_MEMLIMIT_ERROR:
    case LZMA_MEM_ERROR:
      return "expected an xz file that takes at most 256 MiB to unpack, found one that takes more; unpack it first";
    case LZMA_OPTIONS_ERROR:
      return "expected the options of a known xz file, found others; unpack it first";
    default:
      return "expected a whole xz file, found a damaged one";
  }
}

}  // namespace

std::vector<std::uint8_t> read_xz_file(const std::string& path, std::uint64_t most) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be opened; check the name");
  lzma_stream stream = LZMA_STREAM_INIT;
  const std::unique_ptr<lzma_stream, decltype(&lzma_end)> owner(&stream, lzma_end);
  lzma_ret code = lzma_stream_decoder(&stream, std::uint64_t{256} << 20, LZMA_CONCATENATED);
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 1 << 16> packed, unpacked;
  lzma_action action = LZMA_RUN;
  while (code == LZMA_OK) {
    if (stream.avail_in == 0 && action == LZMA_RUN) {
      in.read(reinterpret_cast<char*>(packed.data()), static_cast<std::streamsize>(packed.size()));
      if (in.bad()) fail(path, "cannot be read; check that it is a file, and the device");
      stream.next_in = packed.data();
      stream.avail_in = static_cast<std::size_t>(in.gcount());
      if (!in) action = LZMA_FINISH;
    }
    stream.next_out = unpacked.data();
    stream.avail_out = unpacked.size();
    code = lzma_code(&stream, action);
    bytes.insert(bytes.end(), unpacked.data(), stream.next_out);
    if (bytes.size() > most) fail(path, "oversized: expected at most " + std::to_string(most) + " bytes, found more");
  }
  if (code != LZMA_STREAM_END) fail(path, message(code));
  return bytes;
}

}  // namespace pictures
