// What one node holds of a failed job: per rank the status page, the payload log and the event log
// of the current recovery epoch, found in the node-local directory. Reading changes nothing.
//
// On the node where mpi-ft-recover runs it is collected in place; on others mpi-ft-inventory
// collects it and writes it to the job directory. Format of that file: recovery/INVENTORY.md.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "logging/determinant.h"
#include "logging/rank_status.h"

namespace ftmpi::logging {
class Environment;
}

namespace ftmpi::recovery {

class InventoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a rank logged on one channel (itself -> destination), in program order (schedule-lane
// messages are counted in `messages` and `bytes`, not in `last_ssn`).
struct ChannelInventory {
  std::int32_t destination = -1;
  std::uint64_t messages = 0;  // in the log: numbers before + 1 to before + messages on the channel
  std::uint64_t bytes = 0;     // of payload
  std::uint64_t last_ssn = 0;  // greatest SSN in the log
  std::uint64_t last_interval = 0;  // greatest state interval that a message was sent in
  std::uint64_t before = 0;         // sent in front of the log's first one: the log was trimmed

  bool operator==(const ChannelInventory&) const = default;
};

struct PayloadInventory {
  bool present = false;
  std::string damaged;  // empty: whole; else file and reason, what follows it is not counted
  std::uint64_t records = 0;
  std::vector<ChannelInventory> channels;  // by destination, ascending

  bool operator==(const PayloadInventory&) const = default;
};

struct StatusInventory {
  bool present = false;
  std::string damaged;  // why the page can't be used
  std::int32_t pid = 0;
  std::uint64_t pid_start_time = 0;
  bool alive = false;  // a process of that pid and start time runs on the node
  logging::RankPhase phase = logging::RankPhase::kStarting;
  std::int32_t exit_code = 0;
  std::uint32_t epoch = 0;
  std::uint64_t interval = 0;
  std::uint64_t poll_failures = 0;
  std::uint64_t stdout_released = 0;
  std::uint64_t stderr_released = 0;

  bool operator==(const StatusInventory&) const = default;
};

struct EventInventory {
  bool present = false;
  std::string damaged;
  std::uint64_t base_interval = 0;
  std::uint64_t trimmed_records = 0;   // of the log's first records so many are gone
  std::uint64_t trimmed_interval = 0;  // ... among them own ones up to this index
  std::uint64_t trimmed_csn = 0;       // ... which this checkpoint and later ones don't need
  std::vector<logging::Determinant> determinants;  // own and held, in log order

  bool operator==(const EventInventory&) const = default;
};

struct RankInventory {
  std::int32_t rank = -1;
  StatusInventory status;
  PayloadInventory payload;
  EventInventory events;

  bool operator==(const RankInventory&) const = default;
};

struct NodeInventory {
  std::string node;
  std::uint64_t job = 0;
  std::uint32_t epoch = 0;
  bool reached = true;  // false: the node is lost, `reason` says what was tried
  std::string reason;
  std::string directory;             // the node-local directory that was read
  std::vector<RankInventory> ranks;  // ranks of which anything was found, ascending
  std::vector<std::string> remarks;  // files that were left out, and why

  bool operator==(const NodeInventory&) const = default;
};

struct InventoryOptions {
  std::string directory;        // node-local directory of the job
  std::string spill_directory;  // FT_SPILL_DIR of the job; empty: none
  std::string node;             // name under which the job knows this node
  std::uint64_t job = 0;
  std::uint32_t epoch = 0;                // current recovery epoch: only its event logs count
  std::int32_t ranks = 0;                 // size of the job's world
  std::function<void(int rank)> on_rank;  // called before each rank's files are read; may be empty
};

// Reads what the directory holds. A missing directory is an empty inventory; files of another job
// are left out with a remark. Never writes.
NodeInventory CollectInventory(logging::Environment* environment, const InventoryOptions& options);

// The inventory file. DecodeInventory throws InventoryError (`what` names the reason, `source` the
// file) for anything that EncodeInventory didn't write: truncated, altered, of another version.
std::string EncodeInventory(const NodeInventory& inventory);
NodeInventory DecodeInventory(std::string_view bytes, const std::string& source);

// "inventory-<node>", with characters that a file name can't hold replaced.
std::string InventoryFileName(const std::string& node);

// True if process `pid` of this node runs and was started at `start_time` (field 22 of
// /proc/<pid>/stat, clock ticks after boot). A zombie does not run.
bool ProcessRuns(std::int32_t pid, std::uint64_t start_time);

}  // namespace ftmpi::recovery
