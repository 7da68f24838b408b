#include "checkpoint/kept_checkpoints.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "checkpoint/control_message.h"

namespace ftmpi::checkpoint {

void KeptCheckpoints::Add(KeptCheckpoint checkpoint) {
  // Writing may overtake: they are kept in order of number.
  const auto behind = std::find_if(kept_.begin(), kept_.end(), [&](const KeptCheckpoint& other) {
    return other.number > checkpoint.number;
  });
  kept_.insert(behind, std::move(checkpoint));
}

void KeptCheckpoints::Collect(std::size_t effective, std::uint32_t epoch) {
  CoordinationCheck(effective < kept_.size(), "the effective checkpoint is kept");
  while (effective > 0) {  // Lemma 2.4
    const std::uint32_t number = kept_.front().number;
    kept_.pop_front();
    --effective;
    host_->Discard(number);
  }
  const KeptCheckpoint& checkpoint = kept_.front();
  if (checkpoint.number == collected_) return;
  collected_ = checkpoint.number;
  host_->TrimEvents(checkpoint.interval);  // Lemma 2.5
  for (const ChannelCut& from : checkpoint.cut.channels) {
    Channel* channel = channels_.Of(from.rank);
    if (from.received <= channel->told) continue;
    channel->told = from.received;
    if (from.rank == rank_) {
      host_->TrimLog(rank_, from.received);
      continue;
    }
    ControlMessage message;
    message.type = ControlType::kTrim;
    message.epoch = epoch;
    message.csn = checkpoint.number;
    message.received = from.received;
    EncodeControl(message, &bytes_);
    host_->SendControl(from.rank, bytes_);
  }
}

void KeptCheckpoints::OnTrim(int source, std::uint64_t received) {
  Channel* channel = channels_.Of(source);
  if (received <= channel->trim) return;
  channel->trim = received;
  host_->TrimLog(source, received);
}

void KeptCheckpoints::Restore(std::uint32_t number, std::vector<KeptCheckpoint> on_storage) {
  CoordinationCheck(kept_.empty() && channels_.empty(), "a rank is restored before anything else");
  std::sort(on_storage.begin(), on_storage.end(),
            [](const KeptCheckpoint& a, const KeptCheckpoint& b) { return a.number < b.number; });
  bool found = number == 0;
  for (KeptCheckpoint& checkpoint : on_storage) {
    if (checkpoint.cut.rank != rank_ || checkpoint.number == 0) {
      throw std::invalid_argument("checkpoint " + std::to_string(checkpoint.number) + " of rank " +
                                  std::to_string(checkpoint.cut.rank) + " is not one of rank " +
                                  std::to_string(rank_));
    }
    if (checkpoint.number > number) {
      host_->Discard(checkpoint.number);
      continue;
    }
    found = found || checkpoint.number == number;
    // What the rank was restored to is never rolled back, nor is what lies before it.
    checkpoint.position = 0;
    kept_.push_back(std::move(checkpoint));
  }
  if (!found) {
    throw std::invalid_argument("rank " + std::to_string(rank_) + " is to start from checkpoint " +
                                std::to_string(number) + ", which is not there");
  }
  if (number != 0) channels_.Restore(kept_.back().cut, {});
}

}  // namespace ftmpi::checkpoint
