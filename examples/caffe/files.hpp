// SPDX-License-Identifier: MIT
// Caffe's files: nets and solvers as text, weights as binary; legacy forms are brought up to date.
#pragma once

#include <string>
#include <string_view>

#include <caffe.pb.h>

#include "protobuf/files.hpp"

namespace caffe_files {

using protobuf_files::Warnings;

// All readers throw std::runtime_error naming the file, the position in it, what was expected and what was found.

/// A net from its description. V1 `layers` become `layer`, legacy inputs a layer of type Input.
caffe::NetParameter read_net(const std::string& path, Warnings& warnings);
/// A solver; the legacy solver_type becomes `type`.
caffe::SolverParameter read_solver(const std::string& path, Warnings& warnings);
/// A net with weights (.caffemodel), brought up to date like read_net; all blobs have `shape`.
caffe::NetParameter read_weights(const std::string& path, Warnings& warnings);
/// A tensor (.binaryproto); it has `shape`.
caffe::BlobProto read_blob(const std::string& path);
/// The state of an interrupted training (.solverstate); its history has `shape`.
caffe::SolverState read_solver_state(const std::string& path);

// The same from memory; `name` stands for the file in errors and warnings.
caffe::NetParameter parse_net(std::string_view text, const std::string& name, Warnings& warnings);
caffe::SolverParameter parse_solver(std::string_view text, const std::string& name, Warnings& warnings);
caffe::NetParameter parse_weights(std::string_view bytes, const std::string& name, Warnings& warnings);

}  // namespace caffe_files
