// Names of checkpoint files below a root (the job directory, or the node-local store), and what is
// there (checkpoint/FORMAT.md, Names). Errors: LogError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

// Paths. `root`/checkpoint-<csn>
std::string CheckpointDirectory(const std::string& root, std::uint64_t csn);
// `root`/checkpoint-<csn>/checkpoint.h5
std::string IndexPath(const std::string& root, std::uint64_t csn);
// `root`/checkpoint-<csn>/rank-<r>.h5
std::string RankPath(const std::string& root, std::uint64_t csn, std::int32_t rank);
// `root`/rank-<r>, and the file of a checkpoint that is permanent by itself.
std::string OwnDirectory(const std::string& root, std::int32_t rank);
std::string OwnPath(const std::string& root, std::int32_t rank, std::uint64_t csn);
// Where a checkpoint of this kind is.
std::string PathOf(const std::string& root, CheckpointKind kind, std::uint64_t csn,
                   std::int32_t rank);
inline constexpr const char* kIndexName = "checkpoint.h5";
std::string RankFileName(std::int32_t rank);

// A directory checkpoint-<csn>.
struct CheckpointListing {
  std::uint64_t csn = 0;
  bool has_index = false;
  std::vector<std::int32_t> ranks;     // ascending; of whom there is a file
  std::vector<std::string> transit;    // names of files with messages in transit
  std::vector<std::string> leftovers;  // names of files that were being written
  bool has_level = false;              // its files are on the nodes (level_record.h)
};
// By descending CSN; empty when there is no root.
std::vector<CheckpointListing> ListCheckpoints(logging::Environment* environment,
                                               const std::string& root);
// CSNs of a rank's own checkpoints, descending.
std::vector<std::uint64_t> ListOwnCheckpoints(logging::Environment* environment,
                                              const std::string& root, std::int32_t rank);
// Ranks that have a directory of their own, ascending.
std::vector<std::int32_t> ListOwnRanks(logging::Environment* environment, const std::string& root);

}  // namespace ftmpi::checkpoint
