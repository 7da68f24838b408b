#include "pmpi/companion_link.h"

#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "checkpoint/image/process_role.h"
#include "logging/companion_protocol.h"
#include "logging/installed_programs.h"

namespace ftmpi {
namespace {

using logging::CompanionMessageType;
using logging::RankPhase;

constexpr char kRankPidVariable[] = "FTMPI_RANK_PID";
constexpr char kChannelVariable[] = "FTMPI_COMPANION_CHANNEL";
// Our descriptors lie above those that programs expect to get (a program's first open() is 3).
constexpr int kLowestDescriptor = 200;
constexpr int kAttachTimeout =
    120'000;                          // ms; a job directory may lie on a slow network file system
constexpr int kSyncTimeout = 10'000;  // ms

struct Link {
  pid_t rank_pid = 0;  // 0: no companion was started
  pid_t companion_pid = 0;
  int channel = -1;
  std::uint32_t sequence = 0;
  logging::RankStatus* status = nullptr;
  std::mutex mutex;  // one question at a time
};
// Never destroyed: exit handlers use it.
Link& TheLink() {
  static Link* link = new Link;
  return *link;
}
// For signal handlers, which may not run the initialisation above.
std::atomic<Link*> g_link{nullptr};
static_assert(std::atomic<Link*>::is_always_lock_free);

// A descriptor that is closed when it goes out of scope.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void reset(int number) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }
  // Moves it to a number that is out of the program's way.
  bool Raise() {
    if (number_ < 0 || number_ >= kLowestDescriptor) return number_ >= 0;
    int raised = fcntl(number_, F_DUPFD_CLOEXEC, kLowestDescriptor);
    // A small limit of open files: then any number above those that the companion gets.
    if (raised < 0) raised = fcntl(number_, F_DUPFD_CLOEXEC, logging::kCompanionDescriptors);
    if (raised < 0) return false;
    reset(raised);
    return true;
  }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] int release() {
    const int number = number_;
    number_ = -1;
    return number;
  }

 private:
  int number_ = -1;
};

std::string ErrnoText(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

bool ThisIsTheRank(const Link& link) { return link.rank_pid != 0 && link.rank_pid == getpid(); }

// --- Is this process a rank?
// -------------------------------------------------------------------------

struct NeededSearch {
  const void* own_address;
  bool found = false;
};

int LooksForLibmpi(dl_phdr_info* object, std::size_t, void* argument) {
  auto* search = static_cast<NeededSearch*>(argument);
  if (object->dlpi_name != nullptr && std::strstr(object->dlpi_name, "linux-vdso") != nullptr) {
    return 0;
  }
  const ElfW(Dyn)* dynamic = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    const ElfW(Addr) begin = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) {
      const auto own = reinterpret_cast<ElfW(Addr)>(search->own_address);
      // libftmpi itself needs libmpi: that says nothing about the program. (When ftmpi is linked
      // into the program, as in tests, the program is what is asked about.)
      const bool main_program = object->dlpi_name == nullptr || object->dlpi_name[0] == '\0';
      if (!main_program && own >= begin && own < begin + segment.p_memsz) return 0;
    }
    if (segment.p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const ElfW(Dyn)*>(begin);
  }
  if (dynamic == nullptr) return 0;
  const char* strings = nullptr;
  for (const ElfW(Dyn)* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) strings = reinterpret_cast<const char*>(entry->d_un.d_ptr);
  }
  if (strings == nullptr) return 0;
  // glibc relocates this pointer, others don't.
  if (reinterpret_cast<ElfW(Addr)>(strings) < object->dlpi_addr) strings += object->dlpi_addr;
  for (const ElfW(Dyn)* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED &&
        std::strncmp(strings + entry->d_un.d_val, "libmpi.so", 9) == 0) {
      search->found = true;
      return 1;
    }
  }
  return 0;
}

bool NeedsLibmpi() {
  NeededSearch search{reinterpret_cast<const void*>(&LooksForLibmpi)};
  dl_iterate_phdr(&LooksForLibmpi, &search);
  return search.found;
}

// The pid in FTMPI_RANK_PID, 0: not set or no number.
pid_t RankPidInEnvironment() {
  const char* text = std::getenv(kRankPidVariable);
  if (text == nullptr) return 0;
  char* end = nullptr;
  const long pid = std::strtol(text, &end, 10);
  return end != text && *end == '\0' && pid > 0 && pid <= INT_MAX ? static_cast<pid_t>(pid) : 0;
}

// --- Messages -----------------------------------------------------------------------------------

// Async-signal-safe. False: the companion is gone, or `flags` forbid to wait.
bool SendMessage(int channel, CompanionMessageType type, std::uint32_t sequence, const void* body,
                 std::size_t length, int flags) {
  logging::CompanionHeader header{logging::kCompanionMagic, logging::kCompanionVersion,
                                  static_cast<std::uint16_t>(type),
                                  static_cast<std::uint32_t>(length), sequence};
  iovec parts[2] = {{&header, sizeof header}, {const_cast<void*>(body), length}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = length == 0 ? 1 : 2;
  ssize_t sent = -1;
  do {
    sent = sendmsg(channel, &message, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

bool SendCode(const Link& link, CompanionMessageType type, int code, int flags) {
  const logging::CompanionCode body{code, 0};
  return SendMessage(link.channel, type, 0, &body, sizeof body, flags);
}

std::int64_t MonotonicMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Waits for the answer to message `sequence`.
bool AwaitReply(const Link& link, std::uint32_t sequence, int timeout, std::string* error) {
  const std::int64_t end = MonotonicMilliseconds() + timeout;
  for (;;) {
    pollfd waiting{link.channel, POLLIN, 0};
    const std::int64_t left = std::max<std::int64_t>(0, end - MonotonicMilliseconds());
    const int ready = poll(&waiting, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      *error = "the companion process (mpi-ft-companion) doesn't answer within " +
               std::to_string(timeout / 1000) + " s";
      return false;
    }
    struct {
      logging::CompanionHeader header;
      logging::CompanionReply body;
    } answer;
    const ssize_t got = recv(link.channel, &answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) {
      *error = "the companion process (mpi-ft-companion) is gone; its own messages say why";
      return false;
    }
    if (got != sizeof answer || answer.header.magic != logging::kCompanionMagic ||
        answer.header.version != logging::kCompanionVersion ||
        answer.header.type != static_cast<std::uint16_t>(CompanionMessageType::kReply)) {
      *error = "mpi-ft-companion is not of the same version as libftmpi.so: install ftmpi anew";
      return false;
    }
    if (answer.header.sequence != sequence) continue;  // a question that was given up
    if (answer.body.failed == 0) return true;
    answer.body.message[sizeof answer.body.message - 1] = '\0';
    *error = answer.body.message;
    return false;
  }
}

// --- Start --------------------------------------------------------------------------------------

bool CompanionPath(std::string* path, std::string* error) {
  if (!logging::InstalledPrograms(path, error)) return false;
  *path += "/mpi-ft-companion";
  if (access(path->c_str(), X_OK) != 0) {
    *error = *path + ": " + std::strerror(errno) +
             "; ftmpi needs this program (install libftmpi.so and the directory ftmpi/ together)";
    return false;
  }
  return true;
}

// Output to a file that starts empty is made anew when the program runs again; nothing is shown to
// anyone by it that could not be taken back. Everything else is the outside world.
bool IsOutsideWorld(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return false;
  if (S_ISREG(status.st_mode)) return (fcntl(descriptor, F_GETFL) & O_APPEND) != 0;
  if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) return false;  // /dev/null
  return true;
}

bool SameFile(int one, int other) {
  struct stat a {};
  struct stat b {};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// A raw pty that looks like `terminal`, or a pipe: the rank writes `write_end`.
bool MakeGate(int original, Descriptor* read_end, Descriptor* write_end, std::string* error) {
  termios attributes{};
  if (tcgetattr(original, &attributes) != 0) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      *error = ErrnoText("ftmpi can't make a pipe for the program's output");
      return false;
    }
    read_end->reset(ends[0]);
    write_end->reset(ends[1]);
  } else {
    char name[128];
    read_end->reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (read_end->get() < 0 || grantpt(read_end->get()) != 0 || unlockpt(read_end->get()) != 0 ||
        ptsname_r(read_end->get(), name, sizeof name) != 0) {
      *error = ErrnoText("ftmpi can't make a terminal (pty) for the program's output");
      return false;
    }
    write_end->reset(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (write_end->get() < 0) {
      *error = ErrnoText("ftmpi can't open the terminal (pty) for the program's output");
      return false;
    }
    cfmakeraw(&attributes);  // every byte passes as it is; the original does what there is to do
    winsize size{};
    if (tcsetattr(write_end->get(), TCSANOW, &attributes) != 0) {
      *error = ErrnoText("ftmpi can't set up the terminal (pty) for the program's output");
      return false;
    }
    if (ioctl(original, TIOCGWINSZ, &size) == 0) ioctl(write_end->get(), TIOCSWINSZ, &size);
  }
  if (!read_end->Raise() || !write_end->Raise()) {
    *error = ErrnoText("ftmpi needs a few more file descriptors (ulimit -n)");
    return false;
  }
  return true;
}

struct Plumbing {
  Descriptor channel_rank, channel_companion;
  Descriptor output_read, output_write;  // gate of descriptor 1
  Descriptor error_read, error_write;    // gate of descriptor 2
  Descriptor input_read, input_write;    // descriptor 0 of rank 0
  bool merged = false;                   // 1 and 2 are one file: one gate keeps their order
};

bool MakePlumbing(Plumbing* plumbing, std::string* error) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    *error = ErrnoText("ftmpi can't make a socket pair");
    return false;
  }
  plumbing->channel_rank.reset(ends[0]);
  plumbing->channel_companion.reset(ends[1]);
  if (!plumbing->channel_rank.Raise() || !plumbing->channel_companion.Raise()) {
    *error = ErrnoText("ftmpi needs a few more file descriptors (ulimit -n)");
    return false;
  }
  if (IsOutsideWorld(STDOUT_FILENO) &&
      !MakeGate(STDOUT_FILENO, &plumbing->output_read, &plumbing->output_write, error)) {
    return false;
  }
  plumbing->merged = plumbing->output_read.get() >= 0 && SameFile(STDOUT_FILENO, STDERR_FILENO);
  if (!plumbing->merged && IsOutsideWorld(STDERR_FILENO) &&
      !MakeGate(STDERR_FILENO, &plumbing->error_read, &plumbing->error_write, error)) {
    return false;
  }
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  struct stat input {};
  if (rank != nullptr && std::strcmp(rank, "0") == 0 && fstat(STDIN_FILENO, &input) == 0 &&
      !S_ISREG(input.st_mode) && IsOutsideWorld(STDIN_FILENO)) {
    if (pipe2(ends, O_CLOEXEC) != 0) {
      *error = ErrnoText("ftmpi can't make a pipe for the program's input");
      return false;
    }
    plumbing->input_read.reset(ends[0]);
    plumbing->input_write.reset(ends[1]);
    if (!plumbing->input_read.Raise() || !plumbing->input_write.Raise()) {
      *error = ErrnoText("ftmpi needs a few more file descriptors (ulimit -n)");
      return false;
    }
  }
  return true;
}

// The environment without what is meant for the rank alone.
std::vector<char*> CompanionEnvironment() {
  std::vector<char*> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "LD_PRELOAD=", 11) != 0) result.push_back(*variable);
  }
  result.push_back(nullptr);
  return result;
}

// Starts the program with the descriptors of companion_protocol.h. It leaves this process's family
// at once (its first process forks and exits), so that the program's own wait() never meets it.
bool Spawn(const std::string& path, const Plumbing& plumbing, std::string* error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Above all targets, so that no dup2 below overwrites a source.
  Descriptor originals[3];
  for (int i = 0; i < 3; ++i) {
    int copy = fcntl(i, F_DUPFD_CLOEXEC, kLowestDescriptor);
    if (copy < 0) copy = fcntl(i, F_DUPFD_CLOEXEC, logging::kCompanionDescriptors);
    originals[i].reset(copy);
  }
  const auto give = [&](int source, int target) {
    if (source >= 0) {
      posix_spawn_file_actions_adddup2(&actions, source, target);
    } else {
      posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    }
  };
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  give(originals[2].get(), STDOUT_FILENO);
  give(originals[2].get(), STDERR_FILENO);
  give(plumbing.channel_companion.get(), logging::kCompanionChannel);
  give(plumbing.output_read.get(), logging::kCompanionOutputRead);
  give(plumbing.error_read.get(), logging::kCompanionErrorRead);
  give(plumbing.output_read.get() >= 0 ? originals[1].get() : -1, logging::kCompanionOutputWrite);
  give(plumbing.error_read.get() >= 0 ? originals[2].get() : -1, logging::kCompanionErrorWrite);
  give(plumbing.input_write.get() >= 0 ? originals[0].get() : -1, logging::kCompanionInputRead);
  give(plumbing.input_write.get(), logging::kCompanionInputWrite);

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
  std::string program = path;
  std::string pid = std::to_string(getpid());
  char* arguments[] = {program.data(), pid.data(), nullptr};
  std::vector<char*> environment = CompanionEnvironment();
  // A SIGCHLD handler of the program must not see our child.
  sigset_t child;
  sigset_t old;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &child, &old);
  pid_t first = 0;
  const int failed =
      posix_spawn(&first, path.c_str(), &actions, &attributes, arguments, environment.data());
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
    *error = path + ": can't be started: " + std::strerror(failed);
    return false;
  }
  // ECHILD: the program ignores SIGCHLD; then the first message shows whether all is well.
  if (waited == first && status != 0) {
    *error = path + ": failed at its start" +
             (WIFEXITED(status) ? " (exit code " + std::to_string(WEXITSTATUS(status)) + ")" : "") +
             "; ftmpi needs Linux 5.3 or later";
    return false;
  }
  return true;
}

void OnExit(int code, void*);

// The rank's end of the channel survives exec (a rank that executes itself anew, a launcher that is
// linked with MPI): its number is in the environment. Children inherit it too, to no effect: the
// companion watches the rank's process, not this descriptor, to know whether the rank lives.
bool TakeOverAfterExec(Link* link) {
  if (RankPidInEnvironment() != getpid()) return false;
  const char* text = std::getenv(kChannelVariable);
  int channel = -1;
  long companion = 0;
  if (text == nullptr || std::sscanf(text, "%d:%ld", &channel, &companion) != 2) return false;
  int type = 0;
  socklen_t length = sizeof type;
  ucred peer{};
  socklen_t peer_length = sizeof peer;
  if (getsockopt(channel, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET ||
      getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &peer_length) != 0 ||
      peer.pid != getpid()) {
    return false;
  }
  link->channel = channel;
  link->companion_pid = static_cast<pid_t>(companion);
  link->rank_pid = getpid();
  g_link.store(link);
  // libc keeps handlers encrypted with the pointer guard, which changes when an image is restored:
  // then CompanionWatchExit is called once it has.
  const char* image_role = std::getenv(image::kRoleVariable);
  if (image_role == nullptr || std::strncmp(image_role, "restore:", 8) != 0) CompanionWatchExit();
  return true;
}

bool Start(std::string* error) {
  Link& link = TheLink();
  if (link.rank_pid != 0) return true;
  if (TakeOverAfterExec(&link)) return true;
  std::string path;
  Plumbing plumbing;
  if (!CompanionPath(&path, error) || !MakePlumbing(&plumbing, error)) return false;
  // The companion goes in between without another process of the rank having a say: its first
  // process tells the pid of the one that stays.
  if (!Spawn(path, plumbing, error)) return false;
  plumbing.channel_companion.reset(-1);  // so that its death is seen as the end of the channel
  logging::CompanionHeader hello{};
  ssize_t got = -1;
  do {
    got = recv(plumbing.channel_rank.get(), &hello, sizeof hello, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof hello || hello.magic != logging::kCompanionMagic ||
      hello.version != logging::kCompanionVersion) {
    *error = path + (got > 0 ? ": not of the same version as libftmpi.so: install ftmpi anew"
                             : ": failed at its start");
    return false;
  }
  link.companion_pid = static_cast<pid_t>(hello.sequence);
  if (fcntl(plumbing.channel_rank.get(), F_SETFD, 0) != 0) {
    *error = ErrnoText("ftmpi can't keep its channel to the companion");
    return false;
  }
  if (plumbing.output_write.get() >= 0) {
    dup2(plumbing.output_write.get(), STDOUT_FILENO);
    if (plumbing.merged) dup2(plumbing.output_write.get(), STDERR_FILENO);
  }
  if (plumbing.error_write.get() >= 0) dup2(plumbing.error_write.get(), STDERR_FILENO);
  if (plumbing.input_read.get() >= 0) dup2(plumbing.input_read.get(), STDIN_FILENO);
  link.channel = plumbing.channel_rank.release();
  link.rank_pid = getpid();
  g_link.store(&link);
  setenv(kRankPidVariable, std::to_string(getpid()).c_str(), 1);
  setenv(kChannelVariable,
         (std::to_string(link.channel) + ":" + std::to_string(link.companion_pid)).c_str(), 1);
  CompanionWatchExit();
  return true;
}

// --- Signals and the end ------------------------------------------------------------------------

void OnSignal(int signal) {
  const int saved_errno = errno;
  Link* link = g_link.load();
  if (link != nullptr && ThisIsTheRank(*link)) {
    if (signal != SIGCONT && link->status != nullptr) {
      link->status->failure_notice.store(static_cast<std::uint32_t>(signal));
    }
    CompanionNotice(signal);
  }
  if (signal != SIGCONT) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    raise(signal);  // delivered when this handler returns
  }
  errno = saved_errno;
}

// A handler of the program stays; the companion then learns of the job's end in other ways.
void InstallHandler(int signal) {
  struct sigaction old {};
  if (sigaction(signal, nullptr, &old) != 0 || (old.sa_flags & SA_SIGINFO) != 0 ||
      old.sa_handler != SIG_DFL) {
    return;
  }
  struct sigaction action {};
  action.sa_handler = &OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

void OnExit(int code, void*) {
  Link* link = g_link.load();
  if (link == nullptr || !ThisIsTheRank(*link)) return;
  if (link->status != nullptr) {
    if (link->status->phase.load() == RankPhase::kFinalized) {
      link->status->exit_code.store(code);
      link->status->phase.store(RankPhase::kExited);
    } else if (link->status->phase.load() != RankPhase::kAborted) {
      link->status->exit_code.store(code);
    }
  }
  SendCode(*link, CompanionMessageType::kExit, code, 0);
}

bool Copy(const std::string& text, char* field, std::size_t size, const char* what,
          std::string* error) {
  if (text.size() >= size) {
    *error = std::string(what) + " is too long (" + std::to_string(text.size()) +
             " bytes, at most " + std::to_string(size - 1) + ")";
    return false;
  }
  std::memcpy(field, text.data(), text.size());
  return true;
}

bool SendRanks(const Link& link, const std::vector<CompanionRank>& ranks, std::string* error) {
  constexpr auto kStep = static_cast<std::size_t>(logging::kCompanionRanksPerMessage);
  logging::CompanionRanks message;
  for (std::size_t first = 0; first < ranks.size(); first += kStep) {
    message = {};
    message.first = static_cast<std::int32_t>(first);
    message.count = static_cast<std::int32_t>(std::min(kStep, ranks.size() - first));
    for (int i = 0; i < message.count; ++i) {
      const CompanionRank& rank = ranks[first + static_cast<std::size_t>(i)];
      message.places[i].pid = rank.pid;
      message.places[i].pid_start_time = rank.pid_start_time;
      if (!Copy(rank.node, message.places[i].node, logging::kCompanionName, "a node's name",
                error)) {
        return false;
      }
    }
    if (!SendMessage(link.channel, CompanionMessageType::kRanks, 0, &message, sizeof message, 0)) {
      *error = ErrnoText("the companion process (mpi-ft-companion) is gone");
      return false;
    }
  }
  return true;
}

bool Attach(const CompanionAttach& attach, std::string* error) {
  Link& link = TheLink();
  if (!ThisIsTheRank(link)) {
    *error = "no companion process was started";
    return false;
  }
  const std::lock_guard<std::mutex> lock(link.mutex);
  logging::CompanionFacts facts{};
  facts.job = attach.job;
  facts.rank = attach.rank;
  facts.np = attach.np;
  facts.epoch = attach.epoch;
  facts.causal_f = attach.causal_f;
  facts.flush_events = attach.flush_events ? 1 : 0;
  facts.keep = attach.keep ? 1 : 0;
  facts.own_checkpoints = attach.own_checkpoints ? 1 : 0;
  if (!Copy(attach.mode, facts.mode, sizeof facts.mode, "the mode", error) ||
      !Copy(attach.failure_unit, facts.failure_unit, sizeof facts.failure_unit, "the failure unit",
            error) ||
      !Copy(attach.job_name, facts.job_name, sizeof facts.job_name, "the job's name", error) ||
      !Copy(attach.node, facts.node, sizeof facts.node, "the node's name", error) ||
      !Copy(attach.mpi_version.substr(0, logging::kCompanionName - 1), facts.mpi_version,
            sizeof facts.mpi_version, "the MPI library's version", error) ||
      !Copy(attach.ftmpi_version, facts.ftmpi_version, sizeof facts.ftmpi_version,
            "ftmpi's version", error) ||
      !Copy(attach.job_directory, facts.job_directory, sizeof facts.job_directory,
            "the job directory's path (FT_DIR)", error) ||
      !Copy(attach.local_directory, facts.local_directory, sizeof facts.local_directory,
            "the node-local directory's path (FT_LOCAL)", error) ||
      !Copy(attach.status_path, facts.status_path, sizeof facts.status_path,
            "the status page's path", error) ||
      !SendRanks(link, attach.ranks, error)) {
    return false;
  }
  const std::uint32_t sequence = ++link.sequence;
  if (!SendMessage(link.channel, CompanionMessageType::kAttach, sequence, &facts, sizeof facts,
                   0)) {
    *error = ErrnoText("the companion process (mpi-ft-companion) is gone");
    return false;
  }
  if (!AwaitReply(link, sequence, kAttachTimeout, error)) return false;
  link.status = attach.status;
  InstallHandler(SIGTERM);
  InstallHandler(SIGCONT);
  return true;
}

}  // namespace

bool LooksLikeRank() {
  const char* mode = std::getenv("FT_MODE");
  if (mode == nullptr || mode[0] == '\0' || std::strcmp(mode, "off") == 0) return false;
  if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) return false;
  const pid_t rank = RankPidInEnvironment();
  if (std::getenv(kRankPidVariable) != nullptr && rank != getpid()) return false;
  return NeedsLibmpi();
}

bool StartCompanion(std::string* error) {
  try {
    return Start(error);
  } catch (...) {
    *error = "out of memory while the companion process was started";
    return false;
  }
}

void CompanionWatchExit() { on_exit(&OnExit, nullptr); }

bool CompanionRunning() { return ThisIsTheRank(TheLink()); }

std::int64_t CompanionPid() { return CompanionRunning() ? TheLink().companion_pid : 0; }

bool AttachCompanion(const CompanionAttach& attach, std::string* error) {
  try {
    return Attach(attach, error);
  } catch (...) {
    *error = "out of memory while the companion process was told of the job";
    return false;
  }
}

void CompanionAborted(int code) {
  Link& link = TheLink();
  if (!ThisIsTheRank(link)) return;
  if (link.status != nullptr) {
    link.status->exit_code.store(code);
    link.status->phase.store(RankPhase::kAborted);
  }
  SendCode(link, CompanionMessageType::kAborted, code, 0);
  SyncOutput();
}

void CompanionFinalized() {
  Link& link = TheLink();
  if (!ThisIsTheRank(link)) return;
  if (link.status != nullptr) link.status->phase.store(RankPhase::kFinalized);
  SendMessage(link.channel, CompanionMessageType::kFinalized, 0, nullptr, 0, 0);
}

void CompanionNotice(int signal) {
  const Link* link = g_link.load();
  if (link == nullptr || !ThisIsTheRank(*link)) return;
  SendCode(*link, CompanionMessageType::kNotice, signal, MSG_DONTWAIT);
}

namespace {

// A request without a body that is answered.
bool AskCompanion(CompanionMessageType type) {
  Link& link = TheLink();
  if (!ThisIsTheRank(link)) return false;
  try {
    const std::lock_guard<std::mutex> lock(link.mutex);
    const std::uint32_t sequence = ++link.sequence;
    std::string error;
    return SendMessage(link.channel, type, sequence, nullptr, 0, 0) &&
           AwaitReply(link, sequence, kSyncTimeout, &error);
  } catch (...) {
    return false;
  }
}

}  // namespace

bool SyncOutput() { return AskCompanion(CompanionMessageType::kSync); }

bool CompanionResumed() { return AskCompanion(CompanionMessageType::kResumed); }

}  // namespace ftmpi
