# mpi-ft-check: whether images can be taken of a program.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

add_executable(mpi-ft-check mpi_ft_check.cc program_check.cc
                            ${CMAKE_SOURCE_DIR}/checkpoint/image/check.cc)
target_link_libraries(mpi-ft-check PRIVATE ftmpi_flags fmt::fmt nlohmann_json::nlohmann_json
                                           CLI11::CLI11)
target_compile_definitions(mpi-ft-check PRIVATE FTMPI_VERSION="${PROJECT_VERSION}")
install(TARGETS mpi-ft-check RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES man/mpi-ft-check.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
