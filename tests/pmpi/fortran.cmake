find_program(FTMPI_MPIFORT NAMES mpifort mpif90)
if(FTMPI_MPIFORT)
  add_test(NAME pmpi.fortran_is_refused
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/fortran_test.sh ${FTMPI_MPIFORT} $<TARGET_FILE:ftmpi>)
  set_tests_properties(pmpi.fortran_is_refused PROPERTIES TIMEOUT 300 RESOURCE_LOCK mpirun LABELS mpi)
endif()
