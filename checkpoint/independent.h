// Independent checkpoints: each rank on its own clock; recovery finds the state by the message logs
// (Johnson's thesis 2.1.5 to 2.1.9, 3.3.6). Needs a logging mode: without logs the domino effect
// (2.1.7) could take every rank back to its start.
//
// Pure, as coordination.h is: same rules of calling, same fast path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_interval.h"
#include "checkpoint/kept_checkpoints.h"

namespace ftmpi::checkpoint {

struct UncoordinatedConfiguration {
  int rank = 0;
  int size = 1;
  std::uint64_t interval = 0;  // ns between checkpoints; 0: none by time
  std::uint64_t every = 0;     // messages received between checkpoints (3.3.6); 0: none
  std::uint64_t phase = 0;     // ns by which the first interval is shorter, so that not all
                               // ranks write at the same time
  std::uint32_t keep = 1;      // checkpoints that stay, the effective one included; at least 1
  std::uint32_t epoch = 0;     // recovery epoch
};

class IndependentCheckpoints {
 public:
  // `host` outlives it. Throws std::invalid_argument for a rank that there is not.
  IndependentCheckpoints(const UncoordinatedConfiguration& configuration, UncoordinatedHost* host);

  Channel* ChannelOf(int rank) { return kept_.channels().Of(rank); }
  // Every message passes these two, in the order of its channel; also one that a recovered rank
  // sends anew and that goes no further. Returns WireHeader::csn, which is not used.
  std::uint32_t BeforeSend(Channel* channel) {
    ++channel->sent;
    return 0;
  }
  void OnMessage(Channel* channel) {
    ++channel->received;
    ++received_;
  }
  // False: malformed.
  [[nodiscard]] bool OnControl(int source, std::span<const std::byte> message);

  void OnTick(std::uint64_t now);
  void Request(Reason reason) { trigger_.Request(reason); }
  // One checkpoint at a time: the next one waits until this one is taken.
  [[nodiscard]] bool busy() const { return due_ != 0 || taking_.has_value(); }
  // The checkpoint whose Cut is asked for; 0: none.
  [[nodiscard]] std::uint32_t due() const { return due_; }

  // The state is being recorded, in state interval `interval`, at `position` of the protocol
  // (logging::Protocol::OutputPosition). The record is part of the checkpoint.
  CutRecord Cut(std::uint64_t interval, std::uint64_t position);
  // The checkpoint is on stable storage, or can't be (then a later trigger tries again). Without a
  // Cut: none can be made now.
  void OnTaken(std::uint32_t number, bool ok);
  // This rank will never be rolled back behind `position`
  // (logging::Protocol::CommittablePosition; the thesis: rho_ii of the current recovery state).
  void OnCommittable(std::uint64_t position);
  // A new process, before anything else: `on_storage` are this rank's checkpoints, it starts from
  // `number` of them (0: from the initial state). Throws std::invalid_argument.
  void Restore(std::uint32_t number, std::vector<KeptCheckpoint> on_storage);
  // A survivor takes part in a new recovery epoch.
  void EnterEpoch(std::uint32_t epoch) { configuration_.epoch = epoch; }

  [[nodiscard]] const std::deque<KeptCheckpoint>& kept() const { return kept_.all(); }

 private:
  void Collect();

  UncoordinatedConfiguration configuration_;
  UncoordinatedHost* host_;
  KeptCheckpoints kept_;
  CheckpointTrigger trigger_;
  std::uint32_t number_ = 0;  // of the last one asked for
  std::uint32_t due_ = 0;     // asked for, no Cut yet
  std::optional<KeptCheckpoint> taking_;
  std::uint64_t received_ = 0;
  std::uint64_t committable_ = 0;
};

}  // namespace ftmpi::checkpoint
