// The state that every MPI_* entry point looks at first.
#pragma once

#include <mpi.h>

namespace ftmpi {

// False until MPI_Init has been called by a rank whose FT_MODE asks for logging: then each entry
// point goes straight through to PMPI. Set once, in MPI_Init; cleared after MPI_Finalize.
extern bool g_active;

#define FTMPI_EXPORT extern "C" __attribute__((visibility("default")))
// First line of an entry point: one predicted branch when ftmpi is off.
#define FTMPI_PASS_THROUGH(call)                                \
  do {                                                          \
    if (__builtin_expect(!::ftmpi::g_active, 1)) return (call); \
  } while (0)

}  // namespace ftmpi
