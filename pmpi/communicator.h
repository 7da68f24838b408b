// A communicator of the program: an object of the engine's own, with no Open MPI counterpart.
//
// The handle that the program holds is the object's address, but for MPI_COMM_WORLD and
// MPI_COMM_SELF, whose handles are Open MPI's and mean the engine's objects.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "pmpi/attribute.h"
#include "pmpi/group.h"

namespace ftmpi {

struct Topology;    // pmpi/topology.h
struct MatchQueue;  // pmpi/match_queue.h

enum class Context : std::uint8_t { kPointToPoint = 0, kCollective = 1 };

struct Communicator {
  static constexpr std::uint32_t kMagic = 0x4d4d4f43;

  std::uint32_t magic = kMagic;
  bool inter = false;
  int rank = 0;          // this process's rank in local_group
  int size = 1;          // of local_group
  std::uint64_t id = 0;  // the same at all members, unique at each of them
  GroupPointer local_group;
  GroupPointer remote_group;  // what a destination rank counts in: local_group if not inter
  MatchQueue* match[2] = {nullptr, nullptr};  // by Context; owned by the engine
  std::uint32_t collective_sequence = 0;      // collectives started so far (blocking or not)
  std::uint32_t child_sequence = 0;           // communicators derived so far
  // For an intercommunicator: the intracommunicator of the local group (for its collectives).
  std::shared_ptr<Communicator> local_communicator;
  // An Open MPI communicator made by dynamic processes (spawn, accept, join, get_parent): every
  // operation on it is passed through. MPI_COMM_NULL for the engine's own.
  MPI_Comm foreign = MPI_COMM_NULL;
  // An Open MPI communicator with the same members, made when RMA or MPI-IO first needs one.
  MPI_Comm shadow = MPI_COMM_NULL;
  MPI_Errhandler errhandler = MPI_ERRORS_ARE_FATAL;
  std::string name;
  MPI_Info info = MPI_INFO_NULL;
  std::map<int, Attribute> attributes;  // by keyval: pmpi/attribute.h
  bool predefined_attributes = false;   // MPI_TAG_UB ...: MPI_COMM_WORLD and its duplicates
  std::unique_ptr<Topology> topology;
  int references = 1;      // the program's handle, and each pending operation
  bool freed = false;      // the program called MPI_Comm_free
  int fortran_index = -1;  // MPI_Comm_c2f; -1: not asked for yet

  Communicator();
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] int remote_size() const { return remote_group->size(); }
  // World rank of rank `peer` of the remote group.
  [[nodiscard]] int PeerWorldRank(int peer) const { return remote_group->WorldRank(peer); }
  [[nodiscard]] MPI_Comm handle();
};

extern Communicator* g_world;  // MPI_COMM_WORLD's object, from MPI_Init to MPI_Finalize
extern Communicator* g_self;

// The object behind a handle, or null: not a valid communicator (MPI_ERR_COMM).
inline Communicator* FindCommunicator(MPI_Comm handle) {
  if (__builtin_expect(handle == MPI_COMM_WORLD, 1)) return g_world;
  if (handle == MPI_COMM_SELF) return g_self;
  if (handle == MPI_COMM_NULL || handle == nullptr) return nullptr;
  auto* communicator = reinterpret_cast<Communicator*>(handle);
  return communicator->magic == Communicator::kMagic ? communicator : nullptr;
}

// A new communicator, with its queues; the caller's reference is the program's handle. `remote`
// null: an intracommunicator. It inherits the error handler of `parent`. This process must be in
// `local`.
Communicator* NewCommunicator(std::uint64_t id, GroupPointer local, GroupPointer remote,
                              Communicator* parent);

// Reports an MPI error on a communicator as its error handler says (null: MPI_COMM_WORLD's) and
// returns the code for the caller to return. `function` is the MPI function's name.
int RaiseError(Communicator* communicator, int error_code, const char* function);

// Makes world and self (MPI_Init), and takes them down.
void CreatePredefinedCommunicators(int rank, int size);
void DestroyPredefinedCommunicators();
// Runs the delete functions of MPI_COMM_SELF's attributes, in the reverse order of setting
// (MPI-3.1, 8.7.1). The first thing that MPI_Finalize does: the functions may still call MPI.
void DeleteSelfAttributes();
inline void RetainCommunicator(Communicator* communicator) { ++communicator->references; }
// Destroys the object with the last reference.
void DestroyCommunicator(Communicator* communicator);
inline void ReleaseCommunicator(Communicator* communicator) {
  if (__builtin_expect(--communicator->references <= 0, 0)) DestroyCommunicator(communicator);
}

// --- Communicators of Open MPI's ---------------------------------------------------------------

// Makes an object for an Open MPI communicator of dynamic processes: everything on it is passed
// through to Open MPI. Takes the communicator over and returns the program's handle for it
// (MPI_COMM_NULL for MPI_COMM_NULL).
MPI_Comm WrapForeign(MPI_Comm foreign);
// An Open MPI communicator with the same members in the same order, for RMA and MPI-IO. Collective
// over the communicator at its first call, where all members meet while the engine is served; free
// of cost later. Stays the communicator's own. A foreign communicator is its own shadow.
// MPI_COMM_NULL: Open MPI could not make one.
MPI_Comm ShadowCommunicator(Communicator* communicator);

// The handle to give to the program: MPI_COMM_NULL for null.
inline MPI_Comm HandleOf(Communicator* communicator) {
  return communicator == nullptr ? MPI_COMM_NULL : communicator->handle();
}

}  // namespace ftmpi
