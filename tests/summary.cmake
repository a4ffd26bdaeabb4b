# SPDX-License-Identifier: MIT
# The last word of a test run: how many tests were skipped, and why. FILE: the run's results, as the test presets write
# them.
if(NOT EXISTS ${FILE})
  return()
endif()
file(READ ${FILE} text)
set(counts)
foreach(name tests failures skipped)
  string(REGEX MATCH "${name}=\"([0-9]+)\"" match "${text}")
  list(APPEND counts "${CMAKE_MATCH_1} ${name}")
endforeach()
list(JOIN counts ", " counts)
string(REGEX MATCHALL "[\n>]skipped: [^\n<]*" reasons "${text}")
list(TRANSFORM reasons REPLACE "^[\n>]" "\n  ")
list(REMOVE_DUPLICATES reasons)
list(JOIN reasons "" reasons)
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "\n${counts}${reasons}")
