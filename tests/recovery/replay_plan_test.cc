#include "recovery/replay_plan.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "logging/log_error.h"
#include "logging/replay_log.h"
#include "tests/logging/fault_environment.h"
#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PlaceRanks, SurvivorsStayOthersGoWhereFewestAre) {
  EXPECT_THAT(PlaceRanks({"a", "a", "b", "b", "c", "c"}, {"a", "c"}),
              ElementsAre("a", "a", "a", "c", "c", "c"));
  EXPECT_THAT(PlaceRanks({"a", "b", "b", "c"}, {"a", "c", "d"}), ElementsAre("a", "d", "a", "c"));
  EXPECT_THAT(PlaceRanks({"a", "b"}, {"x"}), ElementsAre("x", "x"));
  EXPECT_THAT(PlaceRanks({"a", "b"}, {"a", "b"}), ElementsAre("a", "b"));
}

// Ranks 0 and 1 on n0 (which survives), rank 2 on n1 (which is lost).
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() : failed_(3) {
    failed_.job.ranks = {{"n0", 10, 1}, {"n0", 11, 2}, {"n1", 12, 3}};
    failed_.Write();
    findings_.ranks.resize(3);
    for (int rank = 0; rank < 3; ++rank) {
      RankFindings& each = findings_.ranks[static_cast<std::size_t>(rank)];
      each.rank = rank;
      each.node = failed_.job.ranks[static_cast<std::size_t>(rank)].node;
      each.node_reached = rank < 2;
      each.own_log_survives = rank < 2;
      each.payload_log_survives = rank < 2;
    }
    findings_.ranks[0].channels = {{1, 5, 100, 5, 2}, {2, 3, 10, 3, 2}};
    findings_.ranks[1].channels = {{0, 4, 100, 4, 1}};
    findings_.ranks[0].position = {2, 6, 8, 100, 200};
    line_.ranks.resize(3);
    line_.ranks[0].recovered_interval = 3;
    line_.ranks[0].determinants = {Event(0, 1), Depends(0, 2, 1, 0), Event(0, 3)};
    line_.ranks[0].at_failure_state = true;
    findings_.ranks[0].position.interval = 3;
    line_.ranks[2].recovered_interval = 1;
    line_.ranks[2].determinants = {Event(2, 1)};
  }
  ReplayPlan Plan() const {
    return MakePlan(failed_.job, findings_, line_, {"n0", "n0", "n0"}, {"n1"});
  }

  FailedJob failed_;
  Findings findings_;
  RecoveryLine line_;
};

TEST_F(PlanTest, CountsEventsAndMessages) {
  const ReplayPlan plan = Plan();
  EXPECT_EQ(plan.epoch, 1U);
  EXPECT_EQ(plan.reason, "node n1 was lost");
  ASSERT_EQ(plan.ranks.size(), 3U);
  EXPECT_EQ(plan.ranks[0].events, 2U);  // a dependency is no event to be replayed
  EXPECT_EQ(plan.ranks[0].interval, 3U);
  EXPECT_EQ(plan.ranks[0].suppress, 8U);
  EXPECT_EQ(plan.ranks[0].resend, 4U);
  EXPECT_EQ(plan.ranks[0].poll_failures, 6U);
  EXPECT_EQ(plan.ranks[0].stdout_released, 100U);
  EXPECT_EQ(plan.ranks[1].resend, 5U);
  EXPECT_EQ(plan.ranks[2].resend, 3U);
  EXPECT_EQ(plan.ranks[2].suppress, 0U);
  EXPECT_FALSE(plan.ranks[2].payload_log_survives);
}

TEST_F(PlanTest, PollFailuresCountOnlyWhereTheRankGetsBackToWhereItWas) {
  findings_.ranks[0].position.interval = 2;  // it died before it could publish its last event
  EXPECT_EQ(Plan().ranks[0].poll_failures, 0U);
  findings_.ranks[0].position.interval = 3;
  line_.ranks[0].at_failure_state = false;
  EXPECT_EQ(Plan().ranks[0].poll_failures, 0U);
  // It died while it was replayed: what the replay log said still holds.
  line_.ranks[0].at_failure_state = true;
  findings_.ranks[0].position.interval = 1;
  findings_.ranks[0].base_interval = 3;
  findings_.ranks[0].base_poll_failures = 44;
  EXPECT_EQ(Plan().ranks[0].poll_failures, 44U);
}

TEST_F(PlanTest, MovedRankLeavesItsPayloadLogBehind) {
  const ReplayPlan plan = MakePlan(failed_.job, findings_, line_, {"n9", "n0", "n0"}, {"n1"});
  EXPECT_FALSE(plan.ranks[0].payload_log_survives);
  EXPECT_EQ(plan.ranks[0].suppress, 0U);
  EXPECT_EQ(plan.ranks[1].resend, 0U);
}

TEST_F(PlanTest, TableAndJsonSayTheSame) {
  const ReplayPlan plan = Plan();
  const std::string table = PlanTable(plan, failed_.job);
  EXPECT_THAT(table, HasSubstr("recovery epoch 1 of job test"));
  EXPECT_THAT(table, HasSubstr("node n1 was lost"));
  EXPECT_THAT(table, ::testing::ContainsRegex("0 +n0 +n0 +initial state +3 +2 +4 +8\n"));
  EXPECT_THAT(table, ::testing::ContainsRegex("2 +n1 +n0 +initial state +1 +1 +3 +0\n"));
  const auto json = nlohmann::json::parse(PlanJson(plan, failed_.job, "/job", line_));
  EXPECT_EQ(json["epoch"], 1);
  EXPECT_EQ(json["lost_nodes"], nlohmann::json::array({"n1"}));
  EXPECT_EQ(json["ranks"][0]["messages_to_resend"], 4);
  EXPECT_EQ(json["ranks"][2]["node_now"], "n0");
}

TEST_F(PlanTest, CommitWritesReplayLogsThenTheNewEpoch) {
  JobDescription job = failed_.job;
  CommitPlan(Environment::Posix(), failed_.directory(), Plan(), line_, &job);
  const JobDescription read = ReadJobDescription(failed_.directory());
  EXPECT_EQ(read, job);
  EXPECT_EQ(read.current_epoch(), 1U);
  EXPECT_EQ(read.state, JobState::kRecovering);
  EXPECT_EQ(read.ranks[2].node, "n0");
  EXPECT_EQ(read.ranks[0].pid, 0);
  const logging::ReplayLog log =
      logging::ReadReplayLog(Environment::Posix(), ReplayLogPath(failed_.directory(), 1, 0));
  EXPECT_EQ(log.job, kJob);
  EXPECT_EQ(log.epoch, 1U);
  EXPECT_EQ(log.recovered_interval, 3U);
  EXPECT_EQ(log.poll_failures, 6U);
  EXPECT_TRUE(log.payload_log_survives);
  EXPECT_EQ(log.stdout_released, 100U);
  EXPECT_EQ(log.stderr_released, 200U);
  EXPECT_EQ(log.determinants, line_.ranks[0].determinants);
  EXPECT_FALSE(
      logging::ReadReplayLog(Environment::Posix(), ReplayLogPath(failed_.directory(), 1, 2))
          .payload_log_survives);
}

// Every operation of a commit may fail: the job stays in its epoch, and committing again works.
TEST_F(PlanTest, FailureAnywhereLeavesTheJobRecoverable) {
  const ReplayPlan plan = Plan();
  std::uint64_t failures = 0;
  for (std::uint64_t n = 1;; ++n) {
    logging::FaultEnvironment environment(Environment::Posix());
    environment.FailAt(logging::FaultPoint::kAny, n, EIO);
    JobDescription job = failed_.job;
    try {
      CommitPlan(&environment, failed_.directory(), plan, line_, &job);
    } catch (const logging::LogError&) {
      ++failures;
      EXPECT_EQ(job, failed_.job);
      EXPECT_EQ(ReadJobDescription(failed_.directory()), failed_.job) << n;
      continue;
    }
    EXPECT_FALSE(environment.failed());
    break;
  }
  EXPECT_GT(failures, 10U);
  EXPECT_EQ(ReadJobDescription(failed_.directory()).current_epoch(), 1U);
  for (int rank = 0; rank < 3; ++rank) {
    const logging::ReplayLog log =
        logging::ReadReplayLog(Environment::Posix(), ReplayLogPath(failed_.directory(), 1, rank));
    EXPECT_EQ(log.determinants, line_.ranks[static_cast<std::size_t>(rank)].determinants);
  }
}

TEST_F(PlanTest, DeathAnywhereLeavesTheJobRecoverable) {
  const ReplayPlan plan = Plan();
  std::uint64_t deaths = 0;
  for (std::uint64_t n = 1;; ++n) {
    logging::FaultEnvironment environment(Environment::Posix());
    environment.CrashAt(n);
    JobDescription job = failed_.job;
    try {
      CommitPlan(&environment, failed_.directory(), plan, line_, &job);
      break;
    } catch (const logging::SimulatedCrash&) {
      ++deaths;
      EXPECT_EQ(ReadJobDescription(failed_.directory()), failed_.job) << n;
    }
  }
  EXPECT_GT(deaths, 10U);
  EXPECT_EQ(ReadJobDescription(failed_.directory()).current_epoch(), 1U);
}

}  // namespace
}  // namespace ftmpi::recovery
