// A simulated job that takes coordinated checkpoints: ranks with Participants, channels, storage
// that takes its time and fails. Messages have identities of their own, and what is on storage is
// held against them: could the job be restarted from the committed checkpoint, with no message
// lost, delivered twice, or received and never sent?
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/coordination.h"
#include "checkpoint/coordinator.h"

namespace ftmpi::checkpoint::simulator {

// A defect put in on purpose, to see that the checks would find it.
enum class Defect : std::uint8_t {
  kNone,
  kNoForcedCut,         // a message with a higher CSN is delivered without a cut
  kInTransitForgotten,  // messages in transit are not saved
  kStableTooEarly,      // copies are called stable before they are
  kAnswerTooEarly,      // a checkpoint is called taken before it is on storage
  kPreviousDeleted,     // the previous checkpoint goes when the tentative one is there
  kTrimToOwnCut,        // the sender's log is cut off at the sender's cut
  kCountsNotRestored,   // a restart begins counting at 0
  kAbortUnheard,        // an abort is answered and not obeyed
};

struct Options {
  std::uint64_t seed = 1;
  int ranks = 4;
  Transit transit = Transit::kMtv;
  MtvStrategy strategy = MtvStrategy::kPessimistic;
  Keeper keeper = Keeper::kReceiver;
  bool fifo = true;             // within a channel
  unsigned loss = 0;            // so many of 1000 messages, control messages too, are lost
  unsigned write_failures = 0;  // so many of 100 writes fail
  bool deferred_cuts = false;
  bool announce_commit = false;
  int steps = 500;
  int relaunches = 0;  // the whole job crashes
  int rollbacks = 0;   // ranks are lost and replaced, the coordinator lives on; with senders' logs
                       // it may be that one rank alone goes back
  std::size_t maximum_control = 2048;
  std::uint64_t timeout = 400;
  Defect defect = Defect::kNone;
};

struct Result {
  std::string violation;  // empty: all is well
  std::uint64_t messages = 0;
  std::uint64_t controls = 0;
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t in_transit = 0;  // in committed checkpoints
  std::uint64_t checks = 0;
  std::uint64_t restarts = 0;
  std::uint64_t alone = 0;  // of these, one rank went back and the others did not
  std::uint64_t resent = 0;
  std::uint64_t last_controls = 0;  // of the last checkpoint, taken in quiet
};

class World {
 public:
  explicit World(const Options& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Result Run();

 private:
  class Host;
  // What the program and the engine know: the truth that a checkpoint must hold.
  struct State {
    std::vector<std::uint64_t> sent;                // to each rank
    std::vector<std::set<std::uint64_t>> received;  // from each rank: numbers of messages
  };
  struct Copy {
    int source;
    std::uint64_t number;
  };
  struct Checkpoint {  // one rank's, on storage
    State state;
    CutRecord cut;
    std::vector<Copy> saved;              // messages in transit on storage
    std::vector<std::uint64_t> log_from;  // Keeper::kSender: the log holds what is behind these
    bool complete = false;
  };
  struct Packet {
    bool control = false;
    std::uint32_t epoch = 0;
    std::uint32_t word = 0;
    std::uint64_t number = 0;
    std::vector<std::byte> bytes;
  };
  enum class Work : std::uint8_t { kCut, kWrite, kFlush, kRecord, kReportRecord, kRestore };
  struct Job {  // something that a host was asked for and has not done yet
    Work work;
    Csn csn;
    std::uint32_t epoch = 0;
  };
  struct Rank {
    std::unique_ptr<Host> host;
    std::unique_ptr<Participant> participant;
    State state;
    std::vector<std::uint64_t> trimmed;  // of the live log, by destination
    std::map<int, std::deque<std::uint64_t>> resend;
    std::vector<Copy> copies;  // of the current tentative checkpoint
    std::deque<Job> jobs;
    std::map<Csn, Checkpoint> storage;
    Checkpoint pending;    // cut, not yet written
    bool stopped = false;  // between RollBack and EnterEpoch
    bool dead = false;     // the process is gone, its replacement is not there yet
  };

  // world.cc
  std::unique_ptr<Participant> MakeParticipant(int rank, std::uint32_t epoch, Csn csn);
  void Step();
  void Send(int rank, int destination);
  void Resend(int rank, int destination);
  void ResendAll(int rank, int destination);
  bool ArriveOne();
  bool Arrive(int source, int destination, Packet packet);
  void Put(int source, int destination, Packet packet);
  void DoOneJob(int rank);
  void CutNow(int rank);
  void Restore(int rank, std::uint32_t epoch, Csn csn, bool replaced);
  void Relaunch();
  void LoseOneRank();
  void ReplayAndResend();
  void Drain();
  bool Quiet() const;
  State EmptyState() const;
  int AnyRank() { return static_cast<int>(random_() % ranks_.size()); }
  bool Chance(unsigned percent) { return random_() % 100 < percent; }
  Rank& At(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] const Rank& At(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  // world_checks.cc
  void Violated(const std::string& what);
  void CheckRestart();
  void CheckChannel(int from, int to);
  void CheckCounts();

  Options options_;
  Result result_;
  std::mt19937_64 random_;
  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, std::deque<Packet>> channels_;
  std::vector<std::pair<int, int>> busy_;  // channels that are not empty
  Csn commit_record_ = 0;                  // on storage
  std::uint32_t epoch_ = 0;
  std::uint64_t now_ = 1;
  int step_ = 0;
  bool dirty_ = true;      // something that a restart needs has changed
  bool draining_ = false;  // no new messages, nothing fails
  bool rolling_ = false;
  int alone_ = -1;       // the rank that goes back alone
  bool replay_ = false;  // all are in the new epoch: the rank replays, lost messages are sent again
  State before_;         // its state when it was lost
  std::int64_t lost_in_ = -1;  // epoch in which a message of the program was lost
  unsigned weight_send_ = 0, weight_network_ = 0, weight_job_ = 0, weight_tick_ = 0,
           weight_request_ = 0, weight_resend_ = 0;
};

// Options drawn from a seed.
Options RandomOptions(std::uint64_t seed);

}  // namespace ftmpi::checkpoint::simulator
