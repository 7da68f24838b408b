// What mpi-ft-recover shows while the job replays: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace ftmpi::recovery {

struct ProgressState {
  std::uint64_t done = 0;   // events replayed, all ranks
  std::uint64_t total = 0;  // events to be replayed, all ranks
  int ranks_done = 0;       // ranks that have nothing left to replay and have left MPI_Init
  int ranks = 0;
  [[nodiscard]] bool complete() const { return ranks_done == ranks; }
};

// Adds up the progress files of the epoch. A rank without one (it has not come up) counts with the
// total that the plan says. Unreadable files count as missing: they are about to be replaced.
ProgressState ReadProgress(const std::string& job_directory, std::uint64_t job, std::uint32_t epoch,
                           const std::vector<std::uint64_t>& planned_events);

// "[#####.....]  50 %  1234 of 2468 events", at most `columns` wide.
std::string ProgressBar(const ProgressState& state, int columns);
// "replayed 1234 of 2468 events, 3 of 8 ranks done"
std::string ProgressLine(const ProgressState& state);

// Shows it on standard error; quiet once complete.
class ProgressDisplay {
 public:
  using Clock = std::chrono::steady_clock;

  ProgressDisplay(bool terminal, int columns) : terminal_(terminal), columns_(columns) {}
  // Text to write now (may be empty): a bar that replaces the previous one, or a line at most every
  // two seconds and one at the end.
  std::string Update(const ProgressState& state, Clock::time_point now);
  // Text that leaves the terminal's line clean, before anything else is written to it.
  std::string Clear();
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  bool terminal_;
  int columns_;
  bool bar_shown_ = false;
  bool finished_ = false;
  bool started_ = false;
  Clock::time_point next_;
};

}  // namespace ftmpi::recovery
