// One recovery at a time: a lock file in the job directory.
#pragma once

#include <string>

namespace ftmpi::recovery {

// Held while the object lives; the kernel gives it up when the process dies.
class JobLock {
 public:
  // Locks JOBDIR/recovery/lock and writes this process's pid, start time and host into it. Throws
  // RecoveryError naming the holder when it is held, or when the file can't be made.
  explicit JobLock(const std::string& job_directory);
  ~JobLock();
  JobLock(const JobLock&) = delete;
  JobLock& operator=(const JobLock&) = delete;

 private:
  int file_ = -1;
};

// JOBDIR/recovery
std::string RecoveryDirectory(const std::string& job_directory);

}  // namespace ftmpi::recovery
