# Benchmarks of what the library costs. `run_cost_benchmarks.py --build <dir>` measures and prints the
# table; only the counts, which don't depend on the machine's load, are a test.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

foreach(benchmark pingpong exchange wildcard collectives memory)
  add_executable(bench_${benchmark} ${CMAKE_CURRENT_LIST_DIR}/${benchmark}.c)
  target_link_libraries(bench_${benchmark} PRIVATE ftmpi_flags MPI::MPI_C)
  target_compile_definitions(bench_${benchmark} PRIVATE _GNU_SOURCE)
  set_target_properties(bench_${benchmark} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/benchmarks)
endforeach()

add_library(call_counter MODULE ${CMAKE_CURRENT_LIST_DIR}/call_counter.c)
target_link_libraries(call_counter PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(call_counter PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/benchmarks)

add_test(NAME fast_path_call_counts
         COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/run_call_counts.py
                 --build ${CMAKE_BINARY_DIR})
set_tests_properties(fast_path_call_counts PROPERTIES LABELS mpi TIMEOUT 600 RESOURCE_LOCK mpirun
                                                      PROCESSORS 2)
