#include "recovery/checkpoint_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "logging/environment.h"
#include "logging/rank_status.h"
#include "recovery/checkpoint_request.h"
#include "recovery/durable_file.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {
namespace {

constexpr char kName[] = "mpi-ft-checkpoint";

struct Options {
  std::string directory;
  bool wait = false;
  bool json = false;
  double timeout = 60;  // s
};

struct Result {
  int code = kCheckpointAsked;
  const char* word = "";  // for JSON
  std::string text;
  std::uint32_t csn = 0;
};

std::string NodeName() {
  char name[256] = {0};
  gethostname(name, sizeof name - 1);
  return name;
}

// Whether rank 0 is known not to run; on another node it can't be told.
bool NotRunning(const JobDescription& job) {
  if (job.state == JobState::kFinished) return true;
  const ProcessPlace& place = job.ranks.front();
  if (place.node != NodeName() || place.pid_start_time == 0) return false;
  const auto start = logging::ProcessStartTime(logging::Environment::Posix(),
                                               static_cast<std::int32_t>(place.pid));
  return start != place.pid_start_time;
}

// The request's files, which go with it.
class Request {
 public:
  Request(const std::string& job_directory, std::uint64_t job, bool wait)
      : job_directory_(job_directory), job_(job) {
    MakeDirectory(RequestDirectory(job_directory));
    std::uint64_t id = 0;
    if (getrandom(&id, sizeof id, 0) != sizeof id)
      throw JobDirectoryError("the system has no random numbers");
    path_ = RequestPath(job_directory, id);
    WriteCheckpointRequest(path_, job, wait);
  }
  ~Request() {
    unlink(path_.c_str());
    unlink(AnswerPath(path_).c_str());
    if (access(JobFilePath(job_directory_).c_str(), F_OK) == 0) return;
    // The job has ended well and removed its directory but for this.
    rmdir(RequestDirectory(job_directory_).c_str());
    rmdir(job_directory_.c_str());
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::optional<CheckpointAnswer> Answer() const {
    return ReadCheckpointAnswer(AnswerPath(path_), job_);
  }

 private:
  std::string job_directory_;
  std::uint64_t job_;
  std::string path_;
};

Result Describe(const CheckpointAnswer& answer) {
  switch (answer.answer) {
    case RequestAnswer::kAccepted:
      return {kCheckpointAsked, "requested", "a checkpoint was asked for", 0};
    case RequestAnswer::kPermanent:
      return {kCheckpointAsked, "permanent", fmt::format("checkpoint {} is permanent", answer.csn),
              answer.csn};
    case RequestAnswer::kGivenUp:
      return {kCheckpointGivenUp, "given up",
              "the checkpoint could not be taken; the job's standard error tells why", 0};
    case RequestAnswer::kNoCheckpoints:
      return {
          kCheckpointGivenUp, "no checkpoints",
          "this job takes no checkpoints on request: it was started without FT_STATE=image, or no "
          "image can be taken of it",
          0};
    case RequestAnswer::kEnded:
      break;
  }
  return {kCheckpointNoJob, "ended", "the job has ended", 0};
}

Result Ask(const std::string& directory, const Options& options) {
  const JobDescription job = ReadJobDescription(directory);
  if (NotRunning(job)) {
    return {kCheckpointNoJob, "not running",
            fmt::format("the job in {} is not running; mpi-ft-recover recovers a failed one",
                        directory),
            0};
  }
  const Request request(directory, job.job, options.wait);
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(options.timeout);
  constexpr int kPeriod = 20;  // ms between two looks: the answer comes from another node, maybe
  for (;;) {
    const std::optional<CheckpointAnswer> answer = request.Answer();
    if (answer && (answer->answer != RequestAnswer::kAccepted || !options.wait))
      return Describe(*answer);
    if (!answer && access(JobFilePath(directory).c_str(), F_OK) != 0)
      return Describe({RequestAnswer::kEnded, 0});
    if (Clock::now() >= end) {
      return {kCheckpointTimeout, "timeout",
              fmt::format("no {} within {} s: the job {}; see --timeout",
                          answer ? "checkpoint" : "answer", options.timeout,
                          answer ? "was asked, and may still take it"
                                 : "may be ended, or its rank 0 has not called MPI for so long"),
              0};
    }
    poll(nullptr, 0, kPeriod);
  }
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App application("Asks a running job under ftmpi for a checkpoint.", kName);
  application.set_version_flag("--version", fmt::format("{} {}", kName, FTMPI_VERSION));
  application.add_option("JOBDIR", options.directory,
                         "the job's directory (default: the newest ./ftmpi-*)");
  application.add_flag("--wait", options.wait, "wait until the checkpoint is permanent");
  application.add_option("--timeout", options.timeout, "seconds to wait for the answer")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  application.add_flag("--json", options.json, "print JSON");
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? 0 : kCheckpointWrong;
  }
  if (options.directory.empty()) {
    const std::optional<std::string> newest = FindNewestJobDirectory(".");
    if (!newest) {
      fmt::print(stderr,
                 "{}: no job directory (ftmpi-*) here; give its path, or change to the directory "
                 "in which the job was started\n",
                 kName);
      return kCheckpointWrong;
    }
    options.directory = *newest;
  }
  std::error_code error;
  const std::string absolute = std::filesystem::canonical(options.directory, error).string();
  if (error) {
    fmt::print(stderr, "{}: {}: {}; give the path of a job directory\n", kName, options.directory,
               error.message());
    return kCheckpointWrong;
  }
  const Result result = Ask(absolute, options);
  if (options.json) {
    nlohmann::json json = {{"format", "ftmpi checkpoint request"},
                           {"version", 1},
                           {"job_directory", absolute},
                           {"result", result.word}};
    if (result.csn != 0) json["csn"] = result.csn;
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (result.code == kCheckpointAsked) {
    fmt::print("{}\n", result.text);
  } else {
    fmt::print(stderr, "{}: {}\n", kName, result.text);
  }
  return result.code;
}

}  // namespace

int RunCheckpointCommand(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", kName, error.what());
    return kCheckpointWrong;
  }
}

}  // namespace ftmpi::recovery
