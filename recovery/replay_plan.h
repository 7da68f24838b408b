// The plan of a recovery: for each rank where it goes, from where it starts, how far it is
// replayed. And its execution up to the point where it counts: the new epoch's replay logs in the
// job directory, then job.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recovery/evidence.h"
#include "recovery/job_directory.h"
#include "recovery/recovery_line.h"

namespace ftmpi::recovery {

struct PlanRank {
  int rank = -1;
  std::string node_before;
  std::string node_now;
  std::string from;                   // "initial state"
  std::uint64_t interval = 0;         // state interval that it is to reach
  std::uint64_t events = 0;           // to be replayed
  std::uint64_t resend = 0;           // logged messages that are sent to it again, by all ranks
  std::uint64_t suppress = 0;         // its own re-executed messages that are in its log already
  std::uint64_t rolled_back = 0;      // intervals given up because they depend on lost ones
  bool at_failure_state = false;      // it gets as far as it was
  bool payload_log_survives = false;  // and is used where the rank goes
  std::uint64_t poll_failures = 0;    // polling calls that said no behind the last event
  std::uint64_t stdout_released = 0;  // bytes that were shown already
  std::uint64_t stderr_released = 0;
  // The checkpoint that it starts from, as in its replay log; 0: the initial state.
  std::uint32_t checkpoint_csn = 0;
  std::uint64_t checkpoint_interval = 0;
  std::uint64_t checkpoint_stdout = 0;
  std::uint64_t checkpoint_stderr = 0;
  bool registered = false;  // it is of registered state
  std::uint64_t checkpoint_stdin = 0;
};

struct ReplayPlan {
  std::uint32_t epoch = 0;  // that the plan starts
  std::vector<PlanRank> ranks;
  std::vector<std::string> lost_nodes;
  std::string reason;  // for job.json: "rank 2 on n1 was lost"
};

// Places for the ranks: who ran on a usable node stays there (its logs are there); the others go,
// in order of rank, to the usable node with the fewest ranks so far (the first of these). `usable`
// is not empty.
std::vector<std::string> PlaceRanks(const std::vector<std::string>& before,
                                    const std::vector<std::string>& usable);

// `line.ranks` and `nodes_now` are by rank.
ReplayPlan MakePlan(const JobDescription& job, const Findings& findings, const RecoveryLine& line,
                    const std::vector<std::string>& nodes_now,
                    const std::vector<std::string>& lost_nodes);

// A table for a person, each line ended.
std::string PlanTable(const ReplayPlan& plan, const JobDescription& job);
// The same as a JSON document.
std::string PlanJson(const ReplayPlan& plan, const JobDescription& job,
                     const std::string& job_directory, const RecoveryLine& line);

// Writes JOBDIR/epoch-<k> with all replay logs (as epoch-<k>.tmp first; an epoch-<k> that job.json
// does not know is a left-over of an interrupted recovery and is replaced), then job.json: from
// then on the job is in epoch k. Durable. When it throws, the job can be recovered as before.
void CommitPlan(logging::Environment* environment, const std::string& job_directory,
                const ReplayPlan& plan, const RecoveryLine& line, JobDescription* job);

}  // namespace ftmpi::recovery
