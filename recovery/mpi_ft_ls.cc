// mpi-ft-ls: lists a job's checkpoints, logs and epochs (man page: recovery/man/mpi-ft-ls.1).
#include "recovery/store_command.h"

int main(int argc, char** argv) {
  return ftmpi::recovery::RunStoreCommand(
      {"mpi-ft-ls", "Lists the checkpoints, flushed logs and epochs of a job that ran under ftmpi.",
       ftmpi::checkpoint::Depth::kSeals, false},
      argc, argv);
}
