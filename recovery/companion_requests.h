// Rank 0's companion: hands requests for a checkpoint from outside to the rank, and the answers
// back. Protocol: recovery/JOB_DIRECTORY.md, "requests".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "logging/rank_status.h"
#include "recovery/checkpoint_request.h"

namespace ftmpi::recovery {

class CheckpointRequests {
 public:
  // `status` outlives it. `say` prints a line for the user.
  CheckpointRequests(std::string job_directory, std::uint64_t job, logging::RankStatus* status,
                     std::function<void(const std::string&)> say);

  // ms between two calls of Serve.
  static constexpr int kPeriod = 250;
  // Looks for requests and answers. `now`: ms; does nothing until kPeriod has passed.
  void Serve(std::int64_t now);
  // The rank is gone: answers all that is left.
  void End();

 private:
  void Take();
  // If the rank has decided on the checkpoint under way.
  bool AnswerDecided();
  void AnswerAll(const CheckpointAnswer& answer);
  void Answer(const std::string& request, const CheckpointAnswer& answer);
  void Remove(const std::string& path);

  std::string job_directory_;
  std::uint64_t job_;
  logging::RankStatus* status_;
  std::function<void(const std::string&)> say_;
  std::int64_t next_ = 0;
  std::uint64_t asked_;               // last number given to the rank
  bool under_way_ = false;            // ... which has not answered it
  std::vector<std::string> waiting_;  // requests that wait for that answer
};

}  // namespace ftmpi::recovery
