// SPDX-License-Identifier: MIT
// Pictures from JPEG and PNG files, with the pixels that OpenCV, and so Caffe, gets from them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cnn/tensor.hpp"

namespace pictures {

/// Channels of a decoded picture: one for grey and three otherwise, or always three, or always one.
enum class Colours { as_stored, bgr, grey };

/// 8-bit values, (1, C, H, W): one plane after the other, in the order B, G, R where there are three.
struct Picture {
  cnn::Shape shape{};
  std::vector<std::uint8_t> values{};
};

/// Height times width; a larger picture is refused before memory is taken for it.
constexpr std::int64_t largest_picture = 100'000'000;

/// Decodes a JPEG file (accurate integer DCT, smooth chroma; CMYK as Adobe writes it, inverted) or a PNG file (palettes
/// resolved, transparency dropped, the upper 8 of 16 bits kept). The orientation that a camera noted is not applied.
/// Throws std::runtime_error naming `name`, what was expected and what was found, when the file is damaged, cut short,
/// neither of the two, or larger than largest_picture.
Picture decode_picture(std::span<const std::uint8_t> file, const std::string& name, Colours colours = Colours::bgr);

/// The same of a file, of at most 1 GiB.
Picture read_picture(const std::string& path, Colours colours = Colours::bgr);

/// Bilinear between pixel centres: output row y lies at (y + 1/2) * H / height - 1/2, beyond the edge the edge goes on.
/// Weights are multiples of 2^-11, as in OpenCV's resize.
Picture resized(const Picture& picture, int height, int width);

}  // namespace pictures
