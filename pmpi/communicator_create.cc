#include "pmpi/communicator_create.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "pmpi/capture.h"
#include "pmpi/engine.h"
#include "pmpi/events.h"
#include "pmpi/foreign.h"
#include "pmpi/image_obstacle.h"
#include "pmpi/internal_collectives.h"
#include "pmpi/message.h"
#include "pmpi/object_table.h"
#include "pmpi/topology.h"

namespace ftmpi {
namespace {

std::uint64_t FirstMember(const Group& group) {
  return static_cast<std::uint64_t>(group.WorldRank(0));
}

// The id of the `parent`'s next child. Every member must ask, also those that will not be in it.
std::uint64_t NextChildId(Communicator* parent, Derivation kind, std::uint64_t detail) {
  return DeriveCommunicatorId(parent->id, kind, parent->child_sequence++, detail);
}

struct Vote {
  int color;
  int key;
};

// World ranks of those who voted for `color`, by key, then by rank.
std::vector<int> Choose(const Group& group, const std::vector<Vote>& votes, int color) {
  std::vector<std::pair<int, int>> chosen;  // key, rank
  for (int rank = 0; rank < group.size(); ++rank) {
    const Vote& vote = votes[static_cast<std::size_t>(rank)];
    if (vote.color == color) chosen.emplace_back(vote.key, rank);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<int> world_ranks;
  world_ranks.reserve(chosen.size());
  for (const auto& [key, rank] : chosen) world_ranks.push_back(group.WorldRank(rank));
  return world_ranks;
}

std::vector<Vote> GatherVotes(Communicator* communicator, Vote mine) {
  std::vector<Vote> votes(static_cast<std::size_t>(communicator->size));
  Party(communicator).Allgather(&mine, sizeof mine, votes.data());
  return votes;
}

// Counts the communicators that this process led into being by MPI_Comm_create_group.
std::uint64_t g_created_groups = 0;

std::uint64_t ReadNodeLeader() {
  return static_cast<std::uint64_t>(engine::NodeLeader(engine::Rank()));
}

// The lowest world rank that shares a resource with this process, as Open MPI sees it. An outcome
// that a restart on other nodes would change, so an event.
std::uint64_t g_resource_leader = 0;
std::uint64_t ReadResourceLeader() { return g_resource_leader; }

// Collective over the communicator. MPI error code.
int FindResourceLeader(Communicator* communicator, int split_type, MPI_Info info) {
  // What Open MPI's processes say to each other in here is no part of a checkpoint.
  image_obstacle::Note("the program splits a communicator by the resources of a node");
  MPI_Comm shared = ShadowCommunicator(communicator);
  if (shared == MPI_COMM_NULL) return MPI_ERR_INTERN;
  // The call below blocks inside Open MPI: all must have come.
  MPI_Request barrier = MPI_REQUEST_NULL;
  int error = PMPI_Ibarrier(shared, &barrier);
  if (error == MPI_SUCCESS) error = WaitOpenMpi(&barrier, MPI_STATUS_IGNORE);
  if (error != MPI_SUCCESS) return error;
  MPI_Comm part = MPI_COMM_NULL;
  error = PMPI_Comm_split_type(shared, split_type, communicator->rank, info, &part);
  if (error != MPI_SUCCESS) return error;
  g_resource_leader = static_cast<std::uint64_t>(engine::Rank());
  if (part == MPI_COMM_NULL) return MPI_SUCCESS;
  MPI_Group group = MPI_GROUP_NULL;
  error = PMPI_Comm_group(part, &group);
  if (error == MPI_SUCCESS) {
    g_resource_leader = static_cast<std::uint64_t>(GroupOfOpenMpi(group)->WorldRank(0));
    PMPI_Group_free(&group);
  }
  PMPI_Comm_free(&part);
  return error;
}

bool IsSplitType(int split_type) {
#ifdef OPEN_MPI
  return split_type >= MPI_COMM_TYPE_SHARED && split_type <= OMPI_COMM_TYPE_CLUSTER;
#else
  return split_type == MPI_COMM_TYPE_SHARED;
#endif
}

// MPI_Comm_create on an intercommunicator: each side names a part of its own group.
int CreateInter(Communicator* parent, const Group& group, Communicator** result) {
  const std::vector<int> theirs = ExchangeWithRemoteGroup(parent, group.WorldRanks());
  const std::uint64_t sequence = parent->child_sequence++;
  *result = nullptr;
  if (theirs.empty() || group.RankOf(engine::Rank()) == MPI_UNDEFINED) return MPI_SUCCESS;
  GroupPointer remote = Group::FromWorldRanks(theirs);
  const std::uint64_t first = std::min(FirstMember(group), FirstMember(*remote));
  const std::uint64_t id = DeriveCommunicatorId(parent->id, Derivation::kCreate, sequence, first);
  *result =
      NewCommunicator(id, Group::FromWorldRanks(group.WorldRanks()), std::move(remote), parent);
  return MPI_SUCCESS;
}

bool IsSubset(const Group& part, const Group& whole) {
  for (int rank = 0; rank < part.size(); ++rank) {
    if (whole.RankOf(part.WorldRank(rank)) == MPI_UNDEFINED) return false;
  }
  return true;
}

}  // namespace

Communicator* DeriveSubset(Communicator* parent, const std::vector<int>& ranks, Derivation kind) {
  std::vector<int> world_ranks;
  world_ranks.reserve(ranks.size());
  bool member = false;
  for (const int rank : ranks) {
    world_ranks.push_back(parent->local_group->WorldRank(rank));
    member = member || rank == parent->rank;
  }
  const std::uint64_t detail =
      world_ranks.empty() ? 0 : static_cast<std::uint64_t>(world_ranks.front());
  const std::uint64_t id = NextChildId(parent, kind, detail);
  if (!member) return nullptr;
  return NewCommunicator(id, Group::FromWorldRanks(std::move(world_ranks)), nullptr, parent);
}

Communicator* DeriveWhole(Communicator* parent, Derivation kind) {
  const std::uint64_t id = NextChildId(parent, kind, FirstMember(*parent->local_group));
  return NewCommunicator(id, parent->local_group, nullptr, parent);
}

Communicator* Split(Communicator* parent, int color, int key) {
  const Vote mine{color, key};
  std::vector<Vote> votes =
      GatherVotes(parent->inter ? parent->local_communicator.get() : parent, mine);
  std::vector<Vote> remote_votes;
  if (parent->inter) {
    std::vector<int> numbers;
    for (const Vote& vote : votes) numbers.insert(numbers.end(), {vote.color, vote.key});
    const std::vector<int> theirs = ExchangeWithRemoteGroup(parent, numbers);
    FTMPI_CHECK(theirs.size() == 2 * static_cast<std::size_t>(parent->remote_size()));
    for (std::size_t i = 0; i < theirs.size(); i += 2) {
      remote_votes.push_back({theirs[i], theirs[i + 1]});
    }
  }
  const std::uint64_t sequence = parent->child_sequence++;
  if (color == MPI_UNDEFINED) return nullptr;
  GroupPointer local = Group::FromWorldRanks(Choose(*parent->local_group, votes, color));
  GroupPointer remote;
  std::uint64_t detail = FirstMember(*local);
  if (parent->inter) {
    remote = Group::FromWorldRanks(Choose(*parent->remote_group, remote_votes, color));
    if (remote->size() == 0) return nullptr;
    detail = std::min(detail, FirstMember(*remote));
  }
  const std::uint64_t id = DeriveCommunicatorId(parent->id, Derivation::kSplit, sequence, detail);
  return NewCommunicator(id, std::move(local), std::move(remote), parent);
}

int Duplicate(Communicator* parent, Communicator** result) {
  *result = nullptr;
  const std::uint64_t id = NextChildId(parent, Derivation::kDuplicate, 0);
  Communicator* made = NewCommunicator(id, parent->local_group,
                                       parent->inter ? parent->remote_group : nullptr, parent);
  made->predefined_attributes = parent->predefined_attributes;
  if (parent->topology) made->topology = std::make_unique<Topology>(*parent->topology);
  const int error = CopyAttributes(parent, made);
  if (error != MPI_SUCCESS) {
    DeleteAllAttributes(made);
    ReleaseCommunicator(made);
    return error;
  }
  *result = made;
  return MPI_SUCCESS;
}

}  // namespace ftmpi

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

namespace {

// MPI_Comm_dup and MPI_Comm_dup_with_info: the hints of `info`, or none for MPI_INFO_NULL.
int DuplicateWithInfo(Communicator* communicator, MPI_Info info, MPI_Comm* result,
                      const char* function) {
  Communicator* made = nullptr;
  int error = Duplicate(communicator, &made);
  if (error != MPI_SUCCESS) return RaiseError(communicator, error, function);
  if (info != MPI_INFO_NULL) {
    error = objects::Make(&made->info, [&] { return PMPI_Info_dup(info, &made->info); });
    if (error != MPI_SUCCESS) {
      ReleaseCommunicator(made);
      return RaiseError(communicator, error, function);
    }
  }
  *result = made->handle();
  return MPI_SUCCESS;
}

// A duplicate of a foreign communicator: Open MPI's, with our attributes.
int DuplicateForeign(Communicator* communicator, int error, MPI_Comm inner, MPI_Comm* result,
                     const char* function) {
  error = FinishForeign(communicator, error, inner, result, function);
  if (error != MPI_SUCCESS) return error;
  error = CopyAttributes(communicator, FindCommunicator(*result));
  return error == MPI_SUCCESS ? error : RaiseError(communicator, error, function);
}

}  // namespace

FTMPI_EXPORT int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_dup(comm, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_dup";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_dup(communicator->foreign, &inner);
    return DuplicateForeign(communicator, error, inner, newcomm, function);
  }
  return DuplicateWithInfo(communicator, communicator->info, newcomm, function);
}

FTMPI_EXPORT int MPI_Comm_dup_with_info(MPI_Comm comm, MPI_Info info, MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_dup_with_info(comm, info, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_dup_with_info";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  FTMPI_REQUIRE(communicator, info != nullptr, MPI_ERR_INFO, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_dup_with_info(communicator->foreign, info, &inner);
    return DuplicateForeign(communicator, error, inner, newcomm, function);
  }
  return DuplicateWithInfo(communicator, info, newcomm, function);
}

// The duplicate needs no messages, so it is there at once, and the request complete.
FTMPI_EXPORT int MPI_Comm_idup(MPI_Comm comm, MPI_Comm* newcomm, MPI_Request* request) {
  FTMPI_PASS_THROUGH(PMPI_Comm_idup(comm, newcomm, request));
  EngineLock lock;
  const char* const function = "MPI_Comm_idup";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr && request != nullptr, MPI_ERR_ARG, function);
  int error = MPI_SUCCESS;
  if (communicator->foreign != MPI_COMM_NULL) {
    // The other processes may be without ftmpi: what they wait in must be the same function.
    MPI_Comm inner = MPI_COMM_NULL;
    MPI_Request pending = MPI_REQUEST_NULL;
    error = PMPI_Comm_idup(communicator->foreign, &inner, &pending);
    if (error == MPI_SUCCESS) error = WaitOpenMpi(&pending, MPI_STATUS_IGNORE);
    error = DuplicateForeign(communicator, error, inner, newcomm, function);
  } else {
    error = DuplicateWithInfo(communicator, communicator->info, newcomm, function);
  }
  if (error != MPI_SUCCESS) return error;
  Request* completed = engine::NewRequest(RequestKind::kSchedule, communicator);
  completed->active = true;
  engine::CompleteRequest(completed);
  *request = completed->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_create(MPI_Comm comm, MPI_Group handle, MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_create(comm, handle, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_create";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  const GroupPointer* found = FindGroup(handle);
  FTMPI_REQUIRE(communicator, found != nullptr, MPI_ERR_GROUP, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Group inner_group = ToOpenMpiGroup(**found);
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_create(communicator->foreign, inner_group, &inner);
    if (inner_group != MPI_GROUP_EMPTY) PMPI_Group_free(&inner_group);
    return FinishForeign(communicator, error, inner, newcomm, function);
  }
  const Group& group = **found;
  FTMPI_REQUIRE(communicator, IsSubset(group, *communicator->local_group), MPI_ERR_GROUP, function);
  Communicator* made = nullptr;
  if (communicator->inter) {
    const int error = CreateInter(communicator, group, &made);
    if (error != MPI_SUCCESS) return RaiseError(communicator, error, function);
  } else {
    std::vector<int> ranks;
    for (const int world_rank : group.WorldRanks()) {
      ranks.push_back(communicator->local_group->RankOf(world_rank));
    }
    made = DeriveSubset(communicator, ranks, Derivation::kCreate);
  }
  *newcomm = HandleOf(made);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_create_group(MPI_Comm comm, MPI_Group handle, int tag,
                                       MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_create_group(comm, handle, tag, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_create_group";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, !communicator->inter, MPI_ERR_COMM, function);
  FTMPI_REQUIRE(communicator, tag >= 0, MPI_ERR_TAG, function);
  const GroupPointer* found = FindGroup(handle);
  FTMPI_REQUIRE(communicator, found != nullptr, MPI_ERR_GROUP, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  *newcomm = MPI_COMM_NULL;
  const GroupPointer group = *found;
  if (group->RankOf(engine::Rank()) == MPI_UNDEFINED) return MPI_SUCCESS;
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Group inner_group = ToOpenMpiGroup(*group);
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_create_group(communicator->foreign, inner_group, tag, &inner);
    PMPI_Group_free(&inner_group);
    return FinishForeign(communicator, error, inner, newcomm, function);
  }
  FTMPI_REQUIRE(communicator, IsSubset(*group, *communicator->local_group), MPI_ERR_GROUP,
                function);
  std::vector<int> ranks;
  for (const int world_rank : group->WorldRanks()) {
    ranks.push_back(communicator->local_group->RankOf(world_rank));
  }
  // Members know of no common count of such calls: the first one says what the id is.
  const Party party(communicator, std::move(ranks), GroupTag(tag));
  std::uint64_t id = 0;
  if (party.me() == 0) {
    id = DeriveCommunicatorId(communicator->id, Derivation::kCreateGroup, g_created_groups++,
                              static_cast<std::uint64_t>(engine::Rank()));
  }
  party.Broadcast(&id, sizeof id, 0);
  *newcomm = NewCommunicator(id, group, nullptr, communicator)->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_split(comm, color, key, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_split";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, color >= 0 || color == MPI_UNDEFINED, MPI_ERR_ARG, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_split(communicator->foreign, color, key, &inner);
    return FinishForeign(communicator, error, inner, newcomm, function);
  }
  *newcomm = HandleOf(Split(communicator, color, key));
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Comm_split_type(MPI_Comm comm, int split_type, int key, MPI_Info info,
                                     MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Comm_split_type(comm, split_type, key, info, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Comm_split_type";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, split_type == MPI_UNDEFINED || IsSplitType(split_type), MPI_ERR_ARG,
                function);
  FTMPI_REQUIRE(communicator, info != nullptr, MPI_ERR_INFO, function);
  FTMPI_REQUIRE(communicator, newcomm != nullptr, MPI_ERR_ARG, function);
  if (communicator->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Comm_split_type(communicator->foreign, split_type, key, info, &inner);
    return FinishForeign(communicator, error, inner, newcomm, function);
  }
  FTMPI_REQUIRE(communicator, !communicator->inter, MPI_ERR_COMM, function);
  // Whether anyone asks for more than the node: then all members go through Open MPI, also those
  // that say MPI_UNDEFINED.
  int wanted = split_type == MPI_UNDEFINED ? -1 : split_type;
  std::vector<int> types(static_cast<std::size_t>(communicator->size));
  Party(communicator).Allgather(&wanted, sizeof wanted, types.data());
  wanted = *std::max_element(types.begin(), types.end());
  for (const int type : types) {
    FTMPI_REQUIRE(communicator, type == -1 || type == wanted, MPI_ERR_ARG, function);
  }
  int color = MPI_UNDEFINED;
  if (wanted == MPI_COMM_TYPE_SHARED) {
    if (split_type != MPI_UNDEFINED) color = static_cast<int>(events::LogValue(ReadNodeLeader));
  } else if (wanted != -1) {
    const int error = FindResourceLeader(communicator, split_type, info);
    FTMPI_REQUIRE(communicator, error == MPI_SUCCESS, error, function);
    if (split_type != MPI_UNDEFINED) {
      color = static_cast<int>(events::LogValue(ReadResourceLeader));
    }
  }
  *newcomm = HandleOf(Split(communicator, color, key));
  return MPI_SUCCESS;
}
