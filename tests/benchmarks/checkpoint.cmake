# Cost of the checkpoint store: run by hand.
if(FTMPI_BENCHMARKS)
  add_executable(checkpoint_benchmark ${CMAKE_CURRENT_LIST_DIR}/checkpoint_benchmark.cc)
  target_link_libraries(checkpoint_benchmark PRIVATE ftmpi_checkpoint_client ftmpi_checkpoint_store)
  target_compile_definitions(checkpoint_benchmark
                             PRIVATE CHECKPOINT_SERVER="$<TARGET_FILE:mpi-ft-checkpoint-server>")
  set_target_properties(checkpoint_benchmark PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                        ${CMAKE_BINARY_DIR}/benchmarks)
  add_dependencies(checkpoint_benchmark mpi-ft-checkpoint-server)
endif()
