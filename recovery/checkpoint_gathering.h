// Brings the newest checkpoint that is on the nodes to the job directory (checkpoint/LEVELS.md,
// Restart), before mpi-ft-recover chooses where to start.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/level_record.h"
#include "logging/environment.h"
#include "recovery/evidence.h"
#include "recovery/job_directory.h"
#include "recovery/relaunch.h"

namespace ftmpi::recovery {

struct GatheringOptions {
  std::string job_directory;
  std::string this_node;
  std::string inventory_program;  // on the other nodes
  RelaunchOptions launch;
  std::chrono::seconds node_timeout{60};  // without a word from a node
  std::optional<std::uint32_t> wanted;    // this checkpoint only (mpi-ft-recover --to)
  std::function<void(const std::string&)> say;
};

// From which node each rank's file of a checkpoint is to be had.
struct Delivery {
  std::string node;
  std::vector<std::int32_t> own;     // of level local
  std::vector<std::int32_t> copied;  // of level partner: the node's, or those that it holds
};
struct DeliveryPlan {
  std::vector<Delivery> deliveries;  // by node, in order of first need
  std::string obstacle;              // empty: every file can be had; else which not
};
DeliveryPlan PlanDelivery(const checkpoint::LevelRecord& record, const JobDescription& job,
                          const Findings& findings);

// Gathers the newest that is complete and newer than all in the job directory. Returns why newer
// ones are passed over. Throws LogError when the job directory can't be read.
std::vector<std::string> GatherNewest(logging::Environment* environment,
                                      const GatheringOptions& options, const JobDescription& job,
                                      const Findings& findings);

}  // namespace ftmpi::recovery
