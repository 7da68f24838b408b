// What asks for a checkpoint beside its time: the program (FT_Checkpoint), a signal
// (FT_CKPT_SIGNAL), mpi-ft-checkpoint (through the rank's companion and its status page:
// recovery/JOB_DIRECTORY.md, "requests"). And FT_CKPT_INTERVAL=auto.
//
// Expects the engine's lock. All of it is the process's own: nothing is saved.
#pragma once

#include <cstdint>

#include "checkpoint/coordination.h"
#include "logging/rank_status.h"
#include "pmpi/checkpoint_settings.h"

namespace ftmpi::checkpoint_triggers {

// In MPI_Init, also where no checkpoints are taken (`participant` is null then, as it is without a
// coordinator): whoever asks is told so. `status` and `participant` live as long as the process.
void Start(const CheckpointSettings& settings, logging::RankStatus* status,
           checkpoint::Participant* participant);
// A restored process: the signal's handler is the image's, which may be the program's.
void Restored();
// Now and then: passes on what was asked for.
void Poll();

// The program asks.
void Request();

// For the interval's choice: the program stood still so long (ns) for a checkpoint.
void NoteBlocked(std::uint64_t nanoseconds);
// Rank 0: a checkpoint was committed or given up; without a coordinator: the checkpoints that were
// asked for from outside.
void Finished(const checkpoint::CheckpointOutcome& outcome);

}  // namespace ftmpi::checkpoint_triggers
