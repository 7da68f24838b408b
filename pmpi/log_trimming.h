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

}  // namespace ftmpi::log_trimming
