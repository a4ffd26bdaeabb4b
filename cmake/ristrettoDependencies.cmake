# SPDX-License-Identifier: MIT
# Finds Eigen and xsimd, for the build tree and for the installed package.
include_guard(GLOBAL)

# Sets `problem` to a sentence when something is missing or too old, else to nothing. The versions are compared here
# and not by find_package: Eigen 5 and xsimd 9 and later refuse a request for an older major version.
macro(ristretto_find_dependencies problem)
  set(${problem} "")
  foreach(ristretto_dependency "Eigen3 Eigen3::Eigen 3.4.0" "xsimd xsimd 8.1.0")
    string(REPLACE " " ";" ristretto_dependency "${ristretto_dependency}")
    list(POP_FRONT ristretto_dependency ristretto_package ristretto_target ristretto_least)
    if(NOT TARGET ${ristretto_target})
      find_package(${ristretto_package} CONFIG QUIET)
    endif()
    if(NOT TARGET ${ristretto_target})
      set(${problem} "ristretto needs ${ristretto_package} ${ristretto_least} or later, but it was not found; install it or add its folder to CMAKE_PREFIX_PATH")
    elseif(${ristretto_package}_VERSION AND ${ristretto_package}_VERSION VERSION_LESS ristretto_least)
      set(${problem} "ristretto needs ${ristretto_package} ${ristretto_least} or later, found ${${ristretto_package}_VERSION}")
    endif()
  endforeach()
  if(NOT ${problem})
    ristretto_wrap_xsimd()
  endif()
endmacro()

# ristretto::xsimd is xsimd; where its target asks for the library xtl, which Debian does not have, its headers alone.
function(ristretto_wrap_xsimd)
  if(TARGET ristretto::xsimd)
    return()
  endif()
  add_library(ristretto::xsimd INTERFACE IMPORTED GLOBAL)
  get_target_property(links xsimd INTERFACE_LINK_LIBRARIES)
  if("xtl" IN_LIST links AND NOT TARGET xtl)
    get_target_property(directories xsimd INTERFACE_INCLUDE_DIRECTORIES)
    target_include_directories(ristretto::xsimd SYSTEM INTERFACE ${directories})
  else()
    target_link_libraries(ristretto::xsimd INTERFACE xsimd)
  endif()
endfunction()
