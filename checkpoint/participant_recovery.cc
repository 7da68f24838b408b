// A rank's part in a recovery (section 5).
#include <stdexcept>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"
#include "checkpoint/coordination_check.h"
#include "checkpoint/coordinator.h"

namespace ftmpi::checkpoint {

void Participant::StartRollback() {
  CoordinationCheck(coordinator_ != nullptr, "rollbacks are started at rank 0");
  Run([&] { coordinator_->StartRollback(); });
}

EpochAction Participant::OnOtherEpoch(std::uint32_t epoch, std::uint32_t word) {
  if (epoch == epoch_) return EpochAction::kCurrent;
  if (epoch < epoch_) return EpochAction::kDiscard;
  // No checkpoint starts before all ranks are in the epoch: the message names where it started.
  Run([&] { (void)OnRollback(epoch, word & kMaximumCoordinatedCsn); });
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
    requested_for_messages_ = false;
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
