#include "recovery/node_survey.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "recovery/durable_file.h"
#include "recovery/evidence.h"
#include "recovery/job_lock.h"

namespace ftmpi::recovery {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kSignOfLife = "ftmpi-inventory:";
constexpr int kTries = 3;

// A run of mpi-ft-inventory on another node.
struct Visit {
  std::string node;
  std::string path;  // of its result
  pid_t pid = 0;
  int output = -1;
  std::string text;    // what it has printed
  bool alive = false;  // it has given a sign of life
  int tries = 0;
  Clock::time_point deadline;
  bool done = false;
  NodeInventory result;
};

// The line of mpirun's or ssh's output that says most about why a node can't be reached.
std::string WhatWentWrong(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line[0] != '-' && !line.starts_with(kSignOfLife)) lines.push_back(line);
  }
  for (const char* word : {"mpi-ft-inventory:", "No route", "refused", "timed out", "resolve",
                           "denied", "unable", "not found", "No such file"}) {
    for (const std::string& line : lines) {
      if (line.find(word) != std::string::npos) return line;
    }
  }
  return lines.empty() ? "it said nothing" : lines.front();
}

void Lose(Visit* visit, const std::string& reason) {
  visit->done = true;
  visit->result.reached = false;
  visit->result.reason = reason;
}

class Survey {
 public:
  Survey(const JobDescription& job, const SurveyOptions& options) : job_(job), options_(options) {}

  void Begin(Visit* visit) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw RecoveryError(fmt::format("no pipe can be made: {}", std::strerror(errno)));
    }
    ++visit->tries;
    visit->deadline = Clock::now() + std::max<std::chrono::nanoseconds>(
                                         std::chrono::nanoseconds(options_.node_timeout) / kTries,
                                         std::chrono::seconds(1));
    std::vector<std::string> program = {options_.inventory_program,
                                        "--node",
                                        visit->node,
                                        "--directory",
                                        job_.local_directory,
                                        "--job",
                                        fmt::format("{:016x}", job_.job),
                                        "--epoch",
                                        std::to_string(job_.current_epoch()),
                                        "--ranks",
                                        std::to_string(job_.np),
                                        "--output",
                                        visit->path};
    const std::string spill_directory = SpillDirectoryOf(job_);
    if (!spill_directory.empty()) {
      program.insert(program.end(), {"--spill-directory", spill_directory});
    }
    Launch launch = MakeNodeLaunch(job_, options_.launch, visit->node, program);
    if (options_.say) options_.say(fmt::format("asking node {}", visit->node));
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    launch.input = null;
    launch.output = ends[1];
    try {
      visit->pid = StartProgram(launch);
    } catch (...) {
      for (const int file : {null, ends[0], ends[1]}) close(file);
      throw;
    }
    close(null);
    close(ends[1]);
    visit->output = ends[0];
    fcntl(visit->output, F_SETFL, O_NONBLOCK);
  }

  // What has come from it; ends the visit when its output ends or its time is over.
  void Attend(Visit* visit) {
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while ((got = read(visit->output, buffer.data(), buffer.size())) > 0) {
      visit->text.append(buffer.data(), static_cast<std::size_t>(got));
      if (visit->text.find(kSignOfLife) == std::string::npos) continue;
      visit->alive = true;
      visit->deadline = Clock::now() + options_.node_timeout;
    }
    const bool ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    if (ended) {
      const int code = End(visit, false);
      // Launchers started side by side may disturb each other: one failure proves nothing.
      if (code != 0 && TryAgain(visit)) return;
      Judge(visit, code);
    } else if (Clock::now() >= visit->deadline) {
      End(visit, true);
      if (TryAgain(visit)) return;
      Lose(visit, fmt::format("no answer within {} s{}", options_.node_timeout.count(),
                              visit->text.empty() ? "" : ": " + WhatWentWrong(visit->text)));
    }
  }

 private:
  int End(Visit* visit, bool by_force) {
    int status = 0;
    if (by_force) kill(visit->pid, SIGTERM);
    constexpr int kSteps = 40;
    constexpr auto kStep = std::chrono::milliseconds(50);
    for (int step = 0; waitpid(visit->pid, &status, WNOHANG) == 0; ++step) {
      if (step == kSteps) kill(visit->pid, SIGKILL);
      poll(nullptr, 0, static_cast<int>(kStep.count()));
    }
    close(visit->output);
    visit->output = -1;
    return ExitCodeOf(status);
  }

  bool TryAgain(Visit* visit) {
    if (visit->alive || visit->tries >= kTries) return false;
    visit->text.clear();
    Begin(visit);
    return true;
  }

  void Judge(Visit* visit, int code) {
    if (code != 0) {
      for (const char* words : {"unable to find the specified executable", "execute an executable",
                                "mpi-ft-inventory: "}) {
        if (visit->text.find(words) == std::string::npos) continue;
        throw RecoveryError(fmt::format(
            "node {} answers, but {} does not work there: {}; install ftmpi there too, or name it "
            "with --inventory-program",
            visit->node, options_.inventory_program, WhatWentWrong(visit->text)));
      }
      Lose(visit, fmt::format("mpi-ft-inventory could not be run there (exit code {}): {}", code,
                              WhatWentWrong(visit->text)));
      return;
    }
    const std::optional<std::string> bytes = ReadWholeFile(visit->path);
    if (!bytes) {
      throw RecoveryError(
          fmt::format("{}: node {} wrote its inventory, but it is not here; the job directory must "
                      "be on storage "
                      "that all nodes share (FT_DIR)",
                      visit->path, visit->node));
    }
    NodeInventory inventory = DecodeInventory(*bytes, visit->path);
    if (inventory.node != visit->node || inventory.job != job_.job ||
        inventory.epoch != job_.current_epoch()) {
      throw RecoveryError(
          fmt::format("{}: is not what node {} was asked for; run mpi-ft-recover again",
                      visit->path, visit->node));
    }
    visit->result = std::move(inventory);
    visit->done = true;
  }

  const JobDescription& job_;
  const SurveyOptions& options_;
};

NodeInventory ReadHere(logging::Environment* environment, const JobDescription& job,
                       const SurveyOptions& options) {
  InventoryOptions inventory;
  inventory.directory = job.local_directory;
  inventory.spill_directory = SpillDirectoryOf(job);
  inventory.node = options.this_node;
  inventory.job = job.job;
  inventory.epoch = job.current_epoch();
  inventory.ranks = job.np;
  return CollectInventory(environment, inventory);
}

}  // namespace

std::string SpillDirectoryOf(const JobDescription& job) {
  for (const auto& [name, value] : job.environment) {
    if (name == "FT_SPILL_DIR") return value;
  }
  return "";
}

std::vector<NodeInventory> SurveyNodes(logging::Environment* environment, const JobDescription& job,
                                       const SurveyOptions& options,
                                       const std::vector<std::string>& nodes) {
  Survey survey(job, options);
  std::vector<Visit> visits(nodes.size());
  // Others first: they work while this node is read.
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    Visit& visit = visits[index];
    visit.node = nodes[index];
    visit.result.node = visit.node;
    visit.result.job = job.job;
    visit.result.epoch = job.current_epoch();
    if (visit.node == options.this_node) continue;
    visit.path =
        logging::JoinPath(RecoveryDirectory(options.job_directory), InventoryFileName(visit.node));
    if (environment->Exists(visit.path)) environment->Remove(visit.path);
    survey.Begin(&visit);
  }
  for (Visit& visit : visits) {
    if (visit.node != options.this_node) continue;
    visit.result = ReadHere(environment, job, options);
    visit.done = true;
  }
  for (;;) {
    std::vector<pollfd> files;
    for (const Visit& visit : visits) {
      if (!visit.done) files.push_back({visit.output, POLLIN, 0});
    }
    if (files.empty()) break;
    constexpr int kWaitMilliseconds = 200;
    poll(files.data(), files.size(), kWaitMilliseconds);
    for (Visit& visit : visits) {
      if (!visit.done) survey.Attend(&visit);
    }
  }
  std::vector<NodeInventory> inventories;
  for (Visit& visit : visits) inventories.push_back(std::move(visit.result));
  return inventories;
}

std::string FindInventoryProgram() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path prefix = self.parent_path().parent_path();
  std::string looked_at;
  for (const char* folder : {FTMPI_INSTALL_LIBDIR, "lib"}) {
    const std::filesystem::path path = prefix / folder / "ftmpi" / "mpi-ft-inventory";
    if (access(path.c_str(), X_OK) == 0) return path.string();
    looked_at += (looked_at.empty() ? "" : ", ") + path.string();
  }
  throw RecoveryError("mpi-ft-inventory is not where it belongs (" + looked_at +
                      "): install ftmpi anew, or name it with --inventory-program");
}

}  // namespace ftmpi::recovery
