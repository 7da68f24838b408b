// How much of the job's standard input is logged already: where reading it goes on in a recovery.
#pragma once

#include <cstdint>
#include <string>

namespace ftmpi::recovery {

struct StdinPosition {
  std::uint64_t logged = 0;  // bytes of the stream that are in whole records
  bool ended = false;        // the end of the input is logged too
};

// Looks at JOBDIR/stdin.log (recovery/JOB_DIRECTORY.md) without changing it. No such file: nothing
// is logged. The log ends for it where the records do; the companion that replays it checks what
// they hold. Throws JobDirectoryError for a file that is no log of this job's input.
StdinPosition ReadStdinPosition(const std::string& path, std::uint64_t job);

}  // namespace ftmpi::recovery
