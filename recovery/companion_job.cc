#include "recovery/companion_job.h"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <set>

#include "recovery/durable_file.h"

namespace ftmpi::recovery {
namespace {

std::string ProcPath(std::int64_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::vector<std::string> SplitAtZeros(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string LinkTarget(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length <= 0 ? std::string() : std::string(target, static_cast<std::size_t>(length));
}

// The text of /proc/<pid>/stat behind the name in parentheses: fields 3, 4, ...
std::vector<std::string> StatFields(std::int64_t pid) {
  std::optional<std::string> text;
  try {
    text = ReadWholeFile(ProcPath(pid, "stat"));
  } catch (const JobDirectoryError&) {  // it ended meanwhile
  }
  std::vector<std::string> fields;
  if (!text) return fields;
  std::size_t at = text->rfind(')');
  if (at == std::string::npos) return fields;
  ++at;
  while (at < text->size()) {
    at = text->find_first_not_of(" \n", at);
    if (at == std::string::npos) break;
    const std::size_t end = std::min(text->find_first_of(" \n", at), text->size());
    fields.push_back(text->substr(at, end - at));
    at = end;
  }
  return fields;
}

std::int64_t ParentOf(std::int64_t pid) {
  const std::vector<std::string> fields = StatFields(pid);
  return fields.size() > 1 ? std::atoll(fields[1].c_str()) : 0;
}

std::string TextOr(const std::string& path, const std::string& otherwise) {
  try {
    return ReadWholeFile(path).value_or(otherwise);
  } catch (const JobDirectoryError&) {
    return otherwise;
  }
}

// The closest ancestor that is an mpirun; 0: none (another node's daemon started the rank).
std::int64_t FindLauncher(std::int64_t pid) {
  static const std::set<std::string> kLaunchers = {"mpirun\n", "mpiexec\n", "orterun\n",
                                                   "prterun\n", "mpi-ft-run\n"};
  constexpr int kGenerations = 16;
  for (int i = 0; i < kGenerations && pid > 1; ++i) {
    pid = ParentOf(pid);
    if (pid > 1 && kLaunchers.contains(TextOr(ProcPath(pid, "comm"), ""))) return pid;
  }
  return 0;
}

void DescribeLauncher(std::int64_t pid, const std::string& node, JobDescription* job) {
  const std::int64_t launcher = FindLauncher(pid);
  job->launcher = {};
  if (launcher == 0) return;
  job->launcher = {node, launcher, StartTimeOf(launcher)};
}

std::string Terminated(const char* field, std::size_t size, const char* what) {
  const std::size_t length = strnlen(field, size);
  if (length == size) {
    throw JobDirectoryError(std::string("the library's message is damaged (") + what + ")");
  }
  return std::string(field, length);
}

}  // namespace

std::uint64_t StartTimeOf(std::int64_t pid) {
  const std::vector<std::string> fields = StatFields(pid);
  return fields.size() > 19 ? std::strtoull(fields[19].c_str(), nullptr, 10) : 0;
}

CompanionFactsChecked CheckFacts(const logging::CompanionFacts& facts) {
  CompanionFactsChecked checked;
  checked.job = facts.job;
  checked.rank = facts.rank;
  checked.np = facts.np;
  checked.epoch = facts.epoch;
  checked.causal_f = facts.causal_f;
  checked.flush_events = facts.flush_events != 0;
  checked.keep = facts.keep != 0;
  checked.own_checkpoints = facts.own_checkpoints != 0;
  checked.mode = Terminated(facts.mode, sizeof facts.mode, "mode");
  checked.failure_unit = Terminated(facts.failure_unit, sizeof facts.failure_unit, "failure unit");
  checked.job_name = Terminated(facts.job_name, sizeof facts.job_name, "job name");
  checked.node = Terminated(facts.node, sizeof facts.node, "node");
  checked.mpi_version = Terminated(facts.mpi_version, sizeof facts.mpi_version, "MPI version");
  checked.ftmpi_version =
      Terminated(facts.ftmpi_version, sizeof facts.ftmpi_version, "ftmpi version");
  checked.job_directory =
      Terminated(facts.job_directory, sizeof facts.job_directory, "job directory");
  checked.local_directory =
      Terminated(facts.local_directory, sizeof facts.local_directory, "local directory");
  checked.status_path = Terminated(facts.status_path, sizeof facts.status_path, "status page");
  if (checked.np < 1 || checked.rank < 0 || checked.rank >= checked.np) {
    throw JobDirectoryError("rank " + std::to_string(checked.rank) + " of " +
                            std::to_string(checked.np) + " is no rank");
  }
  if (!checked.job_directory.starts_with('/') || !checked.local_directory.starts_with('/')) {
    throw JobDirectoryError("the job directory (" + checked.job_directory +
                            ") and the node-local directory (" + checked.local_directory +
                            ") must be absolute paths");
  }
  return checked;
}

JobDescription DescribeNewJob(const CompanionFactsChecked& facts, std::int64_t pid,
                              const std::string& working_directory,
                              const std::vector<ProcessPlace>& ranks) {
  JobDescription job;
  job.job = facts.job;
  job.name = facts.job_name;
  job.np = facts.np;
  job.ranks = ranks;
  job.local_directory = facts.local_directory;
  job.mode = facts.mode;
  job.failure_unit = facts.failure_unit;
  job.causal_f = facts.causal_f;
  job.program = SplitAtZeros(TextOr(ProcPath(pid, "cmdline"), ""));
  job.executable = LinkTarget(ProcPath(pid, "exe"));
  job.build_id = BuildIdOf(ProcPath(pid, "exe"));
  job.working_directory = working_directory;
  for (const std::string& variable : SplitAtZeros(TextOr(ProcPath(pid, "environ"), ""))) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const std::string name = variable.substr(0, equals);
    if (!IsLauncherVariable(name)) job.environment.emplace_back(name, variable.substr(equals + 1));
  }
  DescribeLauncher(pid, facts.node, &job);
  if (job.launcher.pid != 0) {
    job.launcher_command = SplitAtZeros(TextOr(ProcPath(job.launcher.pid, "cmdline"), ""));
    job.launcher_directory = LinkTarget(ProcPath(job.launcher.pid, "cwd"));
    const std::string input = ProcPath(job.launcher.pid, "fd/0");
    struct stat status {};
    if (stat(input.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      job.launcher_stdin = LinkTarget(input);
    }
  }
  job.mpi_version = facts.mpi_version;
  job.ftmpi_version = facts.ftmpi_version;
  job.epochs.push_back({facts.epoch, static_cast<std::int64_t>(std::time(nullptr)), "started"});
  job.state = JobState::kRunning;
  return job;
}

JobDescription DescribeRecoveredJob(const CompanionFactsChecked& facts, std::int64_t pid,
                                    const std::vector<ProcessPlace>& ranks) {
  JobDescription job = ReadJobDescription(facts.job_directory);
  if (job.job != facts.job || job.np != facts.np) {
    throw JobDirectoryError(JobFilePath(facts.job_directory) + ": describes another job");
  }
  if (job.current_epoch() > facts.epoch) {
    throw JobDirectoryError(JobFilePath(facts.job_directory) + ": recovery epoch " +
                            std::to_string(job.current_epoch()) +
                            " has begun already, this is epoch " + std::to_string(facts.epoch));
  }
  job.ranks = ranks;
  job.local_directory = facts.local_directory;
  DescribeLauncher(pid, facts.node, &job);
  if (job.current_epoch() < facts.epoch) {
    job.epochs.push_back({facts.epoch, static_cast<std::int64_t>(std::time(nullptr)), "recovered"});
  }
  job.state = JobState::kRunning;
  return job;
}

}  // namespace ftmpi::recovery
