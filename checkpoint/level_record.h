// What makes a checkpoint permanent whose files are on the nodes: JOBDIR/checkpoint-<csn>/level
// (checkpoint/LEVELS.md, Commit).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/server_protocol.h"
#include "logging/environment.h"

namespace ftmpi::checkpoint {

inline constexpr const char* kLevelRecordName = "level";

struct LevelRecord {
  Level level = Level::kLocal;  // kLocal or kPartner
  std::uint64_t job = 0;
  std::uint64_t csn = 0;
  std::uint32_t epoch = 0;
  std::int32_t np = 0;
  std::uint64_t time = 0;  // nanoseconds since 1970

  bool operator==(const LevelRecord&) const = default;
};

// Makes the directory if needed; durable when it returns. Throws LogError.
void WriteLevelRecord(logging::Environment* environment, const std::string& job_directory,
                      const LevelRecord& record);
// nullopt: there is none. Throws LogError, naming file and reason, for one that is damaged, of
// another version or of another checkpoint.
std::optional<LevelRecord> ReadLevelRecord(logging::Environment* environment,
                                           const std::string& job_directory, std::uint64_t csn);

// The node that holds the copies of `node`; `nodes`: of each rank, by rank. The same node: there is
// no other.
std::string PartnerOf(const std::vector<std::string>& nodes, const std::string& node);

}  // namespace ftmpi::checkpoint
