# Coordination of checkpoints: pure state machines, linked into libftmpi.so and into the commands.
add_library(ftmpi_coordination STATIC
            ${CMAKE_CURRENT_LIST_DIR}/control_message.cc ${CMAKE_CURRENT_LIST_DIR}/coordinator.cc ${CMAKE_CURRENT_LIST_DIR}/independent.cc ${CMAKE_CURRENT_LIST_DIR}/induced.cc ${CMAKE_CURRENT_LIST_DIR}/kept_checkpoints.cc ${CMAKE_CURRENT_LIST_DIR}/checkpoint_interval.cc
            ${CMAKE_CURRENT_LIST_DIR}/cut_record.cc ${CMAKE_CURRENT_LIST_DIR}/participant.cc)
target_link_libraries(ftmpi_coordination PUBLIC ftmpi_logging)
