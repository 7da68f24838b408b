// mpi-ft-recover step by step: examine the failed job, decide, commit the plan, start it again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recovery/checkpoint_choice.h"
#include "recovery/evidence.h"
#include "recovery/job_directory.h"
#include "recovery/recovery_line.h"
#include "recovery/relaunch.h"
#include "recovery/replay_plan.h"

namespace ftmpi::recovery {

struct CommandOptions {
  std::string job_directory;  // absolute
  bool dry_run = false;       // show the plan on standard output and stop
  bool json = false;          // the plan as JSON on standard output, and stop
  bool verbose = false;
  bool force = false;               // go on where only the user can know that it is right
  std::optional<std::uint32_t> to;  // the checkpoint to start from, 0: the initial state
  std::vector<std::string> hosts;   // usable nodes; empty: those that were reached
  std::vector<std::string> mpirun_arguments;
  std::string mpirun;             // empty: as recorded
  std::string inventory_program;  // empty: where it was installed
  std::chrono::seconds node_timeout{30};
  std::chrono::seconds wait{15};   // for what is left of the failed job to end
  std::chrono::seconds grace{30};  // for mpirun to end when the job's ranks have
};

// What was found out about a failed job.
struct Examination {
  JobDescription job;
  std::string this_node;
  std::vector<std::string> reached_nodes;
  std::vector<std::string> lost_nodes;
  Findings findings;
  RecoveryLine line;
  ReplayPlan plan;
  std::vector<std::uint32_t> newer_checkpoints;  // than the start; they go when the plan counts
  bool own_checkpoints = false;                  // each rank starts from its own
  std::vector<OwnCheckpoint> newer_own;          // as newer_checkpoints
};

// Reads job.json, asks the nodes, computes recovery line and plan. Writes nothing but
// JOBDIR/recovery. Throws RecoveryError (and JobDirectoryError, LogError, InventoryError) when the
// job can't be recovered, isn't to be, or still runs.
Examination Examine(const CommandOptions& options);

// Commits the plan, starts the job again and watches it. Returns what mpi-ft-recover ends with.
int Relaunch(const CommandOptions& options, Examination* examination);

// The whole command, with the lock. Exceptions escape.
int RecoverCommand(const CommandOptions& options);

// "mpi-ft-recover: text\n" on standard error.
void Say(const std::string& text);

}  // namespace ftmpi::recovery
