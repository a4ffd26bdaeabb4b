// SPDX-License-Identifier: MIT
// Files packed by xz.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pictures {

/// The bytes of a file, unpacked. Memory grows with what is found; more than `most` bytes are refused. Throws
/// std::runtime_error naming the file, what was expected and what was found.
std::vector<std::uint8_t> read_xz_file(const std::string& path, std::uint64_t most = 1 << 30);

}  // namespace pictures
