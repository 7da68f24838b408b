# The recovery state algorithms: no files, no MPI.
add_library(ftmpi_recovery_core STATIC recovery_state.cc batch_recovery_state.cc
                                       incremental_recovery_state.cc)
target_link_libraries(ftmpi_recovery_core PUBLIC ftmpi_flags)
