#include "recovery/relaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

#include <poll.h>

#include "recovery/evidence.h"
#include "recovery/launcher_command.h"

extern char** environ;

namespace ftmpi::recovery {
namespace {

using Map = std::map<std::string, std::string>;

bool StartsWithAny(const std::string& name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Settings of the MPI library and its launcher.
bool IsMpiSetting(const std::string& name) {
  return StartsWithAny(name, {"OMPI_MCA_", "OMPI_ALLOW_RUN_AS_ROOT", "PMIX_MCA_", "PRTE_MCA_"});
}

// What makes ssh and Kerberos work belongs to who types the command now.
bool IsCredential(const std::string& name) { return StartsWithAny(name, {"SSH_", "KRB5"}); }

// What belongs to one login on one node and is not handed to another.
bool IsOfOneLogin(const std::string& name) {
  static const std::set<std::string> kNames = {"_",      "HOME", "HOSTNAME",   "LOGNAME", "MAIL",
                                               "OLDPWD", "PWD",  "SHELL",      "SHLVL",   "TERM",
                                               "TMPDIR", "USER", "XAUTHORITY", "DISPLAY"};
  return kNames.count(name) != 0 || IsCredential(name) ||
         StartsWithAny(name, {"XDG_", "DBUS_", "BASH_FUNC_"});
}

// What ranks on other nodes always need.
bool IsForRanks(const std::string& name) {
  return StartsWithAny(name, {"FT_"}) || name == "LD_PRELOAD" || name == "LD_LIBRARY_PATH";
}

Variables ToVariables(const Map& map) { return {map.begin(), map.end()}; }

std::string MpirunOf(const JobDescription& job, const RelaunchOptions& options) {
  if (!options.mpirun.empty()) return options.mpirun;
  if (job.launcher_command.empty()) return "mpirun";
  const std::string& recorded = job.launcher_command.front();
  if (recorded.find('/') == std::string::npos || recorded.front() == '/') return recorded;
  return job.launcher_directory.empty() ? recorded : job.launcher_directory + "/" + recorded;
}

// mpirun's environment when it gets the current one with the job's MPI settings.
Map CurrentWithSettings(const JobDescription& job, const RelaunchOptions& options) {
  Map variables;
  for (const auto& [name, value] : options.current) {
    if (name.starts_with("FTMPI_") || IsLauncherVariable(name) || IsForRanks(name)) {
      if (name != "LD_LIBRARY_PATH") continue;
    }
    variables[name] = value;
  }
  for (const auto& [name, value] : job.environment) {
    if (IsMpiSetting(name)) variables[name] = value;
  }
  return variables;
}

}  // namespace

Launch MakeLaunch(const JobDescription& job, const RelaunchOptions& options) {
  Launch launch;
  LauncherCommand recorded;
  if (!job.launcher_command.empty()) {
    recorded = ParseLauncherCommand(job.launcher_command);
    if (recorded.several_programs) {
      throw RecoveryError(recorded.problem +
                          ": a job whose ranks run different programs can't be started again by "
                          "mpi-ft-recover");
    }
    if (!recorded.problem.empty()) {
      launch.remarks.push_back(recorded.problem +
                               "; the job is started again without the options of its mpirun "
                               "(--mpirun-arg gives them)");
    }
  }
  const bool mpirun_was_here = !job.launcher_command.empty();
  const bool one_node = std::all_of(options.nodes.begin(), options.nodes.end(),
                                    [&](const auto& node) { return node == options.this_node; });

  std::vector<std::string>& arguments = launch.arguments;
  arguments = {MpirunOf(job, options), "-np", std::to_string(job.np), "--oversubscribe"};
  if (!one_node) {
    arguments.insert(arguments.end(), {"--map-by", "seq", "--hostfile", options.hostfile});
    for (const std::string& node : options.nodes) launch.hostfile += node + "\n";
  }
  arguments.insert(arguments.end(), recorded.kept.begin(), recorded.kept.end());
  arguments.insert(arguments.end(), {"--wdir", job.working_directory});

  Map variables;
  std::set<std::string> exported;
  if (mpirun_was_here) {
    for (const auto& [name, value] : job.environment) variables[name] = value;
    for (const auto& [name, value] : options.current) {
      if (IsCredential(name)) variables[name] = value;
    }
    for (const std::string& name : recorded.exported) exported.insert(name);
    for (const auto& [name, value] : variables) {
      if (IsForRanks(name)) exported.insert(name);
    }
    std::erase_if(exported, [&](const std::string& name) { return variables.count(name) == 0; });
    for (const std::string& name : exported) arguments.insert(arguments.end(), {"-x", name});
  } else {
    variables = CurrentWithSettings(job, options);
    for (const auto& [name, value] : job.environment) {
      if (IsMpiSetting(name) || IsOfOneLogin(name) || name == "PATH") continue;
      arguments.insert(arguments.end(), {"-x", name + "=" + value});
    }
  }
  std::erase_if(variables, [](const auto& each) { return each.first.starts_with("FTMPI_"); });
  if (!one_node) {
    // A node that is lost silently is noticed within seconds instead of minutes.
    variables.try_emplace("OMPI_MCA_oob_tcp_keepalive_time", "1");
    variables.try_emplace("OMPI_MCA_oob_tcp_keepalive_intvl", "1");
    variables.try_emplace("OMPI_MCA_oob_tcp_keepalive_probes", "2");
  }
  variables["FTMPI_JOBDIR"] = options.job_directory;
  variables["FTMPI_RECOVER_EPOCH"] = std::to_string(options.epoch);
  variables["FTMPI_LOCAL"] = job.local_directory;
  arguments.insert(arguments.end(),
                   {"-x", "FTMPI_JOBDIR", "-x", "FTMPI_RECOVER_EPOCH", "-x", "FTMPI_LOCAL"});
  if (options.own_checkpoints || options.checkpoint_csn != 0) {
    variables["FTMPI_RESTART_CSN"] =
        options.own_checkpoints ? "own" : std::to_string(options.checkpoint_csn);
    arguments.insert(arguments.end(), {"-x", "FTMPI_RESTART_CSN"});
  }
  arguments.insert(arguments.end(), options.extra.begin(), options.extra.end());
  const std::vector<std::string>& program =
      recorded.program.empty() ? job.program : recorded.program;
  arguments.insert(arguments.end(), program.begin(), program.end());
  launch.environment = ToVariables(variables);
  launch.directory =
      job.launcher_directory.empty() ? job.working_directory : job.launcher_directory;
  return launch;
}

Launch MakeNodeLaunch(const JobDescription& job, const RelaunchOptions& options,
                      const std::string& node, const std::vector<std::string>& program) {
  Launch launch;
  launch.arguments = {MpirunOf(job, options), "-np", "1", "--host", node, "--oversubscribe"};
  launch.arguments.insert(launch.arguments.end(), program.begin(), program.end());
  launch.environment = ToVariables(CurrentWithSettings(job, options));
  return launch;
}

Variables CurrentEnvironment() {
  Variables variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  return signals;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& each : strings) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = WatchedSignals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

pid_t StartProgram(const Launch& launch) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : launch.environment) environment.push_back(name + "=" + value);
  const std::vector<char*> arguments = Pointers(launch.arguments);
  const std::vector<char*> variables = Pointers(environment);
  // exec's errno comes back through this pipe; it closes by itself when exec succeeds.
  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) != 0) {
    throw RecoveryError(fmt::format("no pipe can be made: {}", std::strerror(errno)));
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(report[0]);
    close(report[1]);
    throw RecoveryError(fmt::format("no process can be started: {}", std::strerror(error)));
  }
  if (child == 0) {
    const sigset_t signals = WatchedSignals();
    sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    int error = 0;
    if ((launch.input >= 0 && dup2(launch.input, STDIN_FILENO) < 0) ||
        (launch.output >= 0 &&
         (dup2(launch.output, STDOUT_FILENO) < 0 || dup2(launch.output, STDERR_FILENO) < 0))) {
      error = errno;
    }
    if (error == 0 && !launch.directory.empty() && chdir(launch.directory.c_str()) != 0) {
      error = errno;
    }
    if (error == 0) {
      execvpe(arguments[0], arguments.data(), variables.data());
      error = errno;
    }
    [[maybe_unused]] const ssize_t written = write(report[1], &error, sizeof error);
    _exit(127);
  }
  close(report[1]);
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(report[0], &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  close(report[0]);
  if (got > 0) {
    waitpid(child, nullptr, 0);
    throw RecoveryError(fmt::format(
        "{} can't be started in {}: {}; --mpirun names another one", launch.arguments[0],
        launch.directory.empty() ? "." : launch.directory, std::strerror(error)));
  }
  return child;
}

int ExitCodeOf(int wait_status) {
  constexpr int kSignalBase = 128;
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : kSignalBase + WTERMSIG(wait_status);
}

WatchResult Watch(pid_t program, const WatchOptions& options) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kTick = std::chrono::milliseconds(500);
  constexpr auto kBeforeKill = std::chrono::seconds(5);
  WatchResult result;
  const sigset_t signals = WatchedSignals();
  const int file = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (file < 0) throw RecoveryError(fmt::format("signalfd: {}", std::strerror(errno)));
  bool gone = false;
  bool terminated = false;
  Clock::time_point deadline;
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(program, &status, WNOHANG);
    if (ended == program) {
      result.exit_code = ExitCodeOf(status);
      break;
    }
    pollfd wait{file, POLLIN, 0};
    poll(&wait, 1, static_cast<int>(kTick.count()));
    signalfd_siginfo information;
    while (read(file, &information, sizeof information) == sizeof information) {
      if (information.ssi_signo == SIGCHLD) continue;
      const int signal = static_cast<int>(information.ssi_signo);
      result.forwarded_signal = signal;
      // From the terminal (the kernel): mpirun is in the same foreground group and has it already.
      if (information.ssi_code != SI_KERNEL) kill(program, signal);
    }
    if (!options.tick) continue;
    const auto now = Clock::now();
    if (!options.tick()) {
      gone = false;
      continue;
    }
    if (!gone) {
      gone = true;
      deadline = now + options.grace;
    } else if (now >= deadline) {
      result.ended_by_watchdog = true;
      kill(program, terminated ? SIGKILL : SIGTERM);
      terminated = true;
      deadline = now + kBeforeKill;
    }
  }
  close(file);
  return result;
}

}  // namespace ftmpi::recovery
