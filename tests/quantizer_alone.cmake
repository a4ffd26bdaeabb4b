# SPDX-License-Identifier: MIT
# Reads the sources of examples/quantizer with COMPILER and INCLUDES (separated by |), in a FOLDER with nothing of
# EXAMPLES but what it may include: so Caffe's files and the tool are not there. Protobuf and CLI11, which may be
# installed, must not be among what was read.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
foreach(allowed cnn pictures quantizer result_file.hpp)
  file(CREATE_LINK ${EXAMPLES}/${allowed} ${FOLDER}/${allowed} SYMBOLIC)
endforeach()
string(REPLACE "|" ";" includes "${INCLUDES}")
list(REMOVE_ITEM includes ${EXAMPLES})
list(TRANSFORM includes PREPEND -I)
file(GLOB sources ${FOLDER}/quantizer/*.cpp)
list(LENGTH sources count)
if(count LESS 10)
  message(FATAL_ERROR "expected the sources of the quantizer in ${EXAMPLES}/quantizer, found ${count}")
endif()
execute_process(COMMAND ${COMPILER} -std=c++20 -M -I${FOLDER} ${includes} ${sources}
  RESULT_VARIABLE status OUTPUT_VARIABLE read ERROR_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the quantizer does not compile alone:\n${said}")
endif()
if(NOT read MATCHES "quantizer/session.hpp")
  message(FATAL_ERROR "the compiler does not say what it read:\n${read}")
endif()
if(read MATCHES "[^ \n]*(caffe\\.pb\\.h|google/protobuf/|/CLI/|/caffe/|/tool/|lmdb\\.h|jpeglib\\.h)[^ \n]*")
  message(FATAL_ERROR "the quantizer includes ${CMAKE_MATCH_0}; it is given nets and pictures, and returns results")
endif()
