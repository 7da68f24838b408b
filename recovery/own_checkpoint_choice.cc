#include "recovery/own_checkpoint_choice.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/store_error.h"
#include "checkpoint/store_reader.h"
#include "logging/log_error.h"
#include "recovery/module_builds.h"
#include "recovery/start_candidate.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;

// What one rank may start from, the newest first.
class RankChoice {
 public:
  RankChoice(Environment* environment, const StartOptions& options, const JobDescription& job,
             int rank)
      : environment_(environment), options_(options), job_(job), rank_(rank) {
    for (const std::uint64_t csn :
         checkpoint::ListOwnCheckpoints(environment, options.job_directory, rank)) {
      csns_.push_back(static_cast<std::uint32_t>(csn));
    }
  }

  // Goes to the next one that can be used by itself; `why`: what is wrong with the present one, if
  // there is one. `limit`: the state interval that it may not lie behind. Throws RecoveryError when
  // there is none left.
  void Next(const std::string& why, std::optional<std::uint64_t> limit, std::uint64_t trimmed,
            const RankEvidence& evidence) {
    if (!why.empty()) PassOver(why);
    for (; next_ < csns_.size(); ++next_) {
      if (options_.wanted) {  // --to 0
        dropped_.push_back({rank_, csns_[next_]});
        continue;
      }
      csn_ = csns_[next_];
      const std::string wrong = Load(limit, trimmed, evidence);
      if (wrong.empty()) {
        ++next_;
        return;
      }
      PassOver(wrong);
    }
    if (at_initial_ || MissingEvent(0, trimmed, evidence) != 0) {
      if (!at_initial_) {
        reasons_.push_back(
            fmt::format("rank {}: the initial state is not used: its first events are not known "
                        "any more, the logs are trimmed by checkpoints",
                        rank_));
      }
      throw RecoveryError(fmt::format("the job can't be recovered: {}", fmt::join(reasons_, "; ")));
    }
    at_initial_ = true;
    csn_ = 0;
    part_ = InitialState(rank_ + 1);
  }

  [[nodiscard]] const Candidate& part() const { return part_; }
  [[nodiscard]] std::uint64_t interval() const { return part_.records.back().interval; }
  // Why others are not used, for people.
  [[nodiscard]] const std::vector<std::string>& reasons() const { return reasons_; }
  // Newer than the present one.
  [[nodiscard]] const std::vector<OwnCheckpoint>& dropped() const { return dropped_; }

 private:
  void PassOver(const std::string& why) {
    const std::string name =
        csn_ == 0 ? std::string("the initial state") : fmt::format("checkpoint {}", csn_);
    reasons_.push_back(fmt::format("rank {}: {} is not used: {}", rank_, name, why));
    if (csn_ != 0) dropped_.push_back({rank_, csn_});
  }

  // Empty: part_ is of csn_.
  std::string Load(std::optional<std::uint64_t> limit, std::uint64_t trimmed,
                   const RankEvidence& evidence) {
    const checkpoint::CheckpointReport report =
        checkpoint::ExamineOwn(environment_, options_.job_directory, rank_, csn_, job_.job,
                               checkpoint::Depth::kEverything);
    if (!report.usable) return fmt::format("{}", fmt::join(report.problems, "; "));
    if (report.identity.kind != checkpoint::CheckpointKind::kIndependent)
      return "it is of another kind of checkpoint";
    if (report.identity.np != job_.np)
      return fmt::format("it is of {} ranks, the job has {}", report.identity.np, job_.np);
    part_ = Candidate();
    try {
      AddRank(environment_, checkpoint::OwnPath(options_.job_directory, rank_, csn_), job_.np,
              &part_);
      part_.held = {ReadHeld(HeldPath(options_.job_directory, rank_), job_.job, rank_)
                        .value_or(HeldRecord())};
    } catch (const logging::LogError& error) {
      return error.what();
    } catch (const JobDirectoryError& error) {
      return error.what();
    }
    // Older checkpoints would say the same, and the beginning is not what the user expects.
    if (const std::vector<std::string> other = DifferingBuilds(part_.builds); !other.empty()) {
      throw RecoveryError(fmt::format(
          "checkpoint {} of rank {} can't be used: {}; put the files back, or replay from the "
          "beginning (--to 0) if you know that it makes no difference",
          csn_, rank_, fmt::join(other, "; ")));
    }
    if (limit && interval() > *limit) {
      return fmt::format(
          "the rank was in state interval {} then, and its events are known up to "
          "{}",
          interval(), *limit);
    }
    if (const std::uint64_t missing = MissingEvent(interval(), trimmed, evidence); missing != 0) {
      return fmt::format(
          "the rank was in state interval {} then, and its event {} is not known any "
          "more",
          interval(), missing);
    }
    return "";
  }

  Environment* const environment_;
  const StartOptions& options_;
  const JobDescription& job_;
  const int rank_;
  std::vector<std::uint32_t> csns_;  // descending
  std::size_t next_ = 0;
  std::uint32_t csn_ = 0;
  bool at_initial_ = false;
  Candidate part_;  // its last entries are of this rank
  std::vector<std::string> reasons_;
  std::vector<OwnCheckpoint> dropped_;
};

Candidate PutTogether(const std::vector<RankChoice>& choices) {
  Candidate candidate;
  for (const RankChoice& each : choices) {
    candidate.records.push_back(each.part().records.back());
    candidate.cuts.push_back(each.part().cuts.back());
    candidate.saved.emplace_back();
    candidate.held.push_back(each.part().held.empty() ? HeldRecord() : each.part().held.back());
  }
  return candidate;
}

}  // namespace

bool HasOwnCheckpoints(Environment* environment, const std::string& job_directory, int np) {
  for (const std::int32_t rank : checkpoint::ListOwnRanks(environment, job_directory)) {
    if (rank < np && !checkpoint::ListOwnCheckpoints(environment, job_directory, rank).empty())
      return true;
  }
  return false;
}

Start ChooseOwnStart(Environment* environment, const StartOptions& options,
                     const JobDescription& job, const Findings& findings,
                     const std::vector<RankEvidence>& evidence) {
  if (options.wanted && *options.wanted != 0) {
    throw RecoveryError(
        "each rank of this job has checkpoints of its own, so --to takes 0 only, the initial "
        "state; leave it out to start from the newest ones");
  }
  // What counts by its events alone.
  std::optional<RecoveryLine> known;
  if (options.line.mode == logging::Mode::kOptimistic) {
    known = FindRecoveryLine(options.line, evidence);
    if (!known->refusals.empty()) {
      throw RecoveryError(
          fmt::format("the job can't be recovered: {}", fmt::join(known->refusals, "; ")));
    }
  }
  std::vector<RankChoice> choices;
  const auto next = [&](std::size_t rank, const std::string& why) {
    std::optional<std::uint64_t> limit;
    if (known) limit = known->ranks[rank].recovered_interval;
    choices[rank].Next(why, limit, findings.ranks[rank].trimmed_interval, evidence[rank]);
  };
  for (int rank = 0; rank < job.np; ++rank) {
    choices.emplace_back(environment, options, job, rank);
    next(static_cast<std::size_t>(rank), "");
  }
  Start start;
  start.own = true;
  for (;;) {
    const Candidate candidate = PutTogether(choices);
    std::vector<RankEvidence> from = evidence;
    std::vector<std::uint64_t> intervals;
    for (const auto& each : candidate.records) intervals.push_back(each.interval);
    StartFrom(intervals, &from);
    start.line = FindRecoveryLine(options.line, std::move(from));
    if (!start.line.refusals.empty()) {
      throw RecoveryError(
          fmt::format("the job can't be recovered: {}", fmt::join(start.line.refusals, "; ")));
    }
    start.plan = MakePlan(job, findings, start.line, options.nodes_now, options.lost_nodes);
    const Refusal refusal = Enter(candidate, findings, start.line, &start.plan);
    if (refusal.why.empty()) break;
    if (refusal.rank < 0) throw RecoveryError("the job can't be recovered: " + refusal.why);
    next(static_cast<std::size_t>(refusal.rank), refusal.why);
  }
  for (const RankChoice& each : choices) {
    start.remarks.insert(start.remarks.end(), each.reasons().begin(), each.reasons().end());
    start.newer_own.insert(start.newer_own.end(), each.dropped().begin(), each.dropped().end());
  }
  return start;
}

}  // namespace ftmpi::recovery
