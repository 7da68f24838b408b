#include "recovery/companion_requests.h"

#include <dirent.h>
#include <unistd.h>

#include <utility>

#include "recovery/job_directory.h"

namespace ftmpi::recovery {
namespace {

using logging::CheckpointService;

// Requests in the directory; none if it isn't there.
std::vector<std::string> Requests(const std::string& job_directory) {
  std::vector<std::string> found;
  const std::string directory = RequestDirectory(job_directory);
  DIR* const open = opendir(directory.c_str());
  if (open == nullptr) return found;
  while (const dirent* entry = readdir(open)) {
    if (RequestId(entry->d_name)) found.push_back(directory + "/" + entry->d_name);
  }
  closedir(open);
  return found;
}

}  // namespace

CheckpointRequests::CheckpointRequests(std::string job_directory, std::uint64_t job,
                                       logging::RankStatus* status,
                                       std::function<void(const std::string&)> say)
    : job_directory_(std::move(job_directory)),
      job_(job),
      status_(status),
      say_(std::move(say)),
      asked_(status->checkpoint_requested.load()) {}

void CheckpointRequests::Serve(std::int64_t now) {
  if (now < next_) return;
  next_ = now + kPeriod;
  if (under_way_) {
    if (!AnswerDecided()) return;
    under_way_ = false;
  }
  Take();
}

void CheckpointRequests::Take() {
  const CheckpointService service = status_->checkpoint_service.load(std::memory_order_acquire);
  if (service == CheckpointService::kUnknown) return;
  bool asked = false;
  for (const std::string& path : Requests(job_directory_)) {
    try {
      const std::optional<bool> wait = ReadCheckpointRequest(path, job_);
      if (!wait) continue;
      if (service == CheckpointService::kOff) {
        Answer(path, {RequestAnswer::kNoCheckpoints, 0});
        Remove(path);
        continue;
      }
      asked = true;
      Answer(path, {RequestAnswer::kAccepted, 0});
      if (*wait) {
        waiting_.push_back(path);
      } else {
        Remove(path);
      }
    } catch (const JobDirectoryError& error) {
      say_(std::string("ftmpi: ") + error.what() + "; the request is removed");
      Remove(path);
    }
  }
  if (!asked) return;
  under_way_ = true;
  status_->checkpoint_requested.store(++asked_, std::memory_order_release);
}

bool CheckpointRequests::AnswerDecided() {
  if (status_->checkpoint_answered.load(std::memory_order_acquire) != asked_) return false;
  const std::uint32_t csn = status_->checkpoint_answer.load(std::memory_order_relaxed);
  AnswerAll({csn != 0 ? RequestAnswer::kPermanent : RequestAnswer::kGivenUp, csn});
  return true;
}

void CheckpointRequests::AnswerAll(const CheckpointAnswer& answer) {
  for (const std::string& path : std::exchange(waiting_, {})) {
    Answer(path, answer);
    Remove(path);
  }
}

void CheckpointRequests::Answer(const std::string& request, const CheckpointAnswer& answer) {
  try {
    WriteCheckpointAnswer(AnswerPath(request), job_, answer);
  } catch (const JobDirectoryError& error) {
    say_(std::string("ftmpi: ") + error.what());
  }
}

void CheckpointRequests::Remove(const std::string& path) { unlink(path.c_str()); }

void CheckpointRequests::End() {
  if (under_way_) AnswerDecided();
  under_way_ = false;
  AnswerAll({RequestAnswer::kEnded, 0});
  for (const std::string& path : Requests(job_directory_)) {
    Answer(path, {RequestAnswer::kEnded, 0});
    Remove(path);
  }
}

}  // namespace ftmpi::recovery
