// SPDX-License-Identifier: MIT
// Pictures as Caffe's files name them: data layers, transform_param, mean images, Datum records.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <caffe.pb.h>

#include "caffe/build.hpp"
#include "pictures/open.hpp"

namespace caffe_files {

/// The picture in a Datum, raw or encoded as JPEG or PNG; `name` stands in errors.
pictures::Decoded decode_datum(std::span<const std::uint8_t> record, const std::string& name,
                               std::optional<pictures::Colours> colours);

/// pictures::open_source for databases of Datum records.
pictures::Source open_source(const std::string& spec, const pictures::SourceOptions& how = {});

/// What the data layer of a net names: a spec, empty for a layer of type Input, and how to open it. A mean_file is
/// read. Throws std::invalid_argument naming the layer.
std::string source_of(const DataLayer& layer);
pictures::SourceOptions options_of(const DataLayer& layer, bool training);

/// transform_param; a mean_file is read. `layer` stands in errors.
pictures::Transform transform_of(const caffe::TransformationParameter& said, const std::string& layer);

/// (1, C, H, W) from a file with a BlobProto.
cnn::Tensor read_mean(const std::string& path);

}  // namespace caffe_files
