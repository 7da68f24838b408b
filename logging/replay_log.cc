#include "logging/replay_log.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstring>
#include <span>

#include "logging/environment.h"
#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kReplayMagic = 0x31594c5045525446;  // "FTREPLY1"
constexpr std::uint32_t kReplayVersion = 3;
constexpr std::uint32_t kFlagPayloadLogSurvives = 1;
constexpr std::uint32_t kFlagRegistered = 2;

struct ReplayHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_size;
  std::uint64_t job;
  std::int32_t rank;
  std::uint32_t epoch;
  std::uint64_t recovered_interval;
  std::uint64_t poll_failures;
  std::uint32_t flags;
  std::uint32_t checkpoint_csn;
  std::uint64_t stdout_released;
  std::uint64_t stderr_released;
  std::uint64_t checkpoint_interval;
  std::uint64_t checkpoint_stdout;
  std::uint64_t checkpoint_stderr;
  std::uint64_t checkpoint_stdin;
  std::uint64_t trimmed_interval;
  std::uint64_t count;
  std::uint64_t checksum;
};
static_assert(sizeof(ReplayHeader) == 128);
static_assert(offsetof(ReplayHeader, checksum) == 120);

// What is wrong with the determinants, or "".
std::string CheckDeterminants(const ReplayLog& log) {
  const std::uint64_t trimmed = log.trimmed_interval;
  if (trimmed > log.recovered_interval ||
      log.determinants.size() != log.recovered_interval - trimmed) {
    return std::to_string(log.determinants.size()) + " determinants behind " +
           std::to_string(trimmed) + " for state interval " +
           std::to_string(log.recovered_interval);
  }
  for (std::size_t i = 0; i < log.determinants.size(); ++i) {
    const Determinant& determinant = log.determinants[i];
    const std::uint64_t index = trimmed + i + 1;
    if (determinant.rank != log.rank) {
      return "determinant " + std::to_string(index) + " is of rank " +
             std::to_string(determinant.rank);
    }
    if (determinant.index != index) {
      return "determinant " + std::to_string(index) + " has index " +
             std::to_string(determinant.index);
    }
    if (!IsEventKind(determinant.kind)) {
      return "determinant " + std::to_string(index) + " is of unknown kind " +
             std::to_string(static_cast<int>(determinant.kind));
    }
  }
  return "";
}

}  // namespace

std::string ReplayLogFileName(int rank) { return "rank-" + std::to_string(rank) + ".replay"; }

void WriteReplayLog(Environment* environment, const std::string& path, const ReplayLog& log) {
  const std::string wrong = CheckDeterminants(log);
  if (!wrong.empty()) throw LogError("cannot write " + path + ": " + wrong);

  ReplayHeader header{};
  header.magic = kReplayMagic;
  header.version = kReplayVersion;
  header.header_size = sizeof(ReplayHeader);
  header.job = log.job;
  header.rank = log.rank;
  header.epoch = log.epoch;
  header.recovered_interval = log.recovered_interval;
  header.poll_failures = log.poll_failures;
  header.flags = (log.payload_log_survives ? kFlagPayloadLogSurvives : 0) |
                 (log.registered ? kFlagRegistered : 0);
  header.stdout_released = log.stdout_released;
  header.stderr_released = log.stderr_released;
  header.checkpoint_csn = log.checkpoint_csn;
  header.checkpoint_interval = log.checkpoint_interval;
  header.checkpoint_stdout = log.checkpoint_stdout;
  header.checkpoint_stderr = log.checkpoint_stderr;
  header.checkpoint_stdin = log.checkpoint_stdin;
  header.trimmed_interval = log.trimmed_interval;
  header.count = log.determinants.size();
  header.checksum = XXH3_64bits(&header, offsetof(ReplayHeader, checksum));

  const auto records = std::as_bytes(std::span(log.determinants));
  std::vector<std::byte> content(sizeof(header) + records.size() + sizeof(std::uint64_t));
  std::memcpy(content.data(), &header, sizeof(header));
  if (!records.empty()) {
    std::memcpy(content.data() + sizeof(header), records.data(), records.size());
  }
  const std::size_t covered = content.size() - sizeof(std::uint64_t);
  const std::uint64_t checksum = XXH3_64bits(content.data(), covered);
  std::memcpy(content.data() + covered, &checksum, sizeof(checksum));
  environment->WriteAtomically(path, content);
}

ReplayLog ReadReplayLog(Environment* environment, const std::string& path) {
  const std::vector<std::byte> content = environment->ReadFile(path);
  ReplayHeader header;
  if (content.size() < sizeof(header)) {
    throw LogError(path + " is truncated: " + std::to_string(content.size()) + " bytes");
  }
  std::memcpy(&header, content.data(), sizeof(header));
  if (header.magic != kReplayMagic) throw LogError(path + " is no replay log");
  if (header.version != kReplayVersion) {
    throw LogError(path + " has format version " + std::to_string(header.version) +
                   ", this program reads version " + std::to_string(kReplayVersion) +
                   "; use the ftmpi that wrote it");
  }
  if (header.checksum != XXH3_64bits(&header, offsetof(ReplayHeader, checksum)) ||
      header.header_size != sizeof(header) ||
      (header.flags & ~(kFlagPayloadLogSurvives | kFlagRegistered)) != 0) {
    throw LogError(path + " is damaged: header checksum");
  }
  const std::size_t space = content.size() - sizeof(header);
  if (header.count > space / sizeof(Determinant) ||
      space != header.count * sizeof(Determinant) + sizeof(std::uint64_t)) {
    throw LogError(path + " is truncated: " + std::to_string(content.size()) + " bytes for " +
                   std::to_string(header.count) + " determinants");
  }
  const std::size_t covered = content.size() - sizeof(std::uint64_t);
  std::uint64_t checksum;
  std::memcpy(&checksum, content.data() + covered, sizeof(checksum));
  if (checksum != XXH3_64bits(content.data(), covered)) {
    throw LogError(path + " is damaged: checksum");
  }

  ReplayLog log;
  log.job = header.job;
  log.rank = header.rank;
  log.epoch = header.epoch;
  log.recovered_interval = header.recovered_interval;
  log.poll_failures = header.poll_failures;
  log.payload_log_survives = (header.flags & kFlagPayloadLogSurvives) != 0;
  log.registered = (header.flags & kFlagRegistered) != 0;
  log.stdout_released = header.stdout_released;
  log.stderr_released = header.stderr_released;
  log.checkpoint_csn = header.checkpoint_csn;
  log.checkpoint_interval = header.checkpoint_interval;
  log.checkpoint_stdout = header.checkpoint_stdout;
  log.checkpoint_stderr = header.checkpoint_stderr;
  log.checkpoint_stdin = header.checkpoint_stdin;
  log.trimmed_interval = header.trimmed_interval;
  log.determinants.resize(header.count);
  if (header.count > 0) {
    std::memcpy(log.determinants.data(), content.data() + sizeof(header),
                header.count * sizeof(Determinant));
  }
  const std::string wrong = CheckDeterminants(log);
  if (!wrong.empty()) throw LogError(path + " is inconsistent: " + wrong);
  return log;
}

ReplayLog ReadReplayLog(Environment* environment, const std::string& path, std::uint64_t job,
                        int rank, std::uint32_t epoch) {
  ReplayLog log = ReadReplayLog(environment, path);
  const auto expect = [&](const char* what, std::uint64_t is, std::uint64_t wanted) {
    if (is != wanted) {
      throw LogError(path + " belongs to " + what + " " + std::to_string(is) + ", not to " + what +
                     " " + std::to_string(wanted));
    }
  };
  expect("job", log.job, job);
  expect("rank", static_cast<std::uint64_t>(log.rank), static_cast<std::uint64_t>(rank));
  expect("epoch", log.epoch, epoch);
  return log;
}

}  // namespace ftmpi::logging
