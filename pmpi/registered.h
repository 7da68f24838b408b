// FT_STATE=registered: the program names what is to be saved, and where in its course
// (checkpoint/REGISTERED.md). A restarted program begins at main() and gets its regions back.
//
// Expects the engine's lock, and one thread that calls MPI.
#pragma once

#include <mpi.h>

#include <cstdint>

#include "pmpi/checkpointing.h"

namespace ftmpi::registered {

// This job saves registered state.
extern bool g_on;
// Messages that this process has sent, and that have arrived at it, since MPI_Init. Kept with g_on
// only.
extern std::uint64_t g_sent;
extern std::uint64_t g_arrived;

// In MPI_Init, collective; `csn`: the checkpoint that the job starts from, 0: none. Starts the
// node's checkpoint server.
void Start(const checkpointing::JobNames& names, std::uint32_t csn);
// MPI_Finalize begins.
void Stop();

// What the functions of ftmpi.h do; FT_... codes. `name` is one component of a path.
int Protect(const char* name, void* pointer, int count, MPI_Datatype datatype);
int Unprotect(const char* name);
int Restored(int* flag);
int Checkpoint();

}  // namespace ftmpi::registered
