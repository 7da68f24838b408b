# Generates the MPI_* entry points that need no code of their own, from mpi.h: sets
# FTMPI_GENERATED_SOURCES. See cmake/wrapper_rules.py for what is generated how.
#
# Reads FTMPI_PMPI_SOURCES (pmpi/*.cc): what these define by hand is not generated.
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

option(FTMPI_ALLOW_MISSING_WRAPPERS
       "build although an entry point that must be written by hand is missing" OFF)

set(_generator ${CMAKE_SOURCE_DIR}/cmake/generate_wrappers.py)
set(_rules ${CMAKE_SOURCE_DIR}/cmake/wrapper_rules.py)
set(_output ${CMAKE_BINARY_DIR}/pmpi/generated)

find_file(FTMPI_MPI_HEADER mpi.h PATHS ${MPI_C_INCLUDE_DIRS} NO_DEFAULT_PATH)
if(NOT FTMPI_MPI_HEADER)
  message(FATAL_ERROR "mpi.h not found in ${MPI_C_INCLUDE_DIRS} (MPI_C_INCLUDE_DIRS)")
endif()
set(_mpi_library ${MPI_C_LIBRARIES})
list(FILTER _mpi_library INCLUDE REGEX "/libmpi\\.so")
set(FTMPI_MPI_LIBRARY "${_mpi_library}" CACHE INTERNAL "the MPI library")
set(FTMPI_PYTHON ${Python3_EXECUTABLE} CACHE INTERNAL "Python interpreter")

set(_include_arguments "")
foreach(_directory ${MPI_C_INCLUDE_DIRS})
  list(APPEND _include_arguments --include ${_directory})
endforeach()
set(FTMPI_GENERATOR_COMMAND ${Python3_EXECUTABLE} -B ${_generator} --compiler ${CMAKE_C_COMPILER}
                            ${_include_arguments})

set(FTMPI_GENERATED_SOURCES "")
foreach(_stem windows files datatypes tools missing other)
  list(APPEND FTMPI_GENERATED_SOURCES ${_output}/wrappers_${_stem}.cc)
endforeach()

set(_missing "")
if(FTMPI_ALLOW_MISSING_WRAPPERS)
  set(_missing --allow-missing)
endif()
set(_compare "")
if(FTMPI_MPI_LIBRARY)
  set(_compare --library ${FTMPI_MPI_LIBRARY} --nm ${CMAKE_NM})
endif()

add_custom_command(
  OUTPUT ${FTMPI_GENERATED_SOURCES}
  COMMAND ${FTMPI_GENERATOR_COMMAND} ${_compare} ${_missing} --output ${_output} ${FTMPI_PMPI_SOURCES}
  DEPENDS ${_generator} ${_rules} ${FTMPI_MPI_HEADER} ${FTMPI_PMPI_SOURCES}
  COMMENT "generating MPI entry points from ${FTMPI_MPI_HEADER}"
  VERBATIM)
