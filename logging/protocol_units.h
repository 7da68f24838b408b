// The failure units of a job as one rank sees them.
#pragma once

#include <cstddef>
#include <vector>

namespace ftmpi::logging {

class FailureUnits {
 public:
  // `unit`: failure unit of each rank, any numbers.
  FailureUnits(const std::vector<int>& unit, int rank);

  // Numbered from 0 in the order of the caller's numbers.
  [[nodiscard]] int unit(int rank) const { return unit_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] int own() const { return own_; }
  [[nodiscard]] bool same(int rank) const { return unit(rank) == own_; }
  [[nodiscard]] int count() const { return count_; }

  // One rank of each other unit, beginning with the unit after the own one: the rank with the same
  // place in its unit as this rank has in its own, so that the load spreads. For each rank the
  // choice never changes.
  [[nodiscard]] const std::vector<int>& others() const { return others_; }

 private:
  std::vector<int> unit_;
  std::vector<int> others_;
  int own_ = 0;
  int count_ = 0;
};

}  // namespace ftmpi::logging
