// The part of the companion that runs when its rank is gone.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "recovery/companion.h"
#include "recovery/companion_end.h"
#include "recovery/durable_file.h"

namespace ftmpi::recovery {

using logging::RankPhase;

namespace {

constexpr int kWatch = 10;             // ms between looks at the job directory, at first
constexpr int kSlowWatch = 500;        // ms, for long waits
constexpr int kSilenceLimit = 1000;    // ms until a node that has left no word counts as lost
constexpr int kAfterContinue = 500;    // ms after SIGCONT in which every survivor has left word
constexpr int kLastWordsLimit = 2000;  // ms for mpirun to take what a failed program said
constexpr int kSettleLimit = 2000;     // ms for the reader of the original pipe to read it empty
// mpirun kills the others about 1 s (SIGTERM) or 2 s (SIGKILL) after a loss: who vanishes that much
// later than another was not lost.
constexpr std::int64_t kKilledLater = 700'000'000;  // ns

std::int64_t WallClockNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool IsPipe(int descriptor) {
  struct stat status {};
  return descriptor >= 0 && fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

}  // namespace

struct Companion::Ending {
  RankEnd end = RankEnd::kLost;
  std::string how;
};

template <typename Done>
bool Companion::WaitUntil(int step, int limit, Done done) {
  const std::int64_t end = MonotonicMilliseconds() + limit;
  while (!done()) {
    if (MonotonicMilliseconds() >= end) return false;
    poll(nullptr, 0, step);
  }
  return true;
}

void Companion::End() {
  // The rank's last words are all there: what a process wrote before its end can be read after it.
  // A child of it may still have the descriptors; its output is not waited for.
  TakeOutput(true);
  ReadChannel();
  TakeOutput(true);
  if (flusher_) flusher_->Finish();
  if (requests_) requests_->End();
  if (!attached()) {
    PassOnToTheEnd(-1);
    Settle();
    if (!exited_ && notice_ == 0) {
      const std::optional<int> status = WaitStatusOf(options_.pidfd, options_.stat_file);
      if (status && WIFSIGNALED(*status) && WTERMSIG(*status) != SIGTERM) {
        const bool recovery =
            options_.recover_rank >= 0 && !options_.recovered_job_directory.empty();
        Say("ftmpi: process " + std::to_string(options_.rank_pid) +
            " was lost before MPI_Init had finished (" + DescribeWaitStatus(status) +
            "): nothing was logged yet; " +
            (recovery ? "to recover type: mpi-ft-recover " + options_.recovered_job_directory
                      : "start the job again"));
        // mpirun may hang now; mpi-ft-recover, which watches it, goes by this.
        if (recovery) {
          ReplaceFileLoosely(UnbornPath(options_.recovered_job_directory, options_.recover_epoch,
                                        options_.recover_rank),
                             "");
        }
      }
    }
    return;
  }
  const Ending ending = FindOutEnding();
  // The output commit rule holds for what a recovery is to continue. A program that ended itself
  // has an error to explain.
  if (ending.end == RankEnd::kDone) {
    PassOnToTheEnd(-1);
  } else if (ending.end == RankEnd::kExited || ending.end == RankEnd::kAborted) {
    PassOnToTheEnd(kLastWordsLimit);
  } else if (ending.end == RankEnd::kLost) {
    PassOn(false);
  }
  Settle();
  WriteProgress();
  try {
    RecordEnding(ending);
  } catch (const JobDirectoryError& error) {
    Say(std::string("ftmpi: ") + error.what());
  }
  const std::string remedy = " To recover type: mpi-ft-recover " + facts_.job_directory;
  switch (ending.end) {
    case RankEnd::kLost:
      Say("ftmpi: " + Who() + " was lost: " + ending.how + "." + remedy);
      break;
    case RankEnd::kExited:
      Say("ftmpi: " + Who() + " ended itself: " + ending.how +
          ". If the reason was outside the program type: mpi-ft-recover " + facts_.job_directory);
      break;
    case RankEnd::kAborted:
      Say("ftmpi: the program called MPI_Abort(" + std::to_string(code_) + ") at " + Who() +
          ". If the reason was outside the program type: mpi-ft-recover " + facts_.job_directory);
      break;
    case RankEnd::kSurvivor:
      SpeakForSilentRanks();
      break;
    case RankEnd::kDone:
      CleanUpAfterSuccess();
      break;
  }
}

// All of it, at the pace of its reader. `limit`: ms without progress after which the rest is given
// up, -1: none (a rank without a companion would wait in write() as long).
void Companion::PassOnToTheEnd(int limit) {
  for (;;) {
    PassOn(true);
    std::vector<pollfd> waiting;
    for (const OutputGate* gate : {output_.get(), error_.get()}) {
      if (gate != nullptr && gate->HasMore()) waiting.push_back({gate->to(), POLLOUT, 0});
    }
    if (waiting.empty()) return;
    const int ready = poll(waiting.data(), waiting.size(), limit);
    if (ready == 0 || (ready < 0 && errno != EINTR)) return;
  }
}

Companion::Ending Companion::FindOutEnding() {
  Ending ending;
  const RankPhase phase = status_->phase.load(std::memory_order_acquire);
  if (phase == RankPhase::kAborted || aborted_) {
    if (!aborted_) code_ = status_->exit_code.load();
    ending.end = RankEnd::kAborted;
    return ending;
  }
  const std::optional<int> status = WaitStatusOf(options_.pidfd, options_.stat_file);
  const bool finalized =
      finalized_ || phase == RankPhase::kFinalized || phase == RankPhase::kExited;
  const bool exited = exited_ || phase == RankPhase::kExited || (status && WIFEXITED(*status));
  // A signal that came while exit() ran.
  const bool signalled = status && WIFSIGNALED(*status);
  if (exited && !signalled) {
    if (status && WIFEXITED(*status)) code_ = WEXITSTATUS(*status);
    if (finalized && (code_ & 0xff) == 0) {
      ending.end = RankEnd::kDone;
      return ending;
    }
    // exit() because the job is being killed around it is not its own doing.
    ending.end = JobIsBeingKilled() ? RankEnd::kSurvivor : RankEnd::kExited;
    ending.how = "exit(" + std::to_string(code_) + ")" +
                 (finalized ? " after MPI_Finalize" : " before MPI_Finalize");
    return ending;
  }
  if (JobIsBeingKilled() || (signalled && WTERMSIG(*status) == SIGTERM)) {
    ending.end = RankEnd::kSurvivor;
    return ending;
  }
  if (signalled && WTERMSIG(*status) == SIGABRT) {
    ending.end = RankEnd::kExited;
    ending.how = "abort() (SIGABRT)";
    return ending;
  }
  // It vanished. mpirun's SIGKILL after a loss elsewhere looks the same (when the program has taken
  // SIGTERM over), only later.
  ending.how = DescribeWaitStatus(status) + (finalized ? " after MPI_Finalize" : "");
  const std::int64_t now = WallClockNanoseconds();
  for (const int other : RanksWith(facts_.job_directory, facts_.epoch, "lost")) {
    try {
      const auto record =
          ReadRankEnd(LostPath(facts_.job_directory, facts_.epoch, other), facts_.job);
      if (other != facts_.rank && record && now - record->time > kKilledLater) {
        ending.end = RankEnd::kSurvivor;
      }
    } catch (const JobDirectoryError&) {  // whoever reads it for its content reports it
    }
  }
  return ending;
}

void Companion::RecordEnding(const Ending& ending) {
  RankEndRecord record;
  record.end = ending.end;
  record.rank = facts_.rank;
  record.epoch = facts_.epoch;
  record.exit_code = code_;
  record.pid = options_.rank_pid;
  record.time = WallClockNanoseconds();
  record.interval = status_->interval.load();
  record.poll_failures = status_->poll_failures.load();
  record.node = facts_.node;
  std::string path;
  switch (ending.end) {
    case RankEnd::kDone:
      path = DonePath(facts_.job_directory, facts_.epoch, facts_.rank);
      break;
    case RankEnd::kSurvivor:
      path = SurvivorPath(facts_.job_directory, facts_.epoch, facts_.rank);
      break;
    default:
      path = LostPath(facts_.job_directory, facts_.epoch, facts_.rank);
  }
  WriteRankEnd(path, facts_.job, record);
}

// What lies in the original pipe when its reader goes was not seen by anyone: it is to be printed
// again. A reader that lives reads it empty.
void Companion::Settle() {
  for (OutputGate* gate : {output_.get(), error_.get()}) {
    if (gate == nullptr || !IsPipe(gate->to())) continue;
    WaitUntil(1, kSettleLimit, [&] {
      int unread = 0;
      pollfd state{gate->to(), 0, 0};
      const bool gone = poll(&state, 1, 0) > 0 && (state.revents & POLLERR) != 0;
      return gone || ioctl(gate->to(), FIONREAD, &unread) != 0 || unread == 0;
    });
    gate->TakeBackUnread();
  }
  Count();
}

void Companion::SpeakForSilentRanks() {
  // A lost rank whose node lives has its own companion, which has spoken. What is left is to find
  // out whether whole nodes are silent.
  const auto spoken = [this] {
    return !RanksWith(facts_.job_directory, facts_.epoch, "lost").empty();
  };
  WaitUntil(kWatch, kSilenceLimit, [&] {
    return spoken() || EveryRankIsAccountedFor(facts_) ||
           (continue_time_ != 0 && MonotonicMilliseconds() - continue_time_ > kAfterContinue);
  });
  const std::string line = DescribeSilentRanks(facts_);
  if (!line.empty()) Say(line);
}

void Companion::CleanUpAfterSuccess() {
  if (output_ && output_->swallow_left() > 0) {
    Say("ftmpi: rank " + std::to_string(facts_.rank) + ": the program printed " +
        std::to_string(output_->swallow_left()) +
        " bytes less on standard output than before the failure: its output depends on something "
        "that isn't logged");
  }
  JobDescription job;
  try {
    job = ReadJobDescription(facts_.job_directory);
  } catch (const JobDirectoryError&) {
    return;  // the last rank of the job has removed it
  }
  if (!ClaimNode(facts_, job)) return;
  // This node's ranks are done, but another may still be lost, and its recovery needs what this
  // node's ranks have logged. So the last one waits for the others.
  int waited = 0;
  for (;;) {
    if (RanksWith(facts_.job_directory, facts_.epoch, "done").size() ==
        static_cast<std::size_t>(facts_.np)) {
      break;
    }
    if (!RanksWith(facts_.job_directory, facts_.epoch, "lost").empty() ||
        !RanksWith(facts_.job_directory, facts_.epoch, "survivor").empty() ||
        access(JobFilePath(facts_.job_directory).c_str(), F_OK) != 0) {
      return;
    }
    // Nobody reads the original standard error any more: mpirun is gone, and with it the job.
    pollfd state{STDERR_FILENO, 0, 0};
    if (poll(&state, 1, waited < 1000 ? kWatch : kSlowWatch) > 0 &&
        (state.revents & (POLLERR | POLLHUP)) != 0) {
      return;
    }
    waited += kWatch;
  }
  if (facts_.keep) {
    if (!MarkNodeClean(facts_, job)) return;
    job.state = JobState::kFinished;
    try {
      WriteJobDescription(facts_.job_directory, job);
    } catch (const JobDirectoryError& error) {
      Say(std::string("ftmpi: ") + error.what());
    }
    return;
  }
  RemoveLocalFiles(facts_);
  if (MarkNodeClean(facts_, job)) RemoveJobFiles(facts_, job);
}

}  // namespace ftmpi::recovery
