#include "recovery/incremental_recovery_state.h"

#include <algorithm>
#include <set>

namespace ftmpi::recovery {

IncrementalRecoveryState::IncrementalRecoveryState(int size) {
  if (size < 1) throw std::invalid_argument("a job of " + std::to_string(size) + " ranks");
  const auto count = static_cast<std::size_t>(size);
  stable_.resize(count);
  deferred_.resize(count);
  current_.assign(count, 0);
  maximum_.assign(count, 0);
  for (auto& of_rank : stable_) of_rank.emplace(0, DependencyVector{});
}

// FIND_REC (figure 4.2): advances `state`, which is recoverable, to a recoverable one in which
// `wanted` is reached. False: there is none (then `state` is undefined).
bool IncrementalRecoveryState::FindRecoverable(SystemState* state, const Interval& wanted) {
  ++searches_;
  // MAX differs from the state only in what the rows taken in demand; `behind` lists these columns.
  maximum_ = *state;
  std::vector<std::size_t> behind;
  const auto take = [&](const Interval& interval) {
    (*state)[interval.first] = interval.second;
    maximum_[interval.first] = std::max(maximum_[interval.first], interval.second);
    for (const auto& [rank, needed] : stable_[interval.first].at(interval.second)) {
      if (needed <= maximum_[rank]) continue;
      maximum_[rank] = needed;
      behind.push_back(rank);
    }
  };
  take(wanted);
  while (!behind.empty()) {
    const std::size_t rank = behind.back();
    behind.pop_back();
    if (maximum_[rank] <= (*state)[rank]) continue;
    const auto alpha = stable_[rank].lower_bound(maximum_[rank]);
    if (alpha == stable_[rank].end()) return false;
    take({rank, alpha->first});
  }
  return true;
}

// Adds to `work` the intervals that wait for `reached` or, since these are covered by it, for one
// of the intervals before it that are not stable.
void IncrementalRecoveryState::TakeDeferred(const Interval& reached,
                                            std::vector<Interval>* work) const {
  const auto& [rank, interval] = reached;
  auto at = stable_[rank].find(interval);
  const std::uint64_t below = std::prev(at)->first;  // interval 0 is always there
  const auto& deferred = deferred_[rank];
  const auto end = deferred.upper_bound(interval);
  for (auto each = deferred.upper_bound(below); each != end; ++each) work->push_back(each->second);
}

void IncrementalRecoveryState::OnStable(
    int rank, std::uint64_t interval,
    const std::vector<std::pair<int, std::uint64_t>>& depends_on) {
  const auto valid = [&](int each) {
    return each >= 0 && static_cast<std::size_t>(each) < stable_.size();
  };
  if (!valid(rank)) throw std::invalid_argument("rank " + std::to_string(rank) + " does not exist");
  const auto k = static_cast<std::size_t>(rank);
  DependencyVector vector;
  for (const auto& [on, needed] : depends_on) {
    if (!valid(on)) throw std::invalid_argument("rank " + std::to_string(on) + " does not exist");
    if (on != rank) vector.emplace_back(static_cast<std::size_t>(on), needed);
  }
  if (!stable_[k].emplace(interval, vector).second) return;
  if (interval <= current_[k]) return;
  SystemState greatest = current_;  // NEWCRS
  if (!FindRecoverable(&greatest, {k, interval})) {
    for (const auto& [on, needed] : vector) {
      if (needed > current_[on]) deferred_[on].emplace(needed, Interval{k, interval});
    }
    return;
  }
  std::vector<Interval> work;
  TakeDeferred({k, interval}, &work);
  SystemState state;
  // Transferred dependencies (definition 4.1) can go in a circle, which figure 4.3 would follow for
  // ever: each interval that was reached is taken once.
  std::set<Interval> taken;
  while (!work.empty()) {
    const Interval each = work.back();
    work.pop_back();
    if (taken.contains(each)) continue;
    if (each.second > greatest[each.first]) {
      state = greatest;
      if (!FindRecoverable(&state, each)) continue;
      greatest = state;
    } else if (each.second <= current_[each.first]) {
      continue;  // reached before: what waited for it was looked at then
    }
    taken.insert(each);
    TakeDeferred(each, &work);
  }
  current_ = greatest;
  // What waits for intervals that are reached waits no more.
  for (std::size_t i = 0; i < deferred_.size(); ++i) {
    deferred_[i].erase(deferred_[i].begin(), deferred_[i].upper_bound(current_[i]));
  }
}

}  // namespace ftmpi::recovery
