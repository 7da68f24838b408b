// From where a recovery starts when each rank has checkpoints of its own (FT_CKPT=independent):
// every rank from its newest usable one, as far as the logs lead from there to the recovery line
// (Johnson's thesis 2.1.6, 3.4).
#pragma once

#include <string>
#include <vector>

#include "logging/environment.h"
#include "recovery/checkpoint_choice.h"

namespace ftmpi::recovery {

// There are files JOBDIR/rank-<r>/checkpoint-<csn>.h5 of ranks 0..np-1. Throws LogError.
bool HasOwnCheckpoints(logging::Environment* environment, const std::string& job_directory, int np);

// Each rank's newest checkpoint whose files are intact and that lies in front of the recovery line.
// Where what is left of the logs does not connect two of them, the one that stands in the way gives
// way to the next older one, in the end to the initial state. Throws RecoveryError with every
// reason when a rank has none left, and LogError when the job directory can't be read.
//
// In optimistic mode a checkpoint counts only as far as the events in front of it are known: what
// it depends on stands with these.
Start ChooseOwnStart(logging::Environment* environment, const StartOptions& options,
                     const JobDescription& job, const Findings& findings,
                     const std::vector<RankEvidence>& evidence);

}  // namespace ftmpi::recovery
