# The checkpoint store: files, commit, server, commands.
ftmpi_unit_test(store_file_test store_file_test.cc LIBRARIES ftmpi_checkpoint_store)
ftmpi_unit_test(store_server_test store_server_test.cc
                LIBRARIES ftmpi_checkpoint_client ftmpi_checkpoint_store)
target_compile_definitions(store_server_test
                           PRIVATE CHECKPOINT_SERVER="$<TARGET_FILE:mpi-ft-checkpoint-server>")
add_dependencies(store_server_test mpi-ft-checkpoint-server)
ftmpi_unit_test(store_commit_test store_commit_test.cc
                LIBRARIES ftmpi_checkpoint_store ftmpi_fault_environment)
