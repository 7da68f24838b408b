#include "checkpoint/coordinator.h"

#include <algorithm>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination_check.h"

namespace ftmpi::checkpoint {
namespace {

std::string ListRanks(const std::vector<int>& ranks) {
  constexpr std::size_t kNamed = 8;
  std::string text = ranks.size() == 1 ? "rank" : "ranks";
  for (std::size_t i = 0; i < ranks.size() && i < kNamed; ++i) {
    text += (i == 0 ? " " : ", ") + std::to_string(ranks[i]);
  }
  if (ranks.size() > kNamed) text += " and " + std::to_string(ranks.size() - kNamed) + " more";
  return text;
}

}  // namespace

Coordinator::Coordinator(Participant* participant)
    : participant_(participant),
      csn_(participant->configuration().csn),
      committed_(participant->configuration().csn),
      trigger_(participant->configuration().interval, 0) {}

ControlMessage Coordinator::Message(ControlType type) const {
  ControlMessage message;
  message.type = type;
  message.epoch = participant_->epoch();
  message.csn = csn_;
  return message;
}

void Coordinator::ToAll(const ControlMessage& message) {
  for (int rank = 0; rank < participant_->configuration().size; ++rank) {
    participant_->Send(rank, message);
  }
}

void Coordinator::OnTick(std::uint64_t now) {
  now_ = now;
  const CoordinationConfiguration& configuration = participant_->configuration();
  if (deadline_ == 0) deadline_ = now + configuration.timeout;
  switch (state_) {
    case State::kIdle:
      if (trigger_.Due(now, 0)) Start();
      return;
    case State::kCollecting:
      if (now >= deadline_) Abort("no answer from " + Unanswered() + " in time");
      return;
    case State::kTransit: {
      if (now < deadline_) return;
      std::vector<int> waiting;
      std::int64_t count = 0;
      for (std::size_t r = 0; r < sum_.size(); ++r) {
        if (sum_[r] == 0) continue;
        waiting.push_back(static_cast<int>(r));
        count += sum_[r];
      }
      Abort(std::to_string(count) + " messages to " + ListRanks(waiting) +
            " did not arrive in time");
      return;
    }
    case State::kRecording:
      return;  // the decision is at the storage
    case State::kAborting:
      if (now >= repeat_at_) {
        if (repeat_at_ != 0) ToUnanswered(ControlType::kAbort);
        repeat_at_ = now + configuration.repeat;
      }
      return;
    case State::kRollingBack:
      if (now >= deadline_) {
        std::vector<int> missing;
        for (std::size_t r = 0; r < answered_.size(); ++r) {
          if (!answered_[r]) missing.push_back(static_cast<int>(r));
        }
        // Nothing may be started before all are in the epoch: the host decides what comes next.
        deadline_ = repeat_at_ = ~std::uint64_t{0};
        participant_->host_->RollbackFinished(target_epoch_, missing);
      } else if (now >= repeat_at_) {
        if (repeat_at_ != 0) ToUnanswered(ControlType::kRollback);
        repeat_at_ = now + configuration.repeat;
      }
      return;
  }
}

void Coordinator::OnRequest(Reason reason, Csn csn) {
  // A rank that counts messages may ask just as a checkpoint is being made: that one will do.
  if (reason == Reason::kMessages && state_ != State::kIdle) return;
  // The rank's own cut of the checkpoint under way was still to come: it holds what the rank had
  // done when it asked. (So ranks that all ask at once get one checkpoint.)
  const bool collecting = state_ == State::kCollecting;
  if (collecting && csn < csn_) return;
  trigger_.Request(reason);
}

void Coordinator::Start() {
  CoordinationCheck(csn_ < kMaximumCoordinatedCsn, "checkpoint sequence numbers are used up");
  ++csn_;
  trigger_.OnStart(now_, 0);
  state_ = State::kCollecting;
  deadline_ = now_ + participant_->configuration().timeout;
  outcome_ = {};
  outcome_.csn = csn_;
  outcome_.started = now_;
  answers_.assign(size(), {});
  unanswered_ = size();
  if (participant_->configuration().transit == Transit::kMtv) sum_.assign(size(), 0);
  nonzero_ = negative_ = 0;
  ToAll(Message(ControlType::kMarker));
}

bool Coordinator::OnControl(int source, const ControlMessage& message) {
  // From before the rollback that was ordered; rank 0 itself may not be in the new epoch yet.
  if (message.epoch < target_epoch_) return true;
  switch (message.type) {
    case ControlType::kRequest:
      OnRequest(static_cast<Reason>(message.reason), message.csn);
      return true;
    case ControlType::kTaken:
      return OnTaken(source, message);
    case ControlType::kReceived:
      return OnReceived(source, message);
    case ControlType::kFailed:
      if (message.csn == csn_ && (state_ == State::kCollecting || state_ == State::kTransit)) {
        Abort("rank " + std::to_string(source) + " could not save " +
              (message.reason == static_cast<std::uint8_t>(FailureReason::kCheckpointNotSaved)
                   ? "its checkpoint"
                   : "messages in transit"));
      }
      return true;
    case ControlType::kAborted:
    case ControlType::kRolledBack: {
      const bool abort = message.type == ControlType::kAborted;
      if (abort && (state_ != State::kAborting || message.csn != csn_)) return true;
      if (!abort && (state_ != State::kRollingBack || message.epoch != target_epoch_)) return true;
      const auto at = static_cast<std::size_t>(source);
      if (answered_[at]) return true;
      answered_[at] = true;
      if (--unanswered_ > 0) return true;
      state_ = State::kIdle;
      if (!abort) {
        trigger_.OnStart(now_, 0);
        participant_->host_->RollbackFinished(target_epoch_, {});
      } else {
        Finish();
      }
      return true;
    }
    default:
      return false;
  }
}

void Coordinator::CountMissing(int rank, std::int64_t difference) {
  std::int64_t& component = sum_[static_cast<std::size_t>(rank)];
  nonzero_ -= component != 0 ? 1 : 0;
  negative_ -= component < 0 ? 1 : 0;
  component += difference;
  nonzero_ += component != 0 ? 1 : 0;
  negative_ += component < 0 ? 1 : 0;
}

bool Coordinator::OnTaken(int source, const ControlMessage& message) {
  if (message.csn != csn_ || state_ != State::kCollecting) return message.csn <= csn_;
  const CoordinationConfiguration& configuration = participant_->configuration();
  if (message.mechanism != static_cast<std::uint8_t>(configuration.transit)) return false;
  Answer& answer = answers_[static_cast<std::size_t>(source)];
  if (answer.complete) return false;
  if (configuration.transit == Transit::kMtv) {
    for (const auto& [rank, sent] : message.sent) {
      CountMissing(rank, static_cast<std::int64_t>(sent));
    }
    // Parts may overtake each other, and updates the parts: `received` never decreases.
    if (message.received > answer.received) {
      CountMissing(source, -static_cast<std::int64_t>(message.received - answer.received));
      answer.received = message.received;
    }
    ++answer.parts;
    if (message.last) {
      if (answer.final_part) return false;
      answer.final_part = true;
      answer.last_part = message.part;
    }
    if (!answer.final_part || answer.parts <= answer.last_part) return true;
    if (answer.parts != answer.last_part + 1) return false;
  }
  answer.complete = true;
  if (--unanswered_ == 0) AllTaken();
  return true;
}

bool Coordinator::OnReceived(int source, const ControlMessage& message) {
  if (participant_->configuration().transit != Transit::kMtv) return false;
  if (message.csn != csn_ || (state_ != State::kCollecting && state_ != State::kTransit)) {
    return message.csn <= csn_;
  }
  Answer& answer = answers_[static_cast<std::size_t>(source)];
  if (message.received <= answer.received) return true;
  CountMissing(source, -static_cast<std::int64_t>(message.received - answer.received));
  answer.received = message.received;
  if (state_ == State::kTransit) CommitIfNothingInTransit();
  return true;
}

void Coordinator::AllTaken() {
  const CoordinationConfiguration& configuration = participant_->configuration();
  state_ = State::kTransit;
  if (configuration.transit == Transit::kMtv && nonzero_ > 0 && negative_ == 0 &&
      configuration.strategy == MtvStrategy::kPessimistic) {
    for (std::size_t r = 0; r < sum_.size(); ++r) {
      if (sum_[r] <= 0) continue;
      ControlMessage message = Message(ControlType::kExpect);
      message.outstanding = static_cast<std::uint64_t>(sum_[r]);
      participant_->Send(static_cast<int>(r), message);
    }
  }
  CommitIfNothingInTransit();
}

void Coordinator::CommitIfNothingInTransit() {
  if (negative_ > 0) {
    const auto found = std::find_if(sum_.begin(), sum_.end(), [](std::int64_t c) { return c < 0; });
    Abort("rank " + std::to_string(found - sum_.begin()) + " has received " +
          std::to_string(-*found) + " messages that nobody has sent");
    return;
  }
  if (nonzero_ > 0) return;
  state_ = State::kRecording;
  participant_->host_->RecordCommit(csn_);
}

void Coordinator::OnCommitRecorded(Csn csn, bool ok) {
  CoordinationCheck(state_ == State::kRecording && csn == csn_,
                    "a commit was recorded that nobody asked for");
  if (!ok) {
    Abort("the commit record could not be written");
  } else {
    committed_ = csn_;
    committed_in_epoch_ = true;
    outcome_.committed = true;
    state_ = State::kIdle;
    // The status bit is set at rank 0 and travels on its messages (the lazy second phase).
    if (participant_->configuration().announce_commit) {
      ToAll(Message(ControlType::kCommit));
    } else {
      participant_->Send(0, Message(ControlType::kCommit));
    }
    Finish();
  }
  if (rollback_wanted_) {
    rollback_wanted_ = false;
    StartRollback();
  }
}

void Coordinator::AnnounceCommit() {
  if (!committed_in_epoch_) return;
  ControlMessage message = Message(ControlType::kCommit);
  message.csn = committed_;
  ToAll(message);
}

void Coordinator::Abort(const std::string& why) {
  outcome_.why = why;
  state_ = State::kAborting;
  answered_.assign(size(), false);
  unanswered_ = size();
  repeat_at_ = 0;
  ToAll(Message(ControlType::kAbort));
}

void Coordinator::Finish() {
  outcome_.finished = now_;
  answers_ = {};
  sum_ = {};
  nonzero_ = negative_ = 0;
  participant_->host_->Finished(outcome_);
}

void Coordinator::ToUnanswered(ControlType type) {
  ControlMessage message = Message(type);
  if (type == ControlType::kRollback) message.epoch = target_epoch_;
  for (std::size_t r = 0; r < answered_.size(); ++r) {
    if (!answered_[r]) participant_->Send(static_cast<int>(r), message);
  }
}

std::string Coordinator::Unanswered() const {
  std::vector<int> ranks;
  for (std::size_t r = 0; r < answers_.size(); ++r) {
    if (!answers_[r].complete) ranks.push_back(static_cast<int>(r));
  }
  return ListRanks(ranks);
}

void Coordinator::StartRollback() {
  if (state_ == State::kRecording) {
    rollback_wanted_ = true;  // where to is not known yet
    return;
  }
  if (state_ == State::kCollecting || state_ == State::kTransit || state_ == State::kAborting) {
    if (outcome_.why.empty()) outcome_.why = "ranks were lost";
    Finish();
  }
  state_ = State::kRollingBack;
  csn_ = committed_;
  committed_in_epoch_ = false;
  answered_.assign(size(), false);
  unanswered_ = size();
  deadline_ = repeat_at_ = 0;
  target_epoch_ = std::max(target_epoch_, participant_->epoch()) + 1;
  ControlMessage message = Message(ControlType::kRollback);
  message.epoch = target_epoch_;
  ToAll(message);
}

}  // namespace ftmpi::checkpoint
