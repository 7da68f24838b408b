// Drops from this rank's logs what its checkpoints have made needless (checkpoint/COORDINATION.md,
// "Trimming"). Expects the engine's lock. Nothing of it is part of an image: a restarted rank
// begins anew, and trims one checkpoint later.
#pragma once

#include "checkpoint/cut_record.h"

namespace ftmpi::log_trimming {

// The rank makes this cut now: what its logs hold lies in front of it.
void NoteCut(const checkpoint::CutRecord& cut);
// The checkpoint is permanent.
void OnPermanent(std::uint32_t csn);

// --- independent checkpoints ---
//
// What goes is told per destination, and what is dropped is a beginning of the log: the points are
// this rank's own cuts, and of these the last one goes in front of which nothing is needed.

// The rank makes this cut now.
void NoteOwnCut(const checkpoint::CutRecord& cut);
// Messages to `destination` up to number `count` are not needed any more.
void OnReceived(int destination, std::uint64_t count);
// Own events up to `interval`, that of one of the cuts, are not needed any more, nor what lies in
// front of that cut but for messages.
void OnEventsCovered(std::uint64_t interval);

}  // namespace ftmpi::log_trimming
