// SPDX-License-Identifier: MIT
// Sources of pictures by name: data sets, lists of image files, databases.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "pictures/source.hpp"

namespace pictures {

/// The picture in a record of a database; `name` stands in errors.
using DecodeRecord = std::function<Decoded(std::span<const std::uint8_t> record, const std::string& name,
                                           std::optional<Colours> colours)>;

/// Opens and reads the first picture:
///   idx:FOLDER      MNIST's files, (train|t10k)-(images-idx3|labels-idx1)-ubyte, plain or .gz
///   cifar10:FOLDER  data_batch_1.bin to data_batch_5.bin, those that are there, or test_batch.bin; plain, .gz or .xz
///   images:LIST     a text file with lines `path label`; JPEG and PNG
///   lmdb:FOLDER     records that `decode_record` knows, in the order of the keys
/// Throws std::invalid_argument for another spec or options that do not fit, std::runtime_error as Source::read.
Source open_source(const std::string& spec, const SourceOptions& how, DecodeRecord decode_record);

}  // namespace pictures
