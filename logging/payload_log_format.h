// Layout and checksums of the payload log's files; see logging/PAYLOAD_LOG.md.
#pragma once

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "logging/payload_log.h"

namespace ftmpi::logging {

inline constexpr std::uint64_t kSegmentMagic = 0x31444c5941505446;  // "FTPAYLD1"
inline constexpr std::uint32_t kSegmentVersion = 2;
inline constexpr std::uint64_t kSegmentHeaderSize = 4096;
inline constexpr std::uint64_t kSegmentTail = 64;  // room for the length behind the last record
inline constexpr std::uint64_t kPageSize = 4096;   // steps in which segments grow
inline constexpr int kPositionBits = 40;
inline constexpr std::uint64_t kMaximumSegmentCapacity = std::uint64_t{1} << kPositionBits;
inline constexpr std::uint32_t kMaximumSegmentNumber = (std::uint32_t{1} << 24) - 1;

enum class SegmentKind : std::uint32_t { kMemory = 1, kSpilled = 2, kDropped = 3 };

struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_size;
  std::uint64_t job;
  std::int32_t rank;
  std::uint32_t segment;
  SegmentKind kind;
  std::uint32_t zero;
  std::uint64_t capacity;
  std::uint64_t checksum;
  std::uint64_t end;
  std::uint64_t records;
  std::uint64_t end_checksum;
};
static_assert(sizeof(SegmentHeader) == 80);
static_assert(offsetof(SegmentHeader, checksum) == 48);
static_assert(offsetof(SegmentHeader, end_checksum) == 72);

// An entry of the table behind a spilled segment's records.
struct SpilledPayload {
  std::uint64_t offset;    // of the record
  std::uint64_t checksum;  // of its payload
};
static_assert(sizeof(SpilledPayload) == 16);

inline std::uint64_t HeaderChecksum(const SegmentHeader& header) {
  return XXH3_64bits(&header, offsetof(SegmentHeader, checksum));
}

// 0 means "open", so a checksum that happens to be 0 is stored as 1.
inline std::uint64_t EndChecksum(const SegmentHeader& header) {
  const std::uint64_t checksum = XXH3_64bits(
      &header.checksum, offsetof(SegmentHeader, end_checksum) - offsetof(SegmentHeader, checksum));
  return checksum == 0 ? 1 : checksum;
}

inline std::uint64_t PayloadChecksum(const LogRecord& record) {
  return XXH3_64bits(record.payload(), record.header.payload_length);
}

inline std::uint64_t RoundUp(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

// File names, without directory.
std::string SegmentFileName(int rank, std::uint32_t number);
std::string SpareFileName(int rank, std::uint64_t number);
std::string SpillFileName(std::uint64_t job, int rank, std::uint32_t number);

// The segment number in a file name of that form for this rank, if it is one.
std::optional<std::uint32_t> ParseSegmentFileName(const std::string& name, int rank);
std::optional<std::uint32_t> ParseSpillFileName(const std::string& name, std::uint64_t job,
                                                int rank);
// Symbolic link in the node-local directory to the directory that the job's ranks spill to.
inline constexpr const char* kSpillLink = "spill";

// Files of this rank's log without content: spares, and files that were being written.
bool IsLeftover(const std::string& name, int rank);
bool IsSpillLeftover(const std::string& name, std::uint64_t job, int rank);

}  // namespace ftmpi::logging
