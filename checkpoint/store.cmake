# The checkpoint store. What enters the rank (libc and C++ only): ftmpi_checkpoint_client. What
# reads and writes HDF5: ftmpi_checkpoint_store, linked into programs of their own.
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)

add_library(ftmpi_checkpoint_client STATIC manifest.cc)
target_link_libraries(ftmpi_checkpoint_client PUBLIC ftmpi_flags)

add_library(ftmpi_checkpoint_store STATIC
  hdf5_file.cc hdf5_values.cc memory_source.cc rank_file_reader.cc rank_file_writer.cc sealed_file.cc
  zstd_filter.cc)
target_link_libraries(ftmpi_checkpoint_store
  PUBLIC ftmpi_flags ftmpi_checkpoint_client ftmpi_logging hdf5::hdf5
  PRIVATE PkgConfig::ZSTD)
