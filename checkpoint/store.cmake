# The checkpoint store. What enters the rank (libc and C++ only): ftmpi_checkpoint_client. What
# reads and writes HDF5: ftmpi_checkpoint_store, linked into programs of their own.
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)

add_library(ftmpi_checkpoint_client STATIC manifest.cc partner_secret.cc server_client.cc server_start.cc socket_address.cc)
target_link_libraries(ftmpi_checkpoint_client PUBLIC ftmpi_flags ftmpi_logging ${CMAKE_DL_LIBS})

# Names, deletion and seals: all that can be known of checkpoint files without HDF5.
add_library(ftmpi_checkpoint_files STATIC checkpoint_directory.cc deletion.cc level_record.cc sealed_file.cc)
target_link_libraries(ftmpi_checkpoint_files PUBLIC ftmpi_flags ftmpi_checkpoint_client ftmpi_logging)

add_library(ftmpi_checkpoint_store STATIC
  commit.cc hdf5_file.cc hdf5_values.cc image_chain.cc index_file.cc memory_source.cc partner_transfer.cc
  rank_file_reader.cc rank_file_writer.cc server.cc server_session.cc store_reader.cc zstd_filter.cc)
target_link_libraries(ftmpi_checkpoint_store
  PUBLIC ftmpi_flags ftmpi_checkpoint_files ftmpi_checkpoint_client ftmpi_logging hdf5::hdf5
  PRIVATE ftmpi_coordination PkgConfig::ZSTD)

add_executable(mpi-ft-checkpoint-server mpi_ft_checkpoint_server.cc)
target_link_libraries(mpi-ft-checkpoint-server PRIVATE ftmpi_checkpoint_store)
# libftmpi.so looks for it in ftmpi/ beside itself.
set_target_properties(mpi-ft-checkpoint-server PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                          ${CMAKE_BINARY_DIR}/lib/ftmpi)
install(TARGETS mpi-ft-checkpoint-server RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/ftmpi)

# For h5dump, h5py and others: HDF5_PLUGIN_PATH is the directory.
add_library(h5zstd MODULE zstd_plugin.cc zstd_filter.cc)
target_link_libraries(h5zstd PRIVATE ftmpi_flags hdf5::hdf5 PkgConfig::ZSTD)
set_target_properties(h5zstd PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/ftmpi/hdf5)
install(TARGETS h5zstd LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ftmpi/hdf5)
