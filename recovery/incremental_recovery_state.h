// The incremental recovery state algorithm (thesis 4.4, figures 4.2 and 4.3): up from the current
// recovery state, one new stable interval at a time. For whoever follows the system while it runs.
#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "recovery/recovery_state.h"

namespace ftmpi::recovery {

class IncrementalRecoveryState {
 public:
  // Interval 0 of every rank is stable and depends on nothing.
  explicit IncrementalRecoveryState(int size);

  // State interval `interval` of `rank` has become stable (a checkpoint of it was recorded, or all
  // events since a checkpoint are logged by now). `depends_on`: its dependency vector, the entries
  // that are not bottom: (rank, interval); the own entry is ignored. To be called once for each
  // interval that becomes stable. Throws std::invalid_argument for a rank that there is not.
  void OnStable(int rank, std::uint64_t interval,
                const std::vector<std::pair<int, std::uint64_t>>& depends_on);

  // CRS: the maximum recoverable system state of what was said so far.
  [[nodiscard]] const SystemState& current() const { return current_; }
  // Calls of FIND_REC so far (what the DEFER sets are there to keep small).
  [[nodiscard]] std::size_t searches() const { return searches_; }

 private:
  using Interval = std::pair<std::size_t, std::uint64_t>;  // rank, state interval
  using DependencyVector = std::vector<std::pair<std::size_t, std::uint64_t>>;

  bool FindRecoverable(SystemState* state, const Interval& wanted);
  void TakeDeferred(const Interval& reached, std::vector<Interval>* work) const;

  std::vector<std::map<std::uint64_t, DependencyVector>> stable_;  // DV of each stable interval
  // DEFER: for an interval, the stable intervals that wait for it.
  std::vector<std::multimap<std::uint64_t, Interval>> deferred_;
  SystemState current_;
  SystemState maximum_;  // scratch: MAX
  std::size_t searches_ = 0;
};

}  // namespace ftmpi::recovery
