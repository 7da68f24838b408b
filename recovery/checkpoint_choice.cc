#include "recovery/checkpoint_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/cut_record.h"
#include "checkpoint/deletion.h"
#include "checkpoint/store_error.h"
#include "checkpoint/store_reader.h"
#include "checkpoint/transit_file.h"
#include "logging/log_error.h"
#include "pmpi/checkpoint_datasets.h"
#include "recovery/held_record.h"
#include "recovery/module_builds.h"
#include "recovery/start_candidate.h"

namespace ftmpi::recovery {
namespace {

using checkpoint_datasets::EngineRecord;

std::string NameOf(const Candidate& candidate) {
  return candidate.csn == 0 ? "the initial state" : fmt::format("checkpoint {}", candidate.csn);
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
    return Enter(candidate, findings, start.line, &start.plan).why;
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
          AddRank(environment, checkpoint::RankPath(options.job_directory, csn, rank), job.np,
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

void RemoveNewerOwn(logging::Environment* environment, const std::string& job_directory,
                    const std::vector<OwnCheckpoint>& newer) {
  for (const OwnCheckpoint& each : newer)
    environment->Remove(checkpoint::OwnPath(job_directory, each.rank, each.csn));
}

void RemoveNewer(logging::Environment* environment, const std::string& job_directory,
                 const std::vector<std::uint32_t>& newer) {
  for (const std::uint32_t csn : newer)
    checkpoint::DeleteCheckpoint(environment, job_directory, csn);
}

}  // namespace ftmpi::recovery
