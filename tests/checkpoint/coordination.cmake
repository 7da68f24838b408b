ftmpi_unit_test(coordination_test ${CMAKE_CURRENT_LIST_DIR}/participant_test.cc
                ${CMAKE_CURRENT_LIST_DIR}/coordinator_test.cc LIBRARIES ftmpi_coordination)
