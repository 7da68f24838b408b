#include "recovery/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/log_error.h"
#include "logging/replay_log.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;

// The replay log that the current epoch of the rank started with; epoch 0 has none.
void ReadBase(Environment* environment, const std::string& job_directory, const JobDescription& job,
              int rank, RankFindings* findings, RankEvidence* evidence) {
  if (job.current_epoch() == 0) return;
  const std::string path = ReplayLogPath(job_directory, job.current_epoch(), rank);
  logging::ReplayLog base = logging::ReadReplayLog(environment, path);
  if (base.job != job.job || base.rank != rank || base.epoch != job.current_epoch()) {
    throw RecoveryError(fmt::format(
        "{}: is of rank {}, epoch {} of job {:016x}, not of rank {}, epoch {} of this job; the job "
        "directory was put together from several, give an unaltered one",
        path, base.rank, base.epoch, base.job, rank, job.current_epoch()));
  }
  findings->base_poll_failures = base.poll_failures;
  findings->base_interval = base.recovered_interval;
  evidence->base_interval = base.recovered_interval;
  evidence->base_trimmed = base.trimmed_interval;
  evidence->base = std::move(base.determinants);
}

// Blocks of the rank's event log that its companion flushed to stable storage.
void ReadFlushed(Environment* environment, const std::string& job_directory,
                 const JobDescription& job, int rank, RankEvidence* evidence,
                 std::vector<std::string>* remarks) {
  const std::string path = FlushedEventsPath(job_directory, rank, job.current_epoch());
  if (!environment->Exists(path)) return;
  logging::EventLogContents contents;
  try {
    contents = logging::ReadEventLog(environment, path);
  } catch (const logging::LogError& error) {
    remarks->push_back(error.what());
    return;
  }
  if (contents.job != job.job || contents.rank != rank || contents.epoch != job.current_epoch()) {
    remarks->push_back(path + ": left out, it is of another job, rank or epoch");
    return;
  }
  if (!contents.damaged.empty()) remarks->push_back(contents.damaged);
  for (const logging::Determinant& each : contents.determinants) {
    if (each.rank == rank) evidence->found.push_back(each);
  }
}

std::optional<RankEndRecord> ReadEnd(const std::string& job_directory, const JobDescription& job,
                                     int rank, std::vector<std::string>* remarks) {
  for (const std::string& path : {DonePath(job_directory, job.current_epoch(), rank),
                                  LostPath(job_directory, job.current_epoch(), rank),
                                  SurvivorPath(job_directory, job.current_epoch(), rank)}) {
    try {
      std::optional<RankEndRecord> record = ReadRankEnd(path, job.job);
      if (record && record->rank == rank && record->epoch == job.current_epoch()) return record;
    } catch (const JobDirectoryError& error) {
      remarks->push_back(error.what());
    }
  }
  return std::nullopt;
}

// What the rank's node says of it.
void Apply(RankInventory* found, const JobDescription& job, RankFindings* findings,
           std::vector<std::string>* remarks) {
  const StatusInventory& status = found->status;
  if (!status.damaged.empty()) remarks->push_back(status.damaged);
  const bool of_this_epoch =
      status.present && status.damaged.empty() && status.epoch == job.current_epoch();
  if (of_this_epoch) {
    findings->alive = status.alive;
    findings->pid = status.pid;
    findings->phase = status.phase;
    findings->exit_code = status.exit_code;
    findings->position.interval = status.interval;
    findings->position.poll_failures = status.poll_failures;
    findings->position.stdout_released = status.stdout_released;
    findings->position.stderr_released = status.stderr_released;
  }
  if (found->events.present) {
    findings->started = true;
    findings->own_log_survives = found->events.damaged.empty();
    if (!found->events.damaged.empty()) remarks->push_back(found->events.damaged);
    findings->trimmed_interval = found->events.trimmed_interval;
    findings->trimmed_csn = found->events.trimmed_csn;
    if (found->events.damaged.empty() && found->events.base_interval != findings->base_interval) {
      throw RecoveryError(fmt::format(
          "rank {}'s event log on {} starts at event {}, the epoch's replay log ends at {}; the "
          "node-local directory and the job directory do not belong together",
          findings->rank, findings->node, found->events.base_interval, findings->base_interval));
    }
  } else if (of_this_epoch && status.phase != logging::RankPhase::kStarting) {
    findings->started = true;
    if (job.mode == "coordinated") return;  // there is none
    remarks->push_back(fmt::format("rank {} on {}: its event log of epoch {} is missing",
                                   findings->rank, findings->node, job.current_epoch()));
  }
  if (found->payload.present) {
    if (!found->payload.damaged.empty()) remarks->push_back(found->payload.damaged);
    findings->payload_log_survives = true;
    findings->channels = found->payload.channels;
    findings->position.messages = found->payload.records;
    for (const ChannelInventory& channel : findings->channels)
      findings->position.messages += channel.before;
  }
}

// Ranks got beyond MPI_Init in the current epoch, as the job directory and the nodes tell. Then
// every rank had made its logs before: whoever has none now has lost them, also on a node that
// answers (a replacement that came back empty).
bool EpochBegan(const std::string& job_directory, const JobDescription& job,
                const std::vector<NodeInventory>& nodes) {
  // job.json is written in MPI_Init when all ranks have their logs; by a recovery before they
  // start.
  if (job.current_epoch() == 0) return true;
  for (const NodeInventory& node : nodes) {
    for (const RankInventory& rank : node.ranks) {
      const StatusInventory& status = rank.status;
      if (status.present && status.damaged.empty() && status.epoch == job.current_epoch() &&
          status.phase != logging::RankPhase::kStarting) {
        return true;
      }
    }
  }
  for (int rank = 0; rank < job.np; ++rank) {
    std::optional<ReplayProgress> progress;
    try {
      progress =
          ReadReplayProgress(ProgressPath(job_directory, job.current_epoch(), rank), job.job, rank);
    } catch (const JobDirectoryError&) {
      continue;  // one of several signs
    }
    if (progress && progress->phase != static_cast<std::uint32_t>(logging::RankPhase::kStarting)) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string ReplayLogPath(const std::string& job_directory, std::uint32_t epoch, int rank) {
  return logging::JoinPath(EpochDirectory(job_directory, epoch), logging::ReplayLogFileName(rank));
}

logging::Mode ModeOf(const JobDescription& job) {
  if (job.mode == "pessimistic") return logging::Mode::kPessimistic;
  if (job.mode == "optimistic") return logging::Mode::kOptimistic;
  if (job.mode == "causal") return logging::Mode::kCausal;
  if (job.mode == "coordinated") return logging::Mode::kCoordinated;
  throw RecoveryError(fmt::format(
      "the job ran with FT_MODE={}, which logs no messages: it can't be recovered by replay",
      job.mode));
}

Findings GatherEvidence(Environment* environment, const std::string& job_directory,
                        const JobDescription& job, std::vector<NodeInventory> nodes,
                        std::vector<RankEvidence>* evidence) {
  Findings findings;
  const auto size = static_cast<std::size_t>(job.np);
  const std::string epoch_directory = EpochDirectory(job_directory, job.current_epoch());
  if (!environment->Exists(epoch_directory)) {
    throw RecoveryError(fmt::format(
        "{}: is missing: the job had ended and its directory was being removed, or it was copied "
        "incompletely; there is nothing to recover from",
        epoch_directory));
  }
  findings.ranks.resize(size);
  evidence->assign(size, RankEvidence());
  const bool began = EpochBegan(job_directory, job, nodes);
  std::map<std::string, NodeInventory*> by_name;
  for (NodeInventory& node : nodes) {
    by_name[node.node] = &node;
    for (const std::string& remark : node.remarks) findings.remarks.push_back(remark);
  }
  for (std::size_t index = 0; index < size; ++index) {
    RankFindings& each = findings.ranks[index];
    const int rank = static_cast<int>(index);
    each.rank = rank;
    each.node = job.ranks[index].node;
    ReadBase(environment, job_directory, job, rank, &each, &(*evidence)[index]);
    ReadFlushed(environment, job_directory, job, rank, &(*evidence)[index], &findings.remarks);
    each.started = began || !(*evidence)[index].found.empty();
    each.end = ReadEnd(job_directory, job, rank, &findings.remarks);
    const auto node = by_name.find(each.node);
    each.node_reached = node != by_name.end() && node->second->reached;
    if (each.end) {
      each.started = true;
      each.position.interval = each.end->interval;
      each.position.poll_failures = each.end->poll_failures;
    }
    if (each.node_reached) {
      auto found = std::find_if(node->second->ranks.begin(), node->second->ranks.end(),
                                [rank](const RankInventory& other) { return other.rank == rank; });
      each.files_lost = began;
      if (found != node->second->ranks.end()) {
        each.files_lost = began && !found->status.present && !found->events.present;
        Apply(&*found, job, &each, &findings.remarks);
      }
    } else {
      each.started = true;
    }
    const auto released = ReadReleasedOutput(ReleasedPath(job_directory, rank), job.job, rank);
    if (released) {
      each.position.stdout_released =
          std::max(each.position.stdout_released, released->stdout_bytes);
      each.position.stderr_released =
          std::max(each.position.stderr_released, released->stderr_bytes);
    }
  }
  // Determinants in the event logs, own and held, of ranks that ran on that node last. (A node may
  // have left-overs of ranks that were moved away from it: of an earlier epoch, so without an event
  // log of this one.)
  for (NodeInventory& node : nodes) {
    for (RankInventory& holder : node.ranks) {
      if (job.ranks[static_cast<std::size_t>(holder.rank)].node != node.node) {
        findings.remarks.push_back(
            fmt::format("{}: files of rank {} are left out, it ran last on {}", node.directory,
                        holder.rank, job.ranks[static_cast<std::size_t>(holder.rank)].node));
        continue;
      }
      for (const logging::Determinant& each : holder.events.determinants) {
        if (each.rank < 0 || each.rank >= job.np) {
          throw RecoveryError(
              fmt::format("the event log of rank {} on {} holds an event of rank {}, "
                          "of {} ranks; it is damaged",
                          holder.rank, node.node, each.rank, job.np));
        }
        (*evidence)[static_cast<std::size_t>(each.rank)].found.push_back(each);
      }
      holder.events.determinants = {};
    }
  }
  // A rank that never came up in this epoch has lost nothing.
  const bool nobody_started =
      !began &&
      std::none_of(findings.ranks.begin(), findings.ranks.end(),
                   [](const RankFindings& each) { return each.started && each.node_reached; }) &&
      job.current_epoch() > 0;
  std::set<std::string> units;
  for (std::size_t index = 0; index < size; ++index) {
    RankFindings& each = findings.ranks[index];
    if (!each.started || (nobody_started && !each.end && (*evidence)[index].found.empty())) {
      each.own_log_survives = true;
    }
    if (job.mode == "coordinated") each.own_log_survives = true;  // it has none to lose
    (*evidence)[index].own_log_survives = each.own_log_survives;
    if (each.own_log_survives) continue;
    units.insert(job.failure_unit == "rank" ? fmt::format("rank {}", index) : each.node);
  }
  findings.lost_units = static_cast<int>(units.size());
  return findings;
}

}  // namespace ftmpi::recovery
