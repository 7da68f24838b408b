// The page that a rank and its companion process share (a file in the node-local directory, so that
// it outlives both). One writer per field, as noted; 64-bit fields are read and written whole.
#pragma once

#include <atomic>
#include <cstdint>

namespace ftmpi::logging {

inline constexpr std::uint64_t kRankStatusMagic = 0x3153544e41524654;  // "TFRANTS1"
inline constexpr std::uint32_t kRankStatusVersion = 1;

enum class RankPhase : std::uint32_t {
  kStarting = 0,   // before MPI_Init returned
  kRunning = 1,
  kFinalized = 2,  // MPI_Finalize returned
  kExited = 3,     // exit() ran after MPI_Finalize
  kAborted = 4,    // the program called MPI_Abort
};

struct RankStatus {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::int32_t pid;
  std::uint32_t epoch;
  std::uint64_t pid_start_time;            // /proc/<pid>/stat field 22
  // Written by the rank.
  std::atomic<RankPhase> phase;
  std::atomic<std::int32_t> exit_code;     // of exit(), or MPI_Abort's code
  std::atomic<std::uint64_t> interval;     // current state interval index
  std::atomic<std::uint64_t> poll_failures;  // polling calls that said no, not yet in a determinant
  std::atomic<std::uint64_t> committable;  // output up to this interval may be released
  std::atomic<std::uint64_t> replay_total;  // events to be replayed in this epoch
  std::atomic<std::uint64_t> replay_done;   // events replayed so far
  std::atomic<std::uint64_t> logged_events;  // own determinants in the event log (for the flusher)
  std::atomic<std::uint32_t> failure_notice;  // signal that announced a failure, 0: none
  // Written by the companion.
  std::atomic<std::uint32_t> output_waiting;  // output is held until `committable` reaches it
  std::atomic<std::uint64_t> stable;       // own determinants up to this index are on stable storage
  std::atomic<std::uint64_t> stdout_released;  // bytes passed on to the outside world, all epochs
  std::atomic<std::uint64_t> stderr_released;
};

}  // namespace ftmpi::logging
