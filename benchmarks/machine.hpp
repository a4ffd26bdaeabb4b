// SPDX-License-Identifier: MIT
// What numbers were measured on: the processor, the compiler, and where memcpy changes its way of storing.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#if defined(__GLIBC__)
#include <link.h>
#endif

namespace machine {

/// What follows `name` and a colon in the first line of text that begins so, without the blanks between.
inline std::string value_of(const std::string& name, std::istream& text) {
  for (std::string line; std::getline(text, line);) {
    const std::size_t colon = line.find(':');
    if (line.rfind(name, 0) != 0 || colon == std::string::npos) continue;
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  return "unknown";
}

inline std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  return value_of("model name", file);
}

inline std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown";
#endif
}

/// From which size on memcpy stores past the caches, as glibc 2.33 and later tell it on x86.
inline std::string non_temporal_threshold() {
#if defined(__GLIBC__)
  std::string loader;  // of this program; run as a program, it lists what it knows
  const auto find_loader = [](dl_phdr_info* program, std::size_t, void* found) {
    for (int k = 0; k < program->dlpi_phnum; ++k) {
      const auto& header = program->dlpi_phdr[k];
      if (header.p_type != PT_INTERP) continue;
      *static_cast<std::string*>(found) = reinterpret_cast<const char*>(program->dlpi_addr + header.p_vaddr);
    }
    return 1;  // no further: the program itself comes first
  };
  dl_iterate_phdr(find_loader, &loader);
  if (FILE* const listing = loader.empty() ? nullptr : popen(("'" + loader + "' --list-tunables 2>&1").c_str(), "r")) {
    std::stringstream text;
    for (int c = std::fgetc(listing); c != EOF; c = std::fgetc(listing)) text.put(static_cast<char>(c));
    pclose(listing);
    const std::string value = value_of("glibc.cpu.x86_non_temporal_threshold", text);  // hexadecimal, then its bounds
    if (const auto bytes = std::strtoull(value.c_str(), nullptr, 16)) return std::to_string(bytes) + " bytes";
  }
#endif
  return "unknown";
}

}  // namespace machine
