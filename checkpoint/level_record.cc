#include "checkpoint/level_record.h"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "checkpoint/checkpoint_directory.h"
#include "logging/log_error.h"

namespace ftmpi::checkpoint {
namespace {

using logging::LogError;

constexpr std::uint64_t kMagic = 0x314c4556454c5446;  // "FTLEVEL1"
constexpr std::uint32_t kVersion = 1;

struct Layout {
  std::uint64_t magic;
  std::uint32_t version;
  Level level;
  std::uint64_t job;
  std::uint64_t csn;
  std::uint32_t epoch;
  std::int32_t np;
  std::uint64_t time;
  std::uint64_t checksum;
};
static_assert(sizeof(Layout) == 56 && offsetof(Layout, checksum) == 48);

std::string PathOfRecord(const std::string& job_directory, std::uint64_t csn) {
  return logging::JoinPath(CheckpointDirectory(job_directory, csn), kLevelRecordName);
}

std::uint64_t ChecksumOf(const Layout& layout) {
  return XXH3_64bits(&layout, offsetof(Layout, checksum));
}

}  // namespace

void WriteLevelRecord(logging::Environment* environment, const std::string& job_directory,
                      const LevelRecord& record) {
  const std::string directory = CheckpointDirectory(job_directory, record.csn);
  environment->MakeDirectory(directory);
  environment->SyncDirectory(job_directory);
  Layout layout{kMagic,       kVersion,  record.level, record.job, record.csn,
                record.epoch, record.np, record.time,  0};
  layout.checksum = ChecksumOf(layout);
  environment->WriteAtomically(PathOfRecord(job_directory, record.csn),
                               std::as_bytes(std::span(&layout, 1)));
}

std::optional<LevelRecord> ReadLevelRecord(logging::Environment* environment,
                                           const std::string& job_directory, std::uint64_t csn) {
  const std::string path = PathOfRecord(job_directory, csn);
  if (!environment->Exists(path)) return std::nullopt;
  const std::vector<std::byte> bytes = environment->ReadFile(path);
  Layout layout;
  if (bytes.size() != sizeof layout) {
    throw LogError(path + ": has " + std::to_string(bytes.size()) + " bytes instead of " +
                   std::to_string(sizeof layout));
  }
  std::memcpy(&layout, bytes.data(), sizeof layout);
  if (layout.magic != kMagic) throw LogError(path + ": does not tell a checkpoint's level");
  if (layout.version != kVersion) {
    throw LogError(path + ": has format version " + std::to_string(layout.version) +
                   ", this program reads version " + std::to_string(kVersion) +
                   "; use the ftmpi that wrote it");
  }
  if (layout.checksum != ChecksumOf(layout)) throw LogError(path + ": is damaged: checksum");
  if (layout.csn != csn)
    throw LogError(path + ": is of checkpoint " + std::to_string(layout.csn) +
                   ": files were mixed");
  if ((layout.level != Level::kLocal && layout.level != Level::kPartner) || layout.np < 1)
    throw LogError(path + ": holds values that can't be");
  return LevelRecord{layout.level, layout.job, layout.csn, layout.epoch, layout.np, layout.time};
}

std::string PartnerOf(const std::vector<std::string>& nodes, const std::string& node) {
  std::vector<std::string> order;
  for (const std::string& each : nodes) {
    if (std::find(order.begin(), order.end(), each) == order.end()) order.push_back(each);
  }
  const auto found = std::find(order.begin(), order.end(), node);
  if (found == order.end()) return node;
  return found + 1 == order.end() ? order.front() : *(found + 1);
}

}  // namespace ftmpi::checkpoint
