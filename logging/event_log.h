// The event log of one rank and recovery epoch: its own determinants and the copies that it holds
// of other ranks' determinants, in a node-local shared memory file that outlives the process.
// Format: logging/EVENT_LOG.md. One writer (the engine's lock); others may read while it writes.
//
// And the event blocks, what was copied from an event log to stable storage.
#pragma once

#include <cstddef>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::logging {

class Environment;
class ReadableFile;
class WritableFile;

struct EventLogOptions {
  std::string directory;
  int rank = 0;
  std::uint64_t job = 0;
  std::uint32_t epoch = 0;
  std::uint64_t base_interval = 0;  // the interval that the epoch starts in
};

class EventLog {
 public:
  // An existing file of that rank and epoch is an error.
  static std::unique_ptr<EventLog> Create(Environment* environment, const EventLogOptions& options);
  virtual ~EventLog() = default;
  // Own or held, told apart by determinant.rank. No allocation or system call but once per chunk.
  // Throws LogError when the node-local directory is full; the log is then as it was.
  virtual void Append(const Determinant& determinant) = 0;
  // Records appended (what a flusher may copy).
  [[nodiscard]] virtual std::uint64_t record_count() const = 0;
  // The first `records` are no longer needed: own determinants up to index `interval` are among
  // them, and none beyond. `csn`: the oldest checkpoint from which the job can start without them.
  // Their memory is given back. Throws LogError; the log is then as it was.
  virtual void Trim(std::uint64_t records, std::uint64_t interval, std::uint64_t csn) = 0;
  virtual void Remove() = 0;

  static std::string FileName(int rank, std::uint32_t epoch);  // "rank-<r>.events-<epoch>"
};

// What is missing at the beginning of a trimmed event log.
struct EventLogTrim {
  std::uint64_t records = 0;
  std::uint64_t interval = 0;  // own determinants up to this index are among them
  std::uint64_t csn = 0;       // the oldest checkpoint that needs none of them
};

// What a reader finds. Damaged or uncommitted records end the list; `damaged` says why, with file
// name, or is empty.
struct EventLogContents {
  std::uint64_t job = 0;
  int rank = -1;
  std::uint32_t epoch = 0;
  std::uint64_t base_interval = 0;
  EventLogTrim trim;
  std::vector<Determinant> determinants;
  std::string damaged;
};
// Throws LogError for a file that is no event log, is of another version, or can't be read. Also
// reads files of event blocks (told apart by their magic).
EventLogContents ReadEventLog(Environment* environment, const std::string& path);

// Reads an event log piece by piece, also while its rank appends to it. The file stays open.
class EventLogReader {
 public:
  // Throws LogError as ReadEventLog does, also for a damaged header.
  EventLogReader(Environment* environment, const std::string& path);
  ~EventLogReader();

  // Records `from` (counted from 0), from + 1, ... as far as they are committed, at most `limit`.
  // Empty when there is none yet. Throws LogError for a damaged one.
  std::vector<Determinant> Read(std::uint64_t from, std::size_t limit);
  // Job, rank, epoch, base_interval; no determinants.
  [[nodiscard]] const EventLogContents& header() const { return header_; }

 private:
  std::string path_;
  std::unique_ptr<ReadableFile> file_;
  EventLogContents header_;
  std::uint64_t seed_ = 0;
};
// The same with the file opened for one call: all committed records from `from` on.
EventLogContents ReadEventLogRange(Environment* environment, const std::string& path,
                                   std::uint64_t from, std::size_t limit = SIZE_MAX);

// Event blocks: the copy of an event log on stable storage. One writer.
class EventBlockWriter {
 public:
  // Creates options.directory/rank-<r>.events-<epoch>, synced. An existing file is an error.
  EventBlockWriter(Environment* environment, const EventLogOptions& options);
  ~EventBlockWriter();

  // When it returns, the determinants (at least one) are on stable storage. When it throws LogError
  // none of them is, and it may be called again.
  void Append(std::span<const Determinant> determinants);
  [[nodiscard]] std::uint64_t record_count() const { return record_count_; }

 private:
  std::string path_;
  std::unique_ptr<WritableFile> file_;
  std::uint64_t seed_ = 0;
  std::uint64_t size_ = 0;  // of the file, complete blocks
  std::uint64_t record_count_ = 0;
  bool tail_ = false;  // a failed append may have left something behind them
  std::vector<std::byte> block_;
};
EventLogContents ReadEventBlocks(Environment* environment, const std::string& path);

}  // namespace ftmpi::logging
