#include "logging/rank_status.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "logging/environment.h"
#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<RankPhase>::is_always_lock_free);

std::uint64_t IdentityChecksum(const RankStatus& status) {
  return XXH3_64bits(&status, offsetof(RankStatus, identity_checksum));
}

}  // namespace

RankStatusPage::RankStatusPage(std::unique_ptr<MappedFile> file)
    : file_(std::move(file)), status_(reinterpret_cast<RankStatus*>(file_->data())) {}

RankStatusPage::~RankStatusPage() = default;

std::unique_ptr<RankStatusPage> RankStatusPage::Create(Environment* environment,
                                                       const std::string& path,
                                                       const RankStatusIdentity& identity,
                                                       std::uint64_t stdout_released,
                                                       std::uint64_t stderr_released) {
  const std::string temporary = path + ".new";
  if (environment->Exists(temporary)) environment->Remove(temporary);
  std::unique_ptr<MappedFile> file = environment->CreateMapped(temporary, kPageBytes);
  try {
    file->Allocate(kPageBytes);
    std::unique_ptr<RankStatusPage> page(new RankStatusPage(std::move(file)));
    RankStatus& status = *page->status();
    status.magic = kRankStatusMagic;
    status.version = kRankStatusVersion;
    status.rank = identity.rank;
    status.pid = identity.pid;
    status.epoch = identity.epoch;
    status.pid_start_time = identity.pid_start_time;
    status.job = identity.job;
    status.identity_checksum = IdentityChecksum(status);
    status.stdout_released = stdout_released;
    status.stderr_released = stderr_released;
    environment->Rename(temporary, path);
    return page;
  } catch (const LogError&) {
    RemoveQuietly(environment, temporary);
    throw;
  }
}

std::unique_ptr<RankStatusPage> RankStatusPage::Open(Environment* environment,
                                                     const std::string& path, std::uint64_t job,
                                                     int rank) {
  const std::uint64_t size = environment->FileSize(path);
  if (size != kPageBytes) {
    throw LogError(path + " is no status page: it has " + std::to_string(size) +
                   " bytes instead of " + std::to_string(kPageBytes));
  }
  std::unique_ptr<RankStatusPage> page(
      new RankStatusPage(environment->OpenMapped(path, MapMode::kShared)));
  const RankStatus& status = *page->status();
  if (status.magic != kRankStatusMagic) throw LogError(path + " is no status page");
  if (status.version != kRankStatusVersion) {
    throw LogError(path + " has format version " + std::to_string(status.version) +
                   ", this program reads version " + std::to_string(kRankStatusVersion) +
                   "; use the ftmpi that wrote it");
  }
  if (status.identity_checksum != IdentityChecksum(status)) {
    throw LogError(path + " is damaged: checksum");
  }
  if (status.job != job) {
    throw LogError(path + " belongs to job " + std::to_string(status.job) + ", not to job " +
                   std::to_string(job));
  }
  if (status.rank != rank) {
    throw LogError(path + " belongs to rank " + std::to_string(status.rank) + ", not to rank " +
                   std::to_string(rank));
  }
  const auto phase = static_cast<std::uint32_t>(status.phase.load());
  if (phase > static_cast<std::uint32_t>(RankPhase::kAborted)) {
    throw LogError(path + " is damaged: phase " + std::to_string(phase));
  }
  return page;
}

std::string RankStatusFileName(int rank) { return "rank-" + std::to_string(rank) + ".status"; }

std::optional<std::uint64_t> ProcessStartTime(Environment* environment, std::int32_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::vector<std::byte> content;
  try {
    if (pid <= 0 || !environment->Exists(path)) return std::nullopt;
    content = environment->ReadFile(path);
  } catch (const LogError&) {
    if (environment->Exists(path)) throw;
    return std::nullopt;  // it ended in between
  }
  const std::string line(reinterpret_cast<const char*>(content.data()), content.size());
  // Field 2, the name in parentheses, may hold spaces and parentheses itself: count behind the
  // last.
  std::size_t at = line.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) {
    at = line.find(' ', at + 1);
  }
  std::uint64_t start = 0;
  if (at == std::string::npos ||
      std::from_chars(line.data() + at + 1, line.data() + line.size(), start).ec != std::errc()) {
    throw LogError(path + " has no start time: \"" + line + "\"");
  }
  return start;
}

}  // namespace ftmpi::logging
