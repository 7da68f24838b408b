// What mpi-ft-ls and mpi-ft-verify have in common: arguments, the job directory, exit codes.
#pragma once

#include "checkpoint/store_reader.h"

namespace ftmpi::recovery {

// Exit codes.
inline constexpr int kStoreGood = 0;
inline constexpr int kStoreDamaged = 1;
inline constexpr int kStoreUnreadable = 125;  // no job directory, wrong arguments

struct StoreCommand {
  const char* name;
  const char* purpose;
  checkpoint::Depth depth;
  bool verify;  // say what is wrong rather than what is there
};

// Parses the arguments, examines, prints. Returns the exit code; nothing is thrown.
int RunStoreCommand(const StoreCommand& command, int argc, char** argv);

}  // namespace ftmpi::recovery
