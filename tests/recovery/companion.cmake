# The companion with a process that plays the rank, without MPI.
add_executable(companion_fake_rank companion_fake_rank.cc ${CMAKE_SOURCE_DIR}/pmpi/companion_link.cc)
target_link_libraries(companion_fake_rank PRIVATE ftmpi_flags ftmpi_logging ${CMAKE_DL_LIBS})
set_target_properties(companion_fake_rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
# The link looks for the companion in ftmpi/ beside the object that holds it.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests ${CMAKE_BINARY_DIR}/lib/ftmpi)
file(CREATE_LINK ${CMAKE_BINARY_DIR}/lib/ftmpi ${CMAKE_BINARY_DIR}/tests/ftmpi SYMBOLIC)
add_dependencies(companion_fake_rank mpi-ft-companion)

ftmpi_unit_test(companion_test companion_test.cc LIBRARIES ftmpi_job_directory ftmpi_logging util)
target_compile_definitions(companion_test
                           PRIVATE COMPANION_FAKE_RANK="${CMAKE_BINARY_DIR}/tests/companion_fake_rank")
add_dependencies(companion_test companion_fake_rank)

ftmpi_unit_test(job_directory_test job_directory_test.cc LIBRARIES ftmpi_job_directory util)

ftmpi_unit_test(stdin_feeder_test stdin_feeder_test.cc LIBRARIES ftmpi_companion)

find_package(nlohmann_json REQUIRED)
ftmpi_unit_test(checkpoint_request_test checkpoint_request_test.cc
                LIBRARIES ftmpi_job_directory ftmpi_logging nlohmann_json::nlohmann_json util)
target_compile_definitions(checkpoint_request_test
                           PRIVATE COMPANION_FAKE_RANK="${CMAKE_BINARY_DIR}/tests/companion_fake_rank"
                                   FTMPI_TEST_CHECKPOINT="$<TARGET_FILE:mpi-ft-checkpoint>")
add_dependencies(checkpoint_request_test companion_fake_rank mpi-ft-checkpoint)

ftmpi_unit_test(held_record_test held_record_test.cc LIBRARIES ftmpi_job_directory util)
target_compile_definitions(held_record_test
                           PRIVATE COMPANION_FAKE_RANK="${CMAKE_BINARY_DIR}/tests/companion_fake_rank")
add_dependencies(held_record_test companion_fake_rank)
