#include "recovery/recover_command.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <set>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "recovery/checkpoint_choice.h"
#include "recovery/checkpoint_gathering.h"
#include "recovery/durable_file.h"
#include "recovery/history.h"
#include "recovery/job_checks.h"
#include "recovery/job_lock.h"
#include "recovery/node_survey.h"
#include "recovery/own_checkpoint_choice.h"
#include "recovery/progress.h"
#include "recovery/registered_choice.h"
#include "recovery/stdin_position.h"

namespace ftmpi::recovery {
namespace {

using Clock = std::chrono::steady_clock;
using logging::Environment;

std::string Join(const std::vector<std::string>& parts, const char* separator) {
  std::string joined;
  for (const std::string& each : parts) joined += (joined.empty() ? "" : separator) + each;
  return joined;
}

std::vector<std::string> NodesOf(const JobDescription& job) {
  std::vector<std::string> nodes;
  for (const ProcessPlace& place : job.ranks) {
    if (std::find(nodes.begin(), nodes.end(), place.node) == nodes.end()) {
      nodes.push_back(place.node);
    }
  }
  return nodes;
}

RelaunchOptions LaunchOptions(const CommandOptions& options, const std::string& this_node) {
  RelaunchOptions launch;
  launch.mpirun = options.mpirun;
  launch.extra = options.mpirun_arguments;
  launch.this_node = this_node;
  launch.job_directory = options.job_directory;
  launch.hostfile = RecoveryDirectory(options.job_directory) + "/hostfile";
  launch.current = CurrentEnvironment();
  return launch;
}

// mpirun of the job is at work on this node.
bool LauncherRuns(const JobDescription& job, const std::string& this_node) {
  return job.launcher.pid > 0 && job.launcher.node == this_node &&
         ProcessRuns(static_cast<std::int32_t>(job.launcher.pid), job.launcher.pid_start_time);
}

// Asks the nodes until nothing of the failed job runs any more and its companions have written down
// how each rank ended, or the time is over.
Findings AskNodes(Environment* environment, const CommandOptions& options, Examination* examination,
                  std::vector<RankEvidence>* evidence) {
  const JobDescription& job = examination->job;
  SurveyOptions survey;
  survey.job_directory = options.job_directory;
  survey.this_node = examination->this_node;
  survey.launch = LaunchOptions(options, examination->this_node);
  survey.node_timeout = options.node_timeout;
  if (options.verbose) survey.say = Say;
  const std::vector<std::string> nodes = NodesOf(job);
  if (nodes.size() > 1 || nodes.front() != examination->this_node) {
    survey.inventory_program =
        options.inventory_program.empty() ? FindInventoryProgram() : options.inventory_program;
  }
  const Clock::time_point deadline = Clock::now() + options.wait;
  constexpr auto kForRecords = std::chrono::seconds(3);
  std::optional<Clock::time_point> records_deadline;
  bool said = false;
  for (;;) {
    std::vector<NodeInventory> inventories = SurveyNodes(environment, job, survey, nodes);
    examination->reached_nodes.clear();
    examination->lost_nodes.clear();
    for (const NodeInventory& each : inventories) {
      if (each.reached) {
        examination->reached_nodes.push_back(each.node);
        continue;
      }
      examination->lost_nodes.push_back(each.node);
      Say(fmt::format("node {} is lost: {}", each.node, each.reason));
    }
    Findings findings =
        GatherEvidence(environment, options.job_directory, job, std::move(inventories), evidence);
    const std::vector<std::string> running = RunningRanks(findings);
    const bool launcher_runs = LauncherRuns(job, examination->this_node);
    const Clock::time_point now = Clock::now();
    if (!running.empty() || launcher_runs) {
      std::vector<std::string> what = running;
      if (launcher_runs) what.push_back(fmt::format("mpirun (process {})", job.launcher.pid));
      const bool ending =
          FailureIsKnown(job, options.job_directory, examination->this_node) && now < deadline;
      if (!ending) {
        throw RecoveryError(fmt::format(
            "the job still runs: {}; wait for its end, or end it (kill the mpirun that started it)",
            Join(what, ", ")));
      }
      if (!said) Say("waiting for what is left of the failed job to end: " + Join(what, ", "));
      said = true;
    } else if (AwaitsEndRecords(findings)) {
      if (!records_deadline) records_deadline = now + kForRecords;
      if (now >= *records_deadline) return findings;
    } else {
      return findings;
    }
    constexpr int kBetweenMilliseconds = 200;
    poll(nullptr, 0, kBetweenMilliseconds);
  }
}

GatheringOptions GatheringFor(const CommandOptions& options, const Examination& examination) {
  GatheringOptions gathering;
  gathering.job_directory = options.job_directory;
  gathering.this_node = examination.this_node;
  gathering.launch = LaunchOptions(options, examination.this_node);
  gathering.node_timeout = options.node_timeout;
  gathering.wanted = options.to;
  gathering.say = Say;
  const std::vector<std::string> nodes = NodesOf(examination.job);
  if (nodes.size() > 1 || nodes.front() != examination.this_node) {
    gathering.inventory_program =
        options.inventory_program.empty() ? FindInventoryProgram() : options.inventory_program;
  }
  return gathering;
}

void ShowRemarks(const CommandOptions& options, const std::vector<std::string>& remarks) {
  if (!options.verbose) return;
  for (const std::string& each : remarks) Say(each);
}

// Stops, unless the user insists.
void NeedsForce(const CommandOptions& options, const std::string& text, const char* advice) {
  if (options.force) {
    Say(text + "; going on (--force)");
    return;
  }
  throw RecoveryError(fmt::format("{}; {}", text, advice));
}

// The inputs of the decision whether the program dies at one point again and again.
EpochHistory RecordHistory(const CommandOptions& options, const Examination& examination) {
  const std::uint32_t epoch = examination.job.current_epoch();
  EpochHistory history = ReadHistory(options.job_directory, epoch).value_or(EpochHistory());
  history.positions.clear();
  history.lost.clear();
  for (const RankFindings& each : examination.findings.ranks) {
    history.positions.push_back(each.position);
    if (each.end && (each.end->end == RankEnd::kLost || each.end->end == RankEnd::kExited)) {
      history.lost.push_back(each.rank);
    }
  }
  WriteHistory(options.job_directory, epoch, history);
  return history;
}

void CheckSamePoint(const CommandOptions& options, const Examination& examination) {
  const std::uint32_t epoch = examination.job.current_epoch();
  const EpochHistory last = RecordHistory(options, examination);
  if (epoch == 0) return;
  const std::optional<EpochHistory> before = ReadHistory(options.job_directory, epoch - 1);
  if (!before) return;
  const std::optional<int> rank = DiesAtTheSamePoint(*before, last);
  if (!rank) return;
  NeedsForce(
      options,
      fmt::format("rank {} died twice at the same point (event {}, the same messages and "
                  "output): it looks like the program's own fault (exit code {})",
                  *rank, last.positions[static_cast<std::size_t>(*rank)].interval, *last.exit_code),
      "a further recovery would end the same way; --force tries it");
}

int TerminalColumns() {
  winsize size{};
  constexpr int kDefault = 80;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefault;
  return size.ws_col;
}

// How the ranks of an epoch have ended so far.
struct Ends {
  int done = 0;
  int survivors = 0;
  int by_themselves = 0;              // MPI_Abort, exit without success
  std::vector<std::string> failures;  // lost ranks, as text
  [[nodiscard]] bool failed() const { return survivors + by_themselves > 0 || !failures.empty(); }
};

Ends ReadEnds(const std::string& job_directory, const JobDescription& job) {
  Ends ends;
  for (int rank = 0; rank < job.np; ++rank) {
    const std::uint32_t epoch = job.current_epoch();
    if (access(UnbornPath(job_directory, epoch, rank).c_str(), F_OK) == 0) {
      ends.failures.push_back(fmt::format("rank {} was lost before MPI_Init had finished", rank));
      continue;
    }
    for (const std::string& path :
         {DonePath(job_directory, epoch, rank), LostPath(job_directory, epoch, rank),
          SurvivorPath(job_directory, epoch, rank)}) {
      std::optional<RankEndRecord> record;
      try {
        record = ReadRankEnd(path, job.job);
      } catch (const JobDirectoryError&) {
        continue;  // being looked at for a hint only
      }
      if (!record) continue;
      switch (record->end) {
        case RankEnd::kDone:
          ++ends.done;
          break;
        case RankEnd::kSurvivor:
          ++ends.survivors;
          break;
        case RankEnd::kExited:
        case RankEnd::kAborted:
          ++ends.by_themselves;
          break;
        case RankEnd::kLost:
          ends.failures.push_back(fmt::format("rank {} on {} was lost", rank, record->node));
          break;
      }
      break;
    }
  }
  return ends;
}

// Where the job's standard input goes on: when it was a regular file, in that file behind what is
// logged. -1: this process's own (what a terminal or a pipe had given is in the log).
int OpenInput(const CommandOptions& options, const JobDescription& job) {
  if (job.launcher_stdin.empty()) return -1;
  const StdinPosition position = ReadStdinPosition(StdinLogPath(options.job_directory), job.job);
  const int file = open(job.launcher_stdin.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 || lseek(file, static_cast<off_t>(position.logged), SEEK_SET) < 0) {
    const int error = errno;
    if (file >= 0) close(file);
    if (position.ended) return -1;
    throw RecoveryError(fmt::format(
        "{}: the job's standard input, of which {} bytes were read, can't be read on: {}; put the "
        "file back",
        job.launcher_stdin, position.logged, std::strerror(error)));
  }
  return file;
}

// The files that only recovery needs; the job directory itself belongs to the job's companions.
void CleanUp(const std::string& job_directory) {
  std::error_code error;
  if (access(JobFilePath(job_directory).c_str(), F_OK) == 0) return;  // kept (FT_KEEP)
  std::filesystem::remove_all(RecoveryDirectory(job_directory), error);
  rmdir(job_directory.c_str());
}

}  // namespace

void Say(const std::string& text) {
  fmt::print(stderr, "mpi-ft-recover: {}\n", text);
  std::fflush(stderr);
}

Examination Examine(const CommandOptions& options) {
  Environment* environment = Environment::Posix();
  Examination examination;
  examination.this_node = environment->HostName();
  examination.job = ReadJobDescription(options.job_directory);
  const JobDescription& job = examination.job;
  const logging::Mode mode = ModeOf(job);
  CheckNotFinished(job, options.job_directory);
  CheckProgram(job);

  std::vector<RankEvidence> evidence;
  examination.findings = AskNodes(environment, options, &examination, &evidence);
  ShowRemarks(options, examination.findings.remarks);
  const std::string by_itself = EndedByItself(examination.findings);
  if (!by_itself.empty()) {
    NeedsForce(options, by_itself, "a recovery would end the same way; --force tries it");
  }
  LineOptions line;
  line.mode = mode;
  line.lost_units = examination.findings.lost_units;
  line.tolerated_units = mode == logging::Mode::kCausal ? job.causal_f : 1;

  std::vector<std::string> before;
  for (const ProcessPlace& place : job.ranks) before.push_back(place.node);
  const std::vector<std::string>& usable =
      options.hosts.empty() ? examination.reached_nodes : options.hosts;
  if (usable.empty()) {
    throw RecoveryError("no node of the job can be reached; --hosts A,B,... names others");
  }
  StartOptions start_options;
  start_options.job_directory = options.job_directory;
  start_options.line = line;
  start_options.nodes_now = PlaceRanks(before, usable);
  start_options.lost_nodes = examination.lost_nodes;
  start_options.wanted = options.to;
  Start start;
  // Of registered state nothing is replayed: what the logs lack does not matter.
  if (const std::optional<RegisteredChoice> registered =
          ChooseRegistered(environment, options.job_directory, job)) {
    if (options.to) {
      throw RecoveryError(
          "--to is not possible with registered state (FT_STATE=registered): the job goes back to "
          "its last checkpoint; leave the option out");
    }
    start.line = LineFromRegistered(job.np);
    start.plan = MakePlan(job, examination.findings, start.line, start_options.nodes_now,
                          examination.lost_nodes);
    EnterRegistered(*registered, &start.plan);
    start.remarks = registered->remarks;
  } else if (HasOwnCheckpoints(environment, options.job_directory, job.np)) {
    start = ChooseOwnStart(environment, start_options, job, examination.findings, evidence);
  } else {
    if (mode != logging::Mode::kCoordinated) {
      for (const std::string& remark :
           GatherNewest(environment, GatheringFor(options, examination), job, examination.findings))
        Say(remark);
    }
    start = ChooseStart(environment, start_options, job, examination.findings, evidence);
  }
  // A checkpoint that is passed over is work that is done again: that is always said.
  for (const std::string& remark : start.remarks) Say(remark);
  examination.line = std::move(start.line);
  examination.plan = std::move(start.plan);
  examination.newer_checkpoints = std::move(start.newer);
  examination.newer_own = std::move(start.newer_own);
  examination.own_checkpoints = start.own;
  ShowRemarks(options, examination.line.remarks);
  for (const std::string& doubt : examination.line.doubts) {
    NeedsForce(options, doubt,
               "--force recovers what is left, but its output may contradict what was shown");
  }
  if (mode == logging::Mode::kCoordinated && !start.remarks.empty()) {
    NeedsForce(options, "the last permanent checkpoint can't be used, and this mode logs nothing",
               "--force goes back further, but what the job does then may contradict what was "
               "shown");
  }
  CheckSamePoint(options, examination);
  return examination;
}

int Relaunch(const CommandOptions& options, Examination* examination) {
  Environment* environment = Environment::Posix();
  const ReplayPlan& plan = examination->plan;
  JobDescription* job = &examination->job;
  RelaunchOptions launch_options = LaunchOptions(options, examination->this_node);
  launch_options.epoch = plan.epoch;
  launch_options.own_checkpoints = examination->own_checkpoints;
  if (!plan.ranks.empty() && !launch_options.own_checkpoints)
    launch_options.checkpoint_csn = plan.ranks.front().checkpoint_csn;
  std::vector<std::uint64_t> events;
  for (const PlanRank& each : plan.ranks) {
    launch_options.nodes.push_back(each.node_now);
    events.push_back(each.events);
  }
  Launch launch = MakeLaunch(*job, launch_options);
  const int input = OpenInput(options, *job);
  launch.input = input;
  for (const std::string& remark : launch.remarks) Say(remark);
  if (!launch.hostfile.empty()) ReplaceFile(launch_options.hostfile, launch.hostfile);
  if (options.verbose) Say("starting: " + Join(launch.arguments, " "));

  CommitPlan(environment, options.job_directory, plan, examination->line, job);
  RemoveNewer(environment, options.job_directory, examination->newer_checkpoints);
  RemoveNewerOwn(environment, options.job_directory, examination->newer_own);
  BlockSignals();
  const pid_t mpirun = StartProgram(launch);
  if (input >= 0) close(input);

  ProgressDisplay display(isatty(STDERR_FILENO) == 1, TerminalColumns());
  WatchOptions watch;
  watch.grace = options.grace;
  watch.tick = [&] {
    if (!display.finished()) {
      const std::string text = display.Update(
          ReadProgress(options.job_directory, job->job, plan.epoch, events), Clock::now());
      if (!text.empty()) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
      }
    }
    const Ends ends = ReadEnds(options.job_directory, *job);
    return ends.failed() || ends.done == job->np;
  };
  const WatchResult result = Watch(mpirun, watch);
  std::fputs(display.Clear().c_str(), stderr);
  if (result.ended_by_watchdog) {
    Say(fmt::format("mpirun did not end within {} s after the job's ranks had; it was ended",
                    options.grace.count()));
  }
  const ProgressState last_progress =
      ReadProgress(options.job_directory, job->job, plan.epoch, events);
  const Ends ends = ReadEnds(options.job_directory, *job);
  // A job that ended well takes its directory away, unless it is kept.
  const bool removed = access(JobFilePath(options.job_directory).c_str(), F_OK) != 0;
  if (!removed) {
    EpochHistory history;
    history.exit_code = result.exit_code;
    WriteHistory(options.job_directory, plan.epoch, history);
  }
  if (result.exit_code == 0 || removed || ends.done == job->np) {
    if (!display.finished()) {
      const std::uint64_t total = std::accumulate(events.begin(), events.end(), std::uint64_t{0});
      Say(fmt::format("replayed {0} of {0} events: the job has ended", total));
    }
    if (result.exit_code != 0 && !result.ended_by_watchdog) {
      Say(fmt::format("all ranks had ended well when mpirun ended with exit code {}",
                      result.exit_code));
    }
    CleanUp(options.job_directory);
    return 0;
  }
  const bool came_up = display.finished() || last_progress.ranks_done > 0 || ends.failed();
  if (ends.by_themselves > 0 && ends.failures.empty()) return result.exit_code;
  if (came_up || result.ended_by_watchdog) {
    Say(fmt::format("the job has failed again{}{}; to recover it type: mpi-ft-recover {}",
                    ends.failures.empty() ? "" : ": ", Join(ends.failures, ", "),
                    options.job_directory));
  } else if (result.forwarded_signal == 0) {
    Say(fmt::format(
        "mpirun ended with exit code {} before the job came up; once the reason is gone, "
        "type again: mpi-ft-recover {}",
        result.exit_code, options.job_directory));
  }
  return result.exit_code;
}

int RecoverCommand(const CommandOptions& options) {
  ReadJobDescription(options.job_directory);  // before anything is made in the directory
  const JobLock lock(options.job_directory);
  Examination examination = Examine(options);
  if (options.json) {
    const std::string text =
        PlanJson(examination.plan, examination.job, options.job_directory, examination.line);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
  }
  const std::string table = PlanTable(examination.plan, examination.job);
  std::fwrite(table.data(), 1, table.size(), options.dry_run ? stdout : stderr);
  if (options.dry_run) return 0;
  return Relaunch(options, &examination);
}

}  // namespace ftmpi::recovery
