ftmpi_unit_test(simulator_test simulator/simulator_test.cc simulator/world.cc
                simulator/world_checks.cc LIBRARIES ftmpi_logging ftmpi_recovery_core)
