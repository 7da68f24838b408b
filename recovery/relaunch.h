// Starting the job again: the mpirun command line and environment that bring the same program back,
// each rank to its place, and the watch over that mpirun.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "recovery/job_directory.h"

namespace ftmpi::recovery {

using Variables = std::vector<std::pair<std::string, std::string>>;

struct RelaunchOptions {
  std::string mpirun;              // path or name of mpirun; empty: the recorded one, else "mpirun"
  std::vector<std::string> extra;  // further arguments for mpirun (--mpirun-arg)
  std::vector<std::string> nodes;  // by rank
  std::string this_node;           // where mpirun will run
  std::string job_directory;       // absolute
  std::uint32_t epoch = 0;         // that starts
  std::uint32_t checkpoint_csn = 0;  // that all ranks start from; 0: the initial state
  bool own_checkpoints = false;      // each from its own instead, as its replay log says
  std::string hostfile;              // path for the hostfile, if one is needed
  Variables current;                 // this process's environment
};

struct Launch {
  std::vector<std::string> arguments;  // argv of mpirun
  Variables environment;               // its whole environment
  std::string hostfile;                // content of options.hostfile; empty: none is needed
  std::string directory;               // where it is started
  int input = -1;                      // descriptor for its standard input; -1: this process's own
  int output = -1;                     // for its standard output and error; -1: this process's own
  std::vector<std::string> remarks;
};

// What brings the job back. Throws RecoveryError if it was started in a way that can't be repeated.
//
// All ranks on this node: `mpirun -np N`. Else a hostfile with a line per rank and sequential
// mapping, which gives exactly that mapping (Open MPI 4.1).
// Environment: when mpirun ran on rank 0's node (its command line was recorded), rank 0's
// environment is mpirun's own, and the new mpirun gets it; its -x variables are exported again.
// Else mpirun gets this process's environment with the recorded MCA parameters, and the recorded
// variables are handed to the ranks by -x NAME=VALUE.
Launch MakeLaunch(const JobDescription& job, const RelaunchOptions& options);

// Command line of a program run once on one node (mpi-ft-inventory), with the job's MCA settings.
Launch MakeNodeLaunch(const JobDescription& job, const RelaunchOptions& options,
                      const std::string& node, const std::vector<std::string>& program);

// This process's environment.
Variables CurrentEnvironment();

// Starts the program; it gets SIGTERM when this process dies. Throws RecoveryError when it can't be
// started, naming the program.
pid_t StartProgram(const Launch& launch);

// How a program ended, as a shell sees it: exit code, or 128 + signal.
int ExitCodeOf(int wait_status);

struct WatchOptions {
  // Called about twice a second while the program runs. True: the job's ranks are gone, so that
  // mpirun has to end within `grace`, else it is ended.
  std::function<bool()> tick;
  std::chrono::seconds grace{30};
};

struct WatchResult {
  int exit_code = 0;
  bool ended_by_watchdog = false;
  int forwarded_signal = 0;  // the last of SIGINT, SIGTERM, SIGHUP that was passed on
};

// Waits for the program; passes SIGINT, SIGTERM and SIGHUP on to it (not those that a terminal sent
// to the whole foreground group anyway). BlockSignals must have been called before it was started.
WatchResult Watch(pid_t program, const WatchOptions& options);

// Blocks the signals that Watch handles, in this process; StartProgram's children have them
// unblocked.
void BlockSignals();

}  // namespace ftmpi::recovery
