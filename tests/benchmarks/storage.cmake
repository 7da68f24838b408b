# Cost of the payload log and the event log.
if(FTMPI_BENCHMARKS)
  find_package(benchmark REQUIRED)
  add_executable(storage_benchmark ${CMAKE_CURRENT_LIST_DIR}/storage_benchmark.cc)
  target_link_libraries(storage_benchmark PRIVATE ftmpi_logging benchmark::benchmark)
  set_target_properties(storage_benchmark PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                     ${CMAKE_BINARY_DIR}/benchmarks)
endif()
