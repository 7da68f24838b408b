#include "recovery/job_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>

#include "logging/environment.h"
#include "logging/rank_status.h"
#include "recovery/durable_file.h"
#include "recovery/evidence.h"

namespace ftmpi::recovery {

std::string RecoveryDirectory(const std::string& job_directory) {
  return job_directory + "/recovery";
}

JobLock::JobLock(const std::string& job_directory) {
  const std::string directory = RecoveryDirectory(job_directory);
  MakeDirectory(directory);
  const std::string path = directory + "/lock";
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) {
    throw RecoveryError(
        fmt::format("{}: can't be opened: {}; mpi-ft-recover must be able to write "
                    "in the job directory",
                    path, std::strerror(errno)));
  }
  if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    char text[300] = "";
    const ssize_t length = pread(file_, text, sizeof text - 1, 0);
    std::string holder(text, length > 0 ? static_cast<std::size_t>(length) : 0);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    close(file_);
    file_ = -1;
    if (error == EWOULDBLOCK) {
      throw RecoveryError(
          fmt::format("another mpi-ft-recover works on {} ({}): wait for it or end it",
                      job_directory, holder.empty() ? "no record of it" : holder));
    }
    throw RecoveryError(fmt::format("{}: can't be locked: {}", path, std::strerror(error)));
  }
  logging::Environment* environment = logging::Environment::Posix();
  const std::string record = fmt::format(
      "process {}, started at {}, on {}\n", getpid(),
      logging::ProcessStartTime(environment, getpid()).value_or(0), environment->HostName());
  if (ftruncate(file_, 0) != 0 || !WriteAll(file_, record)) {
    const int error = errno;
    close(file_);
    file_ = -1;
    throw RecoveryError(fmt::format("{}: can't be written: {}", path, std::strerror(error)));
  }
}

JobLock::~JobLock() {
  if (file_ >= 0) close(file_);
}

}  // namespace ftmpi::recovery
