// The recovery state algorithms on the thesis's own examples, and their input.
// The thesis numbers processes from 1, here ranks count from 0.
#include "recovery/recovery_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recovery/batch_recovery_state.h"
#include "recovery/incremental_recovery_state.h"

namespace ftmpi::recovery {
namespace {

using logging::Determinant;
using logging::EventKind;
using testing::ElementsAre;

RankHistory Logged(std::uint64_t last, std::vector<Dependency> dependencies) {
  RankHistory history;
  if (last > 0) history.logged = {{1, last}};
  history.dependencies = std::move(dependencies);
  return history;
}

// Figure 2.1 with the matrices of 2.1.2 and 2.1.3: the system states A (message a received, b not),
// B (b, not a), their meet and their join, each as the maximum when just its messages are logged.
std::vector<RankHistory> Figure21(std::uint64_t process1, std::uint64_t process4) {
  return {Logged(process1, {{1, 1, 0}, {2, 1, 0}}), Logged(0, {}),
          Logged(2, {{1, 1, 0}, {2, 3, 0}}), Logged(process4, {{1, 2, 2}})};
}

TEST(BatchRecoveryState, Figure21) {
  EXPECT_THAT(BatchRecoveryState(Figure21(2, 0)), ElementsAre(2, 0, 2, 0));  // A
  EXPECT_THAT(BatchRecoveryState(Figure21(1, 1)), ElementsAre(1, 0, 2, 1));  // B
  EXPECT_THAT(BatchRecoveryState(Figure21(1, 0)), ElementsAre(1, 0, 2, 0));  // meet
  EXPECT_THAT(BatchRecoveryState(Figure21(2, 1)), ElementsAre(2, 0, 2, 1));  // join
}

// Figure 2.2: D = (1 4 -; 0 2 0; - 2 1) is not consistent: process 1 has received a message that
// process 2 sent beyond its interval 2.
TEST(BatchRecoveryState, Figure22) {
  std::vector<RankHistory> ranks = {Logged(1, {{1, 1, 4}}), Logged(2, {{1, 0, 0}, {2, 2, 0}}),
                                    Logged(1, {{1, 1, 2}})};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(0, 2, 1));
  // With process 2 restored up to interval 4 all of it stands.
  ranks[1].logged = {{1, 4}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(1, 4, 1));
  // With process 2 in interval 1 process 3 must go back as well.
  ranks[1].logged = {{1, 1}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(0, 1, 0));
}

// The domino effect (2.1.7, figure 2.3): checkpoints and no logged messages.
TEST(BatchRecoveryState, DominoEffect) {
  std::vector<RankHistory> ranks(2);
  ranks[0].checkpoints = {0, 2};
  ranks[0].dependencies = {{1, 1, 0}, {2, 1, 2}, {3, 1, 2}};
  ranks[1].checkpoints = {0, 1, 3};
  ranks[1].dependencies = {{1, 0, 1}, {2, 0, 1}, {3, 0, 3}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(0, 0));
  // Lemma 2.2: logging prevents it.
  ranks[0].logged = {{1, 2}};
  ranks[1].logged = {{1, 2}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(2, 2));
}

// Section 4.4.3 with figure 4.4, step by step.
TEST(IncrementalRecoveryState, Section443) {
  IncrementalRecoveryState state(3);
  EXPECT_THAT(state.current(), ElementsAre(0, 0, 0));
  state.OnStable(0, 1, {{0, 1}, {1, 1}});  // message a is logged: <1, 1, ->
  EXPECT_THAT(state.current(), ElementsAre(0, 0, 0));
  EXPECT_EQ(state.searches(), 1);
  state.OnStable(1, 2, {{0, 0}, {1, 2}, {2, 1}});  // process 2 is checkpointed: <0, 2, 1>
  EXPECT_THAT(state.current(), ElementsAre(0, 0, 0));
  EXPECT_EQ(state.searches(), 2);
  state.OnStable(2, 1, {{1, 1}, {2, 1}});  // message b is logged: <-, 1, 1>
  EXPECT_THAT(state.current(), ElementsAre(1, 2, 1));
  // "the call to FIND_REC is skipped" for interval 2 of process 2.
  EXPECT_EQ(state.searches(), 4);
}

TEST(BatchRecoveryState, Section443) {
  std::vector<RankHistory> ranks(3);
  ranks[0].logged = {{1, 1}};
  ranks[0].dependencies = {{1, 1, 1}};
  ranks[1].checkpoints = {0, 2};
  ranks[1].dependencies = {{1, 0, 0}, {2, 2, 1}};
  ranks[2].dependencies = {{1, 1, 1}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(0, 0, 0));
  ranks[2].logged = {{1, 1}};
  EXPECT_THAT(BatchRecoveryState(ranks), ElementsAre(1, 2, 1));
}

// Stable intervals that wait for each other through a checkpoint.
TEST(IncrementalRecoveryState, CircleOfTransferredDependencies) {
  IncrementalRecoveryState state(3);
  state.OnStable(0, 2, {{1, 1}});
  state.OnStable(1, 2, {{0, 1}, {2, 1}});
  EXPECT_THAT(state.current(), ElementsAre(0, 0, 0));
  state.OnStable(2, 1, {});
  EXPECT_THAT(state.current(), ElementsAre(2, 2, 1));
}

TEST(StableIntervals, CheckpointsAndLoggedEvents) {
  RankHistory history;
  history.checkpoints = {7, 0, 3, 12};
  history.logged = {{9, 9}, {1, 1}, {5, 6}, {4, 4}, {9, 10}, {8, 8}, {14, 20}};
  EXPECT_THAT(StableIntervals(history),
              ElementsAre(IntervalRange{0, 1}, IntervalRange{3, 10}, IntervalRange{12, 12}));
  history.checkpoints = {4, 3};
  history.logged = {};
  EXPECT_THAT(StableIntervals(history), ElementsAre(IntervalRange{3, 4}));
}

TEST(BatchRecoveryState, RefusesWhatCannotBe) {
  std::vector<RankHistory> ranks(2);
  ranks[0].checkpoints.clear();
  EXPECT_THROW(BatchRecoveryState(ranks), NoRecoverableState);
  // The initial state is gone and the only checkpoint is an orphan.
  ranks[0].checkpoints = {5};
  ranks[0].dependencies = {{4, 1, 1}};
  try {
    BatchRecoveryState(ranks);
    FAIL();
  } catch (const NoRecoverableState& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("rank 0"));
    EXPECT_THAT(error.what(), testing::HasSubstr("interval 1 of rank 1"));
  }
  ranks[0].dependencies = {{4, 2, 1}};
  EXPECT_THROW(BatchRecoveryState(ranks), std::invalid_argument);
  EXPECT_THROW(IncrementalRecoveryState(2).OnStable(0, 1, {{2, 1}}), std::invalid_argument);
}

Determinant Event(EventKind kind, int rank, std::uint64_t index, int source, std::uint64_t value) {
  Determinant determinant;
  determinant.rank = rank;
  determinant.kind = kind;
  determinant.index = index;
  determinant.source = source;
  determinant.value = value;
  return determinant;
}

// What event logs and payload logs say: rank 1 takes message 3 of rank 0, sent in interval 2, of
// which only interval 1 survives.
TEST(RecoveryStateInput, DeliveriesAndLoggedMessages) {
  RecoveryStateInput input(2);
  input.AddDeterminant(Event(EventKind::kValue, 0, 1, -1, 17));
  input.AddMessage(0, 2, 1, 1);
  input.AddMessage(0, 3, 1, 2);
  for (int copies = 0; copies < 2; ++copies) {
    input.AddDeterminant(Event(EventKind::kDelivery, 1, 1, 0, 2));
    input.AddDeterminant(Event(EventKind::kValue, 1, 2, -1, 18));
    input.AddDeterminant(Event(EventKind::kProbe, 1, 3, 0, 3));
    input.AddDeterminant(Event(EventKind::kDelivery, 1, 4, 0, 3));
  }
  // The probe saw the message first.
  EXPECT_THAT(MaximumRecoverableState(input.Build()), ElementsAre(1, 2));
  input.AddDeterminant(Event(EventKind::kValue, 0, 2, -1, 19));
  EXPECT_THAT(MaximumRecoverableState(input.Build()), ElementsAre(2, 4));
  input.DropInitialState(0);
  EXPECT_THROW(MaximumRecoverableState(input.Build()), NoRecoverableState);
  input.AddCheckpoint(0, 2);
  EXPECT_THAT(MaximumRecoverableState(input.Build()), ElementsAre(2, 4));
}

// Records of optimistic mode: rank 2 without events passes on what rank 0's lost interval told it.
TEST(RecoveryStateInput, DependencyRecords) {
  RecoveryStateInput input(4);
  input.AddDeterminant(Event(EventKind::kDependency, 2, 1, 0, 5));
  input.AddDeterminant(Event(EventKind::kDependency, 3, 1, 2, 1));
  input.AddDeterminant(Event(EventKind::kDelivery, 3, 2, 2, 1));
  for (std::uint64_t index = 1; index <= 4; ++index) {
    input.AddDeterminant(Event(EventKind::kValue, 0, index, -1, 0));
  }
  EXPECT_THAT(MaximumRecoverableState(input.Build()), ElementsAre(4, 0, 0, 0));
  input.AddDeterminant(Event(EventKind::kValue, 0, 5, -1, 0));
  EXPECT_THAT(MaximumRecoverableState(input.Build()), ElementsAre(5, 0, 1, 2));
  EXPECT_THROW(input.AddDeterminant(Event(EventKind::kValue, 4, 1, -1, 0)), std::invalid_argument);
  EXPECT_THROW(input.AddDeterminant(Event(EventKind::kDelivery, 0, 6, 9, 1)),
               std::invalid_argument);
  EXPECT_THROW(RecoveryStateInput(0), std::invalid_argument);
}

}  // namespace
}  // namespace ftmpi::recovery
