// From where a recovery starts: a checkpoint, or the initial state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "recovery/replay_plan.h"

namespace ftmpi::recovery {

struct StartOptions {
  std::string job_directory;
  LineOptions line;
  std::vector<std::string> nodes_now;  // by rank
  std::vector<std::string> lost_nodes;
  // The checkpoint that the user asks for (mpi-ft-recover --to), 0: the initial state.
  std::optional<std::uint32_t> wanted;
};

// One of a rank's own (JOBDIR/rank-<r>/checkpoint-<csn>.h5).
struct OwnCheckpoint {
  int rank = -1;
  std::uint32_t csn = 0;
};

struct Start {
  RecoveryLine line;
  ReplayPlan plan;
  // Why newer checkpoints are passed over: work that is done again, so it is always said.
  std::vector<std::string> remarks;
  // Checkpoints that are newer than the start: their numbers are given out again.
  std::vector<std::uint32_t> newer;
  bool own = false;  // each rank starts from its own checkpoint (own_checkpoint_choice.h)
  std::vector<OwnCheckpoint> newer_own;
};

// Tries the permanent checkpoints of the job, the newest first, and then the initial state: the
// first one is taken whose files are intact and from which every rank can be brought to where the
// recovery line takes it, with what is left of the logs (checkpoint/COORDINATION.md, "Trimming").
// Throws RecoveryError with every reason when there is none, and LogError when the job directory
// can't be read.
Start ChooseStart(logging::Environment* environment, const StartOptions& options,
                  const JobDescription& job, const Findings& findings,
                  const std::vector<RankEvidence>& evidence);

// Removes the checkpoints that are newer than the start. After CommitPlan.
void RemoveNewerOwn(logging::Environment* environment, const std::string& job_directory,
                    const std::vector<OwnCheckpoint>& newer);
void RemoveNewer(logging::Environment* environment, const std::string& job_directory,
                 const std::vector<std::uint32_t>& newer);

}  // namespace ftmpi::recovery
