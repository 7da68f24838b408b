// Rank 0's part in coordinated checkpoints: starts them, collects answers, decides (Ouyang & Heiser
// 1996, 4.2.3, pseudo-code 1, and section 5). Lives in rank 0's Participant, which is how messages
// reach it. States: checkpoint/COORDINATION.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {

class Coordinator {
 public:
  explicit Coordinator(Participant* participant);

  // --- for the engine
  // ----------------------------------------------------------------------------- ns between
  // checkpoints from now on, 0: none by time (FT_CKPT_INTERVAL=auto: IntervalChooser).
  void SetInterval(std::uint64_t interval) { trigger_.SetInterval(interval); }
  [[nodiscard]] Csn committed() const { return committed_; }
  [[nodiscard]] bool idle() const { return state_ == State::kIdle; }

  // --- for Participant
  // ----------------------------------------------------------------------------
  void OnTick(std::uint64_t now);
  // `csn`: of the rank that asks, when it asked.
  void OnRequest(Reason reason, Csn csn);
  [[nodiscard]] bool OnControl(int source, const ControlMessage& message);
  void OnCommitRecorded(Csn csn, bool ok);
  void StartRollback();
  void AnnounceCommit();

 private:
  enum class State : std::uint8_t {
    kIdle,
    kCollecting,
    kTransit,
    kRecording,
    kAborting,
    kRollingBack
  };
  struct Answer {
    bool complete = false;        // every part of it is there
    bool final_part = false;      // the one with `last` is
    std::uint64_t parts = 0;      // so many are there
    std::uint64_t last_part = 0;  // number of the last one
    std::uint64_t received = 0;   // own component of the vector, positive
  };

  void Start();
  bool OnTaken(int source, const ControlMessage& message);
  bool OnReceived(int source, const ControlMessage& message);
  void AllTaken();
  void CommitIfNothingInTransit();
  void Abort(const std::string& why);
  void Finish();
  void CountMissing(int rank, std::int64_t difference);
  void ToAll(const ControlMessage& message);
  void ToUnanswered(ControlType type);
  [[nodiscard]] ControlMessage Message(ControlType type) const;
  [[nodiscard]] std::string Unanswered() const;
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(participant_->configuration().size);
  }

  Participant* participant_;
  State state_ = State::kIdle;
  Csn csn_;        // of the current or last checkpoint
  Csn committed_;  // last committed
  bool committed_in_epoch_ = false;
  CheckpointTrigger trigger_;
  std::uint64_t now_ = 0;
  std::uint64_t deadline_ = 0;  // 0: to be set at the next tick
  std::uint64_t repeat_at_ = 0;
  bool rollback_wanted_ = false;    // once the commit under way is decided
  std::uint32_t target_epoch_ = 0;  // of the last rollback
  CheckpointOutcome outcome_;
  std::vector<Answer> answers_;    // per rank; empty when no checkpoint is under way
  std::vector<std::int64_t> sum_;  // Sum_V
  std::size_t nonzero_ = 0;        // components of it
  std::size_t negative_ = 0;
  std::vector<bool> answered_;  // abort, rollback
  std::size_t unanswered_ = 0;
};

}  // namespace ftmpi::checkpoint
