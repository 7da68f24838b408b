# Tests of files and formats: environment, payload log, event logs, replay log, status page.
find_package(rapidcheck REQUIRED)

add_library(ftmpi_fault_environment STATIC ${CMAKE_CURRENT_LIST_DIR}/fault_environment.cc)
target_link_libraries(ftmpi_fault_environment PUBLIC ftmpi_logging)

ftmpi_unit_test(environment_test environment_test.cc LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(payload_log_test payload_log_test.cc LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(payload_log_recovery_test payload_log_recovery_test.cc
                LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(payload_log_damage_test payload_log_damage_test.cc
                LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(payload_log_property_test payload_log_property_test.cc
                LIBRARIES ftmpi_fault_environment rapidcheck)
ftmpi_unit_test(event_log_test event_log_test.cc LIBRARIES ftmpi_fault_environment rapidcheck)
ftmpi_unit_test(replay_log_test replay_log_test.cc LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(rank_status_test rank_status_test.cc LIBRARIES ftmpi_fault_environment)
ftmpi_unit_test(stream_copy_test stream_copy_test.cc LIBRARIES ftmpi_logging)
