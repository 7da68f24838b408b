ftmpi_unit_test(recovery_state_test recovery_state_test.cc recovery_state_random_test.cc
                LIBRARIES ftmpi_recovery_core)
