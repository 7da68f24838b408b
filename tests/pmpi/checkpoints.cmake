ftmpi_unit_test(checkpoint_settings_test checkpoint_settings_test.cc
                ${CMAKE_SOURCE_DIR}/pmpi/checkpoint_settings.cc LIBRARIES ftmpi_coordination)
