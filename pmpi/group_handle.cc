// Handles of groups, their translation to and from Open MPI's, and the MPI_Group_* entry points.
#include <utility>

#include "pmpi/capture.h"
#include "pmpi/communicator.h"
#include "pmpi/engine.h"
#include "pmpi/fortran_table.h"
#include "pmpi/group.h"
#include "pmpi/message.h"
#include "pmpi/saved_state.h"

namespace ftmpi {
namespace {

struct GroupHandle {
  static constexpr std::uint32_t kMagic = 0x50524721;
  std::uint32_t magic = kMagic;
  int fortran_index = FortranTable<GroupHandle>::kNone;
  GroupPointer group;
};

FTMPI_SAVED FortranTable<GroupHandle> g_fortran_groups;

const GroupPointer& EmptyGroup() {
  static const GroupPointer empty = Group::FromWorldRanks({});
  return empty;
}

GroupHandle* FindHandle(MPI_Group handle) {
  if (handle == MPI_GROUP_NULL || handle == nullptr || handle == MPI_GROUP_EMPTY) return nullptr;
  auto* object = reinterpret_cast<GroupHandle*>(handle);
  return object->magic == GroupHandle::kMagic ? object : nullptr;
}

// Open MPI's group of all processes that this rank knows of: MPI_COMM_WORLD's, and behind them
// those of dynamic processes, in the order in which they were met. A process's rank in it is its
// world rank here. MPI_Group_union appends, so that ranks stay as they are.
MPI_Group g_known = MPI_GROUP_NULL;

MPI_Group KnownProcesses() {
  if (g_known == MPI_GROUP_NULL) {
    FTMPI_CHECK(PMPI_Comm_group(MPI_COMM_WORLD, &g_known) == MPI_SUCCESS);
  }
  return g_known;
}

}  // namespace

const GroupPointer* FindGroup(MPI_Group handle) {
  if (handle == MPI_GROUP_EMPTY) return &EmptyGroup();
  GroupHandle* object = FindHandle(handle);
  return object != nullptr ? &object->group : nullptr;
}

MPI_Group MakeGroupHandle(GroupPointer group) {
  if (group->size() == 0) return MPI_GROUP_EMPTY;
  auto* object = new GroupHandle;
  object->group = std::move(group);
  return reinterpret_cast<MPI_Group>(object);
}

MPI_Group ToOpenMpiGroup(const Group& group) {
  if (group.size() == 0) return MPI_GROUP_EMPTY;
  const std::vector<int> ranks = group.WorldRanks();
  MPI_Group result = MPI_GROUP_NULL;
  FTMPI_CHECK(PMPI_Group_incl(KnownProcesses(), group.size(), ranks.data(), &result) ==
              MPI_SUCCESS);
  return result;
}

MPI_Group ToOpenMpiGroup(MPI_Group handle) {
  const GroupPointer* group = FindGroup(handle);
  return group == nullptr ? MPI_GROUP_NULL : ToOpenMpiGroup(**group);
}

GroupPointer GroupOfOpenMpi(MPI_Group group) {
  int size = 0;
  FTMPI_CHECK(PMPI_Group_size(group, &size) == MPI_SUCCESS);
  if (size == 0) return EmptyGroup();
  std::vector<int> ranks(static_cast<std::size_t>(size));
  for (int rank = 0; rank < size; ++rank) ranks[static_cast<std::size_t>(rank)] = rank;
  std::vector<int> world_ranks(ranks.size());
  FTMPI_CHECK(PMPI_Group_translate_ranks(group, size, ranks.data(), KnownProcesses(),
                                         world_ranks.data()) == MPI_SUCCESS);
  bool unknown = false;
  for (const int rank : world_ranks) unknown = unknown || rank == MPI_UNDEFINED;
  if (unknown) {
    MPI_Group more = MPI_GROUP_NULL;
    FTMPI_CHECK(PMPI_Group_union(KnownProcesses(), group, &more) == MPI_SUCCESS);
    PMPI_Group_free(&g_known);
    g_known = more;
    FTMPI_CHECK(PMPI_Group_translate_ranks(group, size, ranks.data(), g_known,
                                           world_ranks.data()) == MPI_SUCCESS);
  }
  return Group::FromWorldRanks(std::move(world_ranks));
}

MPI_Group FromOpenMpiGroup(MPI_Group group) { return MakeGroupHandle(GroupOfOpenMpi(group)); }

void ReleaseGroupTranslation() {
  if (g_known != MPI_GROUP_NULL) PMPI_Group_free(&g_known);
  g_known = MPI_GROUP_NULL;
}

}  // namespace ftmpi

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

namespace {

int GroupError(int code, const char* function) { return RaiseError(nullptr, code, function); }

// A binary set operation.
int Combine(MPI_Group first, MPI_Group second, MPI_Group* result, const char* function,
            GroupPointer (*operation)(const Group&, const Group&)) {
  const GroupPointer* left = FindGroup(first);
  const GroupPointer* right = FindGroup(second);
  if (left == nullptr || right == nullptr) return GroupError(MPI_ERR_GROUP, function);
  if (result == nullptr) return GroupError(MPI_ERR_ARG, function);
  *result = MakeGroupHandle(operation(**left, **right));
  return MPI_SUCCESS;
}

// MPI_Group_incl, _excl and their range forms: `ranges` is null for the plain ones.
int Select(MPI_Group handle, int count, const int* ranks, const int (*ranges)[3], bool include,
           MPI_Group* result, const char* function) {
  const GroupPointer* group = FindGroup(handle);
  if (group == nullptr) return GroupError(MPI_ERR_GROUP, function);
  if (count < 0 || result == nullptr || (count > 0 && ranks == nullptr && ranges == nullptr)) {
    return GroupError(MPI_ERR_ARG, function);
  }
  std::vector<int> expanded;
  std::span<const int> chosen;
  if (count > 0 && ranges != nullptr) {
    const int error = ExpandRanges(**group, count, ranges, &expanded);
    if (error != MPI_SUCCESS) return GroupError(error, function);
    chosen = expanded;
  } else if (count > 0) {
    chosen = std::span<const int>(ranks, static_cast<std::size_t>(count));
  }
  GroupPointer selected;
  const int error =
      include ? IncludeRanks(**group, chosen, &selected) : ExcludeRanks(**group, chosen, &selected);
  if (error != MPI_SUCCESS) return GroupError(error, function);
  *result = MakeGroupHandle(std::move(selected));
  return MPI_SUCCESS;
}

}  // namespace

FTMPI_EXPORT int MPI_Group_size(MPI_Group handle, int* size) {
  FTMPI_PASS_THROUGH(PMPI_Group_size(handle, size));
  EngineLock lock;
  const GroupPointer* group = FindGroup(handle);
  if (group == nullptr) return GroupError(MPI_ERR_GROUP, "MPI_Group_size");
  if (size == nullptr) return GroupError(MPI_ERR_ARG, "MPI_Group_size");
  *size = (*group)->size();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Group_rank(MPI_Group handle, int* rank) {
  FTMPI_PASS_THROUGH(PMPI_Group_rank(handle, rank));
  EngineLock lock;
  const GroupPointer* group = FindGroup(handle);
  if (group == nullptr) return GroupError(MPI_ERR_GROUP, "MPI_Group_rank");
  if (rank == nullptr) return GroupError(MPI_ERR_ARG, "MPI_Group_rank");
  *rank = (*group)->RankOf(engine::Rank());
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Group_translate_ranks(MPI_Group first, int count, const int ranks1[],
                                           MPI_Group second, int ranks2[]) {
  FTMPI_PASS_THROUGH(PMPI_Group_translate_ranks(first, count, ranks1, second, ranks2));
  EngineLock lock;
  const char* const function = "MPI_Group_translate_ranks";
  const GroupPointer* from = FindGroup(first);
  const GroupPointer* to = FindGroup(second);
  if (from == nullptr || to == nullptr) return GroupError(MPI_ERR_GROUP, function);
  if (count < 0 || (count > 0 && (ranks1 == nullptr || ranks2 == nullptr))) {
    return GroupError(MPI_ERR_ARG, function);
  }
  for (int i = 0; i < count; ++i) {
    if (ranks1[i] == MPI_PROC_NULL) {
      ranks2[i] = MPI_PROC_NULL;
      continue;
    }
    if (ranks1[i] < 0 || ranks1[i] >= (*from)->size()) return GroupError(MPI_ERR_RANK, function);
    ranks2[i] = (*to)->RankOf((*from)->WorldRank(ranks1[i]));
  }
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Group_compare(MPI_Group first, MPI_Group second, int* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_compare(first, second, result));
  EngineLock lock;
  const GroupPointer* left = FindGroup(first);
  const GroupPointer* right = FindGroup(second);
  if (left == nullptr || right == nullptr) return GroupError(MPI_ERR_GROUP, "MPI_Group_compare");
  if (result == nullptr) return GroupError(MPI_ERR_ARG, "MPI_Group_compare");
  *result = CompareGroups(**left, **right);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Group_union(MPI_Group first, MPI_Group second, MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_union(first, second, result));
  EngineLock lock;
  return Combine(first, second, result, "MPI_Group_union", UnionGroups);
}

FTMPI_EXPORT int MPI_Group_intersection(MPI_Group first, MPI_Group second, MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_intersection(first, second, result));
  EngineLock lock;
  return Combine(first, second, result, "MPI_Group_intersection", IntersectGroups);
}

FTMPI_EXPORT int MPI_Group_difference(MPI_Group first, MPI_Group second, MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_difference(first, second, result));
  EngineLock lock;
  return Combine(first, second, result, "MPI_Group_difference", SubtractGroups);
}

FTMPI_EXPORT int MPI_Group_incl(MPI_Group group, int n, const int ranks[], MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_incl(group, n, ranks, result));
  EngineLock lock;
  return Select(group, n, ranks, nullptr, true, result, "MPI_Group_incl");
}

FTMPI_EXPORT int MPI_Group_excl(MPI_Group group, int n, const int ranks[], MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_excl(group, n, ranks, result));
  EngineLock lock;
  return Select(group, n, ranks, nullptr, false, result, "MPI_Group_excl");
}

FTMPI_EXPORT int MPI_Group_range_incl(MPI_Group group, int n, int ranges[][3], MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_range_incl(group, n, ranges, result));
  EngineLock lock;
  return Select(group, n, nullptr, ranges, true, result, "MPI_Group_range_incl");
}

FTMPI_EXPORT int MPI_Group_range_excl(MPI_Group group, int n, int ranges[][3], MPI_Group* result) {
  FTMPI_PASS_THROUGH(PMPI_Group_range_excl(group, n, ranges, result));
  EngineLock lock;
  return Select(group, n, nullptr, ranges, false, result, "MPI_Group_range_excl");
}

FTMPI_EXPORT int MPI_Group_free(MPI_Group* handle) {
  FTMPI_PASS_THROUGH(PMPI_Group_free(handle));
  EngineLock lock;
  if (handle == nullptr || FindGroup(*handle) == nullptr) {
    return GroupError(MPI_ERR_GROUP, "MPI_Group_free");
  }
  if (GroupHandle* object = FindHandle(*handle); object != nullptr) {
    g_fortran_groups.Remove(object);
    object->magic = 0;
    delete object;
  }
  *handle = MPI_GROUP_NULL;
  return MPI_SUCCESS;
}

FTMPI_EXPORT MPI_Fint MPI_Group_c2f(MPI_Group handle) {
  FTMPI_PASS_THROUGH(PMPI_Group_c2f(handle));
  EngineLock lock;
  if (GroupHandle* object = FindHandle(handle); object != nullptr) {
    return g_fortran_groups.IndexOf(object);
  }
  return PMPI_Group_c2f(handle == MPI_GROUP_EMPTY ? MPI_GROUP_EMPTY : MPI_GROUP_NULL);
}

FTMPI_EXPORT MPI_Group MPI_Group_f2c(MPI_Fint index) {
  FTMPI_PASS_THROUGH(PMPI_Group_f2c(index));
  EngineLock lock;
  if (GroupHandle* object = g_fortran_groups.Find(index); object != nullptr) {
    return reinterpret_cast<MPI_Group>(object);
  }
  return index == PMPI_Group_c2f(MPI_GROUP_EMPTY) ? MPI_GROUP_EMPTY : MPI_GROUP_NULL;
}
