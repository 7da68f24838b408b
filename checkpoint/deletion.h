// Deletes checkpoint files by name; what is not ours stays. Needs no HDF5. Every function may be
// called again after it failed or its process died. Errors: StoreError, LogError.
#pragma once

#include <cstdint>
#include <string>

#include "logging/environment.h"

namespace ftmpi::checkpoint {

// Deletes a checkpoint, permanent or not (checkpoint/FORMAT.md, steps 6 and 7): checkpoint.h5
// first. When files that are not ours are in its directory, that stays and is named in the error.
void DeleteCheckpoint(logging::Environment* environment, const std::string& root,
                      std::uint64_t csn);

// Deletes a rank's own checkpoints with a CSN smaller than `keep_from`, oldest first, but for those
// that the others build on. The rank's directory stays.
void DiscardOwnCheckpoints(logging::Environment* environment, const std::string& root,
                           std::int32_t rank, std::uint64_t keep_from);

// Deletes every checkpoint below `root`, and the directories that are empty then; `root` stays. For
// a job that has ended well.
void DeleteAllCheckpoints(logging::Environment* environment, const std::string& root);

}  // namespace ftmpi::checkpoint
