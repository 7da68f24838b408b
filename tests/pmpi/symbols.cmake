# The interface of libftmpi.so against mpi.h, and what it brings into a process.
set(_symbols_tools --compiler ${CMAKE_C_COMPILER} --nm ${CMAKE_NM} --readelf ${CMAKE_READELF})
add_test(NAME pmpi.symbols
         COMMAND ${FTMPI_PYTHON} -B ${CMAKE_CURRENT_LIST_DIR}/symbols_test.py ${_symbols_tools}
                 --library $<TARGET_FILE:ftmpi> --mpi-header ${FTMPI_MPI_HEADER}
                 --mpi-library ${FTMPI_MPI_LIBRARY})
add_test(NAME pmpi.symbols_finds_faults
         COMMAND ${FTMPI_PYTHON} -B ${CMAKE_CURRENT_LIST_DIR}/symbols_test.py ${_symbols_tools}
                 --self-test)
add_test(NAME pmpi.wrapper_generator
         COMMAND ${FTMPI_PYTHON} -B ${CMAKE_CURRENT_LIST_DIR}/generator_test.py
                 ${CMAKE_C_COMPILER})
