ftmpi_unit_test(coordination_test ${CMAKE_CURRENT_LIST_DIR}/participant_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/coordinator_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/control_message_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/checkpoint_interval_test.cc LIBRARIES ftmpi_coordination)
ftmpi_unit_test(checkpoint_simulator_test
                ${CMAKE_CURRENT_LIST_DIR}/simulator/simulator_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/simulator/scale_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/simulator/world.cc
                ${CMAKE_CURRENT_LIST_DIR}/simulator/world_checks.cc LIBRARIES ftmpi_coordination)
ftmpi_unit_test(uncoordinated_test ${CMAKE_CURRENT_LIST_DIR}/independent_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/induced_test.cc
                LIBRARIES ftmpi_coordination ftmpi_recovery_core)
