// Error handlers of communicators.
//
// The objects are Open MPI's, but the program's functions are called by us, with our handles: what
// is recorded here is which function a handle stands for, and how many references it has, since
// Open MPI must not reuse the handle before the last communicator lets go of it.
#pragma once

#include <mpi.h>

#include <cstdint>

namespace ftmpi {

enum class HandlerLanguage : std::uint8_t { kC, kFortran };

// Records a handler that PMPI_Comm_create_errhandler made; the program has one reference.
void RegisterErrorHandler(MPI_Errhandler handler, MPI_Comm_errhandler_function* function,
                          HandlerLanguage language);
// Counting of references; nothing happens for handlers that are not recorded (predefined ones).
void RetainErrorHandler(MPI_Errhandler handler);
// Gives Open MPI's object back with the last reference.
void ReleaseErrorHandler(MPI_Errhandler handler);

}  // namespace ftmpi
