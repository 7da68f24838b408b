// A process group: an ordered set of world ranks. Immutable, shared.
//
// The program's MPI_Group is the address of a small object that holds a GroupPointer;
// MPI_GROUP_NULL and MPI_GROUP_EMPTY keep Open MPI's handles. Processes outside the job's first
// MPI_COMM_WORLD (dynamic processes) get numbers from the world's size on, valid at this rank only.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ftmpi {

class Group {
 public:
  // The group of all world ranks 0..size-1: stored as its size alone.
  static std::shared_ptr<const Group> World(int size);
  // A group of these processes in this order; each must be there once only.
  static std::shared_ptr<const Group> FromWorldRanks(std::vector<int> world_ranks);

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int WorldRank(int rank) const {
    return identity_ ? rank + first_ : world_ranks_[static_cast<std::size_t>(rank)];
  }
  // Rank in this group of a world rank, or MPI_UNDEFINED. O(log size).
  [[nodiscard]] int RankOf(int world_rank) const;
  [[nodiscard]] std::vector<int> WorldRanks() const;

 private:
  int size_ = 0;
  int first_ = 0;
  bool identity_ = false;  // world_rank = first_ + rank
  std::vector<int> world_ranks_;
  std::vector<int> sorted_;  // ranks by ascending world rank; empty: world_ranks_ ascends itself
};

using GroupPointer = std::shared_ptr<const Group>;

// --- Set operations: MPI-3.1, 6.3 ---------------------------------------------------------------

// MPI_IDENT, MPI_SIMILAR or MPI_UNEQUAL.
int CompareGroups(const Group& first, const Group& second);
GroupPointer UnionGroups(const Group& first, const Group& second);
GroupPointer IntersectGroups(const Group& first, const Group& second);
GroupPointer SubtractGroups(const Group& first, const Group& second);
bool GroupsOverlap(const Group& first, const Group& second);
// Return an MPI error code: MPI_ERR_RANK for a rank that is out of range or there twice,
// MPI_ERR_ARG for a range that is none. *result is set on success.
int IncludeRanks(const Group& group, std::span<const int> ranks, GroupPointer* result);
int ExcludeRanks(const Group& group, std::span<const int> ranks, GroupPointer* result);
// The ranks that `count` triples (first, last, stride) name, in order (MPI_Group_range_incl).
int ExpandRanges(const Group& group, int count, const int ranges[][3], std::vector<int>* ranks);

// --- Handles ------------------------------------------------------------------------------------

// The group behind a handle, or null: not a valid group (MPI_ERR_GROUP).
const GroupPointer* FindGroup(MPI_Group handle);
// A new handle that the program must free; MPI_GROUP_EMPTY for an empty group.
MPI_Group MakeGroupHandle(GroupPointer group);
// The same group as an Open MPI object: the caller frees it with PMPI_Group_free, unless it is
// MPI_GROUP_EMPTY.
MPI_Group ToOpenMpiGroup(const Group& group);
// The same for a handle; MPI_GROUP_NULL for an invalid one.
MPI_Group ToOpenMpiGroup(MPI_Group handle);
// A new handle of ours for an Open MPI group, which stays the caller's.
MPI_Group FromOpenMpiGroup(MPI_Group group);
GroupPointer GroupOfOpenMpi(MPI_Group group);
// At the end of MPI_Finalize: gives back Open MPI's objects.
void ReleaseGroupTranslation();

}  // namespace ftmpi
