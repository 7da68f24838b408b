// A rank's counts of the messages that it has exchanged with each other rank.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>

#include "checkpoint/coordination_check.h"
#include "checkpoint/cut_record.h"
#include "logging/rank_map.h"

namespace ftmpi::checkpoint {

// One rank's counts with one other rank. The address never changes: the engine keeps it with its
// peer. Only the state machine that it belongs to writes it.
struct Channel {
  std::int32_t rank = -1;
  std::uint64_t sent = 0;  // since the job's start, restarts included
  std::uint64_t received = 0;
  std::uint64_t sent_at_cut = 0;
  std::uint64_t received_at_cut = 0;
  std::uint64_t late = 0;                 // received since the cut, sent before the sender's
  std::uint64_t late_stable = 0;          // of these, kept
  std::uint64_t acknowledged = 0;         // the receiver has so many in its checkpoint
  std::uint64_t acknowledged_at_cut = 0;  // ... in front of its cut
  std::uint64_t told = 0;                 // of what it has received, so many it has acknowledged
  std::uint64_t trim = 0;                 // its receiver's next permanent checkpoint holds so many
};

// Memory follows the number of ranks talked to.
class ChannelTable {
 public:
  explicit ChannelTable(int size) : size_(size) {}

  Channel* Of(int rank) {
    Channel** found = by_rank_.Find(rank);
    return __builtin_expect(found != nullptr, 1) ? *found : Make(rank);
  }
  [[nodiscard]] auto begin() { return channels_.begin(); }
  [[nodiscard]] auto end() { return channels_.end(); }
  [[nodiscard]] auto begin() const { return channels_.begin(); }
  [[nodiscard]] auto end() const { return channels_.end(); }
  [[nodiscard]] bool empty() const { return channels_.empty(); }

  // The present counts as the record of a cut.
  [[nodiscard]] CutRecord Record(std::uint32_t epoch, std::uint32_t csn, int rank) const {
    CutRecord record;
    record.epoch = epoch;
    record.csn = csn;
    record.rank = rank;
    for (const Channel& channel : channels_) {
      record.channels.push_back({channel.rank, channel.sent, channel.received});
    }
    std::sort(record.channels.begin(), record.channels.end(),
              [](const ChannelCut& a, const ChannelCut& b) { return a.rank < b.rank; });
    return record;
  }
  // The counts go back to those of a cut; `saved`: what was received beyond it.
  void Restore(const CutRecord& cut, std::span<const ChannelCut> saved) {
    for (Channel& channel : channels_) channel.sent = channel.received = 0;
    for (const ChannelCut& from : cut.channels) {
      Channel* channel = Of(from.rank);
      channel->sent = from.sent;
      channel->received = from.received;
    }
    for (const ChannelCut& from : saved) Of(from.rank)->received += from.received;
  }

 private:
  Channel* Make(int rank) {
    CoordinationCheck(rank >= 0 && rank < size_, "a channel to a rank of the job");
    Channel& channel = channels_.emplace_back();
    channel.rank = rank;
    by_rank_[rank] = &channel;
    return &channel;
  }

  int size_;
  std::deque<Channel> channels_;
  logging::RankMap<Channel*> by_rank_;
};

}  // namespace ftmpi::checkpoint
