#include "recovery/job_checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "recovery/inventory.h"

namespace ftmpi::recovery {

void CheckProgram(const JobDescription& job) {
  if (access(job.executable.c_str(), X_OK) != 0) {
    throw RecoveryError(
        fmt::format("{}: the job's program is not there any more, or can't be executed; put the "
                    "same build back",
                    job.executable));
  }
  const std::string build_id = BuildIdOf(job.executable);
  if (build_id == job.build_id) return;
  throw RecoveryError(
      fmt::format("{}: is another build (build id {}) than the job ran (build id {}); replay needs "
                  "the very same "
                  "program, put that build back",
                  job.executable, build_id, job.build_id));
}

void CheckNotFinished(const JobDescription& job, const std::string& job_directory) {
  if (job.state != JobState::kFinished) return;
  throw RecoveryError(fmt::format(
      "{}: the job ended well, there is nothing to recover (the directory was kept: FT_KEEP)",
      job_directory));
}

bool FailureIsKnown(const JobDescription& job, const std::string& job_directory,
                    const std::string& this_node) {
  if (job.launcher.pid > 0 && job.launcher.node == this_node &&
      !ProcessRuns(static_cast<std::int32_t>(job.launcher.pid), job.launcher.pid_start_time)) {
    return true;
  }
  for (int rank = 0; rank < job.np; ++rank) {
    for (const std::string& path : {LostPath(job_directory, job.current_epoch(), rank),
                                    SurvivorPath(job_directory, job.current_epoch(), rank)}) {
      if (access(path.c_str(), F_OK) == 0) return true;
    }
  }
  return false;
}

std::vector<std::string> RunningRanks(const Findings& findings) {
  std::vector<std::string> running;
  for (const RankFindings& each : findings.ranks) {
    if (!each.alive) continue;
    running.push_back(fmt::format("rank {} (process {} on {})", each.rank, each.pid, each.node));
  }
  return running;
}

bool AwaitsEndRecords(const Findings& findings) {
  return std::any_of(findings.ranks.begin(), findings.ranks.end(), [](const RankFindings& each) {
    return each.node_reached && each.started && each.pid != 0 && !each.end;
  });
}

std::string EndedByItself(const Findings& findings) {
  int done = 0;
  bool lost = false;
  std::string text;
  for (const RankFindings& each : findings.ranks) {
    const bool aborted = each.phase == logging::RankPhase::kAborted ||
                         (each.end && each.end->end == RankEnd::kAborted);
    if (aborted) {
      const int code = each.end ? each.end->exit_code : each.exit_code;
      return fmt::format("rank {} called MPI_Abort with code {}: the program ended the job itself",
                         each.rank, code);
    }
    if (!each.end) {
      lost = lost || !each.node_reached || each.files_lost;
      continue;
    }
    if (each.end->end == RankEnd::kDone) ++done;
    if (each.end->end == RankEnd::kLost) lost = true;
    if (each.end->end == RankEnd::kExited && text.empty()) {
      text = fmt::format(
          "rank {} ended itself without success{}: nothing was lost", each.rank,
          each.end->exit_code == 0 ? "" : fmt::format(" (exit code {})", each.end->exit_code));
    }
  }
  if (done == static_cast<int>(findings.ranks.size())) {
    throw RecoveryError("all ranks of the job ended well, there is nothing to recover");
  }
  return lost ? "" : text;
}

}  // namespace ftmpi::recovery
