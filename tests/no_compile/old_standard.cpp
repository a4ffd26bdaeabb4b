// SPDX-License-Identifier: MIT
// A standard before C++20.
// Message: ristretto needs C++20; compile with -std=c++20 or later
// Flags: -std=c++17
#include <ristretto/format.hpp>
