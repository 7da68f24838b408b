# The checkpoint store: files, commit, server, commands.
ftmpi_unit_test(store_file_test store_file_test.cc LIBRARIES ftmpi_checkpoint_store)
