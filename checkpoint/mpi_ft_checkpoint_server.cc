// mpi-ft-checkpoint-server <socket> <job directory> <local store> <partner store> <pid of the
// rank>: started by libftmpi.so in the rank that leads its node, never by hand. See
// checkpoint/SERVER.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "checkpoint/server.h"
#include "checkpoint/server_start.h"

namespace {

// Tells the rank how it went: kReady, or the reason.
void Report(const std::string& text) {
  (void)!write(ftmpi::checkpoint::kReadyDescriptor, text.data(), text.size());
  close(ftmpi::checkpoint::kReadyDescriptor);
}

}  // namespace

int main(int argc, char** argv) {
  namespace checkpoint = ftmpi::checkpoint;
  struct stat status;
  const long leader = argc == 6 ? std::strtol(argv[5], nullptr, 10) : 0;
  if (leader <= 0 || getppid() != leader || fstat(checkpoint::kReadyDescriptor, &status) != 0 ||
      !S_ISFIFO(status.st_mode)) {
    std::fprintf(stderr,
                 "mpi-ft-checkpoint-server is started by libftmpi.so on each node of a job; it is "
                 "no command to be typed\n");
    return 2;
  }
  syscall(SYS_close_range, checkpoint::kReadyDescriptor + 1, UINT_MAX, 0);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCONT, SIGQUIT, SIGTSTP, SIGTTOU,
                           SIGTTIN, SIGUSR1, SIGUSR2, SIGXFSZ}) {
    ::signal(signal, SIG_IGN);
  }
  // Nobody's child; its session has been made by the library.
  const pid_t child = fork();
  if (child < 0) return 4;
  if (child > 0) _exit(0);
  prctl(PR_SET_NAME, "ftmpi-ckpt");
  fcntl(checkpoint::kReadyDescriptor, F_SETFD, FD_CLOEXEC);
  rlimit files;  // one descriptor for each process that connects
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  try {
    const char* secret = std::getenv(checkpoint::kSecretVariable);
    checkpoint::Server server(ftmpi::logging::Environment::Posix(),
                              {argv[2], argv[3], argv[4], secret == nullptr ? "" : secret}, argv[1],
                              static_cast<pid_t>(leader));
    // Any working directory keeps its file system busy; all our paths are absolute.
    if (chdir("/") != 0) return 5;
    Report(checkpoint::kReady + std::to_string(server.port()));
    server.Run();
  } catch (const std::exception& error) {
    Report(error.what());
    return 1;
  }
  return 0;
}
