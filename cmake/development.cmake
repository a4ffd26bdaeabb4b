# SPDX-License-Identifier: MIT
# What the project's own programs are built with; nothing here reaches a user of the library.
include(CheckCXXCompilerFlag)

add_library(ristretto_warnings INTERFACE)
set(warnings -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${RISTRETTO_WERROR}>:-Werror>)
target_compile_options(ristretto_warnings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=$<JOIN:${warnings},$<COMMA>>;$<$<BOOL:${RISTRETTO_WERROR}>:-Werror=all-warnings>>")

# How a test or an example says that it skipped, at the start of a line.
set(ristretto_skipped "(^|[^ -~])skipped: ")

# For what is linked with Thrust's CPP, OMP or TBB, which bind references to null.
set(ristretto_thrust_sanitizers -fno-sanitize=null,object-size)

# The instruction set of examples and benchmarks: Eigen on plain x86-64 is about three times slower than with AVX2.
check_cxx_compiler_flag(-march=native RISTRETTO_KNOWS_NATIVE)
if(RISTRETTO_KNOWS_NATIVE)
  set(native native)
endif()
set(RISTRETTO_EXAMPLES_ARCH "${native}" CACHE STRING "-march of examples and benchmarks; empty: the compiler's default")
set(ristretto_arch_flag $<$<BOOL:${RISTRETTO_EXAMPLES_ARCH}>:-march=${RISTRETTO_EXAMPLES_ARCH}>)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)  # clang 19 warns of what it finds itself on processors with AVX10
  list(APPEND ristretto_arch_flag -Wno-unknown-warning-option -Wno-invalid-feature-combination)
endif()

# OpenCV's dnn module, a peer; Debian has it as libopencv-dnn-dev, which comes without a package for CMake.
find_path(RISTRETTO_OPENCV_DIRECTORY opencv2/dnn.hpp PATH_SUFFIXES opencv4)
find_library(RISTRETTO_OPENCV_DNN opencv_dnn)
find_library(RISTRETTO_OPENCV_CORE opencv_core)
mark_as_advanced(RISTRETTO_OPENCV_DIRECTORY RISTRETTO_OPENCV_DNN RISTRETTO_OPENCV_CORE)
if(RISTRETTO_OPENCV_DIRECTORY AND RISTRETTO_OPENCV_DNN AND RISTRETTO_OPENCV_CORE)
  add_library(opencv_dnn INTERFACE)
  target_include_directories(opencv_dnn SYSTEM INTERFACE ${RISTRETTO_OPENCV_DIRECTORY})
  target_link_libraries(opencv_dnn INTERFACE ${RISTRETTO_OPENCV_DNN} ${RISTRETTO_OPENCV_CORE})
endif()
