// The small fixed-layout records of the job directory. Layouts: recovery/JOB_DIRECTORY.md.
#include "recovery/job_records.h"

#include <cstring>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "recovery/sealed_record.h"

namespace ftmpi::recovery {
std::optional<RankEndRecord> ReadRankEnd(const std::string& path, std::uint64_t job) {
  const auto layout = ReadSealed<RankEndLayout>(path, kRankEndMagic, job);
  if (!layout) return std::nullopt;
  if (layout->end < static_cast<std::uint32_t>(RankEnd::kLost) ||
      layout->end > static_cast<std::uint32_t>(RankEnd::kDone)) {
    throw JobDirectoryError(path + ": damaged (no such end: " + std::to_string(layout->end) + ")");
  }
  RankEndRecord record;
  record.end = static_cast<RankEnd>(layout->end);
  record.rank = layout->header.rank;
  record.epoch = layout->epoch;
  record.exit_code = layout->exit_code;
  record.pid = layout->pid;
  record.time = layout->time;
  record.interval = layout->interval;
  record.poll_failures = layout->poll_failures;
  record.node.assign(layout->node, strnlen(layout->node, sizeof layout->node));
  return record;
}

void WriteRankEnd(const std::string& path, std::uint64_t job, const RankEndRecord& record) {
  RankEndLayout layout{};
  layout.header = {kRankEndMagic, kRecordVersion, record.rank, job};
  layout.end = static_cast<std::uint32_t>(record.end);
  layout.epoch = record.epoch;
  layout.exit_code = record.exit_code;
  layout.pid = record.pid;
  layout.time = record.time;
  layout.interval = record.interval;
  layout.poll_failures = record.poll_failures;
  record.node.copy(layout.node, sizeof layout.node - 1);
  ReplaceFile(path, Seal(layout));
}

std::optional<ReleasedOutput> ReadReleasedOutput(const std::string& path, std::uint64_t job,
                                                 int rank) {
  const auto layout = ReadSealed<ReleasedLayout>(path, kReleasedMagic, job);
  if (!layout) return std::nullopt;
  if (layout->header.rank != rank) throw JobDirectoryError(path + ": belongs to another rank");
  return ReleasedOutput{layout->stdout_bytes, layout->stderr_bytes, layout->stdout_hash,
                        layout->stderr_hash};
}

std::string SealReleased(std::uint64_t job, int rank, const ReleasedOutput& released) {
  ReleasedLayout layout{};
  layout.header = {kReleasedMagic, kRecordVersion, rank, job};
  layout.stdout_bytes = released.stdout_bytes;
  layout.stderr_bytes = released.stderr_bytes;
  layout.stdout_hash = released.stdout_hash;
  layout.stderr_hash = released.stderr_hash;
  return Seal(layout);
}

std::optional<ReplayProgress> ReadReplayProgress(const std::string& path, std::uint64_t job,
                                                 int rank) {
  const auto layout = ReadSealed<ProgressLayout>(path, kProgressMagic, job);
  if (!layout) return std::nullopt;
  if (layout->header.rank != rank) throw JobDirectoryError(path + ": belongs to another rank");
  return ReplayProgress{layout->replay_done, layout->replay_total, layout->phase};
}

void WriteReplayProgress(const std::string& path, std::uint64_t job, int rank,
                         const ReplayProgress& progress) {
  ProgressLayout layout{};
  layout.header = {kProgressMagic, kRecordVersion, rank, job};
  layout.replay_done = progress.replay_done;
  layout.replay_total = progress.replay_total;
  layout.phase = progress.phase;
  ReplaceFileLoosely(path, Seal(layout));
}

}  // namespace ftmpi::recovery
