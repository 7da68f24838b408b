// The sender-based payload log of one rank: every message that it sent, in node-local shared memory
// files that outlive the process. Format: logging/PAYLOAD_LOG.md.
//
// A record is built once, in place, and sent from there: Reserve() gives room for header and payload,
// Commit() makes the record count. Records lie in segments (files); when the segments' memory reaches
// the limit, the oldest segment without a pinned record is written to the spill directory (with
// payload checksums) and its memory is used again.
//
// One thread at a time (the engine's lock). Fast path (Reserve within a segment, Commit): no
// allocation, no lock, no system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "logging/wire_header.h"

namespace ftmpi::logging {

class Environment;

// In front of each record; 32 bytes, so that header and payload follow contiguously at +32, +88.
struct alignas(8) LogRecord {
  std::uint32_t magic;
  std::uint32_t checksum;     // over destination, flags, header's persistent part
  std::uint64_t length;       // of the whole record, a multiple of 64; stored last: it commits the record
  std::int32_t destination;   // world rank
  std::uint32_t segment;      // number of the segment it lies in
  std::uint64_t capacity;     // bytes reserved behind the header (payload and piggyback)
  WireHeader header;

  [[nodiscard]] std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] const std::byte* payload() const { return reinterpret_cast<const std::byte*>(this + 1); }
};
static_assert(sizeof(LogRecord) == 88);

struct PayloadLogOptions {
  std::string directory;        // node-local directory, exists
  std::string spill_directory;  // empty: no spilling, reaching the limit is an error
  int rank = 0;
  std::uint64_t job = 0;        // identifies the job: files of another job are refused
  std::uint64_t memory = std::uint64_t{1} << 30;   // bytes in `directory`
  std::uint64_t segment_size = std::uint64_t{16} << 20;
};

// Thrown for what comes from outside: a message that names file, value and remedy.
class LogError;

class PayloadLog {
 public:
  // Starts a new log; existing files of this rank in the directory are an error.
  static std::unique_ptr<PayloadLog> Create(Environment* environment, const PayloadLogOptions& options);
  // Opens the log that an earlier incarnation left. Scans it, checks every record's checksum; records
  // sent in an interval greater than `last_interval`, and everything behind the first of them or
  // behind the first damaged or uncommitted record, are dropped. Appending goes on behind the rest.
  static std::unique_ptr<PayloadLog> Recover(Environment* environment, const PayloadLogOptions& options,
                                             std::uint64_t last_interval);
  virtual ~PayloadLog() = default;

  // Room for a message with up to `capacity` bytes behind the header. The caller fills header and
  // payload, then calls Commit. Never null: no room is a LogError. At most one reserved record at a
  // time. Memory stays valid while the record is pinned, or until the next Reserve.
  LogRecord* Reserve(std::uint64_t capacity, int destination) {
    const std::uint64_t length = (sizeof(LogRecord) + capacity + 63) & ~std::uint64_t{63};
    if (length > static_cast<std::uint64_t>(segment_end_ - next_)) return ReserveSlow(capacity, destination);
    auto* record = reinterpret_cast<LogRecord*>(next_);
    record->magic = kRecordMagic;
    record->destination = destination;
    record->segment = segment_;
    record->capacity = capacity;
    return record;
  }
  // Makes the reserved record part of the log; `used` <= capacity bytes behind the header count.
  void Commit(LogRecord* record, std::uint64_t used);

  // While pinned (a count per segment) a record's segment is neither spilled nor reused.
  virtual void Pin(const LogRecord* record) = 0;
  virtual void Unpin(const LogRecord* record) = 0;

  // Calls `visit` with each committed record in log order, until it returns false. A spilled record
  // is mapped for the call only. (Recovery; not the fast path.)
  virtual void ForEach(const std::function<bool(LogRecord&, std::uint64_t position)>& visit) = 0;
  // The record at `position` (from ForEach), pinned; mapped again if it was spilled.
  virtual LogRecord* PinAt(std::uint64_t position) = 0;

  // Everything sent up to and including `ssn` to `destination` is no longer needed (Johnson, Lemmas
  // 2.4, 2.5). Segments with nothing left that is needed are given back.
  virtual void Trim(int destination, std::uint64_t ssn) = 0;
  // Removes the log's files: the job ended well.
  virtual void Remove() = 0;

  [[nodiscard]] virtual std::uint64_t record_count() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;          // of committed records
  [[nodiscard]] virtual std::uint64_t bytes_in_memory() const = 0;

  static constexpr std::uint32_t kRecordMagic = 0x524c5446;  // "FTLR"

 protected:
  virtual LogRecord* ReserveSlow(std::uint64_t capacity, int destination) = 0;

  std::byte* next_ = nullptr;         // where the next record goes
  std::byte* segment_end_ = nullptr;
  std::uint32_t segment_ = 0;
};

}  // namespace ftmpi::logging
