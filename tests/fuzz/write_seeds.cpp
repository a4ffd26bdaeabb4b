// SPDX-License-Identifier: MIT
// write_seeds FOLDER: writes the seeds of each reader to FOLDER/<reader>, and the words of net descriptions, as a
// dictionary of libFuzzer, to FOLDER/words.dict.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <caffe.pb.h>
#include <google/protobuf/descriptor.h>

#include "seeds.hpp"

namespace {

/// Names of fields and values, of this message and those in it.
void add_words(const google::protobuf::Descriptor* type, std::set<std::string>& words) {
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    if (!words.insert(field->name() + ": ").second) continue;
    if (field->message_type() != nullptr) add_words(field->message_type(), words);
    for (int j = 0; field->enum_type() != nullptr && j < field->enum_type()->value_count(); ++j) {
      words.insert(field->enum_type()->value(j)->name());
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc > 1 ? argv[1] : ".";
  for (const auto& [reader, seeds] : fuzz::all_seeds()) {
    std::filesystem::create_directories(folder / reader);
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(folder / reader / ("seed" + std::to_string(i)), std::ios::binary) << seeds[i];
    }
  }
  std::set<std::string> words;
  for (const auto* type : {caffe::NetParameter::descriptor(), caffe::SolverParameter::descriptor()})
    add_words(type, words);
  std::ofstream dictionary(folder / "words.dict");
  for (const std::string& word : words) dictionary << '"' << word << "\"\n";
  return dictionary ? 0 : 1;
} catch (const std::exception& e) {
  std::printf("failed: %s\n", e.what());
  return 1;
}
