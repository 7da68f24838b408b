// The test host with MPI: wrappers of a few MPI functions that say whose work is done, as
// libftmpi's do. An image is taken at a barrier, by all ranks; a restored rank starts MPI anew and
// goes into the same barrier. IMAGE_TEST_FILE gets the rank appended.
#include <mpi.h>

#include <cstdlib>
#include <string>

#include "checkpoint/image/descriptors.h"
#include "checkpoint/image/export.h"
#include "checkpoint/image/library_scope.h"
#include "checkpoint/image/modules.h"

extern "C" void checkpoint_here();

namespace ftmpi::image_test {

// In test_host.cc: called in place of nothing there.
void StartMpi(int* argc, char*** argv);
void StartMpi(int* argc, char*** argv) { MPI_Init(argc, argv); }

}  // namespace ftmpi::image_test

using ftmpi::image::LibraryScope;

FTMPI_INTERPOSE int MPI_Init(int* argc, char*** argv) {
  const LibraryScope scope;
  ftmpi::image::LibraryOpens();
  const int result = PMPI_Init(argc, argv);
  ftmpi::image::LibraryOpened();
  ftmpi::image::NoteLibraryModules();
  return result;
}

FTMPI_INTERPOSE int MPI_Finalize() {
  const LibraryScope scope;
  return PMPI_Finalize();
}

FTMPI_INTERPOSE int MPI_Barrier(MPI_Comm comm) {
  const LibraryScope scope;
  // Nothing is in transit: the ranks meet before and after.
  PMPI_Barrier(comm);
  checkpoint_here();
  return PMPI_Barrier(comm);
}

FTMPI_INTERPOSE int MPI_Allreduce(const void* sent, void* received, int count, MPI_Datatype type,
                                  MPI_Op op, MPI_Comm comm) {
  const LibraryScope scope;
  return PMPI_Allreduce(sent, received, count, type, op, comm);
}

FTMPI_INTERPOSE int MPI_Sendrecv(const void* sent, int send_count, MPI_Datatype send_type, int to,
                                 int send_tag, void* received, int receive_count,
                                 MPI_Datatype receive_type, int from, int receive_tag,
                                 MPI_Comm comm, MPI_Status* status) {
  const LibraryScope scope;
  return PMPI_Sendrecv(sent, send_count, send_type, to, send_tag, received, receive_count,
                       receive_type, from, receive_tag, comm, status);
}
