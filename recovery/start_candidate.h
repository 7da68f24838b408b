// A state that a recovery may start from, a checkpoint or the initial state of each rank, and
// whether what is left of the logs leads from there to the recovery line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/cut_record.h"
#include "checkpoint/transit_file.h"
#include "logging/environment.h"
#include "pmpi/checkpoint_datasets.h"
#include "recovery/evidence.h"
#include "recovery/held_record.h"
#include "recovery/recovery_line.h"
#include "recovery/replay_plan.h"

namespace ftmpi::recovery {

// A state to start from, of all ranks.
struct Candidate {
  std::uint32_t csn = 0;  // of all ranks; 0: the initial state, or each rank has its own
  std::vector<checkpoint_datasets::EngineRecord> records;
  std::vector<checkpoint::CutRecord> cuts;                     // csn 0: the initial state
  std::string builds;                                          // of rank 0's files
  std::vector<std::vector<checkpoint::TransitMessage>> saved;  // by receiver; empty: none
  std::vector<HeldRecord> held;  // by rank: output that may not have been shown; empty: none
};

// Adds the next rank's part, from its file. Throws StoreError, LogError.
void AddRank(logging::Environment* environment, const std::string& path, int np,
             Candidate* candidate);
// ... the initial state.
void AddInitial(Candidate* candidate);
Candidate InitialState(int np);

// The first event of a rank behind interval `start` that is not known although it is behind trimmed
// ones (`trimmed`: of its own log); 0: all are. (What is missing at the end is the recovery line's
// business.)
std::uint64_t MissingEvent(std::uint64_t start, std::uint64_t trimmed, const RankEvidence& rank);

// A rank of the plan starts from its part of a checkpoint.
void SetCheckpoint(std::uint32_t csn, const checkpoint_datasets::EngineRecord& record,
                   PlanRank* rank);

struct Refusal {
  std::string why;  // empty: none
  int rank = -1;    // whose part stands in the way; -1: of nobody alone
};
// Why the plan can't start from this state; empty: it can, and the plan says how.
Refusal Enter(const Candidate& candidate, const Findings& findings, const RecoveryLine& line,
              ReplayPlan* plan);

}  // namespace ftmpi::recovery
