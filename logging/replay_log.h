// The replay log of one rank: what mpi-ft-recover found out and a restarted rank is answered from.
// Format: logging/REPLAY_LOG.md. Lies in the job directory (stable storage), one per rank and
// epoch; written by recovery/, read by the engine at start. Its determinants are stable by
// construction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/determinant.h"

namespace ftmpi::logging {

class Environment;

struct ReplayLog {
  std::uint64_t job = 0;
  std::int32_t rank = -1;
  std::uint32_t epoch = 0;               // the epoch that starts with this replay
  std::uint64_t recovered_interval = 0;  // the rank is to reach this state interval: determinants
                                         // trimmed_interval + 1..recovered_interval follow, in
                                         // order of index
  std::uint64_t trimmed_interval = 0;    // those up to here are not known any more: they lie in
                                         // front of the checkpoint
  std::uint64_t poll_failures = 0;  // polling calls that said no after the last event (folded run
                                    // that had no determinant yet); known for surviving nodes only
  bool payload_log_survives = false;  // the rank's payload log is on the node it is started on;
                                      // else payload log files of the rank there are left-overs of
                                      // an earlier epoch, to be removed
  std::uint64_t stdout_released = 0;  // bytes that the outside world has seen
  std::uint64_t stderr_released = 0;
  // The checkpoint that the rank starts from; 0: none, it starts from its initial state. At it the
  // rank was in state interval `checkpoint_interval` and had written so many bytes of output, all
  // of which had been released.
  std::uint32_t checkpoint_csn = 0;
  std::uint64_t checkpoint_interval = 0;
  std::uint64_t checkpoint_stdout = 0;
  std::uint64_t checkpoint_stderr = 0;
  // The checkpoint is of registered state: the rank begins at main(), and what it prints counts
  // from where it asks whether it was restored.
  bool registered = false;
  std::uint64_t checkpoint_stdin = 0;  // bytes of standard input that it had taken
  std::vector<Determinant> determinants;
};

// "rank-<r>.replay"
std::string ReplayLogFileName(int rank);
// Replaces an existing file, atomically. Throws LogError when it can't be written, or when the
// determinants are not those of the rank's events trimmed_interval + 1..recovered_interval.
void WriteReplayLog(Environment* environment, const std::string& path, const ReplayLog& log);
// Throws LogError naming file and reason: missing, truncated, corrupted, other version.
ReplayLog ReadReplayLog(Environment* environment, const std::string& path);
// The same, and LogError when it is another job's, rank's or epoch's.
ReplayLog ReadReplayLog(Environment* environment, const std::string& path, std::uint64_t job,
                        int rank, std::uint32_t epoch);

}  // namespace ftmpi::logging
