// The library's side of the companion: the process beside each rank that outlives a kill -9 of it.
//
// StartCompanion replaces descriptors 1 and 2 (and 0 at rank 0) of the rank by pipes or ptys that
// the companion serves; AttachCompanion gives it the job's facts. What they say to each other:
// logging/COMPANION.md. The functions do nothing when no companion runs (ftmpi off). No exception
// escapes. Not thread-safe but where noted: call them with the engine's lock held, or before
// threads start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/rank_status.h"

namespace ftmpi {

struct CompanionRank {
  std::string node;
  std::int64_t pid = 0;
  std::uint64_t pid_start_time = 0;  // /proc/<pid>/stat field 22
};

// The facts of the job, known in MPI_Init.
struct CompanionAttach {
  std::uint64_t job = 0;        // job id
  std::string job_name;         // without "ftmpi-"
  std::string job_directory;    // absolute
  std::string local_directory;  // absolute, node-local
  int rank = 0;
  int np = 1;
  std::string node;  // this rank's node
  std::uint32_t epoch = 0;
  std::string mode;          // ModeName()
  std::string failure_unit;  // "node" or "rank"
  int causal_f = 1;
  bool flush_events = false;  // write own determinants to stable storage (optimistic: always true)
  bool keep = false;          // FT_KEEP
  bool own_checkpoints = false;  // FT_CKPT=independent
  std::string mpi_version;       // first line of MPI_Get_library_version
  std::string ftmpi_version;
  std::string status_path;                // the file of the status page; both sides map it
  logging::RankStatus* status = nullptr;  // the rank's mapping of it, valid until the process ends
  std::vector<CompanionRank> ranks;       // rank 0 only: np entries, by rank
};

// Whether this process seems to be a rank: FT_MODE set and not off, OMPI_COMM_WORLD_RANK set, not a
// child of a rank (FTMPI_RANK_PID names another process), and the program or one of its libraries
// is linked with libmpi. False for shells, launch scripts and interpreters; MPI_Init decides for
// these.
bool LooksLikeRank();

// Starts the companion unless it runs already (also across exec: the same pid is the same rank). A
// constructor calls it when LooksLikeRank(); MPI_Init calls it for every other rank, before it
// prints anything. False: `error` says what failed and names the remedy; nothing was changed then.
bool StartCompanion(std::string* error);
// Tells the companion of exit() and its code. Called by StartCompanion, but in a process that is
// about to be replaced by an image, where restart::BringUp does it.
void CompanionWatchExit();
// Whether a companion was started for this process.
bool CompanionRunning();
// Its pid, or 0 (e.g. to tell it from the program's own children).
std::int64_t CompanionPid();

// Hands over the job's facts; returns when the companion has made what it needs in the job
// directory (rank 0: job.json). Also installs the handlers of SIGTERM and SIGCONT (unless the
// program has its own) and the exit handler. False: `error` names the file or directory and the
// reason.
bool AttachCompanion(const CompanionAttach& attach, std::string* error);

// The program has called MPI_Abort(code): recorded before anything is torn down. Waits until the
// companion has taken all output.
void CompanionAborted(int code);
// MPI_Finalize returned.
void CompanionFinalized();
// Tells the companion of a signal that may announce the job's end. Async-signal-safe.
void CompanionNotice(int signal);
// Waits until the companion has taken everything written to 1 and 2 so far. False: no answer (it is
// gone).
bool SyncOutput();

// What the program has written to 1 so far in a job that was started from registered state is
// dropped, and what comes goes on where the checkpoint was (checkpoint/REGISTERED.md). False: the
// companion is gone.
bool CompanionResumed();

}  // namespace ftmpi
