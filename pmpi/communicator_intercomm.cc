// Intercommunicators: made from two groups, and merged into one.
#include <algorithm>
#include <cstring>
#include <utility>

#include "pmpi/capture.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"
#include "pmpi/internal_collectives.h"
#include "pmpi/message.h"

namespace ftmpi {
namespace {

// What the leaders tell each other: 64 bits of id, then the world ranks of the group.
constexpr std::size_t kIdIntegers = sizeof(std::uint64_t) / sizeof(int);

std::vector<int> Describe(std::uint64_t id, const Group& group) {
  std::vector<int> numbers(kIdIntegers);
  std::memcpy(numbers.data(), &id, sizeof id);
  const std::vector<int> ranks = group.WorldRanks();
  numbers.insert(numbers.end(), ranks.begin(), ranks.end());
  return numbers;
}

// One of the communicators is Open MPI's: so is the result. Collective over `local`.
int CreateThroughOpenMpi(Communicator* local, int local_leader, Communicator* peer,
                         int remote_leader, int tag, MPI_Comm* result, const char* function) {
  MPI_Comm shared = ShadowCommunicator(local);
  if (shared == MPI_COMM_NULL) return RaiseError(local, MPI_ERR_INTERN, function);
  MPI_Comm bridge = MPI_COMM_NULL;
  if (peer != nullptr) {
    bridge = peer->foreign != MPI_COMM_NULL ? peer->foreign : peer->shadow;
    if (bridge == MPI_COMM_NULL) return RaiseError(local, MPI_ERR_COMM, function);
  }
  MPI_Comm inner = MPI_COMM_NULL;
  const int error = PMPI_Intercomm_create(shared, local_leader, bridge, remote_leader, tag, &inner);
  return FinishForeign(local, error, inner, result, function);
}

}  // namespace
}  // namespace ftmpi

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

FTMPI_EXPORT int MPI_Intercomm_create(MPI_Comm local_comm, int local_leader, MPI_Comm bridge_comm,
                                      int remote_leader, int tag, MPI_Comm* newintercomm) {
  FTMPI_PASS_THROUGH(PMPI_Intercomm_create(local_comm, local_leader, bridge_comm, remote_leader,
                                           tag, newintercomm));
  EngineLock lock;
  const char* const function = "MPI_Intercomm_create";
  FTMPI_FIND_COMMUNICATOR(local, local_comm, function);
  FTMPI_REQUIRE(local, !local->inter, MPI_ERR_COMM, function);
  FTMPI_REQUIRE(local, local_leader >= 0 && local_leader < local->size, MPI_ERR_RANK, function);
  FTMPI_REQUIRE(local, tag >= 0, MPI_ERR_TAG, function);
  FTMPI_REQUIRE(local, newintercomm != nullptr, MPI_ERR_ARG, function);
  const bool leader = local->rank == local_leader;
  Communicator* const peer = leader ? FindCommunicator(bridge_comm) : nullptr;

  // The leader alone can see what is wrong with the other side; all members must hear of it.
  enum : int { kOwn = 0, kForeign = -1 };
  int verdict = kOwn;  // an error, or one of these
  if (leader) {
    if (peer == nullptr) {
      verdict = MPI_ERR_COMM;
    } else if (remote_leader < 0 || remote_leader >= peer->remote_size() ||
               (!peer->inter && remote_leader == peer->rank)) {
      verdict = MPI_ERR_RANK;
    } else if (peer->foreign != MPI_COMM_NULL) {
      verdict = kForeign;
    }
  }
  if (local->foreign != MPI_COMM_NULL) {
    if (verdict > 0) return RaiseError(local, verdict, function);
    return CreateThroughOpenMpi(local, local_leader, peer, remote_leader, tag, newintercomm,
                                function);
  }
  const Party party(local);
  party.Broadcast(&verdict, sizeof verdict, local_leader);
  FTMPI_REQUIRE(local, verdict <= 0, verdict, function);
  if (verdict == kForeign) {
    return CreateThroughOpenMpi(local, local_leader, peer, remote_leader, tag, newintercomm,
                                function);
  }

  const std::uint64_t proposal =
      DeriveCommunicatorId(local->id, Derivation::kIntercomm, local->child_sequence++,
                           static_cast<std::uint64_t>(local->local_group->WorldRank(0)));
  std::vector<int> theirs;
  if (leader) {
    theirs = ExchangeWithPeer(peer, remote_leader, IntercommunicatorTag(tag),
                              Describe(proposal, *local->local_group));
  }
  party.BroadcastVector(&theirs, local_leader);
  FTMPI_CHECK(theirs.size() > kIdIntegers);
  std::uint64_t remote_proposal = 0;
  std::memcpy(&remote_proposal, theirs.data(), sizeof remote_proposal);
  GroupPointer remote =
      Group::FromWorldRanks(std::vector<int>(theirs.begin() + kIdIntegers, theirs.end()));
  FTMPI_REQUIRE(local, !GroupsOverlap(*local->local_group, *remote), MPI_ERR_COMM, function);
  *newintercomm = NewCommunicator(CombineCommunicatorIds(proposal, remote_proposal),
                                  local->local_group, std::move(remote), local)
                      ->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Intercomm_merge(MPI_Comm intercomm, int high, MPI_Comm* newintracomm) {
  FTMPI_PASS_THROUGH(PMPI_Intercomm_merge(intercomm, high, newintracomm));
  EngineLock lock;
  const char* const function = "MPI_Intercomm_merge";
  FTMPI_FIND_COMMUNICATOR(communicator, intercomm, function);
  FTMPI_REQUIRE(communicator, communicator->inter, MPI_ERR_COMM, function);
  FTMPI_REQUIRE(communicator, newintracomm != nullptr, MPI_ERR_ARG, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Intercomm_merge(communicator->foreign, high, &inner);
    return FinishForeign(communicator, error, inner, newintracomm, function);
  }
  const Group& local = *communicator->local_group;
  const Group& remote = *communicator->remote_group;
  // What rank 0 says counts for its side: MPI wants all members of a side to say the same.
  int mine = high != 0 ? 1 : 0;
  Party(communicator->local_communicator.get()).Broadcast(&mine, sizeof mine, 0);
  const std::vector<int> theirs = ExchangeWithRemoteGroup(communicator, {mine});
  FTMPI_CHECK(theirs.size() == 1);
  // Both the same: MPI leaves the order open, but it must be one order.
  const bool first = mine != theirs[0] ? mine == 0 : local.WorldRank(0) < remote.WorldRank(0);
  const GroupPointer merged = first ? UnionGroups(local, remote) : UnionGroups(remote, local);
  const std::uint64_t id =
      DeriveCommunicatorId(communicator->id, Derivation::kMerge, communicator->child_sequence++, 0);
  *newintracomm = NewCommunicator(id, merged, nullptr, communicator)->handle();
  return MPI_SUCCESS;
}
