# Process images: each program of image/programs runs uninterrupted, and captured, killed and
# restored; what it prints and writes must be the same.
set(_image ${CMAKE_CURRENT_LIST_DIR}/image)

add_library(image_test_host SHARED ${_image}/test_host.cc ${_image}/image_file.cc)
target_link_libraries(image_test_host PRIVATE ftmpi_flags $<LINK_LIBRARY:WHOLE_ARCHIVE,ftmpi_image>)
target_link_options(image_test_host PRIVATE -static-libstdc++ -static-libgcc -Wl,--no-undefined
                    -Wl,-z,now -Wl,--version-script=${_image}/test_host.map)
set_target_properties(image_test_host PROPERTIES LINK_DEPENDS ${_image}/test_host.map)

# ftmpi_image_test(NAME source [FLAGS flag...] [LIBRARIES lib...] [ARGUMENTS argument...]
#                  [CHAINS method...])
function(ftmpi_image_test name source)
  cmake_parse_arguments(ARG "" "" "FLAGS;LIBRARIES;ARGUMENTS;CHAINS" ${ARGN})
  add_executable(image_${name} ${_image}/programs/${source})
  # As a user compiles: nothing of the project's flags but warnings.
  target_compile_options(image_${name} PRIVATE -Wall -Wextra ${ARG_FLAGS})
  target_link_libraries(image_${name} PRIVATE ${ARG_LIBRARIES})
  set_target_properties(image_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                 ${CMAKE_BINARY_DIR}/tests/image)
  add_test(NAME image.${name}
           COMMAND ${FTMPI_PYTHON} -B ${_image}/run_image_test.py $<TARGET_FILE:image_test_host>
                   $<TARGET_FILE:image_${name}> ${ARG_ARGUMENTS})
  set_tests_properties(image.${name} PROPERTIES TIMEOUT 120)
  foreach(chain ${ARG_CHAINS})
    add_test(NAME image.${name}.${chain}
             COMMAND ${FTMPI_PYTHON} -B ${_image}/run_image_test.py --chain ${chain}
                     $<TARGET_FILE:image_test_host> $<TARGET_FILE:image_${name}> ${ARG_ARGUMENTS})
    set_tests_properties(image.${name}.${chain} PROPERTIES TIMEOUT 120)
  endforeach()
endfunction()

add_library(image_loaded_library MODULE ${_image}/plugin/plugin.cc)

ftmpi_image_test(plain plain.c CHAINS userfault hash)
# Linked with the library, and without position independence.
ftmpi_image_test(no_pie plain.c FLAGS -fno-pie LIBRARIES -no-pie image_test_host)
ftmpi_image_test(cxx cxx.cc FLAGS -Wno-restrict CHAINS userfault hash)
ftmpi_image_test(sequences sequences.c LIBRARIES m)
ftmpi_image_test(signals signals.c)
ftmpi_image_test(files files.c)
ftmpi_image_test(memory memory.c CHAINS userfault hash)
ftmpi_image_test(allocator allocator.cc FLAGS -fno-builtin LIBRARIES Threads::Threads CHAINS
                 userfault)
ftmpi_image_test(places places.c)
ftmpi_image_test(openmp openmp.c FLAGS -fopenmp LIBRARIES -fopenmp)
ftmpi_image_test(plugin plugin.c LIBRARIES ${CMAKE_DL_LIBS} ARGUMENTS
                 $<TARGET_FILE:image_loaded_library> CHAINS userfault)

# With MPI: the same host with wrappers of a few functions.
add_library(image_test_host_mpi SHARED ${_image}/test_host.cc ${_image}/image_file.cc
                                       ${_image}/mpi_host.cc)
target_link_libraries(image_test_host_mpi PRIVATE ftmpi_flags ftmpi_mpi
                                                  $<LINK_LIBRARY:WHOLE_ARCHIVE,ftmpi_image>)
target_link_options(image_test_host_mpi PRIVATE -static-libstdc++ -static-libgcc -Wl,--no-undefined
                    -Wl,-z,now -Wl,--version-script=${_image}/test_host.map)
set_target_properties(image_test_host_mpi PROPERTIES LINK_DEPENDS ${_image}/test_host.map)
add_executable(image_ring ${_image}/mpi_programs/ring.cc)
target_link_libraries(image_ring PRIVATE ftmpi_mpi)
set_target_properties(image_ring PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/image)
add_test(NAME image.mpi
         COMMAND ${FTMPI_PYTHON} -B ${_image}/run_image_test.py --ranks 2
                 $<TARGET_FILE:image_test_host_mpi> $<TARGET_FILE:image_ring>)
set_tests_properties(image.mpi PROPERTIES TIMEOUT 200 RUN_SERIAL TRUE)

# Page tracking alone, without the rest of the library: it interposes nothing.
ftmpi_unit_test(page_tracker_test ${_image}/page_tracker_test.cc
                ${CMAKE_SOURCE_DIR}/checkpoint/image/page_tracker.cc)

ftmpi_unit_test(placed_blocks_test ${_image}/placed_blocks_test.cc
                ${CMAKE_SOURCE_DIR}/checkpoint/image/placed_blocks.cc)

# What can't be imaged, and what is said then.
foreach(_program refused own_malloc)
  add_executable(image_${_program} ${_image}/programs/${_program}.c)
  target_compile_options(image_${_program} PRIVATE -Wall -Wextra -fno-builtin)
  target_link_libraries(image_${_program} PRIVATE Threads::Threads)
endforeach()
target_link_options(image_own_malloc PRIVATE -rdynamic)
add_executable(image_static ${_image}/programs/plain.c)
target_link_options(image_static PRIVATE -static)
set_target_properties(image_refused image_own_malloc image_static
                      PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/image)
add_test(NAME image.refusals
         COMMAND ${FTMPI_PYTHON} -B ${_image}/run_refusals_test.py
                 $<TARGET_FILE:image_test_host> $<TARGET_FILE:image_refused>
                 $<TARGET_FILE:image_files>)
set_tests_properties(image.refusals PROPERTIES TIMEOUT 120)
ftmpi_unit_test(image_check_test ${_image}/check_test.cc
                ${CMAKE_SOURCE_DIR}/checkpoint/image/check.cc)
target_compile_definitions(
  image_check_test PRIVATE FTMPI_PLAIN="$<TARGET_FILE:image_plain>"
                           FTMPI_STATIC="$<TARGET_FILE:image_static>"
                           FTMPI_OWN_MALLOC="$<TARGET_FILE:image_own_malloc>")
add_dependencies(image_check_test image_plain image_static image_own_malloc)
