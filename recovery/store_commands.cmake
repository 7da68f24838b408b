# mpi-ft-ls and mpi-ft-verify: what a job directory holds, and whether it is whole.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

add_library(ftmpi_store_listing STATIC store_command.cc store_listing.cc store_listing_text.cc)
target_link_libraries(ftmpi_store_listing
  PUBLIC ftmpi_flags ftmpi_checkpoint_store ftmpi_job_directory ftmpi_logging
  PRIVATE fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11)
target_compile_definitions(ftmpi_store_listing PRIVATE FTMPI_VERSION="${PROJECT_VERSION}")

foreach(command ls verify)
  add_executable(mpi-ft-${command} mpi_ft_${command}.cc)
  target_link_libraries(mpi-ft-${command} PRIVATE ftmpi_store_listing)
  install(FILES man/mpi-ft-${command}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endforeach()

# mpi-ft-checkpoint: asks a running job for a checkpoint.
add_library(ftmpi_checkpoint_command STATIC checkpoint_command.cc)
target_link_libraries(ftmpi_checkpoint_command
  PUBLIC ftmpi_flags ftmpi_job_directory ftmpi_logging
  PRIVATE fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11)
target_compile_definitions(ftmpi_checkpoint_command PRIVATE FTMPI_VERSION="${PROJECT_VERSION}")
add_executable(mpi-ft-checkpoint mpi_ft_checkpoint.cc)
target_link_libraries(mpi-ft-checkpoint PRIVATE ftmpi_checkpoint_command)
install(FILES man/mpi-ft-checkpoint.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(TARGETS mpi-ft-checkpoint mpi-ft-ls mpi-ft-verify RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
