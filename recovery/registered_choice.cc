#include "recovery/registered_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/rank_file_reader.h"
#include "checkpoint/store_error.h"
#include "checkpoint/store_reader.h"
#include "logging/log_error.h"
#include "logging/replay_log.h"
#include "pmpi/checkpoint_datasets.h"
#include "recovery/engine_record.h"
#include "recovery/evidence.h"

namespace ftmpi::recovery {
namespace {

using checkpoint_datasets::EngineRecord;

bool IsRegistered(const JobDescription& job) {
  return std::any_of(job.environment.begin(), job.environment.end(), [](const auto& variable) {
    return variable.first == "FT_STATE" && variable.second == "registered";
  });
}

EngineRecord ReadRecord(logging::Environment* environment, const std::string& path) {
  checkpoint::RankFileReader file(environment, path);
  if ((file.attributes().state & checkpoint::kStateRegistered) == 0)
    throw checkpoint::StoreError(path + ": it has no registered state");
  return ReadEngineRecord(&file);
}

// The current epoch began at a checkpoint.
bool BeganAtCheckpoint(logging::Environment* environment, const std::string& job_directory,
                       const JobDescription& job) {
  if (job.current_epoch() == 0) return false;
  try {
    const logging::ReplayLog log =
        logging::ReadReplayLog(environment, ReplayLogPath(job_directory, job.current_epoch(), 0));
    return log.checkpoint_csn != 0;
  } catch (const logging::LogError& error) {
    throw RecoveryError(error.what());
  }
}

}  // namespace

std::optional<RegisteredChoice> ChooseRegistered(logging::Environment* environment,
                                                 const std::string& job_directory,
                                                 const JobDescription& job) {
  if (!IsRegistered(job)) return std::nullopt;
  RegisteredChoice choice;
  const checkpoint::NewestUsable newest = checkpoint::FindNewestUsable(
      environment, job_directory, job.job, checkpoint::Depth::kEverything);
  for (const checkpoint::CheckpointReport& report : newest.passed_over) {
    if (!report.permanent) continue;
    for (const std::string& problem : report.problems)
      choice.remarks.push_back(fmt::format("checkpoint {} is not used: {}", report.csn, problem));
  }
  std::string why;
  if (newest.checkpoint) {
    choice.csn = newest.checkpoint->csn;
    try {
      for (int rank = 0; rank < job.np; ++rank) {
        const std::string path = checkpoint::RankPath(job_directory, choice.csn, rank);
        choice.stdout_taken.push_back(ReadRecord(environment, path).stdout_taken);
      }
      return choice;
    } catch (const checkpoint::StoreError& error) {
      why = fmt::format(": checkpoint {}: {}", choice.csn, error.what());
    }
  }
  for (const std::string& remark : choice.remarks) why += ": " + remark;
  // The logs begin at the last checkpoint.
  if (!why.empty() || BeganAtCheckpoint(environment, job_directory, job)) {
    throw RecoveryError(
        "the job has saved its registered state, and no checkpoint that is left can be used" + why +
        "; start it anew");
  }
  return std::nullopt;
}

RecoveryLine LineFromRegistered(int np) {
  RecoveryLine line;
  line.ranks.resize(static_cast<std::size_t>(np));
  return line;
}

void EnterRegistered(const RegisteredChoice& choice, ReplayPlan* plan) {
  for (PlanRank& each : plan->ranks) {
    each.from = fmt::format("registered state, checkpoint {}", choice.csn);
    each.interval = each.events = each.resend = each.suppress = each.poll_failures = 0;
    each.payload_log_survives = false;
    each.registered = true;
    each.checkpoint_csn = static_cast<std::uint32_t>(choice.csn);
    each.checkpoint_interval = 0;
    each.checkpoint_stdout = choice.stdout_taken[static_cast<std::size_t>(each.rank)];
    each.checkpoint_stderr = each.stderr_released;  // shown as it is written
  }
}

}  // namespace ftmpi::recovery
