#include "recovery/recovery_state.h"

#include <algorithm>

#include "recovery/batch_recovery_state.h"

namespace ftmpi::recovery {

std::vector<IntervalRange> StableIntervals(const RankHistory& history) {
  std::vector<IntervalRange> logged = history.logged;
  std::erase_if(logged, [](const IntervalRange& range) { return range.first > range.last; });
  std::sort(logged.begin(), logged.end(),
            [](const IntervalRange& a, const IntervalRange& b) { return a.first < b.first; });
  std::vector<std::uint64_t> checkpoints = history.checkpoints;
  std::sort(checkpoints.begin(), checkpoints.end());
  std::vector<IntervalRange> stable;
  std::size_t next = 0;
  for (const std::uint64_t checkpoint : checkpoints) {
    if (!stable.empty() && checkpoint <= stable.back().last) continue;
    std::uint64_t last = checkpoint;
    for (; next < logged.size() && (logged[next].first <= last || logged[next].first - last == 1);
         ++next) {
      last = std::max(last, logged[next].last);
    }
    if (!stable.empty() && checkpoint - stable.back().last == 1) {
      stable.back().last = last;
    } else {
      stable.push_back({checkpoint, last});
    }
  }
  return stable;
}

SystemState MaximumRecoverableState(const std::vector<RankHistory>& ranks) {
  return BatchRecoveryState(ranks);
}

RecoveryStateInput::RecoveryStateInput(int size) {
  if (size < 1) throw std::invalid_argument("a job of " + std::to_string(size) + " ranks");
  ranks_.resize(static_cast<std::size_t>(size));
}

RecoveryStateInput::Rank& RecoveryStateInput::At(int rank) {
  if (rank < 0 || static_cast<std::size_t>(rank) >= ranks_.size()) {
    throw std::invalid_argument("rank " + std::to_string(rank) + " in a job of " +
                                std::to_string(ranks_.size()) + " ranks");
  }
  return ranks_[static_cast<std::size_t>(rank)];
}

void RecoveryStateInput::AddCheckpoint(int rank, std::uint64_t interval) {
  At(rank).history.checkpoints.push_back(interval);
}

void RecoveryStateInput::DropInitialState(int rank) {
  std::erase(At(rank).history.checkpoints, std::uint64_t{0});
}

void RecoveryStateInput::AddDeterminant(const logging::Determinant& determinant) {
  Rank& rank = At(determinant.rank);
  auto& logged = rank.history.logged;
  // Logs are in order: most determinants lengthen the last range.
  if (!logged.empty() && determinant.index - logged.back().last == 1) {
    logged.back().last = determinant.index;
  } else {
    logged.push_back({determinant.index, determinant.index});
  }
  using logging::EventKind;
  if (determinant.kind == EventKind::kDependency) {
    AddDependency(determinant.rank, {determinant.index, determinant.source, determinant.value});
  } else if (determinant.source >= 0 && determinant.kind != EventKind::kValue) {
    At(determinant.source);
    // A message may be probed before it is delivered: the first event that saw it counts.
    auto [at, first] =
        rank.deliveries.try_emplace({determinant.source, determinant.value}, determinant.index);
    if (!first) at->second = std::min(at->second, determinant.index);
  }
}

void RecoveryStateInput::AddDependency(int rank, const Dependency& dependency) {
  At(dependency.on_rank);
  At(rank).history.dependencies.push_back(dependency);
}

void RecoveryStateInput::AddMessage(int source, std::uint64_t ssn, int destination,
                                    std::uint64_t interval) {
  At(source);
  if (interval > 0) At(destination).sent_in[{source, ssn}] = interval;
}

std::vector<RankHistory> RecoveryStateInput::Build() const {
  std::vector<RankHistory> histories;
  histories.reserve(ranks_.size());
  for (const Rank& rank : ranks_) {
    histories.push_back(rank.history);
    for (const auto& [message, event] : rank.deliveries) {
      const auto sent = rank.sent_in.find(message);
      if (sent == rank.sent_in.end()) continue;
      histories.back().dependencies.push_back({event, message.first, sent->second});
    }
  }
  return histories;
}

}  // namespace ftmpi::recovery
