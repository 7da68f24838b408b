// The checkpoint of registered state that a job goes back to (checkpoint/REGISTERED.md, Restart).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "recovery/job_directory.h"
#include "recovery/recovery_line.h"
#include "recovery/replay_plan.h"

namespace ftmpi::recovery {

struct RegisteredChoice {
  std::uint64_t csn = 0;
  std::vector<std::uint64_t> stdout_taken;  // by rank, at the checkpoint
  std::vector<std::string> remarks;         // newer checkpoints that are passed over, and why
};

// nullopt: the job has no checkpoint of registered state, or is of another state. Throws
// RecoveryError when there is one, or the job was started from one before, and none can be used: it
// can't be replayed from its beginning then.
std::optional<RegisteredChoice> ChooseRegistered(logging::Environment* environment,
                                                 const std::string& job_directory,
                                                 const JobDescription& job);

// Nothing is replayed: a line without events, for that many ranks.
RecoveryLine LineFromRegistered(int np);
void EnterRegistered(const RegisteredChoice& choice, ReplayPlan* plan);

}  // namespace ftmpi::recovery
