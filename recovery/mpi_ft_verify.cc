// mpi-ft-verify: reads a job's checkpoints back and says what is wrong with them (man page:
// recovery/man/mpi-ft-verify.1).
#include "recovery/store_command.h"

int main(int argc, char** argv) {
  return ftmpi::recovery::RunStoreCommand(
      {"mpi-ft-verify",
       "Reads every checkpoint and event log of a job back, compares every checksum, and says what "
       "is wrong.",
       ftmpi::checkpoint::Depth::kEverything, true},
      argc, argv);
}
