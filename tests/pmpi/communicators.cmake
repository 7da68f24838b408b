ftmpi_unit_test(group_test group_test.cc ${CMAKE_SOURCE_DIR}/pmpi/group.cc LIBRARIES ftmpi_mpi)
ftmpi_unit_test(topology_test topology_test.cc ${CMAKE_SOURCE_DIR}/pmpi/topology.cc
                LIBRARIES ftmpi_mpi)
ftmpi_unit_test(communicator_id_test communicator_id_test.cc LIBRARIES ftmpi_mpi)
