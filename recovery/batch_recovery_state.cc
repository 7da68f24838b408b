#include "recovery/batch_recovery_state.h"

#include <algorithm>
#include <optional>

namespace ftmpi::recovery {
namespace {

// "Rank `rank` depends on me, on my interval `on_interval`, from its interval `interval` on."
struct Dependant {
  std::uint64_t on_interval;
  std::size_t rank;
  std::uint64_t interval;
};

// The greatest interval in `stable` below `limit`.
std::optional<std::uint64_t> GreatestBelow(const std::vector<IntervalRange>& stable,
                                           std::uint64_t limit) {
  auto range =
      std::lower_bound(stable.begin(), stable.end(), limit,
                       [](const IntervalRange& r, std::uint64_t value) { return r.first < value; });
  if (range == stable.begin()) return std::nullopt;
  --range;
  return std::min(range->last, limit - 1);
}

[[noreturn]] void Refuse(std::size_t rank, const std::string& what) {
  throw NoRecoverableState("rank " + std::to_string(rank) + ": " + what);
}

}  // namespace

SystemState BatchRecoveryState(const std::vector<RankHistory>& ranks) {
  const std::size_t size = ranks.size();
  std::vector<std::vector<IntervalRange>> stable(size);
  std::vector<std::vector<Dependant>> dependants(size);
  SystemState state(size, 0);
  for (std::size_t rank = 0; rank < size; ++rank) {
    stable[rank] = StableIntervals(ranks[rank]);
    if (stable[rank].empty()) Refuse(rank, "no checkpoint, and no start from the initial state");
    state[rank] = stable[rank].back().last;
    for (const Dependency& dependency : ranks[rank].dependencies) {
      if (dependency.on_rank < 0 || static_cast<std::size_t>(dependency.on_rank) >= size) {
        throw std::invalid_argument("rank " + std::to_string(rank) + " depends on rank " +
                                    std::to_string(dependency.on_rank) + " of " +
                                    std::to_string(size));
      }
      // What a rank says of itself is no dependency (its own entry is its current interval).
      const auto on = static_cast<std::size_t>(dependency.on_rank);
      if (on != rank) dependants[on].push_back({dependency.on_interval, rank, dependency.interval});
    }
  }
  for (auto& of_rank : dependants) {
    std::sort(of_rank.begin(), of_rank.end(),
              [](const Dependant& a, const Dependant& b) { return a.on_interval < b.on_interval; });
  }
  std::vector<std::size_t> lowered(size);
  std::vector<bool> listed(size, true);
  for (std::size_t rank = 0; rank < size; ++rank) lowered[rank] = rank;
  while (!lowered.empty()) {
    const std::size_t on = lowered.back();
    lowered.pop_back();
    listed[on] = false;
    auto& of_rank = dependants[on];
    while (!of_rank.empty() && of_rank.back().on_interval > state[on]) {
      const Dependant violated = of_rank.back();
      of_rank.pop_back();
      if (state[violated.rank] < violated.interval) continue;
      const auto alpha = GreatestBelow(stable[violated.rank], violated.interval);
      if (!alpha) {
        Refuse(violated.rank, "its state interval " + std::to_string(violated.interval) +
                                  " depends on interval " + std::to_string(violated.on_interval) +
                                  " of rank " + std::to_string(on) +
                                  ", which is lost, and no earlier one can be restored");
      }
      state[violated.rank] = *alpha;
      if (!listed[violated.rank]) {
        listed[violated.rank] = true;
        lowered.push_back(violated.rank);
      }
    }
  }
  return state;
}

}  // namespace ftmpi::recovery
