#include "recovery/recovery_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using logging::Mode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<Determinant> Events(int rank, std::uint64_t first, std::uint64_t last) {
  std::vector<Determinant> events;
  for (std::uint64_t index = first; index <= last; ++index) events.push_back(Event(rank, index));
  return events;
}

RankEvidence Survivor(std::vector<Determinant> found) {
  RankEvidence evidence;
  evidence.own_log_survives = true;
  evidence.found = std::move(found);
  return evidence;
}

RankEvidence Lost(std::vector<Determinant> found) {
  RankEvidence evidence;
  evidence.found = std::move(found);
  return evidence;
}

LineOptions Options(Mode mode, int lost_units = 1) {
  LineOptions options;
  options.mode = mode;
  options.lost_units = lost_units;
  return options;
}

std::vector<std::uint64_t> Intervals(const RecoveryLine& line) {
  std::vector<std::uint64_t> intervals;
  for (const RankLine& each : line.ranks) intervals.push_back(each.recovered_interval);
  return intervals;
}

TEST(RecoveryLine, SurvivorsGetBackToWhereTheyWere) {
  const RecoveryLine line =
      FindRecoveryLine(Options(Mode::kCausal, 0), {Survivor(Events(0, 1, 5)), Survivor({})});
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_THAT(Intervals(line), ElementsAre(5, 0));
  EXPECT_EQ(line.ranks[0].determinants, Events(0, 1, 5));
  EXPECT_TRUE(line.ranks[0].at_failure_state);
  EXPECT_TRUE(line.ranks[1].at_failure_state);
}

TEST(RecoveryLine, CopiesFromEverywhereMakeOneSequence) {
  // From several holders, in any order, some twice.
  std::vector<Determinant> found = {Event(0, 3), Event(0, 1), Event(0, 2), Event(0, 3),
                                    Event(0, 1)};
  const RecoveryLine line = FindRecoveryLine(Options(Mode::kCausal), {Lost(found), Survivor({})});
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_EQ(line.ranks[0].determinants, Events(0, 1, 3));
  EXPECT_FALSE(line.ranks[0].at_failure_state);
}

TEST(RecoveryLine, BaseComesFirst) {
  RankEvidence evidence = Survivor({Event(0, 2), Event(0, 3), Event(0, 4)});  // 2 again
  evidence.base_interval = 2;
  evidence.base = Events(0, 1, 2);
  const RecoveryLine line = FindRecoveryLine(Options(Mode::kPessimistic, 0), {evidence});
  EXPECT_EQ(line.ranks[0].determinants, Events(0, 1, 4));
}

TEST(RecoveryLine, BaseOfTheWrongLengthIsRefused) {
  RankEvidence evidence = Survivor({});
  evidence.base_interval = 3;
  evidence.base = Events(0, 1, 2);
  EXPECT_THAT(FindRecoveryLine(Options(Mode::kCausal), {evidence}).refusals,
              ElementsAre(HasSubstr("rank 0")));
}

TEST(RecoveryLine, TwoRecordsOfOneEventAreRefused) {
  Determinant other = Event(1, 2);
  other.detail += 1;
  const RecoveryLine line = FindRecoveryLine(
      Options(Mode::kCausal), {Survivor({}), Lost({Event(1, 1), Event(1, 2), other})});
  EXPECT_THAT(line.refusals, ElementsAre(AllOf(HasSubstr("rank 1"), HasSubstr("event 2"))));
}

TEST(RecoveryLine, CausalGapMeansThatSomebodyDepends) {
  const RecoveryLine line = FindRecoveryLine(
      Options(Mode::kCausal, 2), {Survivor({}), Lost({Event(1, 1), Event(1, 5)}), Lost({})});
  EXPECT_THAT(line.refusals, ElementsAre(AllOf(HasSubstr("rank 1"), HasSubstr("events 2 to 4"),
                                               HasSubstr("event 5"))));
}

TEST(RecoveryLine, PessimisticGapMeansNothing) {
  // Event 3's determinant has reached its message's sender, event 2's had not: nothing was sent
  // after event 2.
  const RecoveryLine line = FindRecoveryLine(Options(Mode::kPessimistic),
                                             {Survivor({}), Lost({Event(1, 1), Event(1, 3)})});
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_THAT(line.doubts, IsEmpty());
  EXPECT_THAT(Intervals(line), ElementsAre(0, 1));
}

TEST(RecoveryLine, MoreLossesThanPromisedAreInDoubt) {
  LineOptions options = Options(Mode::kCausal, 2);
  const std::vector<RankEvidence> evidence = {Survivor({}), Lost(Events(1, 1, 2)), Lost({})};
  const RecoveryLine line = FindRecoveryLine(options, evidence);
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_THAT(line.doubts, ElementsAre(HasSubstr("ranks 1, 2")));
  EXPECT_THAT(Intervals(line), ElementsAre(0, 2, 0));
  options.tolerated_units = 2;
  EXPECT_THAT(FindRecoveryLine(options, evidence).doubts, IsEmpty());
}

TEST(RecoveryLine, DependencyOnALostEventIsRefusedWhereItMustNotBe) {
  const RecoveryLine line = FindRecoveryLine(
      Options(Mode::kPessimistic, 2),
      {Survivor({Event(0, 1), Depends(0, 2, 1, 4)}), Lost(Events(1, 1, 2)), Lost({})});
  EXPECT_THAT(line.refusals, ElementsAre(AllOf(HasSubstr("rank 1"), HasSubstr("events 3 to 4"),
                                               HasSubstr("rank 0 depends"))));
}

TEST(RecoveryLine, OwnLogWithAGapIsRefused) {
  const RecoveryLine line =
      FindRecoveryLine(Options(Mode::kPessimistic, 0), {Survivor({Event(0, 1), Event(0, 3)})});
  EXPECT_THAT(line.refusals, ElementsAre(HasSubstr("no event 2")));
}

TEST(RecoveryLine, OptimisticOrphansAreRolledBack) {
  // Rank 1 is lost behind its event 2. Rank 0 came to depend on its event 3 with its own interval
  // 3, rank 2 on rank 0's interval 4.
  const RecoveryLine line = FindRecoveryLine(
      Options(Mode::kOptimistic),
      {Survivor({Event(0, 1), Depends(0, 2, 1, 2), Depends(0, 3, 1, 3), Event(0, 4)}),
       Lost(Events(1, 1, 2)),
       Survivor(
           {Depends(2, 1, 0, 2), Event(2, 2), Depends(2, 3, 0, 4), Event(2, 4), Event(2, 5)})});
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_THAT(Intervals(line), ElementsAre(2, 2, 2));
  EXPECT_EQ(line.ranks[0].rolled_back, 2U);
  EXPECT_EQ(line.ranks[1].rolled_back, 0U);
  EXPECT_EQ(line.ranks[2].rolled_back, 3U);
  EXPECT_FALSE(line.ranks[0].at_failure_state);
}

TEST(RecoveryLine, OptimisticStateIsTheMaximum) {
  // What does not depend on the lost events stays, whatever was lost elsewhere.
  const RecoveryLine line = FindRecoveryLine(
      Options(Mode::kOptimistic, 2), {Survivor({Depends(0, 1, 1, 1), Event(0, 2)}),
                                      Lost({Event(1, 1)}), Lost({}), Survivor(Events(3, 1, 9))});
  EXPECT_THAT(line.refusals, IsEmpty());
  EXPECT_THAT(line.doubts, IsEmpty());
  EXPECT_THAT(Intervals(line), ElementsAre(2, 1, 0, 9));
}

TEST(RecoveryLine, DependencyOnARankThatThereIsNot) {
  EXPECT_THAT(
      FindRecoveryLine(Options(Mode::kOptimistic), {Survivor({Depends(0, 1, 7, 1)})}).refusals,
      ElementsAre(HasSubstr("rank 7")));
}

}  // namespace
}  // namespace ftmpi::recovery
