// Both recovery state algorithms against exhaustive search over small random executions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "recovery/batch_recovery_state.h"
#include "recovery/incremental_recovery_state.h"
#include "recovery/recovery_state.h"

namespace ftmpi::recovery {
namespace {

using Vector = std::vector<std::uint64_t>;

// A random execution with everything in full: a dependency vector for each interval.
struct Execution {
  std::vector<std::vector<Vector>> vectors;  // [rank][interval][on rank]
  std::vector<RankHistory> histories;        // dependencies only
};

Execution RandomExecution(std::mt19937_64* random, std::size_t size, int deliveries) {
  Execution execution;
  execution.vectors.assign(size, {Vector(size, 0)});
  execution.histories.resize(size);
  std::uniform_int_distribution<std::size_t> any(0, size - 1);
  for (int i = 0; i < deliveries; ++i) {
    const std::size_t to = any(*random);
    Vector vector = execution.vectors[to].back();
    const std::uint64_t interval = ++vector[to];
    const std::size_t from = any(*random);
    if (from != to) {
      // A message may be long under way: sent in any interval up to the present one.
      std::uniform_int_distribution<std::uint64_t> sent(0, execution.vectors[from].size() - 1);
      const std::uint64_t in = sent(*random);
      vector[from] = std::max(vector[from], in);
      execution.histories[to].dependencies.push_back({interval, static_cast<int>(from), in});
    }
    execution.vectors[to].push_back(vector);
  }
  return execution;
}

bool Consistent(const Execution& execution, const SystemState& state) {
  for (std::size_t j = 0; j < state.size(); ++j) {
    for (std::size_t i = 0; i < state.size(); ++i) {
      if (execution.vectors[j][state[j]][i] > state[i]) return false;  // definition 2.4
    }
  }
  return true;
}

// The greatest of all consistent combinations; checks that it is one of them (theorem 2.4).
SystemState Exhaustive(const Execution& execution, const std::vector<Vector>& stable) {
  const std::size_t size = stable.size();
  SystemState state(size);
  SystemState maximum(size, 0);
  std::vector<std::size_t> at(size, 0);
  while (true) {
    for (std::size_t i = 0; i < size; ++i) state[i] = stable[i][at[i]];
    if (Consistent(execution, state)) {
      for (std::size_t i = 0; i < size; ++i) maximum[i] = std::max(maximum[i], state[i]);
    }
    std::size_t digit = 0;
    while (digit < size && ++at[digit] == stable[digit].size()) at[digit++] = 0;
    if (digit == size) break;
  }
  EXPECT_TRUE(Consistent(execution, maximum));
  return maximum;
}

// Definition 2.6, literally.
bool Stable(const RankHistory& history, std::uint64_t interval) {
  const auto logged = [&](std::uint64_t index) {
    return std::any_of(history.logged.begin(), history.logged.end(),
                       [&](const IntervalRange& r) { return r.first <= index && index <= r.last; });
  };
  std::uint64_t effective = 0;
  for (const std::uint64_t checkpoint : history.checkpoints) {
    if (checkpoint <= interval) effective = std::max(effective, checkpoint);
  }
  for (std::uint64_t index = effective + 1; index <= interval; ++index) {
    if (!logged(index)) return false;
  }
  return true;
}

TEST(RecoveryState, AgainstExhaustiveSearch) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const std::size_t size = 2 + random() % 3;
    Execution execution = RandomExecution(&random, size, static_cast<int>(4 + random() % 14));
    // Random checkpoints and logged events; sometimes plenty, sometimes hardly any.
    const std::uint64_t checkpoint_percent = random() % 60;
    const std::uint64_t logged_percent = random() % 101;
    std::vector<Vector> stable(size);
    for (std::size_t rank = 0; rank < size; ++rank) {
      RankHistory& history = execution.histories[rank];
      for (std::uint64_t i = 1; i < execution.vectors[rank].size(); ++i) {
        if (random() % 100 < checkpoint_percent) history.checkpoints.push_back(i);
        if (random() % 100 < logged_percent) history.logged.push_back({i, i});
      }
      for (std::uint64_t i = 0; i < execution.vectors[rank].size(); ++i) {
        if (Stable(history, i)) stable[rank].push_back(i);
      }
      std::vector<std::uint64_t> listed;
      for (const IntervalRange& range : StableIntervals(history)) {
        for (std::uint64_t i = range.first; i <= range.last; ++i) listed.push_back(i);
      }
      ASSERT_EQ(listed, stable[rank]);
    }
    const SystemState expected = Exhaustive(execution, stable);
    ASSERT_EQ(BatchRecoveryState(execution.histories), expected);

    // The incremental algorithm is told of the intervals in any order, and is right after each.
    std::vector<std::pair<std::size_t, std::uint64_t>> news;
    for (std::size_t rank = 0; rank < size; ++rank) {
      for (const std::uint64_t i : stable[rank]) {
        if (i > 0) news.emplace_back(rank, i);
      }
    }
    std::shuffle(news.begin(), news.end(), random);
    IncrementalRecoveryState incremental(static_cast<int>(size));
    std::vector<Vector> so_far(size, Vector{0});
    for (const auto& [rank, interval] : news) {
      std::vector<std::pair<int, std::uint64_t>> vector;
      for (std::size_t on = 0; on < size; ++on) {
        vector.emplace_back(static_cast<int>(on), execution.vectors[rank][interval][on]);
      }
      incremental.OnStable(static_cast<int>(rank), interval, vector);
      so_far[rank].push_back(interval);
      ASSERT_EQ(incremental.current(), Exhaustive(execution, so_far));
    }
    ASSERT_EQ(incremental.current(), expected);
  }
}

// Thousands of ranks and a million dependencies.
TEST(RecoveryState, Large) {
  constexpr std::size_t kSize = 2000;
  std::mt19937_64 random(7);
  std::vector<RankHistory> ranks(kSize);
  std::vector<std::uint64_t> interval(kSize, 0);
  for (int i = 0; i < 1000000; ++i) {
    const std::size_t to = random() % kSize;
    const std::size_t from = random() % kSize;
    ranks[to].dependencies.push_back({++interval[to], static_cast<int>(from), interval[from]});
  }
  for (std::size_t rank = 0; rank < kSize; ++rank) ranks[rank].logged = {{1, interval[rank]}};
  EXPECT_EQ(BatchRecoveryState(ranks), interval);
  // One rank lost altogether: what its first message touched is lost too, and nothing inconsistent
  // stays.
  ranks[5].logged.clear();
  const SystemState state = BatchRecoveryState(ranks);
  EXPECT_EQ(state[5], 0);
  for (std::size_t rank = 0; rank < kSize; ++rank) {
    for (const Dependency& dependency : ranks[rank].dependencies) {
      if (static_cast<std::size_t>(dependency.on_rank) == rank) continue;
      if (dependency.interval <= state[rank]) {
        ASSERT_LE(dependency.on_interval, state[static_cast<std::size_t>(dependency.on_rank)]);
      }
    }
  }
}

}  // namespace
}  // namespace ftmpi::recovery
