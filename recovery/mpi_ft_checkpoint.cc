// mpi-ft-checkpoint: asks a running job for a checkpoint (man page:
// recovery/man/mpi-ft-checkpoint.1).
#include "recovery/checkpoint_command.h"

int main(int argc, char** argv) { return ftmpi::recovery::RunCheckpointCommand(argc, argv); }
