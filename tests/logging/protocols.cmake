ftmpi_unit_test(protocol_test protocol_test.cc codec_test.cc pessimistic_test.cc optimistic_test.cc
                causal_test.cc coordinated_test.cc LIBRARIES ftmpi_logging)
ftmpi_unit_test(simulator_test simulator/simulator_test.cc simulator/world.cc
                simulator/world_checks.cc LIBRARIES ftmpi_logging ftmpi_recovery_core)
