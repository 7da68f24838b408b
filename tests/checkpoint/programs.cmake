# Programs that an image must hold, as MPI programs under the real library: killed where a checkpoint
# has just been taken, recovered, and compared with a bare run (programs/run_recovery_test.py). They
# are those of image/, with programs/mpi_main.c around them, and those of programs/.
#
# A plain ctest kills each at one place, with the library preloaded; `ctest -C Campaign -L campaign`
# at all places, preloaded and linked.
set(_recovery ${CMAKE_CURRENT_LIST_DIR}/programs)
set(_recovery_test ${FTMPI_PYTHON} -B ${_recovery}/run_recovery_test.py --build ${CMAKE_BINARY_DIR})

add_library(recovery_main OBJECT ${_recovery}/mpi_main.c)
target_link_libraries(recovery_main PRIVATE MPI::MPI_C)
target_compile_definitions(recovery_main PRIVATE OMPI_SKIP_MPICXX)
target_compile_options(recovery_main PRIVATE -Wall -Wextra)

# ftmpi_recovery_test(NAME source [FLAGS flag...] [LIBRARIES lib...] [ARGUMENTS argument...]
#                     [OPTIONS option...])
function(ftmpi_recovery_test name source)
  cmake_parse_arguments(ARG "" "" "FLAGS;LIBRARIES;ARGUMENTS;OPTIONS" ${ARGN})
  foreach(variant "" _linked)
    set(target recovery_${name}${variant})
    add_executable(${target} ${source} $<TARGET_OBJECTS:recovery_main>)
    # As a user compiles: nothing of the project's flags but warnings.
    target_compile_options(${target} PRIVATE -Wall -Wextra ${ARG_FLAGS})
    if(variant)
      target_link_libraries(${target} PRIVATE ftmpi)
    endif()
    target_link_libraries(${target} PRIVATE MPI::MPI_C ${ARG_LIBRARIES})
    target_compile_definitions(${target} PRIVATE main=program_main FTMPI_MPI_MAIN)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                               ${CMAKE_BINARY_DIR}/tests/recovery)
  endforeach()
  add_test(NAME recovery.${name}
           COMMAND ${_recovery_test} --places middle ${ARG_OPTIONS} $<TARGET_FILE:recovery_${name}>
                   ${ARG_ARGUMENTS})
  set_tests_properties(recovery.${name} PROPERTIES LABELS "fault" TIMEOUT 200 PROCESSORS 2
                                                   RESOURCE_LOCK mpirun)
  add_test(NAME recovery.${name}.all CONFIGURATIONS Campaign
           COMMAND ${_recovery_test} ${ARG_OPTIONS} $<TARGET_FILE:recovery_${name}> ${ARG_ARGUMENTS})
  add_test(NAME recovery.${name}.all_linked CONFIGURATIONS Campaign
           COMMAND ${_recovery_test} --linked ${ARG_OPTIONS} $<TARGET_FILE:recovery_${name}_linked>
                   ${ARG_ARGUMENTS})
  set_tests_properties(recovery.${name}.all recovery.${name}.all_linked
                       PROPERTIES LABELS "fault;campaign" TIMEOUT 600 PROCESSORS 2 RESOURCE_LOCK mpirun)
endfunction()

ftmpi_recovery_test(plain ${_image}/programs/plain.c)
ftmpi_recovery_test(no_pie ${_image}/programs/plain.c FLAGS -fno-pie LIBRARIES -no-pie)
ftmpi_recovery_test(cxx ${_image}/programs/cxx.cc FLAGS -Wno-restrict)
ftmpi_recovery_test(sequences ${_image}/programs/sequences.c LIBRARIES m)
ftmpi_recovery_test(signals ${_image}/programs/signals.c)
ftmpi_recovery_test(files ${_image}/programs/files.c)
ftmpi_recovery_test(memory ${_image}/programs/memory.c)
ftmpi_recovery_test(allocator ${_image}/programs/allocator.cc FLAGS -fno-builtin
                    LIBRARIES Threads::Threads)
ftmpi_recovery_test(places ${_image}/programs/places.c)
ftmpi_recovery_test(openmp ${_image}/programs/openmp.c FLAGS -fopenmp LIBRARIES -fopenmp)
ftmpi_recovery_test(plugin ${_image}/programs/plugin.c LIBRARIES ${CMAKE_DL_LIBS}
                    ARGUMENTS $<TARGET_FILE:image_loaded_library>)

# Dead data is not stored.
add_executable(recovery_exclude ${_recovery}/exclude.c $<TARGET_OBJECTS:recovery_main>)
target_link_libraries(recovery_exclude PRIVATE ftmpi MPI::MPI_C)
target_compile_definitions(recovery_exclude PRIVATE main=program_main OMPI_SKIP_MPICXX)
target_include_directories(recovery_exclude PRIVATE ${_image}/programs)
set_target_properties(recovery_exclude PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                  ${CMAKE_BINARY_DIR}/tests/recovery)
add_test(NAME recovery.exclude
         COMMAND ${_recovery_test} --linked --smaller 20000000 $<TARGET_FILE:recovery_exclude>)
list(APPEND _more recovery.exclude)
# The test uses the commands.
add_dependencies(recovery_exclude mpi-ft-recover mpi-ft-companion mpi-ft-checkpoint-server)

# A file that was changed, or deleted, between failure and recovery is named.
add_test(NAME recovery.file_deleted
         COMMAND ${_recovery_test} --places 1 --damage "rm rank-1/input" --says rank-1/input
                 $<TARGET_FILE:recovery_files>)
add_test(NAME recovery.file_changed
         COMMAND ${_recovery_test} --places 1 --damage "truncate -s 10 rank-1/input" --says
                 rank-1/input $<TARGET_FILE:recovery_files>)
# What no image can hold is named, and the job goes on.
add_executable(recovery_refused ${_image}/programs/refused.c $<TARGET_OBJECTS:recovery_main>)
target_link_libraries(recovery_refused PRIVATE MPI::MPI_C Threads::Threads)
target_compile_definitions(recovery_refused PRIVATE main=program_main)
set_target_properties(recovery_refused PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                  ${CMAKE_BINARY_DIR}/tests/recovery)
foreach(_thing pipe socket deleted)
  set(_pipe "a pipe")
  set(_socket "a socket")
  set(_deleted "deleted")
  add_test(NAME recovery.refused_${_thing}
           COMMAND ${_recovery_test} --refused ${_${_thing}} $<TARGET_FILE:recovery_refused> ${_thing})
  list(APPEND _more recovery.refused_${_thing})
endforeach()
# A program of which no image can be taken: here since it is linked with another malloc, by its name.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/no_malloc.c "int this_is_no_malloc;\n")
add_library(recovery_other_malloc SHARED ${CMAKE_CURRENT_BINARY_DIR}/no_malloc.c)
set_target_properties(recovery_other_malloc PROPERTIES OUTPUT_NAME jemalloc
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/recovery)
add_executable(recovery_not_imaged ${_image}/programs/plain.c $<TARGET_OBJECTS:recovery_main>)
target_link_options(recovery_not_imaged PRIVATE -Wl,--no-as-needed)
target_link_libraries(recovery_not_imaged PRIVATE recovery_other_malloc MPI::MPI_C)
target_compile_definitions(recovery_not_imaged PRIVATE main=program_main)
set_target_properties(recovery_not_imaged PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                     ${CMAKE_BINARY_DIR}/tests/recovery)
add_test(NAME recovery.not_imaged
         COMMAND ${_recovery_test} --refused "uses another malloc (libjemalloc.so)"
                 $<TARGET_FILE:recovery_not_imaged>)
list(APPEND _more recovery.not_imaged)
set_tests_properties(recovery.file_deleted recovery.file_changed ${_more}
                     PROPERTIES LABELS "fault" TIMEOUT 200 PROCESSORS 2 RESOURCE_LOCK mpirun)
