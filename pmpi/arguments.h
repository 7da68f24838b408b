// Checks of the arguments of point-to-point calls, as Open MPI makes them.
#pragma once

#include <mpi.h>

#include "pmpi/communicator.h"
#include "pmpi/request.h"

namespace ftmpi {

// What is wrong with the arguments of a send or receive: MPI_SUCCESS or an error class; `found` is
// the communicator (null if it is not valid: errors go to MPI_COMM_WORLD's handler then).
int CheckSend(MPI_Comm comm, const void* buffer, int count, MPI_Datatype datatype, int destination,
              int tag, Communicator** found);
int CheckReceive(MPI_Comm comm, const void* buffer, int count, MPI_Datatype datatype, int source,
                 int tag, Communicator** found);
int CheckProbe(MPI_Comm comm, int source, int tag, Communicator** found);

// Makes a request from checked arguments; not started.
Request* MakeSend(const void* buffer, int count, MPI_Datatype datatype, int destination, int tag,
                  Communicator* communicator, SendMode mode);
Request* MakeReceive(void* buffer, int count, MPI_Datatype datatype, int source, int tag,
                     Communicator* communicator);

// --- Statuses ---------------------------------------------------------------------------------
void SetEmptyStatus(MPI_Status* status);
// Fills source, tag, bytes and the cancelled mark; MPI_ERROR only by the calls that return several.
void SetStatus(MPI_Status* status, int source, int tag, std::uint64_t bytes, bool cancelled);

// --- Completion -------------------------------------------------------------------------------
// Has the request completed? Asks Open MPI for foreign requests.
bool IsComplete(Request* request);
// Waits for it, foreign or not.
void AwaitRequest(Request* request);
// A completed request is given back to the program: fills `status` (may be MPI_STATUS_IGNORE),
// deletes it (or makes a persistent one inactive), sets *handle. Returns its error code.
int FinishRequest(MPI_Request* handle, Request* request, MPI_Status* status);

// --- Buffered sends (pmpi/buffered_send.cc) -----------------------------------------------------
// MPI_SUCCESS, or MPI_ERR_BUFFER: no attached buffer, or too small for the message.
int CheckBuffer(int count, MPI_Datatype datatype);

}  // namespace ftmpi
