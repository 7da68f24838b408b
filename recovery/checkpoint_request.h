// Requests for a checkpoint from outside of the job, and their answers: small files in
// JOBDIR/requests. Formats and protocol: recovery/JOB_DIRECTORY.md, "requests".
//
// mpi-ft-checkpoint writes a request and reads the answer; rank 0's companion does the reverse.
// All functions throw JobDirectoryError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ftmpi::recovery {

enum class RequestAnswer : std::uint32_t {
  kAccepted = 1,       // the job was asked
  kPermanent = 2,      // the checkpoint is permanent
  kGivenUp = 3,        // it could not be taken
  kNoCheckpoints = 4,  // this job takes none
  kEnded = 5,          // rank 0 has ended
};

struct CheckpointAnswer {
  RequestAnswer answer = RequestAnswer::kAccepted;
  std::uint32_t csn = 0;  // kPermanent

  bool operator==(const CheckpointAnswer&) const = default;
};

std::string RequestDirectory(const std::string& job_directory);  // requests
// requests/checkpoint-<id>; its answer has ".answer" behind it.
std::string RequestPath(const std::string& job_directory, std::uint64_t id);
std::string AnswerPath(const std::string& request_path);
// The id in the name of a request (no answer, nothing unfinished); nullopt: not one.
std::optional<std::uint64_t> RequestId(const std::string& name);

// `wait`: the answer that counts is that to the checkpoint.
void WriteCheckpointRequest(const std::string& path, std::uint64_t job, bool wait);
// Whether it waits; nullopt: no such file.
std::optional<bool> ReadCheckpointRequest(const std::string& path, std::uint64_t job);
void WriteCheckpointAnswer(const std::string& path, std::uint64_t job,
                           const CheckpointAnswer& answer);
std::optional<CheckpointAnswer> ReadCheckpointAnswer(const std::string& path, std::uint64_t job);

}  // namespace ftmpi::recovery
