// Hand-made failed jobs: a job directory and a node-local directory, written with the storage
// library as the ranks of a job would have written them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "logging/determinant.h"
#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/payload_log.h"
#include "logging/rank_status.h"
#include "recovery/job_directory.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::recovery {

using logging::Determinant;
using logging::EventKind;
using logging::TemporaryDirectory;

inline constexpr std::uint64_t kJob = 0x1122334455667788;

// The `index`-th event of `rank`: a polling call.
inline Determinant Event(int rank, std::uint64_t index) {
  Determinant event;
  event.rank = rank;
  event.kind = EventKind::kPoll;
  event.index = index;
  event.ordinal = 10 * index;
  event.detail = static_cast<std::int32_t>(index % 3);
  return event;
}

// From its interval `index` on `rank` depends on interval `value` of `source`.
inline Determinant Depends(int rank, std::uint64_t index, int source, std::uint64_t value) {
  Determinant dependency;
  dependency.rank = rank;
  dependency.kind = EventKind::kDependency;
  dependency.index = index;
  dependency.source = source;
  dependency.value = value;
  return dependency;
}

inline void WriteEvents(const std::string& directory, int rank, std::uint32_t epoch,
                        std::uint64_t base, const std::vector<Determinant>& events,
                        std::uint64_t job = kJob) {
  const auto log = logging::EventLog::Create(
      logging::Environment::Posix(),
      {.directory = directory, .rank = rank, .job = job, .epoch = epoch, .base_interval = base});
  for (const Determinant& each : events) log->Append(each);
}

struct SentMessage {
  int destination = 0;
  std::uint64_t ssn = 0;
  std::uint64_t interval = 0;
  std::string payload;
};

inline void WriteMessages(const std::string& directory, int rank,
                          const std::vector<SentMessage>& messages, std::uint64_t job = kJob) {
  logging::PayloadLogOptions options;
  options.directory = directory;
  options.rank = rank;
  options.job = job;
  options.memory = std::uint64_t{64} << 20;
  options.segment_size = std::uint64_t{1} << 20;
  const auto log = logging::PayloadLog::Create(logging::Environment::Posix(), options);
  for (const SentMessage& each : messages) {
    logging::LogRecord* record = log->Reserve(each.payload.size(), each.destination);
    record->header = logging::WireHeader{};
    record->header.ssn = each.ssn;
    record->header.interval = each.interval;
    record->header.payload_length = each.payload.size();
    std::memcpy(record->payload(), each.payload.data(), each.payload.size());
    log->Commit(record, each.payload.size());
  }
}

// The page of a rank whose process is `pid` (0: one that is gone).
inline void WriteStatus(const std::string& directory, int rank, std::uint32_t epoch,
                        std::uint64_t interval, std::uint64_t poll_failures = 0, int pid = 0,
                        std::uint64_t start_time = 0, std::uint64_t job = kJob) {
  logging::Environment* environment = logging::Environment::Posix();
  const auto page = logging::RankStatusPage::Create(
      environment, logging::JoinPath(directory, logging::RankStatusFileName(rank)),
      {.job = job, .rank = rank, .epoch = epoch, .pid = pid, .pid_start_time = start_time}, 0, 0);
  page->status()->interval = interval;
  page->status()->poll_failures = poll_failures;
  page->status()->phase = logging::RankPhase::kRunning;
}

// Job directory and node-local directory of a job of `np` ranks that all ran on this machine.
class FailedJob {
 public:
  explicit FailedJob(int np) {
    std::filesystem::create_directory(directory());
    std::filesystem::create_directory(local());
    std::filesystem::create_directory(directory() + "/epoch-0");
    std::filesystem::create_directory(LogDirectory(directory()));
    std::filesystem::create_directory(OutputDirectory(directory()));
    job.job = kJob;
    job.name = "test";
    job.np = np;
    const std::string node = logging::Environment::Posix()->HostName();
    for (int rank = 0; rank < np; ++rank) job.ranks.push_back({node, 0, 0});
    job.local_directory = local();
    job.mode = "causal";
    job.failure_unit = "node";
    job.executable = std::filesystem::canonical("/bin/true").string();
    job.build_id = BuildIdOf(job.executable);
    job.program = {"true", "an argument"};
    job.working_directory = temporary_.path();
    job.environment = {{"FT_MODE", "causal"}, {"FROM_THE_JOB", "some value"}};
    job.mpi_version = "Open MPI v4.1.4";
    job.ftmpi_version = "0.1.0";
    job.epochs = {JobEpoch{0, 1, "started"}};
    Write();
  }

  void Write() const { WriteJobDescription(directory(), job); }
  // How the rank ended in the current epoch.
  void End(int rank, RankEnd end, std::uint64_t interval = 0, std::uint64_t poll_failures = 0,
           int exit_code = 0) const {
    RankEndRecord record;
    record.end = end;
    record.rank = rank;
    record.epoch = job.current_epoch();
    record.exit_code = exit_code;
    record.interval = interval;
    record.poll_failures = poll_failures;
    record.node = job.ranks[static_cast<std::size_t>(rank)].node;
    std::string path = LostPath(directory(), record.epoch, rank);
    if (end == RankEnd::kSurvivor) path = SurvivorPath(directory(), record.epoch, rank);
    if (end == RankEnd::kDone) path = DonePath(directory(), record.epoch, rank);
    WriteRankEnd(path, job.job, record);
  }
  // Logs of a rank with `events` events and `messages` messages to the next rank, at its end.
  void Logs(int rank, std::uint64_t events, std::uint64_t messages) const {
    std::vector<Determinant> determinants;
    for (std::uint64_t index = 1; index <= events; ++index) {
      determinants.push_back(Event(rank, index));
    }
    WriteEvents(local(), rank, 0, 0, determinants);
    std::vector<SentMessage> sent;
    for (std::uint64_t ssn = 1; ssn <= messages; ++ssn) {
      sent.push_back({(rank + 1) % job.np, ssn, events, "message " + std::to_string(ssn)});
    }
    WriteMessages(local(), rank, sent);
    WriteStatus(local(), rank, 0, events, 7);
  }

  [[nodiscard]] std::string directory() const { return temporary_ / "ftmpi-test"; }
  [[nodiscard]] std::string local() const { return temporary_ / "local"; }
  [[nodiscard]] const TemporaryDirectory& temporary() const { return temporary_; }

  JobDescription job;

 private:
  TemporaryDirectory temporary_;
};

}  // namespace ftmpi::recovery
