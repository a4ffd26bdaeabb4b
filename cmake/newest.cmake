# SPDX-License-Identifier: MIT
# Makes project() of the preset newest fetch its packages and look for them first.
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../.ci/newest ${CMAKE_BINARY_DIR}/packages
  RESULT_VARIABLE newest_result ERROR_VARIABLE newest_error)
if(NOT newest_result EQUAL 0)
  message(FATAL_ERROR "${newest_error}")
endif()
list(PREPEND CMAKE_PREFIX_PATH ${CMAKE_BINARY_DIR}/packages/usr ${CMAKE_BINARY_DIR}/packages/cmeel.prefix)
