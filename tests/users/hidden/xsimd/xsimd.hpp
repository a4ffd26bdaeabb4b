// SPDX-License-Identifier: MIT
#error "a header that needs neither Eigen nor xsimd includes xsimd/xsimd.hpp"
