// The checkpoints that one rank keeps when ranks checkpoint without a coordinator, and what becomes
// garbage: Johnson's thesis 2.1.9.
//
// Lemma 2.4: checkpoints older than the effective one of the current recovery state may go. Lemma
// 2.5: so may messages that began state intervals up to it. A message's payload is in its sender's
// log, so the sender is told (3.3.6: "notified to remove from their logs all messages received by
// this host before the checkpoint"); a notice that is lost is made good by the next one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "checkpoint/channel_table.h"
#include "checkpoint/cut_record.h"

namespace ftmpi::checkpoint {

// What uncoordinated checkpoints ask of their surroundings. Called from within the methods of the
// state machines; Cut and OnTaken may be called back from within TakeCheckpoint.
class UncoordinatedHost {
 public:
  virtual ~UncoordinatedHost() = default;
  virtual void SendControl(int destination, std::span<const std::byte> message) = 0;
  // Asks for a checkpoint: Cut() when the state is recorded, now or later (asked again with a
  // greater number before that: only the last counts), then OnTaken.
  virtual void TakeCheckpoint(std::uint32_t number) = 0;
  // This checkpoint of the rank is not needed any more.
  virtual void Discard(std::uint32_t number) = 0;
  // Own events up to `interval` (their determinants) are not needed any more.
  virtual void TrimEvents(std::uint64_t interval) = 0;
  // Messages to `destination` up to number `count` are not needed any more, wherever it goes back
  // to.
  virtual void TrimLog(int destination, std::uint64_t count) = 0;
};

// One of a rank's checkpoints.
struct KeptCheckpoint {
  std::uint32_t number = 0;
  std::uint32_t first_line = 0;  // induced: it belongs to the recovery lines first_line..number
  std::uint64_t interval = 0;    // state interval index
  std::uint64_t position = 0;    // logging::Protocol::OutputPosition (the thesis: the interval)
  CutRecord cut;
};

class KeptCheckpoints {
 public:
  KeptCheckpoints(int rank, int size, UncoordinatedHost* host)
      : rank_(rank), size_(size), channels_(size), host_(host) {}

  [[nodiscard]] ChannelTable& channels() { return channels_; }
  // In order of number; all are on stable storage. Without any: the initial state (2.1.5).
  [[nodiscard]] const std::deque<KeptCheckpoint>& all() const { return kept_; }
  void Add(KeptCheckpoint checkpoint);
  // No failure will need less than all()[effective]: drops the older ones, trims, tells senders.
  void Collect(std::size_t effective, std::uint32_t epoch);
  // A *trim* came. It may name messages that this rank, having gone back, has yet to send anew:
  // they need not be kept then.
  void OnTrim(int source, std::uint64_t received);
  // A new process at checkpoint `number` of those on storage (0 and no such: the initial state):
  // later ones are discarded; the counts are those of its cut.
  void Restore(std::uint32_t number, std::vector<KeptCheckpoint> on_storage);

 private:
  int rank_;
  int size_;
  ChannelTable channels_;
  std::deque<KeptCheckpoint> kept_;
  std::uint32_t collected_ = 0;  // number of the effective one when it was last collected
  UncoordinatedHost* host_;
  std::vector<std::byte> bytes_;
};

}  // namespace ftmpi::checkpoint
