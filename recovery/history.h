// How earlier epochs of the job ended, so that a failure which comes back at the same point is told
// from bad luck. One file per epoch: JOBDIR/recovery/epoch-<k>.json, written by mpi-ft-recover.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recovery/evidence.h"

namespace ftmpi::recovery {

struct EpochHistory {
  std::vector<RankPosition>
      positions;                 // by rank, when the epoch had ended; empty: not looked at yet
  std::vector<int> lost;         // ranks that vanished or ended themselves
  std::optional<int> exit_code;  // mpirun's, if mpi-ft-recover had started it

  bool operator==(const EpochHistory&) const = default;
};

// nullopt: no such file, or not readable as one (it only helps to explain; nothing depends on it).
std::optional<EpochHistory> ReadHistory(const std::string& job_directory, std::uint32_t epoch);
// Throws JobDirectoryError.
void WriteHistory(const std::string& job_directory, std::uint32_t epoch,
                  const EpochHistory& history);

// The rank that ended twice at the same point by its own doing: lost in both epochs at the same
// position, the second time with an exit code of mpirun that speaks of a crash (SIGSEGV, SIGABRT,
// ...) rather than of a kill from outside. nullopt: none.
std::optional<int> DiesAtTheSamePoint(const EpochHistory& before, const EpochHistory& last);

}  // namespace ftmpi::recovery
