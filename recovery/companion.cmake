# The job directory (shared by the companion and the commands) and the companion process.
find_package(nlohmann_json REQUIRED)

add_library(ftmpi_job_directory STATIC checkpoint_request.cc durable_file.cc held_record.cc job_directory.cc job_records.cc)
target_link_libraries(ftmpi_job_directory PUBLIC ftmpi_flags PRIVATE nlohmann_json::nlohmann_json)

add_library(ftmpi_companion STATIC companion.cc companion_end.cc companion_ending.cc companion_flusher.cc
            companion_gate.cc companion_held_output.cc companion_job.cc companion_requests.cc companion_stdin.cc)
target_link_libraries(ftmpi_companion PUBLIC ftmpi_job_directory ftmpi_logging Threads::Threads
                      PRIVATE ftmpi_checkpoint_files)

add_executable(mpi-ft-companion mpi_ft_companion.cc)
target_link_libraries(mpi-ft-companion PRIVATE ftmpi_companion)
# libftmpi.so looks for it in ftmpi/ beside itself.
set_target_properties(mpi-ft-companion PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                  ${CMAKE_BINARY_DIR}/lib/ftmpi)
install(TARGETS mpi-ft-companion RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/ftmpi)
