// Communication-induced checkpoints, index-based (Briatico, Ciuffoletti and Simoncini 1984;
// Alvisi's slides: "detect dangerous communication patterns and checkpoint appropriately"). Each
// rank takes checkpoints on its own clock and numbers them; every message carries its sender's
// index, and a message with a higher index forces a checkpoint with that index before its delivery.
// So the checkpoints with one index, at each rank the first one with this index or above, are a
// consistent state: a recovery line. No markers, no waiting.
//
// Messages in transit at a line are those numbered (received at the receiver's cut, sent at the
// sender's cut]; the sender's log, part of its checkpoint, has them: needs a logging mode.
//
// When every rank has a checkpoint of a line on stable storage, rank 0 says so (*line*), and what
// lies before it is garbage.
//
// Pure, as coordination.h is: same rules of calling, same fast path.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint_interval.h"
#include "checkpoint/coordination.h"
#include "checkpoint/independent.h"
#include "checkpoint/kept_checkpoints.h"

namespace ftmpi::checkpoint {

// The recovery lines first..last that one checkpoint belongs to.
using Lines = std::pair<Csn, Csn>;

// The greatest line for which every rank has a checkpoint; `ranks`: for each rank the lines of its
// checkpoints. 0: the initial states.
Csn GreatestLine(const std::vector<std::vector<Lines>>& ranks);

class InducedCheckpoints {
 public:
  // `host` outlives it. Throws std::invalid_argument for a rank that there is not.
  InducedCheckpoints(const UncoordinatedConfiguration& configuration, UncoordinatedHost* host);

  Channel* ChannelOf(int rank) { return kept_.channels().Of(rank); }
  // As Participant's; the word is the index.
  std::uint32_t BeforeSend(Channel* channel) {
    ++channel->sent;
    return index_;
  }
  // kDeliver or kCheckpointFirst (the message is not counted then).
  [[nodiscard]] Action OnMessage(Channel* channel, std::uint32_t word) {
    if (__builtin_expect((word & kMaximumCoordinatedCsn) <= index_, 1)) {
      ++channel->received;
      ++received_;
      return Action::kDeliver;
    }
    return OnHigherIndex(channel, word & kMaximumCoordinatedCsn);
  }
  // Malformed or impossible: false.
  [[nodiscard]] bool OnControl(int source, std::span<const std::byte> message);

  void OnTick(std::uint64_t now);
  void Request(Reason reason) { trigger_.Request(reason); }

  // The state is being recorded; the checkpoint's number is due(). `interval`: state interval
  // index.
  CutRecord Cut(std::uint64_t interval);
  // The checkpoint is on stable storage, or can't be. Without a Cut and not ok: none can be made;
  // the rank has the index all the same, and its lines up to there are void.
  void OnTaken(Csn number, bool ok);
  // A new process at recovery line `line`, before anything else; `on_storage`: this rank's
  // checkpoints. `index`: the greatest number that the checkpoint of this line has at any rank. All
  // ranks go on from this index: their states are a line with that index as well. Throws
  // std::invalid_argument when none of the checkpoints is of the line.
  void Restore(Csn line, Csn index, std::vector<KeptCheckpoint> on_storage);

  [[nodiscard]] Csn index() const { return index_; }
  [[nodiscard]] Csn due() const { return due_; }
  [[nodiscard]] Csn line() const { return line_; }  // the last that is known to be complete
  [[nodiscard]] const std::deque<KeptCheckpoint>& kept() const { return kept_.all(); }
  // Lines that the checkpoint with number due() would belong to begin here.
  [[nodiscard]] Csn first_line() const { return index_ + 1; }

 private:
  Action OnHigherIndex(Channel* channel, Csn index);
  void AskForCut(Csn index);
  void Report(Csn first, Csn last);
  [[nodiscard]] const KeptCheckpoint* OfLine(Csn line) const;
  bool OnReport(int source, Csn first, Csn last);
  void OnLine(Csn line);
  void Send(int destination, std::uint8_t type, Csn csn, std::uint64_t received);

  UncoordinatedConfiguration configuration_;
  UncoordinatedHost* host_;
  KeptCheckpoints kept_;
  CheckpointTrigger trigger_;
  Csn index_ = 0;
  Csn due_ = 0;
  Csn line_ = 0;
  std::deque<KeptCheckpoint> taking_;  // cut, not yet on storage
  std::uint64_t received_ = 0;
  std::vector<std::vector<Lines>> lines_;  // rank 0: of each rank, not before line_
  int ahead_ = 0;                          // ranks with a line behind line_
  std::vector<std::byte> bytes_;
};

}  // namespace ftmpi::checkpoint
