// SPDX-License-Identifier: MIT
// The main function of the test programs with Catch2 version 2; version 3 has one in a library.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
