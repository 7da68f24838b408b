#include "checkpoint/independent.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "checkpoint/control_message.h"
#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {

IndependentCheckpoints::IndependentCheckpoints(const UncoordinatedConfiguration& configuration,
                                               UncoordinatedHost* host)
    : configuration_(configuration),
      host_(host),
      kept_(configuration.rank, configuration.size, host),
      trigger_(configuration.interval, configuration.every, configuration.phase) {
  if (configuration.rank < 0 || configuration.rank >= configuration.size) {
    throw std::invalid_argument("independent checkpoints: rank " +
                                std::to_string(configuration.rank) + " is not in 0.." +
                                std::to_string(configuration.size - 1));
  }
}

bool IndependentCheckpoints::OnControl(int source, std::span<const std::byte> bytes) {
  ControlMessage message;
  if (!DecodeControl(bytes, configuration_.size, &message) || message.type != ControlType::kTrim ||
      message.epoch > configuration_.epoch) {
    return false;
  }
  // What lies in front of an effective checkpoint lies there in any later epoch too (Lemma 2.1).
  kept_.OnTrim(source, message.received);
  return true;
}

void IndependentCheckpoints::OnTick(std::uint64_t now) {
  if (busy() || !trigger_.Due(now, received_)) return;
  trigger_.OnStart(now, received_);
  CoordinationCheck(number_ < kMaximumCoordinatedCsn, "checkpoint numbers are used up");
  due_ = ++number_;
  host_->TakeCheckpoint(due_);
}

CutRecord IndependentCheckpoints::Cut(std::uint64_t interval, std::uint64_t position) {
  CoordinationCheck(due_ != 0 && !taking_, "a cut is made when one is asked for");
  KeptCheckpoint& checkpoint = taking_.emplace();
  checkpoint.number = checkpoint.first_line = due_;
  checkpoint.interval = interval;
  checkpoint.position = position;
  checkpoint.cut = kept_.channels().Record(configuration_.epoch, due_, configuration_.rank);
  due_ = 0;
  return checkpoint.cut;
}

void IndependentCheckpoints::OnTaken(std::uint32_t number, bool ok) {
  if (due_ == number && number != 0) {
    CoordinationCheck(!ok, "a checkpoint is taken after its cut");
    due_ = 0;
    return;
  }
  CoordinationCheck(taking_ && taking_->number == number, "the checkpoint taken was cut");
  if (ok) {
    kept_.Add(std::move(*taking_));
  } else {
    host_->Discard(number);
  }
  taking_.reset();
  if (ok) Collect();
}

void IndependentCheckpoints::OnCommittable(std::uint64_t position) {
  if (position <= committable_) return;
  committable_ = position;
  Collect();
}

void IndependentCheckpoints::Collect() {
  // Positions grow with the numbers: the effective one is the last that is committable.
  const auto& all = kept_.all();
  std::size_t effective = all.size();
  while (effective > 0 && all[effective - 1].position > committable_) --effective;
  // Older ones than the Lemmas ask for stay, in case that the files of the effective one are
  // damaged.
  const std::size_t kept = std::max<std::size_t>(configuration_.keep, 1);
  if (effective >= kept) kept_.Collect(effective - kept, configuration_.epoch);
}

void IndependentCheckpoints::Restore(std::uint32_t number, std::vector<KeptCheckpoint> on_storage) {
  // Numbers are not used twice, whatever becomes of the files of those discarded.
  for (const KeptCheckpoint& checkpoint : on_storage) {
    number_ = std::max(number_, checkpoint.number);
  }
  kept_.Restore(number, std::move(on_storage));
}

}  // namespace ftmpi::checkpoint
