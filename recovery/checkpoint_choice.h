// Which checkpoint a recovery starts from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "recovery/replay_plan.h"

namespace ftmpi::recovery {

// Looks for the newest permanent checkpoint of the job whose files are intact and from which every
// rank can be replayed to where the plan takes it, and enters it in the plan; a plan without one
// starts from the initial state. Remarks say why newer ones were passed over. Throws LogError when
// the job directory can't be read.
std::vector<std::string> ChooseCheckpoint(logging::Environment* environment,
                                          const std::string& job_directory,
                                          const JobDescription& job, const Findings& findings,
                                          const RecoveryLine& line, ReplayPlan* plan);

}  // namespace ftmpi::recovery
