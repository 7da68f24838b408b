// What the companion of rank 0 finds out about the program and its launcher, for job.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/companion_protocol.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

// Checked copies of what the library sent. Throws JobDirectoryError for values that can't be.
struct CompanionFactsChecked {
  std::uint64_t job = 0;
  int rank = 0;
  int np = 0;
  std::uint32_t epoch = 0;
  int causal_f = 1;
  bool flush_events = false;
  bool keep = false;
  bool own_checkpoints = false;
  std::string mode, failure_unit, job_name, node, mpi_version, ftmpi_version;
  std::string job_directory, local_directory, status_path;
};
CompanionFactsChecked CheckFacts(const logging::CompanionFacts& facts);

// The description of a job that starts: `pid` is rank 0's process, `working_directory` where it
// started.
JobDescription DescribeNewJob(const CompanionFactsChecked& facts, std::int64_t pid,
                              const std::string& working_directory,
                              const std::vector<ProcessPlace>& ranks);
// The description of one that recovers: the stored one with the places, the node-local directory
// and the launcher of the new epoch. Throws JobDirectoryError when it is another job's.
JobDescription DescribeRecoveredJob(const CompanionFactsChecked& facts, std::int64_t pid,
                                    const std::vector<ProcessPlace>& ranks);

// /proc/<pid>/stat field 22; 0: no such process.
std::uint64_t StartTimeOf(std::int64_t pid);

}  // namespace ftmpi::recovery
