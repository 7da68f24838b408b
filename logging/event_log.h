// The event log of one rank and recovery epoch: its own determinants and the copies that it holds of
// other ranks' determinants, in a node-local shared memory file that outlives the process.
// Format: logging/EVENT_LOG.md. One writer (the engine's lock); readers map the file read-only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::logging {

class Environment;

struct EventLogOptions {
  std::string directory;
  int rank = 0;
  std::uint64_t job = 0;
  std::uint32_t epoch = 0;
  std::uint64_t base_interval = 0;  // the interval that the epoch starts in
};

class EventLog {
 public:
  static std::unique_ptr<EventLog> Create(Environment* environment, const EventLogOptions& options);
  virtual ~EventLog() = default;
  // Own or held, told apart by determinant.rank. No allocation or system call but once per chunk.
  virtual void Append(const Determinant& determinant) = 0;
  // Offset in the file behind the last record (what a flusher may copy).
  [[nodiscard]] virtual std::uint64_t record_count() const = 0;
  virtual void Remove() = 0;

  static std::string FileName(int rank, std::uint32_t epoch);  // "rank-<r>.events-<epoch>"
};

// What a reader finds. Damaged or uncommitted records end the list; `damaged` says why, with file
// name, or is empty.
struct EventLogContents {
  std::uint64_t job = 0;
  int rank = -1;
  std::uint32_t epoch = 0;
  std::uint64_t base_interval = 0;
  std::vector<Determinant> determinants;
  std::string damaged;
};
// Throws LogError for a file that is no event log, is of another version, or can't be read.
EventLogContents ReadEventLog(Environment* environment, const std::string& path);

}  // namespace ftmpi::logging
