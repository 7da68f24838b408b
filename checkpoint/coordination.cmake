# Coordination of checkpoints: pure state machines, linked into libftmpi.so and into the commands.
add_library(ftmpi_coordination STATIC checkpoint_interval.cc control_message.cc coordinator.cc
                                      cut_record.cc in_transit_file.cc independent.cc induced.cc kept_checkpoints.cc
                                      participant.cc participant_recovery.cc participant_transit.cc)
target_link_libraries(ftmpi_coordination PUBLIC ftmpi_logging)
# A square root is one instruction then: libftmpi.so needs no libm.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/checkpoint_interval.cc
                            PROPERTIES COMPILE_OPTIONS -fno-math-errno)
