// What the families of collectives share: arguments, their checks, and algorithms that several use.
//
// Each family has a file of its own (collective_barrier.cc, collective_bcast.cc, ...) with its
// algorithms and its MPI_* entry points, blocking and non-blocking.
#pragma once

#include <mpi.h>

#include <cstdint>

#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/engine.h"
#include "pmpi/foreign.h"
#include "pmpi/reduction.h"
#include "pmpi/schedule.h"

namespace ftmpi {

// Blocks of data, one per rank (or neighbour): described as the uniform, v and w forms do.
struct Blocks {
  void* base = nullptr;
  int count = 0;                                 // uniform: elements per block
  const int* counts = nullptr;                   // v, w
  const int* displacements = nullptr;            // v: elements; w: bytes
  const MPI_Aint* byte_displacements = nullptr;  // neighbourhood w
  MPI_Datatype datatype = MPI_DATATYPE_NULL;
  const MPI_Datatype* datatypes = nullptr;  // w
  DatatypeLayout layout{};                  // of `datatype`

  [[nodiscard]] Data At(int block) const;
  // All blocks are contiguous and one follows the other (uniform form only).
  [[nodiscard]] bool InOneRow() const { return counts == nullptr && layout.contiguous; }
  // Bytes of block `block`.
  [[nodiscard]] std::uint64_t BytesOf(int block) const;
};

// --- Checks -------------------------------------------------------------------------------------
// All return an MPI error code. They fill in what they checked.
int PrepareData(const void* address, int count, MPI_Datatype datatype, Data* data);
int PrepareBlocks(const void* base, int count, MPI_Datatype datatype, Blocks* blocks);
int PrepareBlocksV(const void* base, const int counts[], const int displacements[],
                   MPI_Datatype datatype, int number, Blocks* blocks);
int PrepareBlocksW(const void* base, const int counts[], const int displacements[],
                   const MPI_Datatype datatypes[], int number, Blocks* blocks);
int PrepareBlocksNeighborW(const void* base, const int counts[], const MPI_Aint displacements[],
                           const MPI_Datatype datatypes[], int number, Blocks* blocks);
// `root` as MPI allows it on this communicator.
int CheckRoot(const Communicator& communicator, int root);

// What this rank is in a collective with a root.
struct RootRole {
  bool is_root;     // the root itself
  bool takes_part;  // false: MPI_PROC_NULL, in the root's group of an intercommunicator
};
inline RootRole RoleOf(const Communicator& communicator, int root) {
  if (!communicator.inter) return {communicator.rank == root, true};
  return {root == MPI_ROOT, root != MPI_PROC_NULL};
}

// --- Algorithms that several families use
// ---------------------------------------------------------- On the current ranks of the schedule
// (after EnterLocal: the local group). Every one ends with its messages complete.
void BuildBarrier(Schedule& schedule);
void BuildBcast(Schedule& schedule, std::byte* bytes, std::uint64_t length, int root);
// Reduces `value` (count elements at each rank) to `result` at `root`; other ranks pass null.
// `value` may be `result` (in place).
void BuildReduce(Schedule& schedule, const Reduction& reduction, const void* value, void* result,
                 std::uint64_t count, int root);
// The blocks of `vector` at `root`, counts[i] elements each in a row, to `result` at rank i. null
// result: the root's own block stays where it is.
void BuildScatterElements(Schedule& schedule, const Reduction& reduction, const void* vector,
                          const int* counts, int uniform_count, void* result, int root);

// --- Entry points
// --------------------------------------------------------------------------------- A collective
// call is a struct with its arguments and
//   int Check(const Communicator&);       // an MPI error code; prepares what Build needs
//   void Build(Schedule&) const;          // writes the steps
// `foreign` is the same call of Open MPI's for a foreign communicator: (MPI_Comm) in its blocking
// form, (MPI_Comm, MPI_Request*) in its non-blocking form. The other side of a foreign communicator
// may be processes without ftmpi, and a blocking collective does not match a non-blocking one
// (MPI-3.1, 5.12): so the engine stands still during a blocking one, and the lock is not held.

template <typename Call, typename Foreign>
int RunCollective(MPI_Comm comm, const char* function, Call call, const Foreign& foreign) {
  Communicator* communicator = FindCommunicator(comm);
  if (__builtin_expect(communicator == nullptr, 0)) {
    return RaiseError(nullptr, MPI_ERR_COMM, function);
  }
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    { const EngineLock lock(function); }
    const int error = foreign(communicator->foreign);
    return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
  }
  const EngineLock lock(function);
  const int error = call.Check(*communicator);
  if (__builtin_expect(error != MPI_SUCCESS, 0)) return RaiseError(communicator, error, function);
  return RunBlocking(communicator, function, [&call](Schedule& schedule) { call.Build(schedule); });
}

template <typename Call, typename Foreign>
int StartCollective(MPI_Comm comm, const char* function, MPI_Request* request, Call call,
                    const Foreign& foreign) {
  EngineLock lock(function);
  Communicator* communicator = FindCommunicator(comm);
  if (__builtin_expect(communicator == nullptr, 0)) {
    return RaiseError(nullptr, MPI_ERR_COMM, function);
  }
  if (request == nullptr) return RaiseError(communicator, MPI_ERR_REQUEST, function);
  if (__builtin_expect(communicator->foreign != MPI_COMM_NULL, 0)) {
    MPI_Request foreign_request = MPI_REQUEST_NULL;
    const int error = foreign(communicator->foreign, &foreign_request);
    if (error == MPI_SUCCESS) *request = WrapForeignRequest(foreign_request);
    return error;
  }
  const int error = call.Check(*communicator);
  if (__builtin_expect(error != MPI_SUCCESS, 0)) return RaiseError(communicator, error, function);
  return StartNonBlocking(communicator, function, request,
                          [&call](Schedule& schedule) { call.Build(schedule); });
}

}  // namespace ftmpi
