// The recovery line: which state interval each rank is to reach, from what survived of the event
// logs. Pure: no files, no MPI.
//
// A rank's determinants are stable as far as an unbroken sequence of them can be put together: from
// the base (what an earlier recovery established, on stable storage), the rank's own event log if
// its node is alive, copies that other ranks hold, and flushed blocks. In optimistic mode ranks may
// depend on intervals beyond that; the maximum recoverable state is then the greatest set of
// intervals none of which depends on a lost one (Johnson, thesis 4.3: it exists and is unique;
// computed by the batch algorithm, 4.4).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/determinant.h"
#include "logging/protocol.h"

namespace ftmpi::recovery {

// What is known of one rank.
struct RankEvidence {
  bool own_log_survives =
      false;  // its event log of this epoch was read whole: nothing of it is lost
  // On stable storage up to here: by the replay log that the epoch started with, or by the
  // checkpoint from which the rank is to start.
  std::uint64_t base_interval = 0;
  std::uint64_t base_trimmed = 0;           // of these, the first so many are not known, nor needed
  std::vector<logging::Determinant> base;   // determinants base_trimmed + 1..base_interval
  std::vector<logging::Determinant> found;  // behind the base, from everywhere, in any order
};

struct LineOptions {
  logging::Mode mode = logging::Mode::kCausal;
  // Failure units of ranks without their own log, and how many of these the mode promises to
  // survive.
  int lost_units = 0;
  int tolerated_units = 1;
};

struct RankLine {
  std::uint64_t recovered_interval = 0;
  std::uint64_t trimmed_interval = 0;  // events up to here are not in `determinants`
  std::vector<logging::Determinant>
      determinants;               // trimmed_interval + 1..recovered_interval, in order of index
  bool at_failure_state = false;  // it reaches the state it had when the job failed
  std::uint64_t rolled_back = 0;  // intervals that survived but depend on lost ones (an orphan's)
};

struct RecoveryLine {
  std::vector<RankLine> ranks;
  // Why the job can't be recovered: each names the rank, what is missing and who depends on it.
  std::vector<std::string> refusals;
  // What can't be shown to be right, but can't be shown to be wrong either: recovery needs --force.
  std::vector<std::string> doubts;
  std::vector<std::string> remarks;
};

// What the evidence is when the ranks start from a checkpoint at which rank r was in interval
// `intervals[r]`: what lies in front of it counts as stable, whether its determinants are known or
// not.
void StartFrom(const std::vector<std::uint64_t>& intervals, std::vector<RankEvidence>* evidence);

// `evidence[r]` is of rank r; base determinants are moved from. In coordinated mode the line is the
// initial state; which checkpoint takes its place is chosen later (checkpoint_choice.h).
RecoveryLine FindRecoveryLine(const LineOptions& options, std::vector<RankEvidence> evidence);

}  // namespace ftmpi::recovery
