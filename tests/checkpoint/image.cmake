# Process images: each program of image/programs runs uninterrupted, and captured, killed and
# restored; what it prints and writes must be the same.
set(_image ${CMAKE_CURRENT_LIST_DIR}/image)

add_library(image_test_host SHARED ${_image}/test_host.cc ${_image}/image_file.cc)
target_link_libraries(image_test_host PRIVATE ftmpi_flags $<LINK_LIBRARY:WHOLE_ARCHIVE,ftmpi_image>)
target_link_options(image_test_host PRIVATE -static-libstdc++ -static-libgcc -Wl,--no-undefined
                    -Wl,--exclude-libs,libstdc++.a:libgcc.a:libgcc_eh.a -Wl,-z,now)

# ftmpi_image_test(NAME source [LANGUAGE-FLAGS flag...] [LIBRARIES lib...])
function(ftmpi_image_test name source)
  cmake_parse_arguments(ARG "" "" "FLAGS;LIBRARIES" ${ARGN})
  add_executable(image_${name} ${_image}/programs/${source})
  # As a user compiles: nothing of the project's flags but warnings.
  target_compile_options(image_${name} PRIVATE -Wall -Wextra ${ARG_FLAGS})
  target_link_libraries(image_${name} PRIVATE m ${ARG_LIBRARIES})
  set_target_properties(image_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                 ${CMAKE_BINARY_DIR}/tests/image)
  add_test(NAME image.${name}
           COMMAND ${FTMPI_PYTHON} -B ${_image}/run_image_test.py $<TARGET_FILE:image_test_host>
                   $<TARGET_FILE:image_${name}>)
  set_tests_properties(image.${name} PROPERTIES TIMEOUT 120)
endfunction()

file(GLOB _programs CONFIGURE_DEPENDS ${_image}/programs/*.c ${_image}/programs/*.cc)
foreach(_source ${_programs})
  get_filename_component(_name ${_source} NAME_WE)
  get_filename_component(_file ${_source} NAME)
  ftmpi_image_test(${_name} ${_file})
endforeach()
