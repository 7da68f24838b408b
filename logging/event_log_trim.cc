// The file that says how far an event log was trimmed.
#include <cstring>
#include <span>
#include <vector>

#include "logging/event_log_format.h"
#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kTrimMagic = 0x3145534142455446;  // "FTEBASE1"

struct TrimFile {
  std::uint64_t magic;
  std::uint64_t records;
  std::uint64_t interval;
  std::uint64_t csn;
  std::uint64_t checksum;
};
static_assert(sizeof(TrimFile) == 40);

std::uint64_t ChecksumOf(const TrimFile& file, std::uint64_t seed) {
  return XXH3_64bits_withSeed(&file, offsetof(TrimFile, checksum), seed);
}

}  // namespace

std::string EventLogTrimPath(const std::string& log_path) { return log_path + ".base"; }

EventLogTrim ReadEventLogTrim(Environment* environment, const std::string& log_path,
                              std::uint64_t seed) {
  const std::string path = EventLogTrimPath(log_path);
  if (!environment->Exists(path)) return {};
  const std::vector<std::byte> content = environment->ReadFile(path);
  TrimFile file;
  if (content.size() != sizeof(file)) {
    throw LogError(path + " has " + std::to_string(content.size()) + " bytes instead of " +
                   std::to_string(sizeof(file)));
  }
  std::memcpy(&file, content.data(), sizeof(file));
  if (file.magic != kTrimMagic) throw LogError(path + " is no base of an event log");
  if (file.checksum != ChecksumOf(file, seed)) {
    throw LogError(path + " is damaged, or of another event log: checksum");
  }
  return {file.records, file.interval, file.csn};
}

void WriteEventLogTrim(Environment* environment, const std::string& log_path, std::uint64_t seed,
                       const EventLogTrim& trim) {
  TrimFile content{kTrimMagic, trim.records, trim.interval, trim.csn, 0};
  content.checksum = ChecksumOf(content, seed);
  ReplaceLoosely(environment, EventLogTrimPath(log_path), std::as_bytes(std::span(&content, 1)));
}

}  // namespace ftmpi::logging
