// What is worth keeping of the mpirun command line that a job was started with.
//
// A relaunch places the ranks itself and runs in the recorded directory, so options of placement
// are dropped; what changes how the program runs or how its output looks is kept. The options are
// those of Open MPI 4.1 (`mpirun --help full`), with one dash or two.
#pragma once

#include <string>
#include <vector>

namespace ftmpi::recovery {

struct LauncherCommand {
  std::vector<std::string> kept;      // options to pass again, with their values
  std::vector<std::string> exported;  // names (without values) of the -x options
  std::vector<std::string> program;   // what mpirun started: program and arguments (never empty)
  std::string problem;                // empty: understood; else why not (then the rest is empty)
  bool several_programs = false;      // the problem is that ranks run different programs
};

// `arguments`: mpirun's argv, with argv[0].
LauncherCommand ParseLauncherCommand(const std::vector<std::string>& arguments);

}  // namespace ftmpi::recovery
