# SPDX-License-Identifier: MIT
# COMPILE is a command, FLAGS are flags: the SOURCE does not compile, with our sentence, or its PROGRAM finds every bit right.
# Skips flags that the compiler itself does not know, or cannot link with.
file(WRITE ${PROGRAM}.cpp "#include <vector>\nint main() { return static_cast<int>(std::vector<int>(3).size()) - 3; }\n")
execute_process(COMMAND ${COMPILE} ${FLAGS} ${PROGRAM}.cpp -o ${PROGRAM} RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message("skipped: the compiler cannot make programs with ${FLAGS}:\n${output}")
  return()
endif()
execute_process(COMMAND ${COMPILE} ${FLAGS} ${SOURCE} -o ${PROGRAM} RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  if(NOT output MATCHES "ristretto gives exact bits; compile without")
    message(FATAL_ERROR "neither compiles nor is refused:\n${output}")
  endif()
  message("refused")
  return()
endif()
execute_process(COMMAND ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
