// The job directory (FT_DIR, on stable storage): what a job was, so that it can be started again,
// and the names of all that lies in it. Formats: recovery/JOB_DIRECTORY.md.
//
// job.json is written by the companion of rank 0 in MPI_Init and by mpi-ft-recover; everyone may
// read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ftmpi::recovery {

inline constexpr int kJobFormatVersion = 1;

// A file of the job directory is missing, unreadable, foreign, truncated, corrupted or of another
// version. The message names the file, the reason and the remedy.
class JobDirectoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A process, told apart from a later one with the same pid by its start time (/proc/<pid>/stat,
// field 22).
struct ProcessPlace {
  std::string node;                  // host name
  std::int64_t pid = 0;              // 0: unknown
  std::uint64_t pid_start_time = 0;  // clock ticks since boot; 0: unknown

  bool operator==(const ProcessPlace&) const = default;
};

struct JobEpoch {
  std::uint32_t epoch = 0;  // recovery epoch; 0 is the first run
  std::int64_t time = 0;    // start, seconds since 1970 (UTC)
  std::string reason;       // "started", "rank 2 on node7 was lost", ...

  bool operator==(const JobEpoch&) const = default;
};

enum class JobState {
  kRunning,     // started; whether it still runs, the processes in `ranks` tell
  kRecovering,  // mpi-ft-recover has begun the epoch at the end of `epochs`, which has not come up
                // yet
  kFinished,    // every rank exited cleanly (the directory was kept: FT_KEEP)
};

struct JobDescription {
  std::uint64_t job = 0;  // job id
  std::string name;       // its name: FT_LOCAL and FT_DIR default to ...ftmpi-<name>
  int np = 0;
  std::vector<ProcessPlace> ranks;  // by rank, np entries: where each rank ran last
  ProcessPlace launcher;            // mpirun, when it was visible from rank 0's node (else pid 0)

  std::string local_directory;  // node-local directory (the same path on each node)
  std::string mode;             // "pessimistic", "optimistic", "causal" or "coordinated"
  std::string failure_unit;     // "node" or "rank"
  int causal_f = 1;             // FT_CAUSAL_F

  std::vector<std::string> program;  // argv of rank 0 (never empty)
  std::string executable;            // absolute path of rank 0's executable (/proc/<pid>/exe)
  std::string build_id;              // its GNU build id in hex, or "xxh64:<hex>" of the whole file
  std::string working_directory;     // absolute
  // All variables of rank 0 as it was started, but those that the launcher sets anew
  // (IsLauncherVariable) and ftmpi's own internal ones (FTMPI_*).
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> launcher_command;  // mpirun's own argv; empty: not visible
  std::string launcher_directory;             // its working directory, empty: not visible
  // The regular file that mpirun's standard input was, empty: something else. With the length of
  // the input log a recovery knows where to go on reading.
  std::string launcher_stdin;
  std::string mpi_version;  // "Open MPI v4.1.4, ..."
  std::string ftmpi_version;

  std::vector<JobEpoch> epochs;  // in order; the last one is the current one (never empty)
  JobState state = JobState::kRunning;

  [[nodiscard]] std::uint32_t current_epoch() const { return epochs.back().epoch; }
  bool operator==(const JobDescription&) const = default;
};

// Reads and validates JOBDIR/job.json. Throws JobDirectoryError.
JobDescription ReadJobDescription(const std::string& job_directory);
// Writes it atomically and durably (temporary name, fsync, rename, fsync of the directory). Throws
// JobDirectoryError; the old file is intact then.
void WriteJobDescription(const std::string& job_directory, const JobDescription& job);

// The job directory `directory`/ftmpi-* whose job.json was written last, unfinished jobs first;
// nullopt: none. Looks at names and times only: reading it may still fail.
std::optional<std::string> FindNewestJobDirectory(const std::string& directory);

// Whether the launcher sets the variable for each process that it starts (OMPI_COMM_WORLD_*,
// PMIX_*, OMPI_MCA_orte_*, OMPI_MCA_ess_* ...), so that handing it to a new mpirun would be wrong.
// The user's own OMPI_MCA_* parameters are not.
bool IsLauncherVariable(const std::string& name);

// GNU build id in hex, or "xxh64:<hex>" for an executable without one. Throws JobDirectoryError.
std::string BuildIdOf(const std::string& executable);

// --- Names in JOBDIR
// ---------------------------------------------------------------------------------
std::string JobFilePath(const std::string& job_directory);                          // job.json
std::string EpochDirectory(const std::string& job_directory, std::uint32_t epoch);  // epoch-<k>
std::string LogDirectory(const std::string& job_directory);                         // log
std::string OutputDirectory(const std::string& job_directory);                      // output
std::string StdinLogPath(const std::string& job_directory);                         // stdin.log
std::string ReleasedPath(const std::string& job_directory, int rank);  // output/rank-<r>.released
// log/rank-<r>.events-<epoch>
std::string FlushedEventsPath(const std::string& job_directory, int rank, std::uint32_t epoch);
// epoch-<k>/lost-<r>, /survivor-<r>, /done-<r>, /progress-<r>, /alive-<r>, /unborn-<r>
std::string LostPath(const std::string& job_directory, std::uint32_t epoch, int rank);
std::string SurvivorPath(const std::string& job_directory, std::uint32_t epoch, int rank);
std::string DonePath(const std::string& job_directory, std::uint32_t epoch, int rank);
std::string ProgressPath(const std::string& job_directory, std::uint32_t epoch, int rank);
std::string UnbornPath(const std::string& job_directory, std::uint32_t epoch, int rank);

// --- Small records that companions leave in JOBDIR
// ------------------------------------------------ Each is a fixed-layout file with a checksum;
// readers throw JobDirectoryError for anything else and return nullopt for a file that isn't there.

// How the rank's process ended in an epoch (lost-<r>, survivor-<r>, done-<r>).
enum class RankEnd : std::uint32_t {
  kLost = 1,      // it vanished (killed, crashed): nobody had announced the end of the job before
  kExited = 2,    // it ended itself without success: exit() before MPI_Finalize or with a code != 0
  kAborted = 3,   // it called MPI_Abort
  kSurvivor = 4,  // it was alive when the job's end was announced to it
  kDone = 5,      // success: exit(0) after MPI_Finalize
};

struct RankEndRecord {
  RankEnd end = RankEnd::kLost;
  std::int32_t rank = -1;
  std::uint32_t epoch = 0;
  std::int32_t exit_code = 0;  // kExited, kAborted
  std::int64_t pid = 0;
  std::int64_t time = 0;            // nanoseconds since 1970
  std::uint64_t interval = 0;       // state interval the rank was in
  std::uint64_t poll_failures = 0;  // polling calls that said no since the last determinant
  std::string node;                 // at most 255 bytes

  bool operator==(const RankEndRecord&) const = default;
};
std::optional<RankEndRecord> ReadRankEnd(const std::string& path, std::uint64_t job);
// Atomic and durable. Throws JobDirectoryError.
void WriteRankEnd(const std::string& path, std::uint64_t job, const RankEndRecord& record);

// What has been passed on to the outside world (output/rank-<r>.released), all epochs together.
struct ReleasedOutput {
  std::uint64_t stdout_bytes = 0;
  std::uint64_t stderr_bytes = 0;
  std::uint64_t stdout_hash = 0;  // XXH64, seed 0, of all those bytes
  std::uint64_t stderr_hash = 0;

  bool operator==(const ReleasedOutput&) const = default;
};
// nullopt: no such file (nothing was released).
std::optional<ReleasedOutput> ReadReleasedOutput(const std::string& path, std::uint64_t job,
                                                 int rank);

// How far a rank's replay is (epoch-<k>/progress-<r>).
struct ReplayProgress {
  std::uint64_t replay_done = 0;   // events replayed
  std::uint64_t replay_total = 0;  // events to be replayed
  std::uint32_t phase = 0;         // logging::RankPhase

  bool operator==(const ReplayProgress&) const = default;
};
std::optional<ReplayProgress> ReadReplayProgress(const std::string& path, std::uint64_t job,
                                                 int rank);
void WriteReplayProgress(const std::string& path, std::uint64_t job, int rank,
                         const ReplayProgress& progress);

}  // namespace ftmpi::recovery
