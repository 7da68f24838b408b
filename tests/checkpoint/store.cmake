# The checkpoint store: files, commit, server, commands.
ftmpi_unit_test(store_file_test store_file_test.cc LIBRARIES ftmpi_checkpoint_store)
ftmpi_unit_test(store_server_test store_server_test.cc
                LIBRARIES ftmpi_checkpoint_client ftmpi_checkpoint_store)
target_compile_definitions(store_server_test
                           PRIVATE CHECKPOINT_SERVER="$<TARGET_FILE:mpi-ft-checkpoint-server>")
add_dependencies(store_server_test mpi-ft-checkpoint-server)
ftmpi_unit_test(store_commit_test store_commit_test.cc
                LIBRARIES ftmpi_checkpoint_store ftmpi_fault_environment)
ftmpi_unit_test(transit_file_test transit_file_test.cc
                LIBRARIES ftmpi_coordination ftmpi_fault_environment)
find_package(nlohmann_json REQUIRED)
# Debian's: the one that has python3-h5py.
find_program(FTMPI_SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
ftmpi_unit_test(store_commands_test store_commands_test.cc
                LIBRARIES ftmpi_checkpoint_store ftmpi_job_directory nlohmann_json::nlohmann_json)
target_compile_definitions(store_commands_test PRIVATE
  MPI_FT_LS="${CMAKE_BINARY_DIR}/bin/mpi-ft-ls" MPI_FT_VERIFY="${CMAKE_BINARY_DIR}/bin/mpi-ft-verify"
  HDF5_PLUGINS="${CMAKE_BINARY_DIR}/lib/ftmpi/hdf5" PYTHON="${FTMPI_SYSTEM_PYTHON}" READ_CHECKPOINT="${CMAKE_SOURCE_DIR}/examples/read_checkpoint.py")
add_dependencies(store_commands_test mpi-ft-ls mpi-ft-verify h5zstd)
ftmpi_unit_test(store_manifest_test store_manifest_test.cc LIBRARIES ftmpi_checkpoint_client
                ftmpi_checkpoint_files)
ftmpi_unit_test(store_sealed_file_test store_sealed_file_test.cc LIBRARIES ftmpi_checkpoint_files)
ftmpi_unit_test(store_partner_test store_partner_test.cc
                LIBRARIES ftmpi_checkpoint_client ftmpi_checkpoint_store)
target_compile_definitions(store_partner_test
                           PRIVATE CHECKPOINT_SERVER="$<TARGET_FILE:mpi-ft-checkpoint-server>")
add_dependencies(store_partner_test mpi-ft-checkpoint-server)
