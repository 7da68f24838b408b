// Dependency vectors (Johnson 2.1.1, 4.2.1), sparse: only ranks that were heard of have an entry.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "logging/rank_map.h"

namespace ftmpi::logging {

// For each other rank the greatest state interval that this rank depends on; no entry and 0 mean
// the same, since every rank starts in interval 0.
class DependencyVector {
 public:
  [[nodiscard]] std::uint64_t operator[](int rank) const {
    const std::uint64_t* interval = intervals_.Find(rank);
    return interval == nullptr ? 0 : *interval;
  }
  // True: the entry grew.
  bool Raise(int rank, std::uint64_t interval);
  // Sorted by rank.
  [[nodiscard]] std::vector<std::pair<int, std::uint64_t>> Entries() const;

 private:
  RankMap<std::uint64_t> intervals_;
};

// Since when this rank waits for a growing number of another rank (its state interval, its
// determinant's index) to become safe: for each growth the own state interval and position
// (Protocol::OutputPosition) at which it happened.
//
// At most kEntries growths are told apart; beyond that the latest is widened. The earlier ones stay
// as they are, so that a number that never stops growing cannot keep an old position waiting for
// ever.
class WaitingIntervals {
 public:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  // In own interval `own`, at own position `position` (both never less than in the call before),
  // the number grew to `needed`.
  void Raise(std::uint64_t own, std::uint64_t position, std::uint64_t needed);
  // All numbers up to `safe` are safe.
  void Settle(std::uint64_t safe);
  // The first own interval and position that wait; kNone when none does.
  [[nodiscard]] std::uint64_t first_interval() const {
    return count_ == 0 ? kNone : entries_[0].own;
  }
  [[nodiscard]] std::uint64_t first_position() const {
    return count_ == 0 ? kNone : entries_[0].position;
  }
  // The greatest number that own positions up to `position` wait for; 0 when they wait for none.
  [[nodiscard]] std::uint64_t NeededFor(std::uint64_t position) const;

 private:
  static constexpr unsigned kEntries = 4;
  struct Entry {
    std::uint64_t own;
    std::uint64_t position;
    std::uint64_t needed;
  };
  std::array<Entry, kEntries> entries_{};
  unsigned count_ = 0;
};

}  // namespace ftmpi::logging
