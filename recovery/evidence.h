// From files to evidence: what the inventories of the nodes and the job directory together say
// about each rank of a failed job.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "recovery/inventory.h"
#include "recovery/job_directory.h"
#include "recovery/recovery_line.h"

namespace ftmpi::recovery {

// The job can't be recovered, or not now. The message says what, where and what to do about it.
class RecoveryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where a rank stood when the job failed, as far as it is known; for telling whether two failures
// struck at the same point.
struct RankPosition {
  std::uint64_t interval = 0;
  std::uint64_t poll_failures = 0;
  std::uint64_t messages = 0;  // that it had sent (records in its payload log)
  std::uint64_t stdout_released = 0;
  std::uint64_t stderr_released = 0;

  bool operator==(const RankPosition&) const = default;
};

struct RankFindings {
  int rank = -1;
  std::string node;  // where it ran last
  bool node_reached = false;
  bool started = false;     // it took part in the current epoch
  bool files_lost = false;  // its node answers, but has nothing of it any more: it came back empty
  bool alive = false;       // its process still runs
  std::int64_t pid = 0;
  std::optional<RankEndRecord> end;                          // how it ended, by its companion
  logging::RankPhase phase = logging::RankPhase::kStarting;  // kStarting too when not known
  std::int32_t exit_code = 0;
  bool own_log_survives = false;
  bool payload_log_survives = false;       // on `node`, of this job, at least in part
  std::vector<ChannelInventory> channels;  // of its payload log
  RankPosition position;
  std::optional<std::uint64_t> base_poll_failures;  // of the replay log that the epoch started with
  std::uint64_t base_interval = 0;
  // The rank's own event log lacks its first events, up to this one: checkpoints made them
  // needless.
  std::uint64_t trimmed_interval = 0;
  // ... as this checkpoint does not need them, nor those of other ranks that were dropped with
  // them.
  std::uint64_t trimmed_csn = 0;
};

struct Findings {
  std::vector<RankFindings> ranks;  // by rank
  int lost_units = 0;               // failure units of ranks that started and whose log is lost
  std::vector<std::string> remarks;
};

// `nodes`: inventories of all nodes on which job.json says that ranks ran last. Reads epoch and
// output records and flushed event blocks in `job_directory`. `evidence` (by rank) is for
// FindRecoveryLine. Throws RecoveryError, JobDirectoryError, LogError.
Findings GatherEvidence(logging::Environment* environment, const std::string& job_directory,
                        const JobDescription& job, std::vector<NodeInventory> nodes,
                        std::vector<RankEvidence>* evidence);

// Path of a rank's replay log of an epoch.
std::string ReplayLogPath(const std::string& job_directory, std::uint32_t epoch, int rank);

// "pessimistic", ... Throws RecoveryError for a mode that can't be recovered.
logging::Mode ModeOf(const JobDescription& job);

}  // namespace ftmpi::recovery
