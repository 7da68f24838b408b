// A node's part in bringing a checkpoint that is on the nodes to the job directory
// (checkpoint/LEVELS.md, Restart). In mpi-ft-inventory; mpi-ft-recover does it itself on its node.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "logging/environment.h"

namespace ftmpi::recovery {

struct DeliveryOptions {
  std::string local_directory;
  std::string job_directory;
  std::uint64_t job = 0;
  std::uint64_t csn = 0;
  std::uint32_t epoch = 0;  // in which the checkpoint was taken
  std::int32_t np = 0;
  std::vector<std::int32_t> own;     // ranks whose files are in the node's store of level local
  std::vector<std::int32_t> copied;  // ... of level partner
  std::function<void()> on_part;     // while it works
};

// Copies the files, each checked whole and durable; one that is there already is left. Throws
// LogError naming file and reason.
void Deliver(logging::Environment* environment, const DeliveryOptions& options);

}  // namespace ftmpi::recovery
