#include "logging/replay_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReplayLogTest : public ::testing::Test {
 protected:
  ReplayLogTest() : path_(directory_ / ReplayLogFileName(5)) {}

  static ReplayLog Example(std::uint64_t count) {
    ReplayLog log;
    log.job = 0x1234;
    log.rank = 5;
    log.epoch = 2;
    log.recovered_interval = count;
    log.poll_failures = 12;
    log.payload_log_survives = true;
    log.stdout_released = 1000;
    log.stderr_released = 2000;
    log.checkpoint_csn = 7;
    log.checkpoint_interval = count / 2;
    log.checkpoint_stdout = 900;
    log.checkpoint_stderr = 1900;
    log.checkpoint_stdin = 70;
    for (std::uint64_t i = 1; i <= count; ++i) {
      Determinant determinant;
      determinant.rank = 5;
      determinant.kind = i % 2 == 0 ? EventKind::kPoll : EventKind::kDelivery;
      determinant.index = i;
      determinant.ordinal = i * 2;
      determinant.value = i * 77;
      determinant.source = 1;
      log.determinants.push_back(determinant);
    }
    return log;
  }

  static void ExpectSame(const ReplayLog& a, const ReplayLog& b) {
    EXPECT_EQ(a.job, b.job);
    EXPECT_EQ(a.rank, b.rank);
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.recovered_interval, b.recovered_interval);
    EXPECT_EQ(a.poll_failures, b.poll_failures);
    EXPECT_EQ(a.payload_log_survives, b.payload_log_survives);
    EXPECT_EQ(a.stdout_released, b.stdout_released);
    EXPECT_EQ(a.stderr_released, b.stderr_released);
    EXPECT_EQ(a.checkpoint_csn, b.checkpoint_csn);
    EXPECT_EQ(a.checkpoint_interval, b.checkpoint_interval);
    EXPECT_EQ(a.checkpoint_stdout, b.checkpoint_stdout);
    EXPECT_EQ(a.checkpoint_stderr, b.checkpoint_stderr);
    EXPECT_EQ(a.checkpoint_stdin, b.checkpoint_stdin);
    EXPECT_EQ(a.determinants, b.determinants);
  }

  TemporaryDirectory directory_;
  Environment* environment_ = Environment::Posix();
  const std::string path_;
};

TEST_F(ReplayLogTest, RoundTrip) {
  EXPECT_EQ(ReplayLogFileName(5), "rank-5.replay");
  for (const std::uint64_t count : {0U, 1U, 1000U}) {
    ReplayLog log = Example(count);
    log.payload_log_survives = count != 1;
    WriteReplayLog(environment_, path_, log);
    ExpectSame(ReadReplayLog(environment_, path_), log);
    EXPECT_EQ(ReadBytes(path_).size(), 128 + 40 * count + 8);
  }
  EXPECT_THAT(directory_.Names(), ElementsAre("rank-5.replay"));
}

TEST_F(ReplayLogTest, ItMayBeginBehindACheckpoint) {
  ReplayLog log = Example(7);
  log.determinants.erase(log.determinants.begin(), log.determinants.begin() + 4);
  log.trimmed_interval = 4;
  WriteReplayLog(environment_, path_, log);
  const ReplayLog read = ReadReplayLog(environment_, path_);
  ExpectSame(read, log);
  EXPECT_EQ(read.trimmed_interval, 4U);
  log.trimmed_interval = 3;
  EXPECT_THAT(ErrorOf([&] { WriteReplayLog(environment_, path_, log); }),
              HasSubstr("3 determinants behind 3 for state interval 7"));
}

TEST_F(ReplayLogTest, WhoseItIsIsChecked) {
  WriteReplayLog(environment_, path_, Example(3));
  ExpectSame(ReadReplayLog(environment_, path_, 0x1234, 5, 2), Example(3));
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_, 1, 5, 2); }),
              HasSubstr(path_ + " belongs to job 4660, not to job 1"));
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_, 0x1234, 6, 2); }),
              HasSubstr("belongs to rank 5, not to rank 6"));
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_, 0x1234, 5, 3); }),
              HasSubstr("belongs to epoch 2, not to epoch 3"));
}

TEST_F(ReplayLogTest, InconsistentLogsAreNotWritten) {
  ReplayLog log = Example(3);
  log.recovered_interval = 4;
  EXPECT_THAT(ErrorOf([&] { WriteReplayLog(environment_, path_, log); }),
              HasSubstr("3 determinants behind 0 for state interval 4"));
  log = Example(3);
  std::swap(log.determinants[1], log.determinants[2]);
  EXPECT_THAT(ErrorOf([&] { WriteReplayLog(environment_, path_, log); }),
              HasSubstr("determinant 2 has index 3"));
  log = Example(3);
  log.determinants[2].rank = 1;
  EXPECT_THAT(ErrorOf([&] { WriteReplayLog(environment_, path_, log); }),
              HasSubstr("determinant 3 is of rank 1"));
  log = Example(3);
  log.determinants[0].kind = static_cast<EventKind>(99);
  EXPECT_THAT(ErrorOf([&] { WriteReplayLog(environment_, path_, log); }),
              HasSubstr("unknown kind 99"));
  EXPECT_TRUE(directory_.Names().empty());
}

TEST_F(ReplayLogTest, TruncationAnywhere) {
  WriteReplayLog(environment_, path_, Example(3));
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    WriteBytes(path_, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    ASSERT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_); }),
                HasSubstr(path_ + " is truncated"))
        << size;
  }
  std::vector<char> longer = bytes;
  longer.push_back(0);
  WriteBytes(path_, longer);
  ErrorOf([&] { ReadReplayLog(environment_, path_); });
}

TEST_F(ReplayLogTest, AFlippedBitAnywhere) {
  WriteReplayLog(environment_, path_, Example(3));
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteBytes(path_, damaged);
      ASSERT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_); }), HasSubstr(path_)) << at;
    }
  }
}

TEST_F(ReplayLogTest, MissingAndForeignFiles) {
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_); }),
              HasSubstr(path_ + ": No such file"));
  WriteBytes(path_, std::vector<char>(500, 'x'));
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_); }), HasSubstr("is no replay log"));
  WriteReplayLog(environment_, path_, Example(1));
  std::vector<char> bytes = ReadBytes(path_);
  bytes[8] = 4;
  WriteBytes(path_, bytes);
  EXPECT_THAT(ErrorOf([&] { ReadReplayLog(environment_, path_); }), HasSubstr("version 4"));
}

TEST_F(ReplayLogTest, AFailedWriteLeavesTheOldLog) {
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 100U);
    WriteReplayLog(environment_, path_, Example(3));
    FaultEnvironment faults(environment_);
    faults.FailAt(FaultPoint::kAny, n, ENOSPC);
    try {
      WriteReplayLog(&faults, path_, Example(9));
    } catch (const LogError&) {
    }
    const ReplayLog after = ReadReplayLog(environment_, path_);
    EXPECT_TRUE(after.determinants.size() == 3 || after.determinants.size() == 9);
    EXPECT_THAT(directory_.Names(), ElementsAre("rank-5.replay"));
    if (!faults.failed()) {
      EXPECT_EQ(after.determinants.size(), 9U);
      EXPECT_GT(n, 5U);
      break;
    }
  }
}

}  // namespace
}  // namespace ftmpi::logging
