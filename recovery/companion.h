// The companion of one rank: a process that outlives a kill -9 of it. One thread (and the
// flusher's) that waits on descriptors. What it does and what it exchanges with the rank:
// logging/COMPANION.md.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "logging/companion_protocol.h"
#include "logging/rank_status.h"
#include "recovery/companion_flusher.h"
#include "recovery/companion_gate.h"
#include "recovery/companion_job.h"
#include "recovery/companion_requests.h"
#include "recovery/companion_stdin.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

struct CompanionOptions {
  std::int64_t rank_pid = 0;
  int pidfd = -1;                           // of the rank
  int stat_file = -1;                       // /proc/<pid>/stat
  int channel = -1;                         // to the rank
  int output_read = -1, output_write = -1;  // gate of the rank's descriptor 1; -1: none
  int error_read = -1, error_write = -1;    // of descriptor 2
  int input_read = -1, input_write = -1;    // descriptor 0
  std::string working_directory;            // of the rank when it started
  // A recovery (from the environment): where the job is recorded, which rank this will be.
  std::string recovered_job_directory;
  std::uint32_t recover_epoch = 0;
  int recover_rank = -1;
  int local_ranks = 0;  // ranks on this node, 0: unknown
};

class Companion {
 public:
  // Takes the descriptors over. Throws JobDirectoryError when a recovery's records can't be read.
  explicit Companion(const CompanionOptions& options);
  ~Companion();
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  // Serves the rank until it is gone, then does what there is to do then.
  void Run();

 private:
  struct Ending;

  void StartAtCheckpoint();
  void ShowHeldAtCheckpoint(const JobDescription& job, const ReleasedOutput& released);
  void KeepHeld();

  // --- While the rank lives
  int Timeout() const;
  std::vector<pollfd> Watched() const;
  void Serve(const std::vector<pollfd>& ready);
  void ReadChannel();
  void Handle(const logging::CompanionHeader& header, const char* body, std::size_t length);
  void Attach(const logging::CompanionFacts& facts);
  void OnNotice(int signal);
  void Reply(std::uint32_t sequence, const std::string& failure);
  // `all`: what can be read now, else as much as is not too much.
  void TakeOutput(bool all);
  void PassOn(bool everything);
  void Count();
  void WarnIfDifferent(OutputGate* gate, const char* stream, bool* warned);
  void WriteProgress();
  void Say(const std::string& line);

  // --- When it has ended (companion_ending.cc)
  void End();
  Ending FindOutEnding();
  void RecordEnding(const Ending& ending);
  void PassOnToTheEnd(int limit);
  void Settle();
  void SpeakForSilentRanks();
  void CleanUpAfterSuccess();
  // Calls `done` every `step` ms until it is true or `limit` ms have passed.
  template <typename Done>
  bool WaitUntil(int step, int limit, Done done);

  [[nodiscard]] bool attached() const { return status_ != nullptr; }
  [[nodiscard]] bool JobIsBeingKilled() const;
  // Whether output is to stay here for now, since mpirun may be about to end the job.
  bool Frozen();
  [[nodiscard]] std::string Who() const;  // "rank 2 (pid 1234 on node7)"

  CompanionOptions options_;
  std::unique_ptr<OutputGate> output_;
  std::unique_ptr<OutputGate> error_;
  std::unique_ptr<StdinFeeder> input_;
  std::uint64_t checkpoint_input_ = 0;  // bytes that a restarted rank has taken before
  bool rank_gone_ = false;
  bool channel_open_ = true;

  CompanionFactsChecked facts_;
  std::vector<ProcessPlace> ranks_;  // rank 0: as told before kAttach
  std::unique_ptr<logging::RankStatusPage> page_;
  logging::RankStatus* status_ = nullptr;
  std::unique_ptr<Flusher> flusher_;
  std::unique_ptr<CheckpointRequests> requests_;  // rank 0
  int released_file_ = -1;                        // output/rank-<r>.released
  bool released_synced_ = false;  // ranks on several nodes: the counters must survive ours
  bool released_failed_ = false;
  bool output_warned_ = false;
  bool error_warned_ = false;
  ReplayProgress progress_;
  bool progress_known_ = false;
  std::int64_t progress_time_ = 0;  // ms

  // What the rank said of its end.
  int notice_ = 0;                  // SIGTERM: the job is being killed
  std::int64_t continue_time_ = 0;  // ms, when SIGCONT came
  std::int64_t frozen_until_ = 0;   // ms; 0: not frozen
  bool exited_ = false;
  bool aborted_ = false;
  bool finalized_ = false;
  int code_ = 0;
};

// Milliseconds of a clock that only goes forward.
std::int64_t MonotonicMilliseconds();

}  // namespace ftmpi::recovery
