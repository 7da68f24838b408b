// Coordinated checkpoints, as the message engine uses them: one Participant per rank; rank 0's
// holds the Coordinator (coordinator.h) as well. Ouyang & Heiser 1996, sections 4 and 5; states,
// rules and message formats: checkpoint/COORDINATION.md.
//
// Pure: no MPI, no files, no clock. The engine (or the simulator) tells it what happens; what it
// wants done it says through CoordinationHost. One thread at a time may call it (the engine's
// lock). Memory follows the number of ranks talked to; the coordinator alone keeps some bytes per
// rank.
//
// Fast path: BeforeSend is an increment and a load, OnMessage an increment and one comparison of
// the message's word with the rank's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "checkpoint/channel_table.h"
#include "checkpoint/checkpoint_interval.h"
#include "checkpoint/control_message.h"
#include "checkpoint/cut_record.h"

namespace ftmpi::checkpoint {

using Csn = std::uint32_t;
inline constexpr Csn kMaximumCoordinatedCsn = (Csn{1} << 30) - 1;
inline constexpr std::uint32_t kStatusBit = std::uint32_t{1} << 31;
inline constexpr std::uint32_t kWordMask =
    kStatusBit | kMaximumCoordinatedCsn;  // bit 30 is the engine's

enum class Transit : std::uint8_t {
  kMtv = 1,  // mechanism 1: message transit vectors
  kAck = 2,  // mechanism 2: acknowledgement counters
};
enum class MtvStrategy : std::uint8_t { kPessimistic = 1, kOptimistic = 2 };
// Who keeps messages that are in transit at a checkpoint.
enum class Keeper : std::uint8_t {
  kReceiver = 1,  // saves a copy (no logs: FT_MODE=coordinated)
  kSender = 2,    // its payload log, part of its checkpoint
};

struct CoordinationConfiguration {
  int rank = 0;
  int size = 1;
  Transit transit = Transit::kMtv;
  MtvStrategy strategy = MtvStrategy::kPessimistic;
  Keeper keeper = Keeper::kReceiver;
  std::uint64_t timeout = 60'000'000'000;  // ns until an unfinished checkpoint is aborted
  std::uint64_t repeat = 1'000'000'000;    // ns until an unanswered abort or rollback is repeated
  std::uint64_t interval = 0;              // ns between checkpoints; 0: none by time
  std::uint64_t every = 0;                 // messages sent by a rank between checkpoints; 0: none
  bool announce_commit = false;            // *commit* to all ranks instead of the lazy second phase
  std::size_t maximum_control = 2048;      // bytes of one SendControl
  std::uint32_t epoch = 0;                 // recovery epoch that the rank starts in
  Csn csn = 0;                             // last committed checkpoint, which it starts from
};

// What became of a checkpoint: for the report, for who waits for it, for the interval's choice.
struct CheckpointOutcome {
  Csn csn = 0;
  bool committed = false;
  std::uint64_t started = 0;   // ns
  std::uint64_t finished = 0;  // ns
  std::string why;             // it was aborted: reason, naming the ranks concerned
};

// What a participant asks of its surroundings. It may be called from within any method of the
// participant; of these, only Cut, OnTentativeTaken, OnInTransitStable and OnCommitRecorded may be
// called back from within.
class CoordinationHost {
 public:
  virtual ~CoordinationHost() = default;

  // Sends a control message to another rank; never blocks.
  virtual void SendControl(int destination, std::span<const std::byte> message) = 0;

  // Asks for a tentative checkpoint. The host calls Cut() when it records the state: at once, or
  // later (state that is registered is recorded where the program says). When it can't:
  // OnTentativeTaken(csn, false) without a Cut.
  virtual void TakeTentative(Csn csn) = 0;
  // The checkpoint is permanent: what it needs is on stable storage, the coordinator's record too.
  virtual void MakePermanent(Csn csn) = 0;
  // The checkpoint is not needed any more: aborted (asked for, being written, or written), or the
  // one before a permanent one.
  virtual void Discard(Csn csn) = 0;
  // Keeper::kReceiver: write all copies of messages in transit at `csn` that were saved so far to
  // stable storage, then OnInTransitStable.
  virtual void FlushInTransit(Csn csn) = 0;
  // Keeper::kSender: messages to `destination` up to number `count` are not needed for a restart.
  virtual void Trim(int destination, std::uint64_t count) = 0;

  // Rank 0: write down durably that `csn` is committed, then OnCommitRecorded.
  virtual void RecordCommit(Csn csn) = 0;
  virtual void Finished(const CheckpointOutcome& outcome) = 0;

  // This rank takes part in a new recovery epoch that starts from checkpoint `csn`: restore it (or
  // not: survivors in the logging modes) and call Participant::EnterEpoch, now or later. Asked
  // again with a greater epoch before that, only the last counts.
  virtual void RollBack(std::uint32_t epoch, Csn csn) = 0;
  // Rank 0: every rank is in `epoch` (missing is empty), or the timeout has passed without these.
  virtual void RollbackFinished(std::uint32_t epoch, const std::vector<int>& missing) = 0;
};

// What the engine has to do with a message before, or instead of, taking it in.
enum class Action : std::uint8_t {
  kDeliver,          // nothing
  kSave,             // in transit: keep a copy for checkpoint csn(), in this order; then deliver
  kCheckpointFirst,  // a cut was asked for and is not made yet: keep this message and those behind
                     // it on its channel, give it to OnMessage again after the Cut (it is not
                     // counted yet)
  kRefuse,           // impossible: refusal() says why
};
enum class EpochAction : std::uint8_t {
  kCurrent,
  kDiscard,  // from before the rollback (section 5)
  kHold,     // this rank goes to the message's epoch first: try again after EnterEpoch
};

class Coordinator;

class Participant {
 public:
  // `host` outlives it. Throws std::invalid_argument for a configuration that contradicts itself.
  Participant(const CoordinationConfiguration& configuration, CoordinationHost* host);
  ~Participant();
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  // --- messages
  // -----------------------------------------------------------------------------------
  Channel* ChannelOf(int rank) { return channels_.Of(rank); }
  // A message leaves to channel->rank. Returns its word (WireHeader::csn). Every message that a
  // receiver's OnMessage will see must pass here, in the order of the channel; also one that a
  // recovered rank sends anew and that goes no further.
  std::uint32_t BeforeSend(Channel* channel) {
    ++channel->sent;
    ++messages_;
    return word_;
  }
  // The word of a message that was counted by BeforeSend (maybe in an earlier epoch) as number
  // `count` of its channel and is sent again from the log.
  [[nodiscard]] std::uint32_t ResendWord(const Channel* channel, std::uint64_t count) const {
    return phase_ != Phase::kPermanent && count <= channel->sent_at_cut ? csn_ - 1 : word_;
  }
  // A message arrived; what it says is to be done before it is taken in (matched or queued).
  [[nodiscard]] Action OnMessage(Channel* channel, std::uint32_t word) {
    if (__builtin_expect((word & kWordMask) == word_, 1)) {
      ++channel->received;
      return Action::kDeliver;
    }
    return OnOtherWord(channel, word & kWordMask);
  }
  // Asked first when a message's epoch differs from the rank's own.
  [[nodiscard]] EpochAction OnOtherEpoch(std::uint32_t epoch, std::uint32_t word);
  // A control message arrived. Malformed or impossible: false; refusal() says why.
  [[nodiscard]] bool OnControl(int source, std::span<const std::byte> message);
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  // --- time and triggers
  // -------------------------------------------------------------------------- Call it now and then
  // while the rank is in the engine. `now`: ns of a monotonic clock.
  void OnTick(std::uint64_t now);
  // Asks the coordinator for a checkpoint (from any rank). One that is under way counts as the one
  // asked for only where this rank's cut is still to come.
  void Request(Reason reason);

  // Rank 0: tells every rank of the last commit by a message of its own; for who can't wait for a
  // status bit (the end of the program, a user who asked). Nothing when this epoch has seen none.
  void AnnounceCommit();

  // --- what the host has done
  // --------------------------------------------------------------------- The state is being
  // recorded: the cut is here. The record is part of the checkpoint.
  CutRecord Cut();
  // The checkpoint is (ok) or can't be on stable storage.
  void OnTentativeTaken(Csn csn, bool ok);
  // The first `count` messages saved for `csn` are on stable storage; or (not ok) can't be.
  void OnInTransitStable(Csn csn, std::uint64_t count, bool ok);
  // Rank 0. Not ok: whatever was written must not count as a commit record.
  void OnCommitRecorded(Csn csn, bool ok);

  // --- recovery
  // ----------------------------------------------------------------------------------- A new
  // participant whose state is that of the checkpoint that the configuration names. `saved`: how
  // many messages in transit of each sender come with it (Keeper::kReceiver; field `received`);
  // they count as received already. Before anything else. Throws std::invalid_argument when the
  // record is of another checkpoint or rank.
  void Restore(const CutRecord& cut, std::span<const ChannelCut> saved = {});
  // A participant that lives on is in the epoch that RollBack named. `cut`: its state has gone back
  // to it, as for Restore; null: it has not (survivors in the logging modes).
  void EnterEpoch(std::uint32_t epoch, Csn csn, const CutRecord* cut,
                  std::span<const ChannelCut> saved = {});
  // Rank 0: ranks were lost and are being replaced; start the next epoch from the last committed
  // checkpoint.
  void StartRollback();

  // --- state
  // --------------------------------------------------------------------------------------
  [[nodiscard]] Csn csn() const { return csn_; }
  [[nodiscard]] bool status() const { return phase_ == Phase::kPermanent; }
  [[nodiscard]] bool aborted() const { return phase_ == Phase::kAborted; }  // checkpoint csn()
  [[nodiscard]] std::uint32_t word() const { return word_; }
  [[nodiscard]] Csn due() const { return due_; }  // a cut is asked for; 0: none
  [[nodiscard]] Csn permanent() const { return permanent_; }
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  [[nodiscard]] const CoordinationConfiguration& configuration() const { return configuration_; }
  [[nodiscard]] Coordinator* coordinator() { return coordinator_.get(); }
  // The paper's vectors: for each rank how many were sent to it; own component: minus those
  // received (COORDINATION.md, "MTVs as counts").
  struct TransitVector {
    std::vector<std::pair<std::int32_t, std::uint64_t>> sent;  // by rank, not 0
    std::uint64_t received = 0;
  };
  [[nodiscard]] TransitVector PreMtv() const;
  [[nodiscard]] TransitVector CurMtv() const;
  // Acknowledgement counters (4.2.2).
  [[nodiscard]] std::uint64_t Pac() const;
  [[nodiscard]] std::uint64_t Cac() const;

 private:
  friend class Coordinator;
  enum class Phase : std::uint8_t { kPermanent, kTentative, kAborted };
  struct Local {  // rank 0: a message between participant and coordinator
    bool to_coordinator;
    ControlMessage message;
  };

  // Runs the body of a public method; the outermost one hands over what is local.
  template <typename Body>
  auto Run(Body body) {
    ++depth_;
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      if (depth_ == 1) DeliverLocal();
      --depth_;
    } else {
      auto result = body();
      if (depth_ == 1) DeliverLocal();
      --depth_;
      return result;
    }
  }
  void SetPhase(Phase phase, Csn csn);
  Action OnOtherWord(Channel* channel, std::uint32_t word);
  Action OnLowerCsn(Channel* channel, Csn csn);
  Action Refuse(const std::string& why);
  bool RefuseControl(const std::string& why);
  bool Handle(int source, const ControlMessage& message);
  void BecomePermanent();
  void AskForCut(Csn csn);
  void PassOver(Csn csn);
  bool OnMarker(Csn csn);
  bool OnAbort(Csn csn);
  bool OnCommit(Csn csn);
  bool OnExpect(const ControlMessage& message);
  bool OnAcknowledge(int source, const ControlMessage& message);
  bool OnRollback(std::uint32_t epoch, Csn csn);
  void FlushIfWanted();
  void LateBecameStable(std::uint64_t count);
  void Acknowledge(Channel* channel);
  void AnswerIfReady();
  void SendVector();
  void Fail(Csn csn, std::uint8_t reason);
  void Send(int destination, const ControlMessage& message);
  void SendToCoordinator(const ControlMessage& message);
  void AnswerRollback();
  void TakeCounts(const CutRecord& cut, std::span<const ChannelCut> saved);
  [[nodiscard]] ControlMessage Message(std::uint8_t type) const;
  void DeliverLocal();
  [[nodiscard]] std::uint64_t ReceivedBeforeCut() const { return received_at_cut_ + late_stable_; }

  CoordinationConfiguration configuration_;
  CoordinationHost* host_;
  std::uint32_t word_ = kStatusBit;  // csn_ and the status bit
  Phase phase_ = Phase::kPermanent;
  Csn csn_ = 0;
  Csn due_ = 0;
  Csn permanent_ = 0;  // the last checkpoint known to be permanent
  std::uint32_t epoch_ = 0;
  std::uint32_t rolling_ = 0;  // epoch that the host was asked to go to; 0: none
  bool taken_ = false;         // the tentative checkpoint is on stable storage
  bool answered_ = false;      // ... and the coordinator was told
  bool failed_ = false;
  bool flushing_ = false;                // FlushInTransit asked and not answered
  bool requested_for_messages_ = false;  // Reason::kMessages, once per checkpoint
  std::uint64_t messages_ = 0;           // sent
  std::uint64_t messages_at_cut_ = 0;
  std::uint64_t received_at_cut_ = 0;  // over all channels
  std::uint64_t late_stable_ = 0;      // over all channels
  std::uint64_t reported_ = 0;         // late_stable_ as the coordinator knows it
  std::uint64_t expected_ = 0;         // pessimistic: report when so many late ones are stable
  std::uint64_t pac_ = 0;
  std::vector<Channel*> late_;  // channel of each message in transit, in order of arrival
  ChannelTable channels_;
  std::string refusal_;
  std::unique_ptr<Coordinator> coordinator_;
  std::deque<Local> local_;
  int depth_ = 0;  // of public methods
  std::vector<std::byte> bytes_;
};

}  // namespace ftmpi::checkpoint
