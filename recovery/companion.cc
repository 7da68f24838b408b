#include "recovery/companion.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <set>

#include "logging/environment.h"
#include "logging/event_log.h"
#include "logging/log_error.h"
#include "logging/replay_log.h"
#include "recovery/companion_end.h"
#include "recovery/durable_file.h"
#include "recovery/held_record.h"
#include "recovery/job_records.h"

namespace ftmpi::recovery {

using logging::CompanionMessageType;

namespace {
constexpr int kCommitPoll = 2;      // ms between looks at `committable` while output waits for it
constexpr int kProgressPoll = 200;  // ms between looks at a replay's progress
// mpirun sends SIGCONT when it has learnt of a death and SIGTERM a second later. In between it
// reads nothing (it sleeps), and what it is given afterwards it may read and drop. So from SIGCONT
// on output stays here, until it is clear that job control has sent it.
constexpr int kFreeze = 1500;     // ms
constexpr int kFreezePoll = 100;  // ms
}  // namespace

std::int64_t MonotonicMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Companion::Companion(const CompanionOptions& options) : options_(options) {
  if (options.output_read >= 0) {
    output_ = std::make_unique<OutputGate>(options.output_read, options.output_write);
  }
  if (options.error_read >= 0) {
    error_ = std::make_unique<OutputGate>(options.error_read, options.error_write);
  }
  if (options.input_write >= 0) {
    input_ = std::make_unique<StdinFeeder>(options.input_read, options.input_write);
  }
  if (options.recovered_job_directory.empty()) return;
  // What the rank prints from its first byte on was shown already, up to the recorded counts.
  const JobDescription job = ReadJobDescription(options.recovered_job_directory);
  StartAtCheckpoint();
  const auto released =
      ReadReleasedOutput(ReleasedPath(options.recovered_job_directory, options.recover_rank),
                         job.job, options.recover_rank);
  if (released) {
    if (output_) output_->Swallow(released->stdout_bytes, released->stdout_hash);
    if (error_) error_->Swallow(released->stderr_bytes, released->stderr_hash);
  }
  ShowHeldAtCheckpoint(job, released.value_or(ReleasedOutput()));
  if (input_) {
    input_->Replay(StdinLogPath(options.recovered_job_directory), job.job, checkpoint_input_);
  }
}

// A rank that starts from a checkpoint prints and reads what comes behind it only.
void Companion::StartAtCheckpoint() {
  const std::string path =
      EpochDirectory(options_.recovered_job_directory, options_.recover_epoch) + "/" +
      logging::ReplayLogFileName(options_.recover_rank);
  // Without one the rank, which needs it, ends with a message.
  if (!logging::Environment::Posix()->Exists(path)) return;
  try {
    const logging::ReplayLog log = logging::ReadReplayLog(logging::Environment::Posix(), path);
    if (output_) output_->StartAt(log.checkpoint_stdout);
    if (output_ && log.registered) output_->BeginDropping();
    if (error_) error_->StartAt(log.checkpoint_stderr);
    checkpoint_input_ = log.checkpoint_stdin;
  } catch (const logging::LogError& error) {
    throw JobDirectoryError(error.what());
  }
}

// Coordinated mode: what was held back at the checkpoint that the rank starts from was never shown,
// and is not written again.
void Companion::ShowHeldAtCheckpoint(const JobDescription& job, const ReleasedOutput& released) {
  const auto show = [&](OutputGate* gate, std::uint64_t shown, HeldPiece HeldRecord::*piece) {
    if (gate == nullptr || gate->taken() <= shown) return;
    const std::string path = HeldPath(options_.recovered_job_directory, options_.recover_rank);
    const auto held = ReadHeld(path, job.job, options_.recover_rank);
    const auto bytes = held ? ((*held).*piece).Part(shown, gate->taken()) : std::nullopt;
    if (!bytes) {
      throw JobDirectoryError(path +
                              ": does not hold the output that was not shown before the "
                              "checkpoint; recover from another one");
    }
    gate->ShowFirst(*bytes);
  };
  show(output_.get(), released.stdout_bytes, &HeldRecord::standard_output);
  show(error_.get(), released.stderr_bytes, &HeldRecord::standard_error);
}

// Coordinated mode, and where a rank takes checkpoints of its own, at a cut: what is held back goes
// to stable storage. An own checkpoint may be taken when the job has failed already and nobody
// reads its output any more: so what may be taken back goes there too.
void Companion::KeepHeld() {
  if (facts_.mode != "coordinated" && !facts_.own_checkpoints) return;
  const auto held = [this](const OutputGate& gate) {
    if (!facts_.own_checkpoints) return HeldPiece{gate.held_start(), gate.Held()};
    return HeldPiece{gate.held_start() - gate.recent().size(), gate.recent() + gate.Held()};
  };
  HeldRecord record;
  if (output_) record.standard_output = held(*output_);
  if (error_) record.standard_error = held(*error_);
  const std::string path = HeldPath(facts_.job_directory, facts_.rank);
  if (record.standard_output.bytes.empty() && record.standard_error.bytes.empty()) {
    unlink(path.c_str());
    return;
  }
  WriteHeld(path, facts_.job, facts_.rank, record);
}

Companion::~Companion() {
  if (released_file_ >= 0) close(released_file_);
}

std::string Companion::Who() const {
  return "rank " + std::to_string(facts_.rank) + " (pid " + std::to_string(options_.rank_pid) +
         " on " + facts_.node + ")";
}

// One line on the program's original standard error.
void Companion::Say(const std::string& line) {
  pollfd writable{STDERR_FILENO, POLLOUT, 0};
  if (poll(&writable, 1, 1000) <= 0 || (writable.revents & POLLOUT) == 0) return;
  const std::string text = line + "\n";
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

bool Companion::JobIsBeingKilled() const {
  return notice_ == SIGTERM ||
         (status_ != nullptr && status_->failure_notice.load(std::memory_order_acquire) == SIGTERM);
}

int Companion::Timeout() const {
  int timeout = -1;
  if (status_ != nullptr && facts_.epoch > 0 &&
      (!progress_known_ || progress_.replay_done < progress_.replay_total)) {
    timeout = kProgressPoll;
  }
  if (frozen_until_ != 0) return kFreezePoll;
  if ((output_ && output_->Waiting(status_)) || (error_ && error_->Waiting(status_))) {
    timeout = kCommitPoll;
  }
  if (requests_ && timeout < 0) timeout = CheckpointRequests::kPeriod;
  return timeout;
}

std::vector<pollfd> Companion::Watched() const {
  std::vector<pollfd> watched;
  watched.push_back({options_.pidfd, POLLIN, 0});
  if (channel_open_) watched.push_back({options_.channel, POLLIN, 0});
  for (const OutputGate* gate : {output_.get(), error_.get()}) {
    if (gate == nullptr) continue;
    if (!gate->ended() && !gate->Full(status_)) watched.push_back({gate->from(), POLLIN, 0});
    if (frozen_until_ == 0 && gate->WantsToWrite(status_))
      watched.push_back({gate->to(), POLLOUT, 0});
  }
  if (input_) {
    if (input_->WantsToRead()) watched.push_back({input_->from(), POLLIN, 0});
    if (input_->WantsToWrite()) watched.push_back({input_->to(), POLLOUT, 0});
  }
  return watched;
}

void Companion::Run() {
  while (!rank_gone_) {
    std::vector<pollfd> watched = Watched();
    const int ready = poll(watched.data(), watched.size(), Timeout());
    if (ready < 0 && errno != EINTR) break;
    Serve(watched);
  }
  End();
}

void Companion::Serve(const std::vector<pollfd>& ready) {
  bool input_ready = false;
  for (const pollfd& one : ready) {
    if (one.revents == 0) continue;
    if (one.fd == options_.pidfd) rank_gone_ = true;
    if (input_ && one.fd == input_->from()) input_ready = true;
  }
  ReadChannel();
  TakeOutput(false);
  PassOn(false);
  if (input_) {
    if (input_ready) input_->Take();
    input_->Feed();
  }
  WriteProgress();
  if (requests_) requests_->Serve(MonotonicMilliseconds());
}

void Companion::TakeOutput(bool all) {
  for (OutputGate* gate : {output_.get(), error_.get()}) {
    if (gate != nullptr && !gate->ended() && (all || !gate->Full(status_))) gate->Take(status_);
  }
}

bool Companion::Frozen() {
  if (frozen_until_ == 0) return false;
  if (MonotonicMilliseconds() < frozen_until_) return true;
  if (!RanksWith(facts_.job_directory, facts_.epoch, "lost").empty()) {
    frozen_until_ = MonotonicMilliseconds() + kFreeze;
    return true;
  }
  frozen_until_ = 0;
  return false;
}

void Companion::PassOn(bool everything) {
  // The job is being killed: the recovered run prints what is left.
  if (!everything && (JobIsBeingKilled() || Frozen())) return;
  const auto count = [this] { Count(); };
  if (output_) {
    WarnIfDifferent(output_.get(), "standard output", &output_warned_);
    output_->Release(status_, everything, count);
  }
  if (error_) {
    WarnIfDifferent(error_.get(), "standard error", &error_warned_);
    error_->Release(status_, everything, count);
  }
  if (status_ == nullptr) return;
  const std::uint32_t waiting =
      (output_ && output_->Waiting(status_)) || (error_ && error_->Waiting(status_)) ? 1 : 0;
  if (status_->output_waiting.load(std::memory_order_relaxed) != waiting) {
    status_->output_waiting.store(waiting, std::memory_order_release);
  }
  if (waiting != 0 && flusher_) flusher_->Hurry();
}

void Companion::WarnIfDifferent(OutputGate* gate, const char* stream, bool* warned) {
  if (*warned || !gate->different()) return;
  *warned = true;
  Say("ftmpi: rank " + std::to_string(std::max(options_.recover_rank, facts_.rank)) +
      ": what the program printed on " + stream +
      " before the failure is not what it prints now: its output depends on something that "
      "isn't logged. What was printed stays; the rest follows.");
}

// Called before bytes are passed on, with the counters as they will be then.
void Companion::Count() {
  if (released_file_ < 0) return;
  ReleasedOutput released;
  if (output_) {
    released.stdout_bytes = output_->released();
    released.stdout_hash = output_->hash();
  }
  if (error_) {
    released.stderr_bytes = error_->released();
    released.stderr_hash = error_->hash();
  }
  status_->stdout_released.store(released.stdout_bytes, std::memory_order_release);
  status_->stderr_released.store(released.stderr_bytes, std::memory_order_release);
  const std::string record = SealReleased(facts_.job, facts_.rank, released);
  if (pwrite(released_file_, record.data(), record.size(), 0) !=
          static_cast<ssize_t>(record.size()) ||
      (released_synced_ && fdatasync(released_file_) != 0)) {
    if (!released_failed_) {
      released_failed_ = true;
      Say("ftmpi: " + ReleasedPath(facts_.job_directory, facts_.rank) + ": can't be written: " +
          std::strerror(errno) + "; a recovery may print lines a second time");
    }
  }
}

void Companion::ReadChannel() {
  struct {
    logging::CompanionHeader header;
    alignas(8) char body[32768];
  } message;
  static_assert(sizeof message.body >= sizeof(logging::CompanionFacts) &&
                sizeof message.body >= sizeof(logging::CompanionRanks));
  while (channel_open_) {
    const ssize_t got = recv(options_.channel, &message, sizeof message, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      // The rank closed it, or is gone: its process tells which.
      channel_open_ = false;
      return;
    }
    if (static_cast<std::size_t>(got) < sizeof message.header ||
        message.header.magic != logging::kCompanionMagic ||
        message.header.version != logging::kCompanionVersion ||
        message.header.length != static_cast<std::size_t>(got) - sizeof message.header) {
      Reply(message.header.sequence,
            "libftmpi.so is not of the same version as mpi-ft-companion: install ftmpi anew");
      continue;
    }
    Handle(message.header, message.body, message.header.length);
  }
}

void Companion::Handle(const logging::CompanionHeader& header, const char* body,
                       std::size_t length) {
  const auto code = [&]() {
    logging::CompanionCode value{};
    if (length == sizeof value) std::memcpy(&value, body, sizeof value);
    return value.code;
  };
  switch (static_cast<CompanionMessageType>(header.type)) {
    case CompanionMessageType::kRanks: {
      logging::CompanionRanks ranks;
      if (length != sizeof ranks) return;
      std::memcpy(&ranks, body, sizeof ranks);
      if (ranks.count < 0 || ranks.count > logging::kCompanionRanksPerMessage) return;
      if (static_cast<std::size_t>(ranks.first) != ranks_.size()) ranks_.clear();
      for (int i = 0; i < ranks.count; ++i) {
        const logging::CompanionRankPlace& place = ranks.places[i];
        ranks_.push_back({std::string(place.node, strnlen(place.node, sizeof place.node)),
                          place.pid, place.pid_start_time});
      }
      return;
    }
    case CompanionMessageType::kAttach: {
      logging::CompanionFacts facts;
      if (length != sizeof facts) {
        Reply(header.sequence, "the library's message is damaged");
        return;
      }
      std::memcpy(&facts, body, sizeof facts);
      try {
        Attach(facts);
        Reply(header.sequence, "");
      } catch (const std::exception& error) {
        Reply(header.sequence, error.what());
      }
      return;
    }
    case CompanionMessageType::kSync:
      // All that was written before this message was sent can be read now.
      TakeOutput(true);
      PassOn(false);
      if (status_ != nullptr) {
        if (output_) status_->stdout_taken.store(output_->taken(), std::memory_order_release);
        if (error_) status_->stderr_taken.store(error_->taken(), std::memory_order_release);
        if (input_) {
          status_->stdin_taken.store(input_->Taken(), std::memory_order_release);
          status_->stdin_closed.store(input_->to() < 0 ? 1 : 0, std::memory_order_release);
        }
      }
      try {
        KeepHeld();
        Reply(header.sequence, "");
      } catch (const std::exception& error) {
        Reply(header.sequence, error.what());
      }
      return;
    case CompanionMessageType::kResumed:
      TakeOutput(true);
      if (output_) output_->EndDropping();
      Reply(header.sequence, "");
      return;
    case CompanionMessageType::kAborted:
      aborted_ = true;
      code_ = code();
      return;
    case CompanionMessageType::kFinalized:
      finalized_ = true;
      return;
    case CompanionMessageType::kNotice:
      OnNotice(code());
      return;
    case CompanionMessageType::kExit:
      exited_ = true;
      if (!aborted_) code_ = code();
      return;
    case CompanionMessageType::kReply:
      return;
  }
}

void Companion::Reply(std::uint32_t sequence, const std::string& failure) {
  struct {
    logging::CompanionHeader header;
    logging::CompanionReply body;
  } answer{};
  answer.header = {logging::kCompanionMagic, logging::kCompanionVersion,
                   static_cast<std::uint16_t>(CompanionMessageType::kReply), sizeof answer.body,
                   sequence};
  answer.body.failed = failure.empty() ? 0 : 1;
  failure.copy(answer.body.message, sizeof answer.body.message - 1);
  (void)!send(options_.channel, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Companion::OnNotice(int signal) {
  if (signal == SIGTERM) {
    notice_ = signal;
    return;
  }
  if (signal != SIGCONT || status_ == nullptr) return;
  // mpirun sends it to the ranks that are left as soon as it knows of a death (job control sends it
  // as well: then the file says no more than what is true). It tells the others that this node
  // lives.
  continue_time_ = MonotonicMilliseconds();
  frozen_until_ = continue_time_ + kFreeze;
  try {
    ReplaceFileLoosely(EpochDirectory(facts_.job_directory, facts_.epoch) + "/alive-" +
                           std::to_string(facts_.rank),
                       "");
  } catch (const JobDirectoryError&) {  // only a hint
  }
}

void Companion::Attach(const logging::CompanionFacts& message) {
  if (status_ != nullptr) throw JobDirectoryError("this rank is attached already");
  const CompanionFactsChecked facts = CheckFacts(message);
  if (facts.epoch > 0 &&
      (options_.recovered_job_directory != facts.job_directory ||
       options_.recover_epoch != facts.epoch || options_.recover_rank != facts.rank)) {
    throw JobDirectoryError("rank " + std::to_string(facts.rank) + " is in recovery epoch " +
                            std::to_string(facts.epoch) + " of " + facts.job_directory +
                            ", but was not started so (FTMPI_JOBDIR, FTMPI_RECOVER_EPOCH)");
  }
  MakeDirectory(facts.job_directory);
  MakeDirectory(EpochDirectory(facts.job_directory, facts.epoch));
  MakeDirectory(LogDirectory(facts.job_directory));
  MakeDirectory(OutputDirectory(facts.job_directory));
  const std::string released = ReleasedPath(facts.job_directory, facts.rank);
  const int mode = facts.epoch == 0 ? O_EXCL : 0;
  released_file_ = open(released.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | mode, 0666);
  if (released_file_ < 0) {
    throw JobDirectoryError(
        released + ": can't be created: " + std::strerror(errno) +
        (errno == EEXIST ? " (another job's directory? set FT_DIR to a new one)" : ""));
  }
  if (facts.rank == 0) {
    if (facts.epoch == 0 && access(JobFilePath(facts.job_directory).c_str(), F_OK) == 0) {
      throw JobDirectoryError(JobFilePath(facts.job_directory) +
                              ": exists already: the directory belongs to an earlier job; recover "
                              "or remove that one, or set FT_DIR to a new directory");
    }
    if (ranks_.size() != static_cast<std::size_t>(facts.np)) {
      throw JobDirectoryError("rank 0 told the places of " + std::to_string(ranks_.size()) +
                              " of " + std::to_string(facts.np) + " ranks");
    }
    if (input_) input_->StartLog(StdinLogPath(facts.job_directory), facts.job);
    WriteJobDescription(facts.job_directory,
                        facts.epoch == 0 ? DescribeNewJob(facts, options_.rank_pid,
                                                          options_.working_directory, ranks_)
                                         : DescribeRecoveredJob(facts, options_.rank_pid, ranks_));
  }
  page_ = logging::RankStatusPage::Open(logging::Environment::Posix(), facts.status_path, facts.job,
                                        facts.rank);
  facts_ = facts;
  status_ = page_->status();
  released_synced_ = options_.local_ranks == 0 || options_.local_ranks < facts.np;
  if (output_) output_->set_spill_directory(facts.job_directory);
  if (error_) error_->set_spill_directory(facts.job_directory);
  Count();
  if (facts.rank == 0) {
    requests_ = std::make_unique<CheckpointRequests>(
        facts.job_directory, facts.job, status_, [this](const std::string& line) { Say(line); });
  }
  if (facts.flush_events || facts.mode == "optimistic") {
    Flusher::Options flush;
    flush.event_log = logging::JoinPath(facts.local_directory,
                                        logging::EventLog::FileName(facts.rank, facts.epoch));
    flush.directory = LogDirectory(facts.job_directory);
    flush.rank = facts.rank;
    flush.job = facts.job;
    flush.epoch = facts.epoch;
    flusher_ = std::make_unique<Flusher>(flush, status_, [this](const std::string& reason) {
      Say("ftmpi: rank " + std::to_string(facts_.rank) +
          ": events can't be written to stable storage any more: " + reason);
    });
  }
}

void Companion::WriteProgress() {
  if (status_ == nullptr || facts_.epoch == 0) return;
  ReplayProgress now;
  now.replay_done = status_->replay_done.load(std::memory_order_relaxed);
  now.replay_total = status_->replay_total.load(std::memory_order_relaxed);
  now.phase = static_cast<std::uint32_t>(status_->phase.load(std::memory_order_relaxed));
  if (progress_known_ && now == progress_) return;
  const std::int64_t time = MonotonicMilliseconds();
  if (progress_known_ && !rank_gone_ && time - progress_time_ < kProgressPoll) return;
  progress_ = now;
  progress_known_ = now.phase != static_cast<std::uint32_t>(logging::RankPhase::kStarting);
  progress_time_ = time;
  try {
    WriteReplayProgress(ProgressPath(facts_.job_directory, facts_.epoch, facts_.rank), facts_.job,
                        facts_.rank, now);
  } catch (const JobDirectoryError&) {  // the bar stands still; the recovery doesn't
  }
}

}  // namespace ftmpi::recovery
