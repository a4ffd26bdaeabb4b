# SPDX-License-Identifier: MIT
# Runs PROGRAM and compares what it prints with the file EXPECTED, unless that says why it skipped.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE result)
file(READ ${EXPECTED} expected)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result} after printing:\n${printed}")
elseif(printed MATCHES "^skipped: ")
  message("${printed}")
elseif(NOT printed STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM} printed:\n${printed}\nbut ${EXPECTED} says:\n${expected}")
endif()
