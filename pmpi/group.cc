#include "pmpi/group.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ftmpi {

std::shared_ptr<const Group> Group::World(int size) {
  auto group = std::make_shared<Group>();
  group->size_ = size;
  group->identity_ = true;
  return group;
}

std::shared_ptr<const Group> Group::FromWorldRanks(std::vector<int> world_ranks) {
  auto group = std::make_shared<Group>();
  group->size_ = static_cast<int>(world_ranks.size());
  bool consecutive = true;
  bool ascending = true;
  for (std::size_t i = 1; i < world_ranks.size(); ++i) {
    if (world_ranks[i] != world_ranks[i - 1] + 1) consecutive = false;
    if (world_ranks[i] <= world_ranks[i - 1]) ascending = false;
  }
  if (consecutive) {
    group->identity_ = true;
    group->first_ = world_ranks.empty() ? 0 : world_ranks.front();
    return group;
  }
  if (!ascending) {
    group->sorted_.resize(world_ranks.size());
    std::iota(group->sorted_.begin(), group->sorted_.end(), 0);
    std::sort(group->sorted_.begin(), group->sorted_.end(), [&world_ranks](int left, int right) {
      return world_ranks[static_cast<std::size_t>(left)] <
             world_ranks[static_cast<std::size_t>(right)];
    });
  }
  group->world_ranks_ = std::move(world_ranks);
  return group;
}

int Group::RankOf(int world_rank) const {
  if (identity_) {
    const int rank = world_rank - first_;
    return world_rank >= first_ && rank < size_ ? rank : MPI_UNDEFINED;
  }
  if (sorted_.empty()) {
    const auto found = std::lower_bound(world_ranks_.begin(), world_ranks_.end(), world_rank);
    if (found == world_ranks_.end() || *found != world_rank) return MPI_UNDEFINED;
    return static_cast<int>(found - world_ranks_.begin());
  }
  const auto found =
      std::lower_bound(sorted_.begin(), sorted_.end(), world_rank, [this](int rank, int wanted) {
        return world_ranks_[static_cast<std::size_t>(rank)] < wanted;
      });
  if (found == sorted_.end() || WorldRank(*found) != world_rank) return MPI_UNDEFINED;
  return *found;
}

std::vector<int> Group::WorldRanks() const {
  if (!identity_) return world_ranks_;
  std::vector<int> ranks(static_cast<std::size_t>(size_));
  std::iota(ranks.begin(), ranks.end(), first_);
  return ranks;
}

int CompareGroups(const Group& first, const Group& second) {
  if (&first == &second) return MPI_IDENT;
  if (first.size() != second.size()) return MPI_UNEQUAL;
  bool identical = true;
  for (int rank = 0; rank < first.size(); ++rank) {
    const int other = second.RankOf(first.WorldRank(rank));
    if (other == MPI_UNDEFINED) return MPI_UNEQUAL;
    if (other != rank) identical = false;
  }
  return identical ? MPI_IDENT : MPI_SIMILAR;
}

GroupPointer UnionGroups(const Group& first, const Group& second) {
  std::vector<int> ranks = first.WorldRanks();
  for (int rank = 0; rank < second.size(); ++rank) {
    const int world_rank = second.WorldRank(rank);
    if (first.RankOf(world_rank) == MPI_UNDEFINED) ranks.push_back(world_rank);
  }
  return Group::FromWorldRanks(std::move(ranks));
}

namespace {

// The processes of `first`, in its order, that `second` has (or has not).
GroupPointer Filter(const Group& first, const Group& second, bool in_second) {
  std::vector<int> ranks;
  for (int rank = 0; rank < first.size(); ++rank) {
    const int world_rank = first.WorldRank(rank);
    if ((second.RankOf(world_rank) != MPI_UNDEFINED) == in_second) ranks.push_back(world_rank);
  }
  return Group::FromWorldRanks(std::move(ranks));
}

// Marks the ranks; false: one is out of range or there twice.
bool MarkRanks(const Group& group, std::span<const int> ranks, std::vector<bool>* marked) {
  marked->assign(static_cast<std::size_t>(group.size()), false);
  for (const int rank : ranks) {
    if (rank < 0 || rank >= group.size()) return false;
    if ((*marked)[static_cast<std::size_t>(rank)]) return false;
    (*marked)[static_cast<std::size_t>(rank)] = true;
  }
  return true;
}

}  // namespace

GroupPointer IntersectGroups(const Group& first, const Group& second) {
  return Filter(first, second, true);
}

GroupPointer SubtractGroups(const Group& first, const Group& second) {
  return Filter(first, second, false);
}

bool GroupsOverlap(const Group& first, const Group& second) {
  for (int rank = 0; rank < first.size(); ++rank) {
    if (second.RankOf(first.WorldRank(rank)) != MPI_UNDEFINED) return true;
  }
  return false;
}

int IncludeRanks(const Group& group, std::span<const int> ranks, GroupPointer* result) {
  std::vector<bool> marked;
  if (!MarkRanks(group, ranks, &marked)) return MPI_ERR_RANK;
  std::vector<int> world_ranks;
  world_ranks.reserve(ranks.size());
  for (const int rank : ranks) world_ranks.push_back(group.WorldRank(rank));
  *result = Group::FromWorldRanks(std::move(world_ranks));
  return MPI_SUCCESS;
}

int ExcludeRanks(const Group& group, std::span<const int> ranks, GroupPointer* result) {
  std::vector<bool> marked;
  if (!MarkRanks(group, ranks, &marked)) return MPI_ERR_RANK;
  std::vector<int> world_ranks;
  world_ranks.reserve(marked.size() - ranks.size());
  for (int rank = 0; rank < group.size(); ++rank) {
    if (!marked[static_cast<std::size_t>(rank)]) world_ranks.push_back(group.WorldRank(rank));
  }
  *result = Group::FromWorldRanks(std::move(world_ranks));
  return MPI_SUCCESS;
}

int ExpandRanges(const Group& group, int count, const int ranges[][3], std::vector<int>* ranks) {
  ranks->clear();
  for (int i = 0; i < count; ++i) {
    const std::int64_t first = ranges[i][0];
    const std::int64_t last = ranges[i][1];
    const std::int64_t stride = ranges[i][2];
    if (first < 0 || first >= group.size() || last < 0 || last >= group.size()) return MPI_ERR_RANK;
    if (stride == 0) return MPI_ERR_ARG;
    if ((stride > 0 && first > last) || (stride < 0 && first < last)) return MPI_ERR_ARG;
    for (std::int64_t rank = first; stride > 0 ? rank <= last : rank >= last; rank += stride) {
      ranks->push_back(static_cast<int>(rank));
    }
    // A rank that is there twice is refused by Include and Exclude; stop before it gets absurd.
    if (ranks->size() > static_cast<std::size_t>(group.size())) return MPI_ERR_RANK;
  }
  return MPI_SUCCESS;
}

}  // namespace ftmpi
