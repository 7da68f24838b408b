// What is left of the payload logs, and whether a checkpoint can be started from with it.
#include "recovery/log_coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recovery/recovery_line.h"
#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::CutRecord;
using ::testing::HasSubstr;

CutRecord Cut(int rank, std::vector<checkpoint::ChannelCut> channels) {
  CutRecord cut;
  cut.csn = 3;
  cut.rank = rank;
  cut.channels = std::move(channels);
  return cut;
}

// Rank 0 had sent 10 messages to rank 1, which had received 8.
const std::vector<CutRecord> kTwoInTransit = {Cut(0, {{1, 10, 0}}), Cut(1, {{0, 0, 8}})};
// ... 10.
const std::vector<CutRecord> kNoneInTransit = {Cut(0, {{1, 10, 0}}), Cut(1, {{0, 0, 10}})};

std::vector<ChannelInventory> Log(std::uint64_t before, std::uint64_t messages) {
  ChannelInventory channel;
  channel.destination = 1;
  channel.before = before;
  channel.messages = messages;
  return {channel};
}

TEST(LogCoverage, ALogThatReachesBackIsUsed) {
  for (const std::uint64_t before : {0U, 5U, 8U}) {
    const LogUse use = UseOfLog(0, true, Log(before, 20), kTwoInTransit);
    EXPECT_TRUE(use.usable) << before;
    EXPECT_EQ(use.refusal, "") << before;
  }
}

TEST(LogCoverage, MessagesInTransitNeedTheLog) {
  EXPECT_EQ(UseOfLog(0, true, Log(9, 20), kTwoInTransit).refusal,
            "messages 9 to 10 from rank 0 to rank 1 were in transit then, and the log of rank 0, "
            "which alone had them, does not reach back to it any more");
  EXPECT_THAT(UseOfLog(0, false, {}, kTwoInTransit).refusal, HasSubstr("is lost"));
  // Its end is lost.
  EXPECT_THAT(UseOfLog(0, true, Log(0, 9), kTwoInTransit).refusal, HasSubstr("messages 9 to 10"));
}

TEST(LogCoverage, OrTheirReceiverHasSavedThem) {
  const LogUse use = UseOfLog(0, false, {}, kTwoInTransit, {0, 2});
  EXPECT_FALSE(use.usable);
  EXPECT_EQ(use.refusal, "");
  EXPECT_THAT(UseOfLog(0, false, {}, kTwoInTransit, {2, 1}).refusal, HasSubstr("is lost"));
  EXPECT_TRUE(UseOfLog(0, true, Log(5, 20), kTwoInTransit, {0, 2}).usable);
}

TEST(LogCoverage, WithNothingInTransitItIsLeftOut) {
  for (const bool survives : {false, true}) {
    const LogUse use = UseOfLog(0, survives, Log(11, 20), kNoneInTransit);
    EXPECT_FALSE(use.usable);
    EXPECT_EQ(use.refusal, "");
  }
  EXPECT_TRUE(UseOfLog(0, true, Log(10, 0), kNoneInTransit).usable);
  // The initial state: a trimmed log is of no use, and nothing is missing.
  const std::vector<CutRecord> initial = {Cut(0, {}), Cut(1, {})};
  EXPECT_FALSE(UseOfLog(0, true, Log(1, 20), initial).usable);
  EXPECT_EQ(UseOfLog(0, true, Log(1, 20), initial).refusal, "");
  EXPECT_TRUE(UseOfLog(0, true, Log(0, 20), initial).usable);
}

TEST(RecoveryLineFromCheckpoint, EventsInFrontOfItAreNotNeeded) {
  // Rank 0: events 1 to 4 by an earlier recovery, 5 to 9 in its log. Rank 1: 7 and 8 are left.
  std::vector<RankEvidence> evidence(2);
  evidence[0].own_log_survives = evidence[1].own_log_survives = true;
  evidence[0].base_interval = 4;
  for (std::uint64_t index = 1; index <= 4; ++index) evidence[0].base.push_back(Event(0, index));
  for (std::uint64_t index = 5; index <= 9; ++index) evidence[0].found.push_back(Event(0, index));
  for (std::uint64_t index = 7; index <= 8; ++index) evidence[1].found.push_back(Event(1, index));
  for (const std::uint64_t start : {2U, 4U, 6U, 9U}) {
    std::vector<RankEvidence> from = evidence;
    StartFrom({start, 6}, &from);
    const RecoveryLine line = FindRecoveryLine(LineOptions(), from);
    ASSERT_TRUE(line.refusals.empty()) << line.refusals.front();
    EXPECT_EQ(line.ranks[0].recovered_interval, 9U);
    EXPECT_EQ(line.ranks[0].trimmed_interval, start);
    ASSERT_EQ(line.ranks[0].determinants.size(), 9 - start);
    if (start < 9) {
      EXPECT_EQ(line.ranks[0].determinants.front(), Event(0, start + 1));
    }
    EXPECT_EQ(line.ranks[1].recovered_interval, 8U);
    EXPECT_EQ(line.ranks[1].trimmed_interval, 6U);
    EXPECT_EQ(line.ranks[1].determinants, (std::vector<Determinant>{Event(1, 7), Event(1, 8)}));
  }
  StartFrom({0, 5}, &evidence);
  EXPECT_FALSE(FindRecoveryLine(LineOptions(), evidence).refusals.empty());
}

// Independent checkpoints: rank 1 had received 14 messages at its own cut, rank 0 had sent 10.
const std::vector<CutRecord> kReceiverAhead = {Cut(0, {{1, 10, 0}}), Cut(1, {{0, 0, 14}})};

TEST(LogCoverage, WhatAReceiverHasAlreadyMustBeInTheLog) {
  EXPECT_TRUE(UseOfLog(0, true, Log(0, 14), kReceiverAhead).usable);
  EXPECT_TRUE(UseOfLog(0, true, Log(12, 8), kReceiverAhead).usable);
  // Lost, cut off in front of message 14, or without anything.
  for (const LogUse& use :
       {UseOfLog(0, false, Log(0, 20), kReceiverAhead),
        UseOfLog(0, true, Log(0, 13), kReceiverAhead), UseOfLog(0, true, {}, kReceiverAhead)}) {
    EXPECT_FALSE(use.usable);
    EXPECT_THAT(use.refusal, HasSubstr("rank 1 had received messages"));
    EXPECT_EQ(use.obstacle, 1);
  }
}

TEST(LogCoverage, WhoseMessagesAreLostStandsInTheWay) {
  const LogUse use = UseOfLog(0, false, Log(0, 20), kTwoInTransit);
  EXPECT_THAT(use.refusal, HasSubstr("in transit"));
  EXPECT_EQ(use.obstacle, 0);
}

}  // namespace
}  // namespace ftmpi::recovery
