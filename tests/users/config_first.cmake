# SPDX-License-Identifier: MIT
# The first include of each of the HEADERS is config.hpp, which refuses flags, or a header of ours that begins with it.
foreach(header IN LISTS HEADERS)
  file(STRINGS ${header} includes REGEX "^#include [<\"]" LIMIT_COUNT 1)
  if(includes AND NOT includes MATCHES "<ristretto/" AND NOT header MATCHES "/ristretto/config.hpp$")
    message(SEND_ERROR "${header} begins with ${includes}; include <ristretto/config.hpp> before it")
  endif()
endforeach()
