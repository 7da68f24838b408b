// Checkpoints without a coordinator in the message engine (FT_CKPT=independent): the state machine
// of checkpoint/independent.h on the wire, and its host. What is the same for all kinds (when a
// state can be recorded, the image, its writer) is in checkpointing.cc, which calls what is here.
//
// A receiver may have a message in its checkpoint whose sender goes back in front of it. So a
// sender's log must have every message that was ever received: g.log_first.
//
// Expects the engine's lock. Nothing of it is part of an image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/coordination.h"
#include "checkpoint/cut_record.h"
#include "pmpi/checkpointing.h"

namespace ftmpi::uncoordinated {

// The kind that was chosen is one of these.
extern bool g_on;

// In MPI_Init. The rank starts from `csn` of its own checkpoints, 0: the initial state; if there is
// one, Restore follows.
void Start(const checkpointing::JobNames& names);
// The rank starts from its checkpoint cut.csn, made in state interval `interval`.
void Restore(const checkpoint::CutRecord& cut, std::uint64_t interval);
// No checkpoint is taken from here on.
void Stop();

// As checkpoint::Participant's.
checkpoint::Channel* ChannelOf(int rank);
std::uint32_t BeforeSend(checkpoint::Channel* channel);
checkpoint::Action OnMessage(checkpoint::Channel* channel, std::uint32_t word);
// False: it can't be understood.
bool OnControl(int source, std::span<const std::byte> message);
void Tick(std::uint64_t now);

// The checkpoint whose cut is asked for; 0: none.
checkpoint::Csn Due();
// The newest on storage; 0: none.
checkpoint::Csn Newest();
// The state is being recorded.
checkpoint::CutRecord Cut();
// It is on stable storage, or can't be (also without a cut).
void Taken(checkpoint::Csn csn, bool ok);

// The program, or a signal, asks this rank for a checkpoint.
void Request();
// Rank 0: somebody outside asks, which means every rank. checkpoint_triggers::Finished says when
// all have taken one, or could not.
void RequestAll();

}  // namespace ftmpi::uncoordinated
