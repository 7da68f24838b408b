# What `cmake --install` puts where: library, header, CMake package (find_package(ftmpi), target
# ftmpi::ftmpi) and pkg-config file. The commands and man pages are installed by recovery/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The header's version is the project's.
file(STRINGS ${CMAKE_SOURCE_DIR}/pmpi/include/ftmpi.h FTMPI_HEADER_VERSION
     REGEX "#define FTMPI_VERSION_(MAJOR|MINOR|PATCH) ")
list(TRANSFORM FTMPI_HEADER_VERSION REPLACE ".* ([0-9]+)$" "\\1")
list(JOIN FTMPI_HEADER_VERSION "." FTMPI_HEADER_VERSION)
if(NOT FTMPI_HEADER_VERSION STREQUAL PROJECT_VERSION)
  message(FATAL_ERROR "pmpi/include/ftmpi.h says version ${FTMPI_HEADER_VERSION}, the project is "
                      "${PROJECT_VERSION}")
endif()

install(TARGETS ftmpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${CMAKE_SOURCE_DIR}/pmpi/include/ftmpi.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/cmake/ftmpi-config.cmake.in ${CMAKE_BINARY_DIR}/ftmpi-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ftmpi
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ftmpi-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ftmpi-config.cmake ${CMAKE_BINARY_DIR}/ftmpi-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ftmpi)

# pkg-config finds the prefix from where the file lies, so that an installation can be moved.
file(RELATIVE_PATH FTMPI_PREFIX_FROM_PKGCONFIG /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" FTMPI_PREFIX_FROM_PKGCONFIG "${FTMPI_PREFIX_FROM_PKGCONFIG}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/ftmpi.pc.in ${CMAKE_BINARY_DIR}/ftmpi.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/ftmpi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
