#include "recovery/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "logging/rank_status.h"
#include "recovery/job_directory.h"

namespace ftmpi::recovery {

ProgressState ReadProgress(const std::string& job_directory, std::uint64_t job, std::uint32_t epoch,
                           const std::vector<std::uint64_t>& planned_events) {
  ProgressState state;
  state.ranks = static_cast<int>(planned_events.size());
  for (std::size_t index = 0; index < planned_events.size(); ++index) {
    const int rank = static_cast<int>(index);
    std::optional<ReplayProgress> progress;
    try {
      progress = ReadReplayProgress(ProgressPath(job_directory, epoch, rank), job, rank);
    } catch (const JobDirectoryError&) {
      progress = std::nullopt;
    }
    if (!progress) {
      state.total += planned_events[index];
      continue;
    }
    state.total += progress->replay_total;
    state.done += std::min(progress->replay_done, progress->replay_total);
    if (progress->replay_done >= progress->replay_total &&
        progress->phase != static_cast<std::uint32_t>(logging::RankPhase::kStarting)) {
      ++state.ranks_done;
    }
  }
  return state;
}

std::string ProgressBar(const ProgressState& state, int columns) {
  const std::uint64_t percent =
      state.total == 0 ? (state.complete() ? 100 : 0) : state.done * 100 / state.total;
  const std::string text =
      fmt::format("  {:>3} %  {} of {} events", percent, state.done, state.total);
  constexpr int kBrackets = 2;
  constexpr int kWidest = 40;
  const int width = std::min(kWidest, columns - static_cast<int>(text.size()) - kBrackets - 1);
  if (width < 1) return text.substr(0, static_cast<std::size_t>(std::max(columns - 1, 0)));
  const auto filled = static_cast<std::size_t>(static_cast<std::uint64_t>(width) * percent / 100);
  return fmt::format("[{:#<{}}{:.<{}}]{}", "", filled, "", static_cast<std::size_t>(width) - filled,
                     text);
}

std::string ProgressLine(const ProgressState& state) {
  return fmt::format("replayed {} of {} events, {} of {} ranks done", state.done, state.total,
                     state.ranks_done, state.ranks);
}

std::string ProgressDisplay::Update(const ProgressState& state, Clock::time_point now) {
  if (finished_) return "";
  constexpr auto kLineInterval = std::chrono::seconds(2);
  if (state.complete()) {
    finished_ = true;
    return Clear() + fmt::format("mpi-ft-recover: {}: the job goes on\n", ProgressLine(state));
  }
  if (terminal_) {
    bar_shown_ = true;
    return "\r\x1b[K" + ProgressBar(state, columns_);
  }
  if (!started_) {
    started_ = true;
    next_ = now + kLineInterval;
    return "";
  }
  if (now < next_) return "";
  next_ = now + kLineInterval;
  return fmt::format("mpi-ft-recover: {}\n", ProgressLine(state));
}

std::string ProgressDisplay::Clear() {
  if (!bar_shown_) return "";
  bar_shown_ = false;
  return "\r\x1b[K";
}

}  // namespace ftmpi::recovery
