// MPI_Buffer_attach and MPI_Buffer_detach. A buffered send is complete as soon as its message is in
// the payload log, so the program's buffer is never used; its size is checked as the standard asks,
// so that a program behaves the same with and without the library.
#include <mpi.h>

#include "pmpi/arguments.h"
#include "pmpi/capture.h"
#include "pmpi/datatype.h"
#include "pmpi/engine.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

FTMPI_SAVED void* g_buffer = nullptr;
FTMPI_SAVED int g_buffer_size = 0;

}  // namespace

int CheckBuffer(int count, MPI_Datatype datatype) {
  DatatypeLayout layout;
  if (!GetLayout(datatype, &layout)) return MPI_ERR_TYPE;
  const std::uint64_t bytes = layout.size * static_cast<std::uint64_t>(count);
  if (bytes + MPI_BSEND_OVERHEAD > static_cast<std::uint64_t>(g_buffer_size)) return MPI_ERR_BUFFER;
  return MPI_SUCCESS;
}

}  // namespace ftmpi

using namespace ftmpi;  // NOLINT(google-build-using-namespace)

FTMPI_EXPORT int MPI_Buffer_attach(void* buffer, int size) {
  FTMPI_PASS_THROUGH(PMPI_Buffer_attach(buffer, size));
  EngineLock lock;
  if (buffer == nullptr || size < 0) return RaiseError(nullptr, MPI_ERR_ARG, "MPI_Buffer_attach");
  if (g_buffer != nullptr) return RaiseError(nullptr, MPI_ERR_BUFFER, "MPI_Buffer_attach");
  g_buffer = buffer;
  g_buffer_size = size;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Buffer_detach(void* buffer, int* size) {
  FTMPI_PASS_THROUGH(PMPI_Buffer_detach(buffer, size));
  EngineLock lock;
  if (buffer == nullptr || size == nullptr)
    return RaiseError(nullptr, MPI_ERR_ARG, "MPI_Buffer_detach");
  if (g_buffer == nullptr) return RaiseError(nullptr, MPI_ERR_BUFFER, "MPI_Buffer_detach");
  *static_cast<void**>(buffer) = g_buffer;
  *size = g_buffer_size;
  g_buffer = nullptr;
  g_buffer_size = 0;
  return MPI_SUCCESS;
}
