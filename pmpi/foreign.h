// Requests of Open MPI's own (MPI-IO, RMA, communicators of dynamic processes) as requests of ours,
// so that a program may mix both in one MPI_Waitall.
//
// All functions expect the engine's lock. None blocks but WaitOpenMpi, which serves the engine.
#pragma once

#include <mpi.h>

#include "pmpi/request.h"

namespace ftmpi {

// A request of kind kForeign that stands for Open MPI's `inner` (owned from now on, in `transfer`);
// returns the handle for the program. A persistent one (MPI_Send_init and the like on a foreign
// communicator) is inactive until StartForeignRequest.
MPI_Request WrapForeignRequest(MPI_Request inner);
MPI_Request WrapForeignPersistent(MPI_Request inner);

// Asks Open MPI once. True: the request is complete (or was already, or is inactive); it is marked
// so, its source, tag, bytes and error are filled in, and `status` (may be MPI_STATUS_IGNORE) is
// Open MPI's. A later call gives the same status again. The object stays the caller's to delete
// with FreeForeignRequest, or, if persistent, to mark inactive.
bool TestForeignRequest(Request* request, MPI_Status* status);

// MPI error codes of Open MPI.
int StartForeignRequest(Request* request);   // of a persistent, inactive one
int CancelForeignRequest(Request* request);  // still has to be completed

// Gives Open MPI's request back (MPI_Request_free: what is under way finishes by itself), and the
// object.
void FreeForeignRequest(Request* request);

// Completes a request of Open MPI's that the program never sees: polls it and the engine in turn.
// Returns Open MPI's error code. For blocking calls on foreign communicators: PMPI_Isend and this,
// never PMPI_Send, since others may wait for our engine meanwhile.
int WaitOpenMpi(MPI_Request* inner, MPI_Status* status);

}  // namespace ftmpi
