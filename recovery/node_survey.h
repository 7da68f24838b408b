// Asking the nodes of a failed job what they still hold, all at the same time, each for a limited
// time.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "recovery/inventory.h"
#include "recovery/job_directory.h"
#include "recovery/relaunch.h"

namespace ftmpi::recovery {

struct SurveyOptions {
  std::string job_directory;                    // absolute
  std::string this_node;                        // read directly
  std::string inventory_program;                // path of mpi-ft-inventory, the same on all nodes
  RelaunchOptions launch;                       // mpirun and environment
  std::chrono::seconds node_timeout{30};        // without a sign of life, per node
  std::function<void(const std::string&)> say;  // --verbose
};

// One inventory per name in `nodes`. A node on which mpi-ft-inventory can't be run, or doesn't
// answer in time, comes back with reached = false and the reason. Signs of life are lines on its
// output. A start that gives none is tried again (at most three times in node_timeout).
std::vector<NodeInventory> SurveyNodes(logging::Environment* environment, const JobDescription& job,
                                       const SurveyOptions& options,
                                       const std::vector<std::string>& nodes);

// FT_SPILL_DIR of the job, or empty.
std::string SpillDirectoryOf(const JobDescription& job);

// Path of mpi-ft-inventory: beside the installed or built commands (../lib*/ftmpi/). Throws
// RecoveryError naming the places looked at.
std::string FindInventoryProgram();

}  // namespace ftmpi::recovery
