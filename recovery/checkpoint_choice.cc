#include "recovery/checkpoint_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/cut_record.h"
#include "checkpoint/deletion.h"
#include "checkpoint/rank_file_reader.h"
#include "checkpoint/store_error.h"
#include "checkpoint/store_reader.h"
#include "checkpoint/transit_file.h"
#include "logging/log_error.h"
#include "pmpi/checkpoint_datasets.h"
#include "recovery/engine_record.h"
#include "recovery/held_record.h"
#include "recovery/log_coverage.h"
#include "recovery/module_builds.h"

namespace ftmpi::recovery {
namespace {

using checkpoint_datasets::EngineRecord;

// A state to start from, of all ranks.
struct Candidate {
  std::uint32_t csn = 0;  // 0: the initial state
  std::vector<EngineRecord> records;
  std::vector<checkpoint::CutRecord> cuts;
  std::string builds;                                          // of rank 0's files
  std::vector<std::vector<checkpoint::TransitMessage>> saved;  // by receiver; empty: none
};

void ReadRank(logging::Environment* environment, const std::string& path, int np,
              Candidate* candidate) {
  checkpoint::RankFileReader file(environment, path);
  const std::optional<checkpoint::CutRecord> cut =
      checkpoint::DecodeCut(ReadNamedDataset(&file, checkpoint_datasets::kCut), np);
  if (!cut) throw checkpoint::StoreError(path + ": the record of its cut is damaged");
  if (candidate->builds.empty()) {
    const std::vector<std::byte> builds = ReadNamedDataset(&file, checkpoint_datasets::kBuilds);
    candidate->builds.assign(reinterpret_cast<const char*>(builds.data()), builds.size());
  }
  candidate->records.push_back(ReadEngineRecord(&file));
  candidate->cuts.push_back(*cut);
  const checkpoint::TransitOwner owner{file.attributes().job, cut->csn, cut->epoch, cut->rank};
  const std::string transit =
      logging::JoinPath(logging::DirectoryOf(path), checkpoint::TransitFileName(cut->rank));
  candidate->saved.push_back(checkpoint::ReadTransitFile(environment, transit, owner));
}

Candidate InitialState(int np) {
  Candidate initial;
  initial.records.resize(static_cast<std::size_t>(np));
  for (int rank = 0; rank < np; ++rank) {
    checkpoint::CutRecord cut;
    cut.rank = rank;
    initial.cuts.push_back(cut);
  }
  return initial;
}

std::string NameOf(const Candidate& candidate) {
  return candidate.csn == 0 ? "the initial state" : fmt::format("checkpoint {}", candidate.csn);
}

// The first event of a rank behind interval `start` that is not known although it is behind trimmed
// ones; 0: all are. (What is missing at the end is the recovery line's business.)
std::uint64_t MissingEvent(std::uint64_t start, std::uint64_t trimmed, const RankEvidence& rank) {
  if (rank.base_trimmed > start) return start + 1;
  const std::uint64_t known = std::max(start, rank.base_interval);
  if (trimmed <= known) return 0;
  // Event blocks on stable storage may hold what the log does not any more.
  std::vector<bool> found(trimmed - known, false);
  for (const logging::Determinant& each : rank.found) {
    if (each.index > known && each.index <= trimmed) found[each.index - known - 1] = true;
  }
  const auto missing = std::find(found.begin(), found.end(), false);
  return missing == found.end() ? 0
                                : known + 1 + static_cast<std::uint64_t>(missing - found.begin());
}

// What the logs lack for a start from there; empty: nothing.
std::string MissingEvents(const Candidate& candidate, const Findings& findings,
                          const std::vector<RankEvidence>& evidence) {
  std::uint64_t oldest = 0;  // the checkpoint up to which events were dropped
  for (const RankFindings& each : findings.ranks) oldest = std::max(oldest, each.trimmed_csn);
  for (std::size_t index = 0; index < findings.ranks.size(); ++index) {
    const std::uint64_t start = candidate.records[index].interval;
    const std::uint64_t missing =
        MissingEvent(start, findings.ranks[index].trimmed_interval, evidence[index]);
    if (missing != 0) {
      return fmt::format(
          "rank {} was in state interval {} then, and its event {} is not known any more: the logs "
          "are trimmed by checkpoints",
          index, start, missing);
    }
    // Copies of a lost rank's events that others held were dropped with their own.
    if (!evidence[index].own_log_survives && candidate.csn < oldest) {
      return fmt::format(
          "the event log of rank {} is lost, and what others knew of its events is trimmed up to "
          "checkpoint {}",
          index, oldest);
    }
  }
  return "";
}

// A rank of the plan starts from its part of a checkpoint.
void SetCheckpoint(std::uint32_t csn, const EngineRecord& record, PlanRank* rank) {
  rank->from = fmt::format("checkpoint {}", csn);
  rank->checkpoint_csn = csn;
  rank->checkpoint_interval = record.interval;
  rank->checkpoint_stdout = record.stdout_taken;
  rank->checkpoint_stderr = record.stderr_taken;
  rank->checkpoint_stdin = record.stdin_taken;
}

// Why the plan can't start from this state; empty: it can, and the plan says how.
std::string Enter(const Candidate& candidate, const Findings& findings, const RecoveryLine& line,
                  ReplayPlan* plan) {
  for (PlanRank& each : plan->ranks) each.resend = each.suppress = 0;
  for (std::size_t index = 0; index < plan->ranks.size(); ++index) {
    PlanRank& each = plan->ranks[index];
    const EngineRecord& record = candidate.records[index];
    if (record.interval > each.interval) {
      return fmt::format("rank {} was in state interval {} then, and can be brought to {} only",
                         each.rank, record.interval, each.interval);
    }
    if (record.stdout_taken > each.stdout_released || record.stderr_taken > each.stderr_released)
      return fmt::format("rank {} had written more output then than was shown", each.rank);
    const RankFindings& found = findings.ranks[index];
    std::vector<std::uint64_t> saved;
    for (std::size_t to = 0; to < candidate.saved.size(); ++to) {
      const checkpoint::MessageRange range =
          checkpoint::InTransit(candidate.cuts[index], candidate.cuts[to]);
      saved.push_back(checkpoint::SavedFrom(candidate.saved[to], each.rank, range.first));
    }
    LogUse use =
        UseOfLog(each.rank, each.payload_log_survives, found.channels, candidate.cuts, saved);
    if (!use.refusal.empty()) return use.refusal;
    each.payload_log_survives = use.usable;
    if (candidate.csn != 0) SetCheckpoint(candidate.csn, record, &each);
    each.events = static_cast<std::uint64_t>(
        std::count_if(line.ranks[index].determinants.begin(), line.ranks[index].determinants.end(),
                      [&record](const logging::Determinant& determinant) {
                        return determinant.index > record.interval &&
                               determinant.kind != logging::EventKind::kDependency;
                      }));
    if (!use.usable) continue;
    for (const ChannelInventory& channel : found.channels) {
      if (channel.destination < 0 ||
          static_cast<std::size_t>(channel.destination) >= plan->ranks.size())
        continue;
      const auto to = static_cast<std::size_t>(channel.destination);
      const std::uint64_t end = channel.before + channel.messages;
      const std::uint64_t sent = candidate.cuts[index].Channel(channel.destination).sent;
      const std::uint64_t received = candidate.cuts[to].Channel(each.rank).received;
      each.suppress += end - std::min(end, sent);
      plan->ranks[to].resend += end - std::min(end, received);
    }
  }
  return "";
}

// The same in coordinated mode: a checkpoint's images, the copies of the messages in transit, and
// the output that was held back then.
std::string EnterCoordinated(const Candidate& candidate, const std::string& job_directory,
                             std::uint64_t job, ReplayPlan* plan) {
  for (std::size_t to = 0; to < candidate.saved.size(); ++to) {
    for (std::size_t from = 0; from < candidate.cuts.size(); ++from) {
      const checkpoint::MessageRange range =
          checkpoint::InTransit(candidate.cuts[from], candidate.cuts[to]);
      const std::uint64_t saved =
          checkpoint::SavedFrom(candidate.saved[to], static_cast<int>(from), range.first);
      if (saved == range.count()) continue;
      return fmt::format(
          "{} messages from rank {} to rank {} were in transit then, and {} of them are saved",
          range.count(), from, to, saved);
    }
  }
  for (PlanRank& each : plan->ranks) {
    each.resend = each.suppress = 0;
    if (candidate.csn == 0) continue;
    const EngineRecord& record = candidate.records[static_cast<std::size_t>(each.rank)];
    const std::string path = HeldPath(job_directory, each.rank);
    const HeldRecord held = ReadHeld(path, job, each.rank).value_or(HeldRecord());
    if (!held.standard_output.Part(each.stdout_released, record.stdout_taken) ||
        !held.standard_error.Part(each.stderr_released, record.stderr_taken)) {
      return fmt::format("output of rank {} that was held back then is lost ({})", each.rank, path);
    }
    SetCheckpoint(candidate.csn, record, &each);
    each.checkpoint_interval = 0;  // it is no count of events (logging/coordinated.h)
    each.events = 0;
  }
  return "";
}

// Reasons of a candidate that can't be used.
std::string Joined(const std::vector<std::string>& reasons) {
  return fmt::format("{}", fmt::join(reasons, "; "));
}

}  // namespace

Start ChooseStart(logging::Environment* environment, const StartOptions& options,
                  const JobDescription& job, const Findings& findings,
                  const std::vector<RankEvidence>& evidence) {
  Start start;
  const bool coordinated = job.mode == "coordinated";
  // Empty: taken; else why not.
  const auto attempt = [&](const Candidate& candidate) -> std::string {
    if (coordinated) {
      start.line = FindRecoveryLine(options.line, evidence);
      if (!start.line.refusals.empty()) return Joined(start.line.refusals);
      start.plan = MakePlan(job, findings, start.line, options.nodes_now, options.lost_nodes);
      return EnterCoordinated(candidate, options.job_directory, job.job, &start.plan);
    }
    if (std::string missing = MissingEvents(candidate, findings, evidence); !missing.empty())
      return missing;
    std::vector<RankEvidence> from = evidence;
    std::vector<std::uint64_t> intervals;
    for (const EngineRecord& each : candidate.records) intervals.push_back(each.interval);
    StartFrom(intervals, &from);
    start.line = FindRecoveryLine(options.line, std::move(from));
    if (!start.line.refusals.empty()) return Joined(start.line.refusals);
    start.plan = MakePlan(job, findings, start.line, options.nodes_now, options.lost_nodes);
    return Enter(candidate, findings, start.line, &start.plan);
  };
  std::vector<std::string> reasons;
  bool any = false;  // there are checkpoints
  for (const checkpoint::CheckpointListing& each :
       checkpoint::ListCheckpoints(environment, options.job_directory)) {
    const auto csn = static_cast<std::uint32_t>(each.csn);
    if (!each.has_index || (options.wanted && csn != *options.wanted)) {
      start.newer.push_back(csn);
      continue;
    }
    any = true;
    const checkpoint::CheckpointReport report = checkpoint::Examine(
        environment, options.job_directory, csn, job.job, checkpoint::Depth::kEverything);
    std::vector<std::string> problems = report.problems;
    if (report.usable) {
      Candidate candidate;
      candidate.csn = csn;
      try {
        if (report.identity.np != job.np) {
          throw checkpoint::StoreError(
              fmt::format("it is of {} ranks, the job has {}", report.identity.np, job.np));
        }
        for (int rank = 0; rank < job.np; ++rank) {
          ReadRank(environment, checkpoint::RankPath(options.job_directory, csn, rank), job.np,
                   &candidate);
        }
        if (const std::string wrong = checkpoint::Contradiction(candidate.cuts); !wrong.empty())
          throw checkpoint::StoreError(wrong);
        // Older checkpoints would say the same, and the beginning is not what the user expects.
        if (const std::vector<std::string> other = DifferingBuilds(candidate.builds);
            !other.empty()) {
          throw RecoveryError(fmt::format(
              "checkpoint {} can't be used: {}; put the files back, or replay from the beginning "
              "(--to 0) if you know that it makes no difference",
              csn, Joined(other)));
        }
        const std::string refusal = attempt(candidate);
        if (refusal.empty()) {
          if (options.wanted) std::erase_if(start.newer, [csn](auto other) { return other < csn; });
          return start;
        }
        problems.push_back(refusal);
      } catch (const logging::LogError& error) {
        problems.emplace_back(error.what());
      } catch (const JobDirectoryError& error) {
        problems.emplace_back(error.what());
      }
    }
    for (const std::string& problem : problems) {
      start.remarks.push_back(fmt::format("checkpoint {} is not used: {}", csn, problem));
      reasons.push_back(start.remarks.back());
    }
    start.newer.push_back(csn);
  }
  if (options.wanted && *options.wanted != 0) {
    if (!any) {
      reasons.push_back(
          fmt::format("there is no permanent checkpoint {} (mpi-ft-ls {} lists what there is)",
                      *options.wanted, options.job_directory));
    }
    throw RecoveryError("the job can't be recovered from there: " + Joined(reasons));
  }
  const Candidate initial = InitialState(job.np);
  const std::string refusal = attempt(initial);
  if (refusal.empty()) return start;
  reasons.push_back(reasons.empty() && !any ? refusal
                                            : NameOf(initial) + " is not used: " + refusal);
  throw RecoveryError("the job can't be recovered: " + Joined(reasons));
}

void RemoveNewer(logging::Environment* environment, const std::string& job_directory,
                 const std::vector<std::uint32_t>& newer) {
  for (const std::uint32_t csn : newer)
    checkpoint::DeleteCheckpoint(environment, job_directory, csn);
}

}  // namespace ftmpi::recovery
