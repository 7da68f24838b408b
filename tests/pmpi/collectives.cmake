ftmpi_unit_test(collective_selection_test collective_selection_test.cc
                ${CMAKE_SOURCE_DIR}/pmpi/collective_selection.cc)
