#include "checkpoint/server_start.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

#include "logging/installed_programs.h"

namespace ftmpi::checkpoint {
namespace {

constexpr int kStartMilliseconds = 30000;
constexpr int kLowestDescriptor = 10;  // above all targets of the spawn

// No LD_PRELOAD: neither ftmpi nor the program's own libraries belong into the server.
std::vector<char*> ServerEnvironment(char* secret) {
  std::vector<char*> result{secret};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("LD_PRELOAD=") || text.starts_with(kSecretVariable)) continue;
    result.push_back(*variable);
  }
  result.push_back(nullptr);
  return result;
}

// Its first process forks and exits at once, so that the program's own wait() never meets it.
bool Spawn(const std::string& program, const std::vector<std::string>& arguments,
           const std::string& secret, int ready, std::string* error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int standard = 0; standard < 3; ++standard) {
    // Not the rank's: who reads the rank's output must not wait for us.
    posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, ready, kReadyDescriptor);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  std::string setting = std::string(kSecretVariable) + "=" + secret;
  std::vector<char*> environment = ServerEnvironment(setting.data());
  // A SIGCHLD handler of the program must not see our child.
  sigset_t child;
  sigset_t old;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &child, &old);
  pid_t first = 0;
  const int failed =
      posix_spawn(&first, program.c_str(), &actions, &attributes, argv.data(), environment.data());
  int status = 0;
  pid_t waited = 0;
  if (failed == 0) {
    do {
      waited = waitpid(first, &status, 0);
    } while (waited < 0 && errno == EINTR);
    if (!sigismember(&old, SIGCHLD)) {
      const timespec now{};
      sigtimedwait(&child, nullptr, &now);  // takes the pending signal of `first`, if there is one
    }
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    *error = program + ": can't be started: " + std::strerror(failed) +
             "; ftmpi needs this program (install libftmpi.so and the directory ftmpi/ together)";
    return false;
  }
  // ECHILD: the program ignores SIGCHLD; then the pipe tells whether all is well.
  if (waited == first && status != 0) {
    *error = program + ": failed at its start" +
             (WIFEXITED(status) ? " (exit code " + std::to_string(WEXITSTATUS(status)) + ")" : "");
    return false;
  }
  return true;
}

// What the server says before it closes the pipe.
bool AwaitReady(int pipe_end, const std::string& program, std::uint16_t* port, std::string* error) {
  std::string text;
  for (;;) {
    pollfd wait{pipe_end, POLLIN, 0};
    const int ready = poll(&wait, 1, kStartMilliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      *error = program + ": does not come up";
      return false;
    }
    char buffer[1024];
    const ssize_t got = read(pipe_end, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  if (text.starts_with(kReady)) {
    if (port != nullptr) {
      *port =
          static_cast<std::uint16_t>(std::strtoul(text.c_str() + std::strlen(kReady), nullptr, 10));
    }
    return true;
  }
  *error = program + ": " + (text.empty() ? "ended at its start" : text);
  return false;
}

}  // namespace

std::string ServerSocketPath(const std::string& local_directory, std::uint32_t epoch) {
  return local_directory + "/checkpoint-server-" + std::to_string(epoch);
}

std::string PartnerStoreDirectory(const std::string& local_directory) {
  return local_directory + "/partner";
}

std::string LocalStoreDirectory(const std::string& local_directory) {
  return local_directory + "/store";
}

bool StartCheckpointServer(const ServerFacts& facts, const std::string& program,
                           std::uint16_t* port, std::string* error) {
  std::string path = program;
  if (path.empty()) {
    if (!logging::InstalledPrograms(&path, error)) return false;
    path += "/mpi-ft-checkpoint-server";
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    *error =
        std::string("ftmpi needs a few more file descriptors (ulimit -n): ") + std::strerror(errno);
    return false;
  }
  // Above the descriptors that the spawn sets.
  const int ready = fcntl(ends[1], F_DUPFD_CLOEXEC, kLowestDescriptor);
  close(ends[1]);
  if (ready < 0) {
    *error =
        std::string("ftmpi needs a few more file descriptors (ulimit -n): ") + std::strerror(errno);
    close(ends[0]);
    return false;
  }
  const std::vector<std::string> arguments{path,
                                           ServerSocketPath(facts.local_directory, facts.epoch),
                                           facts.job_directory,
                                           LocalStoreDirectory(facts.local_directory),
                                           PartnerStoreDirectory(facts.local_directory),
                                           std::to_string(getpid())};
  const bool spawned = Spawn(path, arguments, facts.secret, ready, error);
  close(ready);
  const bool started = spawned && AwaitReady(ends[0], path, port, error);
  close(ends[0]);
  return started;
}

}  // namespace ftmpi::checkpoint
