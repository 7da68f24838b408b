// How checkpoints are written, become permanent and are given up (checkpoint/FORMAT.md, Commit):
// the second phase of Ouyang & Heiser on disk. Every function may be called again after it failed
// or its process died. Errors: StoreError, LogError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/memory_source.h"
#include "checkpoint/rank_file_writer.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

// Writes the file of a rank where it belongs below `root` (which exists): a tentative checkpoint,
// or one that is permanent by itself. attributes.time 0 becomes the environment's time. With a base
// the base file must be there, of the same job and rank.
WrittenFile WriteCheckpoint(logging::Environment* environment, const std::string& root,
                            Manifest manifest, MemorySource* memory, int compression);

struct CommitResult {
  // Older checkpoints that could not be deleted, or files that are in the way: for people.
  std::vector<std::string> remarks;
};
// Makes the tentative checkpoint permanent. All files of `ranks` must be there and fit (job, CSN,
// np). Then older checkpoints are deleted, but for the `keep` - 1 newest permanent ones in front of
// it and for those that the kept ones build on.
CommitResult MakePermanent(logging::Environment* environment, const std::string& root,
                           std::uint64_t job, std::uint64_t csn, std::int32_t np,
                           const std::vector<std::int32_t>& ranks, std::uint32_t keep = 1);

// Gives a tentative checkpoint up: its files are removed. A permanent one is refused.
void AbortCheckpoint(logging::Environment* environment, const std::string& root, std::uint64_t csn);

}  // namespace ftmpi::checkpoint
