# SPDX-License-Identifier: MIT
# Claims to be a version of Eigen that nobody tested.
add_library(Eigen3::Eigen INTERFACE IMPORTED)
