// A process group: an ordered set of world ranks. Immutable, shared.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ftmpi {

class Group {
 public:
  // The group of all world ranks 0..size-1: stored as its size alone.
  static std::shared_ptr<const Group> World(int size);
  static std::shared_ptr<const Group> FromWorldRanks(std::vector<int> world_ranks);

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int WorldRank(int rank) const {
    return identity_ ? rank + first_ : world_ranks_[static_cast<std::size_t>(rank)];
  }
  // Rank in this group of a world rank, or MPI_UNDEFINED.
  [[nodiscard]] int RankOf(int world_rank) const;

 private:
  int size_ = 0;
  int first_ = 0;
  bool identity_ = false;  // world_rank = first_ + rank
  std::vector<int> world_ranks_;
};

using GroupPointer = std::shared_ptr<const Group>;

}  // namespace ftmpi
