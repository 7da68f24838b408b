// Layout and checksums of event logs and event blocks; see logging/EVENT_LOG.md.
#pragma once

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "logging/environment.h"
#include "logging/event_log.h"

namespace ftmpi::logging {

inline constexpr std::uint64_t kEventLogMagic = 0x31544e4556455446;     // "FTEVENT1"
inline constexpr std::uint64_t kEventBlocksMagic = 0x314b434f4c425446;  // "FTBLOCK1"
inline constexpr std::uint32_t kEventLogVersion = 1;
inline constexpr std::uint32_t kEventBlockMagic = 0x4b425446;  // "FTBK"

struct EventLogHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_size;
  std::uint64_t job;
  std::int32_t rank;
  std::uint32_t epoch;
  std::uint64_t base_interval;
  std::uint64_t zero[2];
  std::uint64_t checksum;
};
static_assert(sizeof(EventLogHeader) == 64);

struct EventRecord {
  Determinant determinant;
  std::uint64_t checksum;
};
static_assert(sizeof(EventRecord) == 48);

struct EventBlockHeader {
  std::uint32_t magic;
  std::uint32_t count;
  std::uint64_t first;     // number of determinants in front of the block
  std::uint64_t checksum;  // of the determinants
};
static_assert(sizeof(EventBlockHeader) == 24);

// 0 means "not committed", so a checksum that happens to be 0 is stored as 1.
inline std::uint64_t EventRecordChecksum(const Determinant& determinant, std::uint64_t seed) {
  const std::uint64_t checksum = XXH3_64bits_withSeed(&determinant, sizeof(determinant), seed);
  return checksum == 0 ? 1 : checksum;
}

inline std::uint64_t EventBlockChecksum(const EventBlockHeader& block, const void* determinants,
                                        std::uint64_t file_seed) {
  return XXH3_64bits_withSeed(
      determinants, block.count * sizeof(Determinant),
      file_seed ^ XXH3_64bits(&block, offsetof(EventBlockHeader, checksum)));
}

EventLogHeader MakeEventLogHeader(std::uint64_t magic, const EventLogOptions& options);
// Reads and checks a header; magic 0: either of the two. Throws LogError.
EventLogHeader ReadEventLogHeader(ReadableFile& file, const std::string& path, std::uint64_t magic);
// The file beside a trimmed event log; EVENT_LOG.md, "The base". `seed`: the log's header checksum.
// No file: nothing is trimmed. Throws LogError for one that is damaged or of another log.
std::string EventLogTrimPath(const std::string& log_path);
EventLogTrim ReadEventLogTrim(Environment* environment, const std::string& log_path,
                              std::uint64_t seed);
void WriteEventLogTrim(Environment* environment, const std::string& log_path, std::uint64_t seed,
                       const EventLogTrim& trim);

// Contents without determinants.
EventLogContents ContentsOf(const EventLogHeader& header);

}  // namespace ftmpi::logging
