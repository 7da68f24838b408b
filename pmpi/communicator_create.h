// What the making of communicators shares between its entry points and those of topologies.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "pmpi/communicator.h"
#include "pmpi/communicator_id.h"

namespace ftmpi {

// The communicator of those members of an intracommunicator whose ranks are listed, in this order.
// Null if this process is none of them. Every member calls it, or none: it counts the parent's
// children. Without messages.
Communicator* DeriveSubset(Communicator* parent, const std::vector<int>& ranks, Derivation kind);

// The same for all members, in the parent's order.
Communicator* DeriveWhole(Communicator* parent, Derivation kind);

// MPI_Comm_split on an intra- or intercommunicator: collective over it. `color` MPI_UNDEFINED or an
// intercommunicator's colour that only one side has: null.
Communicator* Split(Communicator* parent, int color, int key);

// A duplicate with the same groups and topology, attributes copied. On an error of a copy function
// *result is null and the error is returned. Without messages.
int Duplicate(Communicator* parent, Communicator** result);

// Wraps what a function of Open MPI's made on the foreign communicator `parent`; `error` is its
// result, which is raised on `parent` if it is one. The new communicator inherits the error
// handler.
int FinishForeign(Communicator* parent, int error, MPI_Comm made, MPI_Comm* result,
                  const char* function);

}  // namespace ftmpi

// NOLINTBEGIN(bugprone-macro-parentheses): names of variables that the macros declare
// The usual beginning of an entry point: the object behind `comm`, or the error.
#define FTMPI_FIND_COMMUNICATOR(communicator, comm, function)                  \
  ::ftmpi::Communicator* const communicator = ::ftmpi::FindCommunicator(comm); \
  if (__builtin_expect(communicator == nullptr, 0))                            \
  return ::ftmpi::RaiseError(nullptr, MPI_ERR_COMM, function)

// Returns with an error raised on `communicator` unless `condition` holds.
#define FTMPI_REQUIRE(communicator, condition, error, function) \
  if (__builtin_expect(!(condition), 0)) return ::ftmpi::RaiseError(communicator, error, function)
// NOLINTEND(bugprone-macro-parentheses)
