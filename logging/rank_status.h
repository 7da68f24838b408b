// The page that a rank and its companion process share (a file in the node-local directory, so that
// it outlives both). One writer per field, as noted; 64-bit fields are read and written whole.
// Format: logging/RANK_STATUS.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ftmpi::logging {

inline constexpr std::uint64_t kRankStatusMagic = 0x3153544e41524654;  // "TFRANTS1"
inline constexpr std::uint32_t kRankStatusVersion = 2;

enum class RankPhase : std::uint32_t {
  kStarting = 0,  // before MPI_Init returned
  kRunning = 1,
  kFinalized = 2,  // MPI_Finalize returned
  kExited = 3,     // exit() ran after MPI_Finalize
  kAborted = 4,    // the program called MPI_Abort
};

// Whether the rank takes checkpoints.
enum class CheckpointService : std::uint32_t { kUnknown = 0, kOn = 1, kOff = 2 };

struct RankStatus {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t rank;
  std::int32_t pid;
  std::uint32_t epoch;
  std::uint64_t pid_start_time;     // /proc/<pid>/stat field 22
  std::uint64_t job;                // identifies the job
  std::uint64_t identity_checksum;  // over the fields so far
  // Written by the rank.
  std::atomic<RankPhase> phase;
  std::atomic<std::int32_t> exit_code;       // of exit(), or MPI_Abort's code
  std::atomic<std::uint64_t> interval;       // current state interval index
  std::atomic<std::uint64_t> poll_failures;  // polling calls that said no, not yet in a determinant
  std::atomic<std::uint64_t> committable;    // output up to this position may be released
  std::atomic<std::uint64_t> replay_total;   // events to be replayed in this epoch
  std::atomic<std::uint64_t> replay_done;    // events replayed so far
  std::atomic<std::uint64_t> logged_events;  // own determinants in the event log (for the flusher)
  std::atomic<std::uint32_t> failure_notice;  // signal that announced a failure, 0: none
  // Where the rank is as its output commit rule counts (Protocol::OutputPosition): its events and
  // the growths of its dependencies.
  std::atomic<std::uint64_t> output_position;
  // Checkpoints (recovery/JOB_DIRECTORY.md, "requests"): rank 0's answer to a request from outside.
  std::atomic<CheckpointService> checkpoint_service;
  std::atomic<std::uint32_t> checkpoint_answer;    // its CSN; 0: it was given up. Set first
  std::atomic<std::uint64_t> checkpoint_answered;  // number of the last request answered
  // Written by the companion.
  std::atomic<std::uint64_t> checkpoint_requested;  // number of the last request from outside
  std::atomic<std::uint32_t> output_waiting;        // output is held until `committable` reaches it
  std::atomic<std::uint64_t> stable;  // own determinants up to this index are on stable storage
  std::atomic<std::uint64_t> stdout_released;  // bytes passed on to the outside world, all epochs
  std::atomic<std::uint64_t> stderr_released;
  // Bytes that the program has written, all epochs; as of the last kSync.
  std::atomic<std::uint64_t> stdout_taken;
  std::atomic<std::uint64_t> stderr_taken;
  // Bytes of standard input that the program has taken, all epochs; as of the last kSync. Once the
  // pipe is closed behind the input's end, those that still lie in it are counted too.
  std::atomic<std::uint64_t> stdin_taken;
  std::atomic<std::uint32_t> stdin_closed;
};
static_assert(sizeof(RankStatus) <= 4096);

class Environment;
class MappedFile;

// What a status page says of whose it is.
struct RankStatusIdentity {
  std::uint64_t job = 0;
  std::int32_t rank = -1;
  std::uint32_t epoch = 0;
  std::int32_t pid = 0;
  std::uint64_t pid_start_time = 0;  // see ProcessStartTime
};

// A status page, mapped. The page's file stays when the object goes.
class RankStatusPage {
 public:
  // Makes the page of a starting rank at `path`, in place of one of an earlier epoch, and maps it
  // shared. All other fields are 0 but the two counts of released output, which go on over epochs.
  static std::unique_ptr<RankStatusPage> Create(Environment* environment, const std::string& path,
                                                const RankStatusIdentity& identity,
                                                std::uint64_t stdout_released,
                                                std::uint64_t stderr_released);
  // Maps an existing page shared. Throws LogError naming file and reason: missing, truncated,
  // damaged, other version, other job, other rank.
  static std::unique_ptr<RankStatusPage> Open(Environment* environment, const std::string& path,
                                              std::uint64_t job, int rank);
  ~RankStatusPage();
  RankStatusPage(const RankStatusPage&) = delete;
  RankStatusPage& operator=(const RankStatusPage&) = delete;

  // Valid as long as this object.
  [[nodiscard]] RankStatus* status() const { return status_; }
  RankStatus* operator->() const { return status_; }

 private:
  explicit RankStatusPage(std::unique_ptr<MappedFile> file);
  std::unique_ptr<MappedFile> file_;
  RankStatus* status_;
};

// "rank-<r>.status"
std::string RankStatusFileName(int rank);

// Start time of a process in clock ticks since boot: with the pid it names a process for ever.
// Empty: there is no such process.
std::optional<std::uint64_t> ProcessStartTime(Environment* environment, std::int32_t pid);

}  // namespace ftmpi::logging
