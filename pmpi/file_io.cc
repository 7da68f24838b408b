// MPI-IO: files on Open MPI communicators made for them (pmpi/passthrough.h). What is not here is
// generated.
#include "pmpi/image_obstacle.h"
#include "pmpi/passthrough.h"

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

FTMPI_EXPORT int MPI_File_open(MPI_Comm comm, const char* filename, int amode, MPI_Info info,
                               MPI_File* fh) {
  FTMPI_PASS_THROUGH(PMPI_File_open(comm, filename, amode, info, fh));
  passthrough::ObjectCommunicator made;
  int error = made.Make(comm, "MPI_File_open");
  if (error != MPI_SUCCESS) return error;
  // Its errors are those of MPI_FILE_NULL: Open MPI raises them there.
  error = PMPI_File_open(made.get(), filename, amode, info, fh);
  made.Finish(error, fh, &passthrough::Files());
  return error;
}

FTMPI_EXPORT int MPI_File_close(MPI_File* fh) {
  FTMPI_PASS_THROUGH(PMPI_File_close(fh));
  passthrough::Enter("MPI_File_close");
  if (fh == nullptr) return PMPI_File_close(fh);
  int error = passthrough::MeetFile(*fh);
  if (error != MPI_SUCCESS) return error;
  MPI_File file = *fh;
  MPI_Comm made = passthrough::Files().Remove(file);
  error = PMPI_File_close(fh);
  if (error != MPI_SUCCESS) {
    if (made != MPI_COMM_NULL) passthrough::Files().Add(file, made);
    return error;
  }
  return made == MPI_COMM_NULL ? MPI_SUCCESS : PMPI_Comm_free(&made);
}

FTMPI_EXPORT int MPI_File_delete(const char* filename, MPI_Info info) {
  FTMPI_PASS_THROUGH(PMPI_File_delete(filename, info));
  passthrough::Notice("MPI_File_delete", nullptr);
  return PMPI_File_delete(filename, info);
}

// The handler of MPI_FILE_NULL is that of files to come.
FTMPI_EXPORT int MPI_File_set_errhandler(MPI_File file, MPI_Errhandler errhandler) {
  FTMPI_PASS_THROUGH(PMPI_File_set_errhandler(file, errhandler));
  passthrough::Enter("MPI_File_set_errhandler");
  if (file == MPI_FILE_NULL)
    image_obstacle::Note("the program sets an error handler for all files");
  return PMPI_File_set_errhandler(file, errhandler);
}

FTMPI_EXPORT int MPI_Register_datarep(const char* datarep,
                                      MPI_Datarep_conversion_function* read_conversion_fn,
                                      MPI_Datarep_conversion_function* write_conversion_fn,
                                      MPI_Datarep_extent_function* dtype_file_extent_fn,
                                      void* extra_state) {
  FTMPI_PASS_THROUGH(PMPI_Register_datarep(datarep, read_conversion_fn, write_conversion_fn,
                                           dtype_file_extent_fn, extra_state));
  passthrough::Enter("MPI_Register_datarep");
  image_obstacle::Note("the program uses MPI_Register_datarep");
  return passthrough::Result(PMPI_Register_datarep(datarep, read_conversion_fn, write_conversion_fn,
                                                   dtype_file_extent_fn, extra_state),
                             "MPI_Register_datarep");
}
// NOLINTEND
