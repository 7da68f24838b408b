// The recovery state: what is known of each rank's state intervals after a failure (thesis ch. 2),
// as both recovery state algorithms take it. Pure: no files, no MPI.
//
// Sparse: a rank names the determinants that survive and the increases of its dependency vector,
// not a vector per interval.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::recovery {

// Intervals first..last, both included.
struct IntervalRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const IntervalRange&) const = default;
};

// From its state interval `interval` on, a rank depends on state interval `on_interval` of
// `on_rank` (thesis 2.1.1): a message sent there had been delivered. An image that was taken in the
// course of an interval counts with all that was delivered before it.
struct Dependency {
  std::uint64_t interval = 0;
  std::int32_t on_rank = -1;
  std::uint64_t on_interval = 0;
  bool operator==(const Dependency&) const = default;
};

struct RankHistory {
  // Intervals that can be restored without replay: checkpoints, failure-time images, and 0, the
  // initial state (thesis 2.1.5), as long as a start from main() is possible. Any order.
  std::vector<std::uint64_t> checkpoints{0};
  // Events whose determinants survive ("logged"): index = the interval that the event starts. Any
  // order, may overlap.
  std::vector<IntervalRange> logged;
  std::vector<Dependency> dependencies;  // any order
};

// Entry r: the state interval of rank r.
using SystemState = std::vector<std::uint64_t>;

// There is no recoverable system state: the message names the rank and what it lacks.
class NoRecoverableState : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The intervals that can be recreated (thesis, definition 2.6): those of a checkpoint, and behind
// it as long as every event is logged. In order, disjoint, not adjoining.
std::vector<IntervalRange> StableIntervals(const RankHistory& history);

// The unique maximum recoverable system state (thesis, theorem 2.4): the greatest intervals that
// are stable and depend on nothing beyond each other. Batch algorithm (4.3), O(n log n) in the
// number of ranges and dependencies. Throws NoRecoverableState; std::invalid_argument when a
// dependency names a rank that there is not.
SystemState MaximumRecoverableState(const std::vector<RankHistory>& ranks);

// Collects histories from what is found in event logs and payload logs.
class RecoveryStateInput {
 public:
  explicit RecoveryStateInput(int size);

  // `interval` of `rank` can be restored without replay. The initial state counts unless
  // DropInitialState was called.
  void AddCheckpoint(int rank, std::uint64_t interval);
  void DropInitialState(int rank);
  // A determinant that survives, from whatever log; kDependency records too. Copies do no harm.
  void AddDeterminant(const logging::Determinant& determinant);
  void AddDependency(int rank, const Dependency& dependency);
  // A logged message: the `ssn`-th from `source` to `destination`, sent in `interval`. It says what
  // the delivery of that message made its destination depend on. Order with respect to
  // AddDeterminant does not matter; messages that no determinant names do nothing.
  void AddMessage(int source, std::uint64_t ssn, int destination, std::uint64_t interval);

  // Throws std::invalid_argument for ranks that there are not (at the Add... too).
  [[nodiscard]] std::vector<RankHistory> Build() const;

 private:
  using Message = std::pair<std::int32_t, std::uint64_t>;  // source, SSN
  struct Rank {
    RankHistory history;
    std::map<Message, std::uint64_t> deliveries;  // -> the event that took the message
    std::map<Message, std::uint64_t> sent_in;     // -> the sender's interval
  };
  Rank& At(int rank);

  std::vector<Rank> ranks_;
};

}  // namespace ftmpi::recovery
