// SPDX-License-Identifier: MIT
// The tests of thrust_test.cpp for CUDA.
#include "thrust_test.cpp"
