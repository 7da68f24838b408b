// Layouts of the small records of the job directory (recovery/JOB_DIRECTORY.md). Little-endian, one
// record per file, `checksum` = XXH64 (seed 0) of all bytes before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "recovery/job_directory.h"

namespace ftmpi::recovery {

inline constexpr std::uint32_t kRecordVersion = 1;
inline constexpr std::uint64_t kRankEndMagic = 0x31444e4552544d46;   // "FMTREND1"
inline constexpr std::uint64_t kReleasedMagic = 0x314c455254544d46;  // "FMTTREL1"
inline constexpr std::uint64_t kProgressMagic = 0x31524752504d5446;  // "FTMPRGR1"
inline constexpr std::uint64_t kStdinMagic = 0x314e494454534d46;     // "FMSTDIN1"

inline constexpr std::uint64_t kRequestMagic = 0x3152514b434d5446;  // "FTMCKQR1"
inline constexpr std::uint64_t kAnswerMagic = 0x3152414b434d5446;   // "FTMCKAR1"

struct RecordHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::uint64_t job;
};

struct RankEndLayout {
  RecordHeader header;
  std::uint32_t end;  // RankEnd
  std::uint32_t epoch;
  std::int32_t exit_code;
  std::uint32_t reserved;
  std::int64_t pid;
  std::int64_t time;
  std::uint64_t interval;
  std::uint64_t poll_failures;
  char node[256];  // zero-terminated
  std::uint64_t checksum;
};
static_assert(sizeof(RankEndLayout) == 336);

struct ReleasedLayout {
  RecordHeader header;
  std::uint64_t stdout_bytes;
  std::uint64_t stderr_bytes;
  std::uint64_t stdout_hash;
  std::uint64_t stderr_hash;
  std::uint64_t checksum;
};
static_assert(sizeof(ReleasedLayout) == 64);

struct ProgressLayout {
  RecordHeader header;
  std::uint64_t replay_done;
  std::uint64_t replay_total;
  std::uint32_t phase;
  std::uint32_t reserved;
  std::uint64_t checksum;
};
static_assert(sizeof(ProgressLayout) == 56);

struct RequestLayout {
  RecordHeader header;
  std::uint32_t wait;  // 1: the answer to the checkpoint is waited for
  std::uint32_t reserved;
  std::uint64_t checksum;
};
static_assert(sizeof(RequestLayout) == 40);

struct AnswerLayout {
  RecordHeader header;
  std::uint32_t answer;  // RequestAnswer
  std::uint32_t csn;
  std::uint64_t checksum;
};
static_assert(sizeof(AnswerLayout) == 40);

// stdin.log: a RecordHeader, then records of this header and `length` bytes. length 0: end of file.
struct StdinRecordHeader {
  std::uint64_t offset;  // of the first byte in the whole stream
  std::uint64_t length;
  std::uint64_t checksum;  // XXH64 of the bytes, seed = XXH64 of (job, offset, length)
};
static_assert(sizeof(StdinRecordHeader) == 24);

// The bytes of output/rank-<r>.released.
std::string SealReleased(std::uint64_t job, int rank, const ReleasedOutput& released);

}  // namespace ftmpi::recovery
