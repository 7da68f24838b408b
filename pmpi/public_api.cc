// The functions of ftmpi.h.
#include "pmpi/include/ftmpi.h"

#include "pmpi/capture.h"

FTMPI_EXPORT int FT_Get_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = FTMPI_VERSION_MAJOR;
  if (minor != nullptr) *minor = FTMPI_VERSION_MINOR;
  if (patch != nullptr) *patch = FTMPI_VERSION_PATCH;
  return MPI_SUCCESS;
}
