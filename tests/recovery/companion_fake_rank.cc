// A process that behaves as a rank does towards its companion, without MPI: it executes the steps
// on its command line. For companion_test.cc.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/rank_status.h"
#include "pmpi/companion_link.h"

namespace {

using ftmpi::logging::Environment;

std::unique_ptr<ftmpi::logging::RankStatusPage> g_page;
std::unique_ptr<ftmpi::logging::EventLog> g_events;
int g_rank = 0;
std::uint64_t g_event = 0;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "fake rank: %s\n", what.c_str());
  _exit(99);
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) Die(std::string(name) + " is not set");
  return value;
}

void WaitForFile(const std::string& path) {
  while (access(path.c_str(), F_OK) != 0) poll(nullptr, 0, 1);
}

void WriteAll(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(file, text.data() + done, text.size() - done);
    if (written <= 0) Die("write");
    done += static_cast<std::size_t>(written);
  }
}

void Attach(const std::string& mode) {
  ftmpi::CompanionAttach attach;
  attach.job = 0xabcdef0123456789;
  attach.job_name = "test";
  attach.job_directory = Variable("TEST_JOBDIR");
  attach.local_directory = Variable("TEST_LOCAL");
  g_rank = attach.rank = std::atoi(Variable("OMPI_COMM_WORLD_RANK").c_str());
  attach.np = std::atoi(Variable("OMPI_COMM_WORLD_SIZE").c_str());
  const std::string nodes = Variable("TEST_NODES");  // a character per rank
  attach.node = std::string("node") + nodes.at(static_cast<std::size_t>(attach.rank));
  const char* epoch = std::getenv("FTMPI_RECOVER_EPOCH");
  attach.epoch = epoch == nullptr ? 0 : static_cast<std::uint32_t>(std::atoi(epoch));
  attach.mode = mode;
  attach.failure_unit = "node";
  attach.keep = std::getenv("FT_KEEP") != nullptr;
  attach.mpi_version = "Open MPI v4.1.4";
  attach.ftmpi_version = "0.1";
  attach.status_path =
      attach.local_directory + "/" + ftmpi::logging::RankStatusFileName(attach.rank);
  ftmpi::logging::RankStatusIdentity identity;
  identity.job = attach.job;
  identity.rank = attach.rank;
  identity.epoch = attach.epoch;
  identity.pid = getpid();
  identity.pid_start_time =
      ftmpi::logging::ProcessStartTime(Environment::Posix(), getpid()).value();
  g_page = ftmpi::logging::RankStatusPage::Create(Environment::Posix(), attach.status_path,
                                                  identity, 0, 0);
  attach.status = g_page->status();
  if (attach.rank == 0) {
    for (int rank = 0; rank < attach.np; ++rank) {
      attach.ranks.push_back({std::string("node") + nodes.at(static_cast<std::size_t>(rank)),
                              rank == 0 ? getpid() : 1000 + rank, 7});
    }
  }
  std::string error;
  if (!ftmpi::AttachCompanion(attach, &error)) Die(error);
  g_page->status()->phase.store(ftmpi::logging::RankPhase::kRunning);
}

void LogEvents(std::uint64_t count) {
  if (!g_events) {
    ftmpi::logging::EventLogOptions options;
    options.directory = Variable("TEST_LOCAL");
    options.rank = g_rank;
    options.job = 0xabcdef0123456789;
    g_events = ftmpi::logging::EventLog::Create(Environment::Posix(), options);
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    ftmpi::logging::Determinant determinant;
    determinant.rank = g_rank;
    determinant.index = ++g_event;
    determinant.ordinal = g_event;
    determinant.value = 3 * g_event;
    determinant.source = 1;
    g_events->Append(determinant);
    g_page->status()->interval.store(g_event);
    g_page->status()->output_position.store(g_event);
    g_page->status()->logged_events.fetch_add(1);
  }
}

// Lowest free descriptor: 3 unless whoever started the tests left some open.
int g_first_descriptor = -1;

int NextDescriptor() {
  const int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(descriptor);
  return descriptor;
}

void Step(const std::string& name, const std::string& value) {
  auto* status = g_page ? g_page->status() : nullptr;
  const long number = std::atol(value.c_str());
  const auto count = static_cast<std::uint64_t>(number);
  if (name == "start") {
    std::string error;
    if (!ftmpi::StartCompanion(&error)) Die(error);
  } else if (name == "attach") {
    Attach(value.empty() ? "causal" : value);
  } else if (name == "out") {
    WriteAll(STDOUT_FILENO, value);
  } else if (name == "err") {
    WriteAll(STDERR_FILENO, value);
  } else if (name == "lines") {  // numbered, one write each
    for (long i = 0; i < number; ++i) WriteAll(STDOUT_FILENO, std::to_string(i) + "\n");
  } else if (name == "blocks") {  // of 64 KiB
    const std::string block(65536, 'b');
    for (long i = 0; i < number; ++i) WriteAll(STDOUT_FILENO, block);
  } else if (name == "interval") {
    status->interval.store(count);
    status->output_position.store(count);
  } else if (name == "committable") {
    status->committable.store(count);
  } else if (name == "pollfailures") {
    status->poll_failures.store(count);
  } else if (name == "replay") {
    status->replay_total.store(count);
    status->replay_done.store(count);
  } else if (name == "waiting") {  // until the companion says that output waits
    while (status->output_waiting.load() == 0) poll(nullptr, 0, 1);
  } else if (name == "nowaiting") {
    while (status->output_waiting.load() != 0) poll(nullptr, 0, 1);
  } else if (name == "sync") {
    if (!ftmpi::SyncOutput()) Die("no answer to a sync");
  } else if (name == "events") {
    LogEvents(count);
  } else if (name == "stable") {
    while (status->stable.load() < count) poll(nullptr, 0, 1);
  } else if (name == "checkpoints") {  // 1: it takes checkpoints, 2: none
    status->checkpoint_service.store(static_cast<ftmpi::logging::CheckpointService>(number));
  } else if (name == "answer") {  // the next request, with this CSN
    const std::uint64_t answered = status->checkpoint_answered.load();
    while (status->checkpoint_requested.load() == answered) poll(nullptr, 0, 1);
    status->checkpoint_answer.store(static_cast<std::uint32_t>(number));
    status->checkpoint_answered.store(status->checkpoint_requested.load());
  } else if (name == "finalize") {
    ftmpi::CompanionFinalized();
  } else if (name == "abort") {
    ftmpi::CompanionAborted(static_cast<int>(number));
    _exit(static_cast<int>(number));
  } else if (name == "exit") {
    std::exit(static_cast<int>(number));
  } else if (name == "_exit") {
    _exit(static_cast<int>(number));
  } else if (name == "kill") {
    raise(static_cast<int>(number));
  } else if (name == "isatty") {
    WriteAll(STDOUT_FILENO, isatty(1) != 0 ? "terminal\n" : "no terminal\n");
  } else if (name == "touch") {
    close(open(value.c_str(), O_CREAT | O_WRONLY, 0600));
  } else if (name == "waitfile") {
    WaitForFile(value);
  } else if (name == "grandchild") {  // holds the output until the file exists
    if (fork() == 0) {
      WaitForFile(value);
      _exit(0);
    }
  } else if (name == "children") {  // what wait() sees of us
    errno = 0;
    const pid_t child = waitpid(-1, nullptr, WNOHANG);
    WriteAll(STDOUT_FILENO, child < 0 && errno == ECHILD ? "no child\n" : "a child\n");
  } else if (name == "next") {  // does the next open() get the number that it got at the beginning?
    WriteAll(STDOUT_FILENO, NextDescriptor() == g_first_descriptor ? "same\n" : "another\n");
  } else if (name == "cat") {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
      WriteAll(STDOUT_FILENO, std::string(buffer, static_cast<std::size_t>(got)));
    }
  } else if (name == "line") {  // copies one line of input
    char c = 0;
    std::string line;
    while (read(STDIN_FILENO, &c, 1) == 1) {
      line += c;
      if (c == '\n') break;
    }
    WriteAll(STDOUT_FILENO, line);
  } else if (name == "looks") {
    WriteAll(STDOUT_FILENO, ftmpi::LooksLikeRank() ? "rank\n" : "no rank\n");
  } else if (name == "shell") {
    if (std::system(value.c_str()) != 0) Die("shell");
  } else {
    Die("no such step: " + name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  g_first_descriptor = NextDescriptor();
  for (int i = 1; i < argc; ++i) {
    const std::string step = argv[i];
    if (step == "exec") {  // the rest in a new program image, the same process
      std::vector<char*> arguments = {argv[0]};
      for (int k = i + 1; k < argc; ++k) arguments.push_back(argv[k]);
      arguments.push_back(nullptr);
      execv("/proc/self/exe", arguments.data());
      Die("exec");
    }
    const std::size_t equals = step.find('=');
    Step(step.substr(0, equals), equals == std::string::npos ? "" : step.substr(equals + 1));
  }
  return 0;
}
