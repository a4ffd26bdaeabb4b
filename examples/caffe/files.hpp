// SPDX-License-Identifier: MIT
// Caffe's files: nets and solvers as text, weights as binary, legacy forms brought up to date.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <caffe.pb.h>

namespace caffe_files {

/// What was read but not understood, once each: "net.prototxt:12:3: LayerParameter has no field \"colour\"".
struct Warnings {
  std::vector<std::string> unknown_fields{};
};

/// One warning that lists them, or nothing.
std::string to_string(const Warnings& warnings);

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

/// Replaces a message by the one that the bytes encode. The bytes are checked before anything is allocated from them.
void parse_binary(google::protobuf::Message& message, std::string_view bytes, const std::string& name,
                  Warnings& warnings);

/// A regular file as a whole, of at most `limit` bytes.
std::string read_file(const std::string& path, std::size_t limit);

/// A message as text, its fields in the order of their numbers: Caffe's usual order.
std::string to_text(const google::protobuf::Message& message);

// Writers leave the file whole or as it was: they write beside it, then rename. They throw std::runtime_error.
void write_text(const google::protobuf::Message& message, const std::string& path);
void write_binary(const google::protobuf::Message& message, const std::string& path);

}  // namespace caffe_files
