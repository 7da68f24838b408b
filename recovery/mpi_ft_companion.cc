// mpi-ft-companion <pid of the rank>: started by libftmpi.so in each rank, never by hand.
// See recovery/companion.h and logging/COMPANION.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "logging/companion_protocol.h"
#include "recovery/companion.h"

namespace {

using ftmpi::logging::CompanionHeader;

// The descriptor if it was given, else -1 (then /dev/null is in its place, close-on-exec).
int Given(int number) {
  if ((fcntl(number, F_GETFD) & FD_CLOEXEC) != 0) return -1;
  fcntl(number, F_SETFD, FD_CLOEXEC);
  return number;
}

long NumberFrom(const char* variable, long otherwise) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  return end != text && *end == '\0' && value >= 0 ? value : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  namespace logging = ftmpi::logging;
  const long rank_pid = argc == 2 ? std::strtol(argv[1], nullptr, 10) : 0;
  int type = 0;
  socklen_t length = sizeof type;
  if (rank_pid <= 0 || getppid() != rank_pid ||
      getsockopt(logging::kCompanionChannel, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
      type != SOCK_SEQPACKET) {
    std::fprintf(stderr,
                 "mpi-ft-companion is started by libftmpi.so in each rank of a job; it is no "
                 "command to be typed\n");
    return 2;
  }
  ftmpi::recovery::CompanionOptions options;
  options.rank_pid = rank_pid;
  syscall(SYS_close_range, logging::kCompanionDescriptors, UINT_MAX, 0);
  options.pidfd = static_cast<int>(syscall(SYS_pidfd_open, rank_pid, 0));
  const std::string stat_name = "/proc/" + std::string(argv[1]) + "/stat";
  options.stat_file = open(stat_name.c_str(), O_RDONLY | O_CLOEXEC);
  // Still our parent: so the descriptor is the rank's and not that of a later process.
  if (options.pidfd < 0 || getppid() != rank_pid) return 3;

  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCONT, SIGQUIT, SIGTSTP, SIGTTOU,
                           SIGTTIN, SIGUSR1, SIGUSR2}) {
    ::signal(signal, SIG_IGN);
  }
  // Its own process group and session (set by the library), and nobody's child.
  const pid_t child = fork();
  if (child < 0) return 4;
  if (child > 0) _exit(0);
  prctl(PR_SET_NAME, "ftmpi-companion");

  char directory[PATH_MAX];
  if (getcwd(directory, sizeof directory) != nullptr) options.working_directory = directory;
  if (chdir("/") != 0) return 5;

  options.channel = logging::kCompanionChannel;
  fcntl(options.channel, F_SETFD, FD_CLOEXEC);
  options.output_read = Given(logging::kCompanionOutputRead);
  options.error_read = Given(logging::kCompanionErrorRead);
  options.output_write = Given(logging::kCompanionOutputWrite);
  options.error_write = Given(logging::kCompanionErrorWrite);
  options.input_read = Given(logging::kCompanionInputRead);
  options.input_write = Given(logging::kCompanionInputWrite);
  options.local_ranks = static_cast<int>(NumberFrom("OMPI_COMM_WORLD_LOCAL_SIZE", 0));
  const long epoch = NumberFrom("FTMPI_RECOVER_EPOCH", 0);
  const char* job_directory = std::getenv("FTMPI_JOBDIR");
  if (epoch > 0 && job_directory != nullptr) {
    options.recovered_job_directory = job_directory;
    options.recover_epoch = static_cast<std::uint32_t>(epoch);
    options.recover_rank = static_cast<int>(NumberFrom("OMPI_COMM_WORLD_RANK", -1));
  }
  const auto say_hello = [&] {
    const CompanionHeader hello{logging::kCompanionMagic, logging::kCompanionVersion,
                                static_cast<std::uint16_t>(logging::CompanionMessageType::kReply),
                                0, static_cast<std::uint32_t>(getpid())};
    return send(options.channel, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello;
  };
  try {
    ftmpi::recovery::Companion companion(options);
    if (!say_hello()) return 6;
    companion.Run();
  } catch (const std::exception& error) {
    const std::string line = std::string("ftmpi: ") + error.what() + "\n";
    (void)!write(STDERR_FILENO, line.data(), line.size());
    return 1;
  }
  return 0;
}
