// What a rank and the checkpoint server of its node say to each other: native fixed layouts over a
// Unix stream socket. Described in checkpoint/SERVER.md.
#pragma once

#include <cstdint>

#include "checkpoint/manifest.h"

namespace ftmpi::checkpoint {

inline constexpr std::uint32_t kServerMagic = 0x53435446;  // "FTCS"
inline constexpr std::uint16_t kServerVersion = 3;

enum class MessageType : std::uint16_t {
  kWrite = 1,
  kPermanent = 2,
  kAbort = 3,
  kOpen = 4,
  kReadSection = 5,
  kReadDataset = 6,
  kPing = 7,
  kDiscard = 8,
  kPush = 9,
  kFetch = 10,
  kHello = 100,
  kReply = 101,
  kManifest = 102,
  kRun = 103,
};

struct MessageHeader {
  std::uint32_t magic;
  std::uint16_t version;
  MessageType type;
  std::uint64_t length;  // of the body
};
static_assert(sizeof(MessageHeader) == 16);

enum class Level : std::uint32_t {
  kShared = 1,   // the job directory
  kLocal = 2,    // this node's store
  kPartner = 3,  // files of which there are copies: this node's, and those that it holds for others
};

struct Hello {
  std::int64_t pid;  // of the process that serves this connection
};

struct WriteRequest {
  CheckpointAttributes attributes;
  Level level;
  std::int32_t compression;  // zstd level, 0: none
  std::uint32_t section_count;
  std::uint32_t dataset_count;
};
static_assert(sizeof(WriteRequest) == sizeof(CheckpointAttributes) + 16);

struct CommitRequest {
  std::uint64_t job;
  std::uint64_t csn;
  std::int32_t np;
  std::int32_t local_ranks;  // level kLocal: so many ranks of this node have a file
  Level level;
  std::uint32_t keep;  // permanent checkpoints that stay, this one included; at least 1
};
static_assert(sizeof(CommitRequest) == 32);

// Of a rank's own checkpoints.
struct DiscardRequest {
  std::uint64_t keep_from;  // those with smaller CSNs go, but for what the others build on
  std::int32_t rank;
  Level level;
};
static_assert(sizeof(DiscardRequest) == 16);

// To or from the server of another node: partner level there; here partner level too (a push only),
// or local level.
struct CopyRequest {
  std::uint64_t csn;
  std::int32_t rank;
  CheckpointKind kind;
  std::uint32_t port;
  Level level;     // here; kLocal or kPartner
  char host[256];  // zero-terminated
};
static_assert(sizeof(CopyRequest) == 280);

struct OpenRequest {
  std::uint64_t job;
  std::uint64_t csn;
  std::int32_t rank;
  CheckpointKind kind;
  Level level;
  std::uint32_t reserved;
};
static_assert(sizeof(OpenRequest) == 32);

struct ReadRequest {
  std::uint64_t index;
  std::uint64_t target;  // address in the client's memory where the bytes are to go
  std::uint64_t length;  // that there is room for; the section's or dataset's, nothing else
};

struct ManifestHeader {
  CheckpointAttributes attributes;
  std::uint32_t section_count;
  std::uint32_t dataset_count;
};

enum class RunKind : std::uint64_t {
  kBytes = 0,    // they follow
  kZero = 1,     // all zero; none follow, the client clears its memory
  kInPlace = 2,  // the server has written them to the client's memory; none follow
};

struct Run {
  std::uint64_t offset;
  std::uint64_t length;  // 0: the end
  RunKind kind;
};
inline constexpr std::uint64_t kMaximumRun = std::uint64_t{4} << 20;

struct Reply {
  std::int32_t failed;  // 0: done; else errno, -1 where there is none
  std::uint32_t reserved;
  // Of a write: bytes of the file, bytes of data in it, bytes of zeros left out, its seal.
  std::uint64_t numbers[4];
  char text[2048];  // zero-terminated; why, when failed; else remarks for people, or empty
};

}  // namespace ftmpi::checkpoint
