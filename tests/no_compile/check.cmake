# SPDX-License-Identifier: MIT
# COMPILE is a command, SOURCE a file: it compiles, and with MISUSE it fails with the message that it names. A line
# "// Flags:" adds flags to the misuse.
file(READ ${SOURCE} text)
string(REGEX MATCH "// Message: ([^\n]*)" line "${text}")
set(message "${CMAKE_MATCH_1}")
string(REGEX MATCH "// Flags: ([^\n]*)" line "${text}")
set(flags ${CMAKE_MATCH_1})

execute_process(COMMAND ${COMPILE} ${SOURCE} RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "does not compile without the misuse:\n${output}")
endif()
execute_process(COMMAND ${COMPILE} -D MISUSE ${flags} ${SOURCE} RESULT_VARIABLE result ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "the misuse compiles")
endif()
string(FIND "${output}" "${message}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "no \"${message}\" in what the compiler says:\n${output}")
endif()
message("${message}")
