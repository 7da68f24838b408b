// A rank's part in coordinated checkpoints. The rules' numbers are those of COORDINATION.md.
#include <algorithm>
#include <stdexcept>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"
#include "checkpoint/coordination_check.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/refusal.h"

namespace ftmpi::checkpoint {
namespace {

void CheckConfiguration(const CoordinationConfiguration& configuration) {
  const auto refuse = [](const std::string& what) {
    throw std::invalid_argument("checkpoint coordination: " + what);
  };
  if (configuration.size < 1) refuse("size is " + std::to_string(configuration.size));
  if (configuration.rank < 0 || configuration.rank >= configuration.size) {
    refuse("rank " + std::to_string(configuration.rank) + " is not in 0.." +
           std::to_string(configuration.size - 1));
  }
  if (configuration.timeout == 0) refuse("the timeout is 0: no checkpoint could be finished");
  if (configuration.maximum_control < kLeastControlBytes) {
    refuse("maximum_control is " + std::to_string(configuration.maximum_control) +
           " bytes, at least " + std::to_string(kLeastControlBytes) + " are needed");
  }
  if (configuration.csn > kMaximumCoordinatedCsn) {
    refuse("checkpoint " + std::to_string(configuration.csn) + " is beyond the last number, " +
           std::to_string(kMaximumCoordinatedCsn));
  }
}

}  // namespace

Participant::Participant(const CoordinationConfiguration& configuration, CoordinationHost* host)
    : configuration_(configuration),
      host_(host),
      permanent_(configuration.csn),
      epoch_(configuration.epoch),
      channels_(configuration.size) {
  CheckConfiguration(configuration);
  SetPhase(Phase::kPermanent, configuration.csn);
  if (configuration.rank == 0) coordinator_ = std::make_unique<Coordinator>(this);
}

Participant::~Participant() = default;

void Participant::SetPhase(Phase phase, Csn csn) {
  phase_ = phase;
  csn_ = csn;
  word_ = csn | (phase == Phase::kPermanent ? kStatusBit : 0);
}

// --- Control messages
// -------------------------------------------------------------------------------

ControlMessage Participant::Message(std::uint8_t type) const {
  ControlMessage message;
  message.type = static_cast<ControlType>(type);
  message.epoch = epoch_;
  message.csn = csn_;
  return message;
}

void Participant::Send(int destination, const ControlMessage& message) {
  if (destination == configuration_.rank) {
    local_.push_back({false, message});
    return;
  }
  EncodeControl(message, &bytes_);
  host_->SendControl(destination, bytes_);
}

void Participant::SendToCoordinator(const ControlMessage& message) {
  if (configuration_.rank == 0) {
    local_.push_back({true, message});
    return;
  }
  Send(0, message);
}

void Participant::DeliverLocal() {
  while (!local_.empty()) {
    const Local local = std::move(local_.front());
    local_.pop_front();
    const bool good = local.to_coordinator ? coordinator_->OnControl(0, local.message)
                                           : Handle(configuration_.rank, local.message);
    if (!good) CoordinationCheck(false, ("rank 0 understands itself: " + refusal_).c_str());
  }
}

bool Participant::RefuseControl(const std::string& why) {
  refusal_ = why;
  return false;
}

bool Participant::OnControl(int source, std::span<const std::byte> bytes) {
  ControlMessage message;
  if (!DecodeControl(bytes, configuration_.size, &message)) {
    return RefuseControl("a message of " + std::to_string(bytes.size()) +
                         " bytes is no control message of version " +
                         std::to_string(kControlVersion));
  }
  return Run([&] {
    switch (message.type) {
      case ControlType::kRolledBack:
      case ControlType::kTaken:
      case ControlType::kReceived:
      case ControlType::kFailed:
      case ControlType::kAborted:
      case ControlType::kRequest:
        if (coordinator_ == nullptr) return RefuseControl("this rank is not the coordinator");
        // A rank may be in the new epoch before this one.
        if (message.type != ControlType::kRolledBack && message.epoch < epoch_) return true;
        if (!coordinator_->OnControl(source, message)) {
          return RefuseControl("rank " + std::to_string(source) + " answers for checkpoint " +
                               std::to_string(message.csn) + " what was not asked");
        }
        return true;
      default:
        return Handle(source, message);
    }
  });
}

bool Participant::Handle(int source, const ControlMessage& message) {
  if (message.type == ControlType::kRollback) {
    if (source != 0) return RefuseControl("only rank 0 may order a rollback");
    return OnRollback(message.epoch, message.csn);
  }
  if (message.epoch < epoch_) return true;  // from before a rollback (section 5)
  if (message.epoch > epoch_) {
    return RefuseControl("a message of recovery epoch " + std::to_string(message.epoch) +
                         " in epoch " + std::to_string(epoch_));
  }
  if (message.type == ControlType::kAcknowledge) return OnAcknowledge(source, message);
  if (source != 0) return RefuseControl("only rank 0 coordinates checkpoints");
  switch (message.type) {
    case ControlType::kMarker:
      return OnMarker(message.csn);
    case ControlType::kAbort:
      return OnAbort(message.csn);
    case ControlType::kCommit:
      return OnCommit(message.csn);
    case ControlType::kExpect:
      return OnExpect(message);
    default:
      return RefuseControl("message type " + std::to_string(static_cast<int>(message.type)) +
                           " is not of coordinated checkpoints");
  }
}

// --- Messages of the program
// ------------------------------------------------------------------------

Action Participant::Refuse(const std::string& why) {
  refusal_ = why;
  return Action::kRefuse;
}

Action Participant::OnOtherWord(Channel* channel, std::uint32_t word) {
  return Run([&] {
    const Csn csn = word & kMaximumCoordinatedCsn;
    const bool status = (word & kStatusBit) != 0;
    if (csn < csn_) return OnLowerCsn(channel, csn);
    if (csn == csn_) {
      // Rule 1. A status bit that is not set, or set here already, says nothing new.
      if (status && phase_ != Phase::kPermanent) {
        if (phase_ == Phase::kAborted || !answered_) {
          return Refuse(Quoted(word) + " at rank " + std::to_string(channel->rank) +
                        " is not finished, or aborted, at this rank");
        }
        BecomePermanent();
      }
      ++channel->received;
      return Action::kDeliver;
    }
    // Rule 3.
    if (status || csn != csn_ + 1 || (phase_ == Phase::kTentative && !answered_)) {
      return Refuse(Quoted(word) + " at rank " + std::to_string(channel->rank) + ", " +
                    Quoted(word_) + " at this rank");
    }
    if (phase_ == Phase::kTentative) BecomePermanent();
    AskForCut(csn);
    if (csn_ != csn) return Action::kCheckpointFirst;
    ++channel->received;
    return Action::kDeliver;
  });
}

Action Participant::OnLowerCsn(Channel* channel, Csn csn) {
  if (phase_ == Phase::kPermanent) {
    return Refuse("a message in front of checkpoint " + std::to_string(csn_) + " (it carries " +
                  std::to_string(csn) + ") comes after its commit");
  }
  ++channel->received;
  if (phase_ == Phase::kAborted) return Action::kDeliver;
  // Rule 2.
  ++channel->late;
  late_.push_back(channel);
  if (configuration_.keeper == Keeper::kSender) {
    LateBecameStable(late_.size());
    return Action::kDeliver;
  }
  // The host keeps its copy after this call returns, so the flush is asked for later.
  return Action::kSave;
}

// --- Cut, tentative, permanent
// ----------------------------------------------------------------------

void Participant::AskForCut(Csn csn) {
  if (due_ != 0) return;
  due_ = csn;
  host_->TakeTentative(csn);
}

CutRecord Participant::Cut() {
  CoordinationCheck(due_ != 0, "a cut is made when one is asked for");
  return Run([&] {
    SetPhase(Phase::kTentative, due_);
    due_ = 0;
    taken_ = answered_ = failed_ = flushing_ = requested_for_messages_ = false;
    late_.clear();
    late_stable_ = reported_ = expected_ = received_at_cut_ = pac_ = 0;
    messages_at_cut_ = messages_;
    for (Channel& channel : channels_) {
      channel.sent_at_cut = channel.sent;
      channel.received_at_cut = channel.received;
      channel.late = channel.late_stable = 0;
      received_at_cut_ += channel.received;
      CoordinationCheck(channel.acknowledged <= channel.sent, "acknowledged messages were sent");
      pac_ += channel.sent - channel.acknowledged;
    }
    CutRecord record = channels_.Record(epoch_, csn_, configuration_.rank);
    if (configuration_.transit == Transit::kAck) {
      for (Channel& channel : channels_) Acknowledge(&channel);
    }
    return record;
  });
}

void Participant::OnTentativeTaken(Csn csn, bool ok) {
  Run([&] {
    if (due_ == csn && due_ != 0) {
      // No cut could be made: this rank has no checkpoint with this number.
      CoordinationCheck(!ok, "a checkpoint is taken after its cut");
      PassOver(csn);
      Fail(csn, static_cast<std::uint8_t>(FailureReason::kCheckpointNotSaved));
      return;
    }
    if (csn != csn_ || phase_ != Phase::kTentative || taken_) return;  // aborted meanwhile
    if (!ok) {
      Fail(csn, static_cast<std::uint8_t>(FailureReason::kCheckpointNotSaved));
      return;
    }
    taken_ = true;
    AnswerIfReady();
    FlushIfWanted();
  });
}

void Participant::PassOver(Csn csn) {
  due_ = 0;
  SetPhase(Phase::kAborted, csn);
  messages_at_cut_ = messages_;
  requested_for_messages_ = false;
}

void Participant::Fail(Csn csn, std::uint8_t reason) {
  if (failed_ && csn == csn_ && phase_ == Phase::kTentative) return;
  failed_ = true;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kFailed));
  message.csn = csn;
  message.reason = reason;
  SendToCoordinator(message);
}

void Participant::AnswerIfReady() {
  if (!taken_ || answered_ || failed_) return;
  if (configuration_.transit == Transit::kMtv) {
    answered_ = true;
    SendVector();
    return;
  }
  if (pac_ > 0) return;
  answered_ = true;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kTaken));
  message.mechanism = static_cast<std::uint8_t>(Transit::kAck);
  SendToCoordinator(message);
}

void Participant::SendVector() {
  ControlMessage whole = Message(static_cast<std::uint8_t>(ControlType::kTaken));
  whole.mechanism = static_cast<std::uint8_t>(Transit::kMtv);
  const TransitVector vector = PreMtv();
  whole.received = vector.received;
  whole.sent = vector.sent;
  reported_ = late_stable_;
  std::size_t first = 0;
  for (std::uint64_t part = 0;; ++part) {
    const std::size_t count = EntriesThatFit(whole, first, configuration_.maximum_control);
    ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kTaken));
    message.mechanism = whole.mechanism;
    message.received = whole.received;
    message.part = part;
    message.sent.assign(whole.sent.begin() + static_cast<std::ptrdiff_t>(first),
                        whole.sent.begin() + static_cast<std::ptrdiff_t>(first + count));
    first += count;
    message.last = first == whole.sent.size();
    SendToCoordinator(message);
    if (message.last) return;
  }
}

void Participant::BecomePermanent() {
  CoordinationCheck(phase_ == Phase::kTentative && answered_,
                    "what becomes permanent is tentative and was answered for");
  const Csn before = permanent_;
  permanent_ = csn_;
  SetPhase(Phase::kPermanent, csn_);
  host_->MakePermanent(csn_);
  if (before != 0) host_->Discard(before);
  late_.clear();
  if (configuration_.keeper != Keeper::kSender) return;
  for (Channel& channel : channels_) {
    if (configuration_.transit == Transit::kAck) channel.trim = channel.acknowledged_at_cut;
    if (channel.trim > 0) host_->Trim(channel.rank, channel.trim);
    channel.trim = channel.sent_at_cut;
  }
}

bool Participant::OnMarker(Csn csn) {
  if (csn <= csn_ || csn == due_) return true;  // a message said it first
  if (csn != csn_ + 1 || due_ != 0 || (phase_ == Phase::kTentative && !answered_)) {
    return RefuseControl("a marker of checkpoint " + std::to_string(csn) + " at a rank with " +
                         Quoted(word_));
  }
  if (phase_ == Phase::kTentative) BecomePermanent();
  AskForCut(csn);
  return true;
}

bool Participant::OnCommit(Csn csn) {
  if (csn < csn_ || (csn == csn_ && phase_ == Phase::kPermanent)) return true;
  if (csn > csn_ || phase_ == Phase::kAborted || !answered_) {
    return RefuseControl("a commit of checkpoint " + std::to_string(csn) + " at a rank with " +
                         Quoted(word_));
  }
  BecomePermanent();
  return true;
}

bool Participant::OnAbort(Csn csn) {
  if (csn == csn_ && phase_ == Phase::kPermanent) {
    return RefuseControl("an abort of checkpoint " + std::to_string(csn) + ", which is permanent");
  }
  if (csn > csn_) {
    if (csn != csn_ + 1 || (phase_ == Phase::kTentative && !answered_)) {
      return RefuseControl("an abort of checkpoint " + std::to_string(csn) + " at a rank with " +
                           Quoted(word_));
    }
    if (phase_ == Phase::kTentative) BecomePermanent();
    const bool asked = due_ != 0;
    PassOver(csn);
    if (asked) host_->Discard(csn);
  } else if (csn == csn_ && phase_ == Phase::kTentative) {
    SetPhase(Phase::kAborted, csn);
    late_.clear();
    host_->Discard(csn);
  }
  requested_for_messages_ = false;
  // An acknowledgement may be what was lost: the next cut acknowledges everything anew.
  for (Channel& channel : channels_) channel.told = 0;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kAborted));
  message.csn = csn;
  SendToCoordinator(message);
  return true;
}

// --- Time, triggers
// ---------------------------------------------------------------------------------

void Participant::OnTick(std::uint64_t now) {
  Run([&] {
    FlushIfWanted();
    if (configuration_.every > 0 && !requested_for_messages_ && due_ == 0 &&
        messages_ - messages_at_cut_ >= configuration_.every) {
      requested_for_messages_ = true;
      Request(Reason::kMessages);
    }
    if (coordinator_ != nullptr) coordinator_->OnTick(now);
  });
}

void Participant::Request(Reason reason) {
  Run([&] {
    ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kRequest));
    message.reason = static_cast<std::uint8_t>(reason);
    SendToCoordinator(message);
  });
}

void Participant::AnnounceCommit() {
  CoordinationCheck(coordinator_ != nullptr, "commits are announced by rank 0");
  Run([&] { coordinator_->AnnounceCommit(); });
}

void Participant::OnCommitRecorded(Csn csn, bool ok) {
  CoordinationCheck(coordinator_ != nullptr, "commits are recorded at rank 0");
  Run([&] { coordinator_->OnCommitRecorded(csn, ok); });
}

}  // namespace ftmpi::checkpoint
