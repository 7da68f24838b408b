// Messages in transit at a rank: transit vectors (4.2.1) and acknowledgement counters (4.2.2).
#include <algorithm>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"
#include "checkpoint/coordination_check.h"
#include "checkpoint/refusal.h"

namespace ftmpi::checkpoint {

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

}  // namespace ftmpi::checkpoint
