// mpi-ft-checkpoint: asks a running job for a checkpoint and tells what became of it.
#pragma once

namespace ftmpi::recovery {

// Exit codes.
inline constexpr int kCheckpointAsked = 0;    // the job was asked; with --wait: it is permanent
inline constexpr int kCheckpointGivenUp = 1;  // it could not be taken, or the job takes none
inline constexpr int kCheckpointTimeout = 2;  // no answer in time
inline constexpr int kCheckpointNoJob = 3;    // the job is not running
inline constexpr int kCheckpointWrong = 125;  // no job directory, wrong arguments

// Parses the arguments, asks, prints. Returns the exit code; nothing is thrown.
int RunCheckpointCommand(int argc, char** argv);

}  // namespace ftmpi::recovery
