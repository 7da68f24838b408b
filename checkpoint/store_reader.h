// Which checkpoint can be started from. Nothing throws here for what a file is like: damage is an
// answer. (An environment that can't list the root throws LogError.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/index_file.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

enum class Depth {
  kSeals,       // every file is there, whole in length, and the one that is meant
  kEverything,  // every byte is read and every checksum compared
};

struct CheckpointReport {
  std::uint64_t csn = 0;
  bool permanent = false;  // there is a checkpoint.h5
  bool usable = false;     // permanent, and nothing is wrong with it or with what it builds on
  FileIdentity identity;   // of checkpoint.h5; of a rank's file when there is none
  std::uint64_t bytes = 0;
  std::size_t files = 0;                 // of ranks
  std::vector<std::uint64_t> builds_on;  // CSNs, descending
  std::vector<std::string> problems;     // each names the file and the reason
};

// Examines checkpoint `csn` below `root`. `job`, unless 0, is the job whose it must be. With
// `partial` checkpoint.h5 may list some of the ranks only (a node's own store).
CheckpointReport Examine(logging::Environment* environment, const std::string& root,
                         std::uint64_t csn, std::uint64_t job, Depth depth, bool partial = false);

struct NewestUsable {
  std::optional<CheckpointReport> checkpoint;  // the newest one that is usable
  std::vector<CheckpointReport> passed_over;   // newer ones that are not, descending
};
NewestUsable FindNewestUsable(logging::Environment* environment, const std::string& root,
                              std::uint64_t job, Depth depth, bool partial = false);

// Examines a checkpoint of a rank that is permanent by itself.
CheckpointReport ExamineOwn(logging::Environment* environment, const std::string& root,
                            std::int32_t rank, std::uint64_t csn, std::uint64_t job, Depth depth);

// The newest usable checkpoint of a rank that is permanent by itself (independent, failure-time);
// nullopt: none. What is wrong with newer ones is appended to `problems`.
std::optional<std::uint64_t> FindNewestOwn(logging::Environment* environment,
                                           const std::string& root, std::uint64_t job,
                                           std::int32_t rank, Depth depth,
                                           std::vector<std::string>* problems);

}  // namespace ftmpi::checkpoint
