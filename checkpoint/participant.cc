// A rank's part in coordinated checkpoints. The rules' numbers are those of COORDINATION.md.
#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"
#include "checkpoint/coordination_check.h"
#include "checkpoint/coordinator.h"

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
  if (configuration.csn > kMaximumCsn) {
    refuse("checkpoint " + std::to_string(configuration.csn) + " is beyond the last number, " +
           std::to_string(kMaximumCsn));
  }
}

std::string Quoted(std::uint32_t word) {
  return "checkpoint " + std::to_string(word & kMaximumCsn) +
         ((word & kStatusBit) != 0 ? " (permanent)" : " (tentative)");
}

}  // namespace

struct Participant::Local {
  bool to_coordinator;
  ControlMessage message;
};

template <typename Body>
auto Participant::Run(Body body) {
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
    const Csn csn = word & kMaximumCsn;
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
  // An acknowledgement may be what was lost: the next cut acknowledges everything anew.
  for (Channel& channel : channels_) channel.told = 0;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kAborted));
  message.csn = csn;
  SendToCoordinator(message);
  return true;
}

// --- Messages in transit
// ----------------------------------------------------------------------------

bool Participant::OnExpect(const ControlMessage& message) {
  if (message.csn < csn_) return true;
  if (message.csn > csn_ || configuration_.transit != Transit::kMtv) {
    return RefuseControl("messages in transit at checkpoint " + std::to_string(message.csn) +
                         " are asked for at a rank with " + Quoted(word_));
  }
  if (phase_ != Phase::kTentative || !answered_) return true;
  expected_ = reported_ + message.outstanding;
  if (late_stable_ >= expected_) {
    LateBecameStable(late_stable_);
  } else {
    FlushIfWanted();
  }
  return true;
}

// Copies are written when it helps: when all are there (pessimistic), or at once.
void Participant::FlushIfWanted() {
  if (configuration_.keeper != Keeper::kReceiver || phase_ != Phase::kTentative || flushing_ ||
      failed_ || late_.size() <= late_stable_) {
    return;
  }
  const bool pessimistic = configuration_.transit == Transit::kMtv &&
                           configuration_.strategy == MtvStrategy::kPessimistic;
  if (pessimistic && (expected_ == 0 || late_.size() < expected_)) return;
  flushing_ = true;
  host_->FlushInTransit(csn_);
}

void Participant::OnInTransitStable(Csn csn, std::uint64_t count, bool ok) {
  Run([&] {
    if (csn != csn_ || phase_ != Phase::kTentative) return;  // aborted meanwhile
    flushing_ = false;
    if (!ok) {
      Fail(csn, static_cast<std::uint8_t>(FailureReason::kInTransitNotSaved));
      return;
    }
    CoordinationCheck(count <= late_.size(), "stable messages in transit have arrived");
    LateBecameStable(count);
    FlushIfWanted();
  });
}

void Participant::LateBecameStable(std::uint64_t count) {
  for (; late_stable_ < count; ++late_stable_) {
    Channel* channel = late_[late_stable_];
    ++channel->late_stable;
    if (configuration_.transit == Transit::kAck) Acknowledge(channel);
  }
  if (configuration_.transit == Transit::kAck || !answered_ || late_stable_ <= reported_) return;
  if (configuration_.strategy == MtvStrategy::kPessimistic &&
      (expected_ == 0 || late_stable_ < expected_)) {
    return;
  }
  reported_ = late_stable_;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kReceived));
  message.received = ReceivedBeforeCut();
  SendToCoordinator(message);
}

void Participant::Acknowledge(Channel* channel) {
  const std::uint64_t received = channel->received_at_cut + channel->late_stable;
  if (received <= channel->told) return;
  channel->told = received;
  ControlMessage message = Message(static_cast<std::uint8_t>(ControlType::kAcknowledge));
  message.received = received;
  message.received_at_cut = channel->received_at_cut;
  if (channel->rank == configuration_.rank) {
    CoordinationCheck(OnAcknowledge(channel->rank, message), "a rank understands itself");
  } else {
    Send(channel->rank, message);
  }
}

bool Participant::OnAcknowledge(int source, const ControlMessage& message) {
  if (configuration_.transit != Transit::kAck) {
    return RefuseControl("an acknowledgement where vectors are in use");
  }
  Channel* channel = ChannelOf(source);
  if (message.received > channel->sent) {
    return RefuseControl("rank " + std::to_string(source) + " acknowledges " +
                         std::to_string(message.received) + " messages of " +
                         std::to_string(channel->sent));
  }
  if (message.csn > csn_ && phase_ == Phase::kTentative) {
    // Rule 3 holds for any message: the next checkpoint has begun, so this one is committed. Its
    // trim points are taken before they are overwritten.
    if (message.csn != csn_ + 1 || !answered_) {
      return RefuseControl("an acknowledgement for checkpoint " + std::to_string(message.csn) +
                           " at a rank with " + Quoted(word_));
    }
    BecomePermanent();
  }
  channel->acknowledged_at_cut = std::max(channel->acknowledged_at_cut, message.received_at_cut);
  if (message.received <= channel->acknowledged) return true;
  const std::uint64_t before = std::min(channel->acknowledged, channel->sent_at_cut);
  const std::uint64_t after = std::min(message.received, channel->sent_at_cut);
  channel->acknowledged = message.received;
  if (phase_ != Phase::kTentative) return true;
  pac_ -= after - before;
  AnswerIfReady();
  return true;
}

Participant::TransitVector Participant::PreMtv() const {
  TransitVector vector;
  const bool cut = phase_ == Phase::kTentative;
  for (const Channel& channel : channels_) {
    const std::uint64_t sent = cut ? channel.sent_at_cut : channel.sent;
    if (sent > 0) vector.sent.emplace_back(channel.rank, sent);
    if (!cut) vector.received += channel.received;
  }
  if (cut) vector.received = ReceivedBeforeCut();
  std::sort(vector.sent.begin(), vector.sent.end());
  return vector;
}

Participant::TransitVector Participant::CurMtv() const {
  TransitVector vector;
  if (phase_ != Phase::kTentative) return vector;
  for (const Channel& channel : channels_) {
    const std::uint64_t sent = channel.sent - channel.sent_at_cut;
    if (sent > 0) vector.sent.emplace_back(channel.rank, sent);
    vector.received += channel.received - channel.received_at_cut - channel.late;
  }
  std::sort(vector.sent.begin(), vector.sent.end());
  return vector;
}

std::uint64_t Participant::Pac() const {
  if (phase_ == Phase::kTentative) return pac_;
  std::uint64_t count = 0;
  for (const Channel& channel : channels_) count += channel.sent - channel.acknowledged;
  return count;
}

std::uint64_t Participant::Cac() const {
  if (phase_ != Phase::kTentative) return 0;
  std::uint64_t count = 0;
  for (const Channel& channel : channels_) count += channel.sent - channel.sent_at_cut;
  return count;
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

// --- Recovery (section 5)
// ---------------------------------------------------------------------------

void Participant::StartRollback() {
  CoordinationCheck(coordinator_ != nullptr, "rollbacks are started at rank 0");
  Run([&] { coordinator_->StartRollback(); });
}

EpochAction Participant::OnOtherEpoch(std::uint32_t epoch, std::uint32_t word) {
  if (epoch == epoch_) return EpochAction::kCurrent;
  if (epoch < epoch_) return EpochAction::kDiscard;
  // No checkpoint starts before all ranks are in the epoch: the message names where it started.
  Run([&] { (void)OnRollback(epoch, word & kMaximumCsn); });
  return epoch == epoch_ ? EpochAction::kCurrent : EpochAction::kHold;
}

bool Participant::OnRollback(std::uint32_t epoch, Csn csn) {
  if (epoch < epoch_ || epoch == rolling_) return true;
  if (epoch == epoch_) {
    AnswerRollback();  // it was not heard
    return true;
  }
  rolling_ = epoch;
  host_->RollBack(epoch, csn);
  return true;
}

void Participant::AnswerRollback() {
  SendToCoordinator(Message(static_cast<std::uint8_t>(ControlType::kRolledBack)));
}

void Participant::EnterEpoch(std::uint32_t epoch, Csn csn, const CutRecord* cut,
                             std::span<const ChannelCut> saved) {
  CoordinationCheck(epoch == rolling_ && epoch > epoch_, "the epoch entered is the one asked for");
  Run([&] {
    epoch_ = epoch;
    rolling_ = 0;
    if (due_ != 0) {
      host_->Discard(due_);
      due_ = 0;
    }
    if (phase_ == Phase::kTentative) {
      if (csn_ == csn) {
        BecomePermanent();
      } else {
        host_->Discard(csn_);
      }
    }
    permanent_ = csn;
    SetPhase(Phase::kPermanent, csn);
    late_.clear();
    // What was told or promised in the epoch before may not hold for ranks that went back.
    for (Channel& channel : channels_) {
      channel.told = channel.acknowledged = channel.acknowledged_at_cut = channel.trim = 0;
    }
    if (cut != nullptr) TakeCounts(*cut, saved);
    AnswerRollback();
  });
}

void Participant::Restore(const CutRecord& cut, std::span<const ChannelCut> saved) {
  CoordinationCheck(channels_.empty(), "a participant is restored before anything else");
  if (cut.rank != configuration_.rank || cut.csn != csn_) {
    throw std::invalid_argument("the cut of rank " + std::to_string(cut.rank) + " in checkpoint " +
                                std::to_string(cut.csn) + " can't restore rank " +
                                std::to_string(configuration_.rank) + " in checkpoint " +
                                std::to_string(csn_));
  }
  TakeCounts(cut, saved);
}

void Participant::TakeCounts(const CutRecord& cut, std::span<const ChannelCut> saved) {
  CoordinationCheck(cut.rank == configuration_.rank && cut.csn == csn_,
                    "a rank goes back to its own cut");
  channels_.Restore(cut, saved);
  messages_at_cut_ = messages_;
  requested_for_messages_ = false;
}

}  // namespace ftmpi::checkpoint
