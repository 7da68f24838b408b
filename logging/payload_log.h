// The sender-based payload log of one rank: every message that it sent, in node-local shared memory
// files that outlive the process. Format: logging/PAYLOAD_LOG.md.
//
// A record is built once, in place, and sent from there: Reserve() gives room for header and
// payload, Commit() makes the record count. Records lie in segments (files); when the segments'
// memory reaches the limit, the oldest segment without a pinned record is written to the spill
// directory (with payload checksums) and its memory is used again.
//
// One thread at a time (the engine's lock). Fast path (Reserve within a segment, Commit): no
// allocation, no lock, no system call.
#pragma once

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "logging/wire_header.h"

namespace ftmpi::logging {

class Environment;

// In front of each record; 32 bytes, so that header and payload follow contiguously at +32, +88.
struct alignas(8) LogRecord {
  std::uint32_t magic;
  std::uint32_t checksum;  // over destination, flags, header's persistent part
  std::uint64_t
      length;  // of the whole record, a multiple of 64; stored last: it commits the record
  std::int32_t destination;  // world rank
  std::uint32_t segment;     // number of the segment it lies in
  std::uint64_t capacity;  // bytes reserved, later used, behind the header (payload and piggyback)
  WireHeader header;

  [[nodiscard]] std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] const std::byte* payload() const {
    return reinterpret_cast<const std::byte*>(this + 1);
  }
};
static_assert(sizeof(LogRecord) == 88);

// Length of a record with `used` bytes behind its header.
constexpr std::uint64_t LogRecordLength(std::uint64_t used) {
  return (sizeof(LogRecord) + used + 63) & ~std::uint64_t{63};
}

// Over destination, segment, capacity and the header's persistent part, and the length that the
// record is about to get.
inline std::uint32_t LogRecordChecksum(std::int32_t destination, std::uint32_t segment,
                                       std::uint64_t capacity, const HeaderWords& header,
                                       std::uint64_t length) {
  static_assert(kPersistentBytes == 44);
  const std::uint64_t words[8] = {
      static_cast<std::uint32_t>(destination) | static_cast<std::uint64_t>(segment) << 32,
      capacity,
      header.words[0],
      header.words[1],
      header.words[2],
      header.words[3],
      header.words[4],
      static_cast<std::uint32_t>(header.words[5])};
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(words, sizeof words, length));
}
inline std::uint32_t LogRecordChecksum(const LogRecord& record, std::uint64_t length) {
  HeaderWords header;
  std::memcpy(header.words, &record.header, sizeof header.words);
  return LogRecordChecksum(record.destination, record.segment, record.capacity, header, length);
}

// Messages per destination, counted since the job's start: a message's number on its channel.
using ChannelCounts = std::map<int, std::uint64_t>;

struct PayloadLogOptions {
  std::string directory;        // node-local directory, exists
  std::string spill_directory;  // empty: no spilling, reaching the limit is an error
  int rank = 0;
  std::uint64_t job = 0;  // identifies the job: files of another job are refused
  std::uint64_t memory = std::uint64_t{1} << 30;  // bytes in `directory`
  std::uint64_t segment_size = std::uint64_t{16} << 20;
};

// Thrown for what comes from outside: a message that names file, value and remedy.
class LogError;

class PayloadLog {
 public:
  // Starts a new log; existing files of this rank in the directories are an error. `before`: what
  // was sent in front of its first record (a rank that starts from a checkpoint, without its log).
  static std::unique_ptr<PayloadLog> Create(Environment* environment,
                                            const PayloadLogOptions& options,
                                            const ChannelCounts& before = {});
  // Opens the log that an earlier incarnation left. Scans it, checks every record's checksum;
  // records sent in an interval greater than `last_interval`, and everything behind the first of
  // them or behind the first damaged or uncommitted record, are dropped. Appending goes on behind
  // the rest.
  static std::unique_ptr<PayloadLog> Recover(Environment* environment,
                                             const PayloadLogOptions& options,
                                             std::uint64_t last_interval);
  virtual ~PayloadLog() = default;

  // Room for a message with up to `capacity` bytes behind the header. The caller fills header and
  // payload, then calls Commit. Never null: no room is a LogError. At most one reserved record at a
  // time. Memory stays valid while the record is pinned, or until the next Reserve.
  LogRecord* Reserve(std::uint64_t capacity, int destination) {
    if (capacity > static_cast<std::uint64_t>(segment_end_ - next_) ||
        LogRecordLength(capacity) > static_cast<std::uint64_t>(segment_end_ - next_)) [[unlikely]] {
      return ReserveSlow(capacity, destination);
    }
    auto* record = reinterpret_cast<LogRecord*>(next_);
    record->magic = kRecordMagic;
    record->destination = destination;
    record->segment = segment_;
    record->capacity = capacity;
    return record;
  }
  // Makes the reserved record part of the log; `used` <= capacity bytes behind the header count, at
  // least header.payload_length: they become the record's capacity. A mistake of the caller ends
  // the process.
  void Commit(LogRecord* record, std::uint64_t used) {
    if (reinterpret_cast<std::byte*>(record) != next_ || used > record->capacity ||
        record->header.payload_length > used) [[unlikely]] {
      CommitRefused(record, used);
    }
    const std::uint64_t length = LogRecordLength(used);
    record->capacity = used;
    record->checksum = LogRecordChecksum(*record, length);
    MakeCount(record, length);
  }
  // Reserve, header, `fill(payload)` for the `used` bytes behind the header, and Commit, without
  // reading anything of the record back.
  template <typename Fill>
  void Append(const HeaderWords& header, std::uint64_t used, int destination, const Fill& fill) {
    LogRecord* record = Reserve(used, destination);
    const std::uint64_t length = LogRecordLength(used);
    const std::uint32_t checksum = LogRecordChecksum(destination, segment_, used, header, length);
    header.StoreTo(&record->header);
    fill(record->payload());
    record->checksum = checksum;
    MakeCount(record, length);
  }

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

  // Everything in front of `position` is no longer needed: also what Trim knows nothing of,
  // messages of schedules (kFlagSchedule), whose numbers are not SSNs. (A permanent checkpoint of
  // all ranks.) `sent`: how many messages had been committed per destination when end_position()
  // was `position`; so the numbers of what is left stay known, also to a later reader.
  virtual void TrimBefore(std::uint64_t position, const ChannelCounts& sent) = 0;
  // The same where nobody counts: the numbers of what is left are not known any more. (Registered
  // state: the log is never read again.)
  virtual void TrimBefore(std::uint64_t position) = 0;
  // What was sent in front of the first record that is left. Null: not known any more.
  [[nodiscard]] virtual const ChannelCounts* before() const = 0;
  // Gets memory for records to come, a small step (some 50 us) at a time, never beyond the limit:
  // fresh shared memory costs more than a message sent from it, so this is for moments in which the
  // rank waits. False: enough is ready.
  virtual bool PrepareAhead() = 0;
  // Gets memory for the next `size` bytes of records now, as far as the limit allows.
  virtual void Prepare(std::uint64_t size) = 0;

  // Where the next record will be; greater than every record's position.
  [[nodiscard]] virtual std::uint64_t end_position() const = 0;
  // Position of a record in memory or pinned.
  [[nodiscard]] virtual std::uint64_t PositionOf(const LogRecord* record) const = 0;
  // Committed records, less those in segments that were given back.
  [[nodiscard]] std::uint64_t record_count() const { return record_count_; }
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;            // of committed records
  [[nodiscard]] virtual std::uint64_t bytes_in_memory() const = 0;  // of files in `directory`
  [[nodiscard]] virtual std::uint64_t bytes_spilled() const = 0;    // of files in `spill_directory`
  // Why Recover dropped records, naming the file; empty when nothing was damaged or missing.
  [[nodiscard]] virtual const std::string& damage() const = 0;

  static constexpr std::uint64_t kLeastPrefetched = 256;
  static constexpr std::uint64_t kMostPrefetched = 1536;
  static constexpr std::uint32_t kRecordMagic = 0x524c5446;  // "FTLR"

 private:
  void MakeCount(LogRecord* record, std::uint64_t length) {
    std::byte* const behind = next_ + length;
    // Memory that is used again holds old records: the log must end behind this one.
    reinterpret_cast<LogRecord*>(behind)->length = 0;
    std::atomic_ref<std::uint64_t>(record->length).store(length, std::memory_order_release);
    next_ = behind;
    ++record_count_;
    // The next record's lines, which nobody has in a cache, if it is as long as this one: they come
    // while the program computes or waits.
    const std::uint64_t prefetched = length < kLeastPrefetched  ? kLeastPrefetched
                                     : length > kMostPrefetched ? kMostPrefetched
                                                                : length;
    for (std::size_t line = 0; line < prefetched; line += 64) __builtin_prefetch(behind + line, 1);
  }

 protected:
  virtual LogRecord* ReserveSlow(std::uint64_t capacity, int destination) = 0;
  [[noreturn]] void CommitRefused(const LogRecord* record, std::uint64_t used) const;

  std::byte* next_ = nullptr;  // where the next record goes
  std::byte* segment_end_ = nullptr;
  std::uint32_t segment_ = 0;
  std::uint64_t record_count_ = 0;
};

// Whether the node-local directory holds a payload log of this rank.
bool PayloadLogExists(Environment* environment, const std::string& directory, int rank);
// Removes a payload log, whatever state it is in: what an earlier epoch left on a node.
void RemovePayloadLog(Environment* environment, const PayloadLogOptions& options);

}  // namespace ftmpi::logging
