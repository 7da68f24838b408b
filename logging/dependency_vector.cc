#include "logging/dependency_vector.h"

#include <algorithm>

namespace ftmpi::logging {

bool DependencyVector::Raise(int rank, std::uint64_t interval) {
  if (interval == 0) return false;
  std::uint64_t& entry = intervals_[rank];
  if (interval <= entry) return false;
  entry = interval;
  return true;
}

std::vector<std::pair<int, std::uint64_t>> DependencyVector::Entries() const {
  std::vector<std::pair<int, std::uint64_t>> entries;
  entries.reserve(intervals_.size());
  intervals_.ForEach(
      [&](int rank, std::uint64_t interval) { entries.emplace_back(rank, interval); });
  std::sort(entries.begin(), entries.end());
  return entries;
}

void WaitingIntervals::Raise(std::uint64_t own, std::uint64_t position, std::uint64_t needed) {
  if (count_ == kEntries) {
    entries_[count_ - 1].needed = std::max(entries_[count_ - 1].needed, needed);
    return;
  }
  entries_[count_++] = {own, position, needed};
}

void WaitingIntervals::Settle(std::uint64_t safe) {
  unsigned settled = 0;
  while (settled < count_ && entries_[settled].needed <= safe) ++settled;
  if (settled == 0) return;
  std::copy(entries_.begin() + settled, entries_.begin() + count_, entries_.begin());
  count_ -= settled;
}

std::uint64_t WaitingIntervals::NeededFor(std::uint64_t position) const {
  std::uint64_t needed = 0;
  for (unsigned i = 0; i < count_ && entries_[i].position <= position; ++i)
    needed = entries_[i].needed;
  return needed;
}

}  // namespace ftmpi::logging
