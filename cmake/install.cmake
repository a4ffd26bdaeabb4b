# SPDX-License-Identifier: MIT
# Installs the headers and the package that find_package(ristretto) finds.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/ristretto)
if(ristretto_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)  # 0.x promises nothing to 0.(x+1)
else()
  set(compatibility SameMajorVersion)
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ristrettoConfig.cmake.in
  ${PROJECT_BINARY_DIR}/ristrettoConfig.cmake INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ristrettoConfigVersion.cmake
  COMPATIBILITY ${compatibility} ARCH_INDEPENDENT)

install(TARGETS ristretto EXPORT ristrettoTargets FILE_SET HEADERS FILE_SET thrust)
install(EXPORT ristrettoTargets NAMESPACE ristretto:: DESTINATION ${package_directory})
install(FILES
  ${CMAKE_CURRENT_LIST_DIR}/ristrettoDependencies.cmake
  ${PROJECT_BINARY_DIR}/ristrettoConfig.cmake
  ${PROJECT_BINARY_DIR}/ristrettoConfigVersion.cmake
  DESTINATION ${package_directory})
