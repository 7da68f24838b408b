// Whether a job may be recovered at all: each reason why not, with the remedy.
#pragma once

#include <string>
#include <vector>

#include "recovery/evidence.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

// The executable is there and is the build that the job ran. Throws RecoveryError.
void CheckProgram(const JobDescription& job);

// The job has not ended well already (by job.json). Throws RecoveryError.
void CheckNotFinished(const JobDescription& job, const std::string& job_directory);

// Whether something says that the job has failed: a rank's end was recorded, or its mpirun, known
// to run on this node, is gone. Then ranks that still run are about to be ended by mpirun.
bool FailureIsKnown(const JobDescription& job, const std::string& job_directory,
                    const std::string& this_node);

// "rank 2 (process 4711 on n1)", for each rank that runs.
std::vector<std::string> RunningRanks(const Findings& findings);

// Ranks whose companion has not recorded their end yet, though it could.
bool AwaitsEndRecords(const Findings& findings);

// How the program ended itself, when that was its own will and not a failure: all ranks done
// (throws RecoveryError: there is nothing to recover), MPI_Abort, or exit without success. Empty:
// it was a failure. The text says what happened; recovery then needs --force.
std::string EndedByItself(const Findings& findings);

}  // namespace ftmpi::recovery
