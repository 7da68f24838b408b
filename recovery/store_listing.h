// What a job directory holds of checkpoints and logs: the core of mpi-ft-ls and mpi-ft-verify.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/store_reader.h"
#include "logging/environment.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

// A checkpoint in one place.
struct ListedCheckpoint {
  // "shared" (the job directory), "local" (this node's store), "partner"; of one that is on the
  // nodes: its level.
  std::string level;
  std::string directory;   // its files, absolute or as the job directory was given
  std::int32_t rank = -1;  // whose it is when it is permanent by itself; else -1
  checkpoint::CheckpointReport report;
  bool on_nodes = false;  // permanent, and its files are on the nodes (checkpoint/LEVELS.md)
};

struct ListedLog {
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t events = 0;  // determinants in it; kEverything only
  std::string problem;
};

struct StoreListing {
  std::string job_directory;
  std::optional<JobDescription> job;          // nothing: job.json can't be read, see `problems`
  std::vector<ListedCheckpoint> checkpoints;  // shared first, then local; descending by CSN
  std::vector<ListedLog> logs;                // flushed event blocks
  std::vector<std::string> leftovers;         // files that were being written
  std::vector<std::string> problems;          // not those of `checkpoints` and `logs`

  // Everything that is wrong, each naming file and reason. A tentative checkpoint is not wrong.
  [[nodiscard]] std::vector<std::string> AllProblems() const;
  // The checkpoint of the whole job that a restart would take; nullptr: none.
  [[nodiscard]] const ListedCheckpoint* Newest() const;
};

// Throws LogError when the job directory can't be listed.
StoreListing ListStore(logging::Environment* environment, const std::string& job_directory,
                       checkpoint::Depth depth);

// For people, and for programs.
std::string ListingText(const StoreListing& listing);
std::string ListingJson(const StoreListing& listing);
// What mpi-ft-verify says.
std::string VerificationText(const StoreListing& listing);

// 1.5 MiB
std::string SizeText(std::uint64_t bytes);

}  // namespace ftmpi::recovery
