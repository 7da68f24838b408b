// Generalised requests (MPI-3.1 12.2): the program completes them.
#pragma once

#include <mpi.h>

#include "pmpi/request.h"

namespace ftmpi {

// Calls the program's query function; its error code.
int QueryGeneralized(Request* request, MPI_Status* status);
// Calls the program's free function and deletes the request; its error code.
int FreeGeneralized(Request* request);
// Calls the program's cancel function.
int CancelGeneralized(Request* request);

}  // namespace ftmpi
