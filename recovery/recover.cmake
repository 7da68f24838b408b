# mpi-ft-recover and what it is made of.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

add_library(ftmpi_recovery STATIC
  checkpoint_choice.cc checkpoint_delivery.cc checkpoint_gathering.cc own_checkpoint_choice.cc start_candidate.cc
  engine_record.cc registered_choice.cc evidence.cc history.cc inventory.cc job_checks.cc job_lock.cc launcher_command.cc node_survey.cc
  log_coverage.cc module_builds.cc payload_scan.cc progress.cc recover_command.cc recovery_line.cc relaunch.cc replay_plan.cc stdin_position.cc)
target_link_libraries(ftmpi_recovery
  PUBLIC ftmpi_flags ftmpi_recovery_core ftmpi_logging ftmpi_job_directory fmt::fmt
  PRIVATE ftmpi_checkpoint_store ftmpi_coordination nlohmann_json::nlohmann_json)
target_compile_definitions(ftmpi_recovery PRIVATE FTMPI_INSTALL_LIBDIR="${CMAKE_INSTALL_LIBDIR}")

add_executable(mpi-ft-inventory mpi_ft_inventory.cc)
target_link_libraries(mpi-ft-inventory PRIVATE ftmpi_recovery CLI11::CLI11)
set_target_properties(mpi-ft-inventory PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/ftmpi)

add_executable(mpi-ft-recover mpi_ft_recover.cc)
target_link_libraries(mpi-ft-recover PRIVATE ftmpi_recovery CLI11::CLI11)
target_compile_definitions(mpi-ft-recover PRIVATE FTMPI_VERSION="${PROJECT_VERSION}")
add_dependencies(mpi-ft-recover mpi-ft-inventory)

install(TARGETS mpi-ft-recover RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS mpi-ft-inventory RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/ftmpi)
install(FILES man/mpi-ft-recover.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES man/ftmpi.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
