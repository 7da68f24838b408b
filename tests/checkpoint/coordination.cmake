ftmpi_unit_test(coordination_test checkpoint_interval_test.cc control_message_test.cc
                coordinator_test.cc in_transit_file_test.cc participant_test.cc rollback_test.cc
                LIBRARIES ftmpi_coordination)
ftmpi_unit_test(checkpoint_simulator_test simulator/simulator_test.cc simulator/scale_test.cc
                simulator/world.cc simulator/world_checks.cc simulator/world_storage.cc
                LIBRARIES ftmpi_coordination)
ftmpi_unit_test(uncoordinated_test independent_test.cc independent_property_test.cc induced_test.cc
                induced_property_test.cc LIBRARIES ftmpi_coordination ftmpi_recovery_core)
