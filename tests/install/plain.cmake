# SPDX-License-Identifier: MIT
# Compiles the consumer as one types it, without CMake, and runs it. COMPILER, SOURCE, INCLUDES (folders), PROGRAM.
list(TRANSFORM INCLUDES PREPEND -I)
execute_process(COMMAND ${COMPILER} -std=c++20 ${INCLUDES} ${SOURCE} -o ${PROGRAM}
  COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
