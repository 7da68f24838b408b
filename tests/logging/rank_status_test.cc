#include "logging/rank_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RankStatusTest : public ::testing::Test {
 protected:
  RankStatusTest() : path_(directory_ / RankStatusFileName(7)) {}

  std::unique_ptr<RankStatusPage> Create(std::uint32_t epoch = 1) {
    return RankStatusPage::Create(environment_, path_, {0x1234, 7, epoch, 4711, 8899}, 10, 20);
  }
  std::unique_ptr<RankStatusPage> Open() {
    return RankStatusPage::Open(environment_, path_, 0x1234, 7);
  }

  TemporaryDirectory directory_;
  Environment* environment_ = Environment::Posix();
  const std::string path_;
};

TEST_F(RankStatusTest, TwoProcessesShareIt) {
  EXPECT_EQ(RankStatusFileName(7), "rank-7.status");
  const std::unique_ptr<RankStatusPage> page = Create();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::unique_ptr<RankStatusPage> other = Open();
    (*other)->stable.store(99);
    (*other)->stdout_released.fetch_add(5);
    ::_exit((*other)->pid == 4711 && (*other)->epoch == 1 && (*other)->pid_start_time == 8899 ? 0
                                                                                              : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ((*page)->stable.load(), 99U);
  EXPECT_EQ((*page)->stdout_released.load(), 15U);
  EXPECT_EQ((*page)->stderr_released.load(), 20U);
  EXPECT_EQ((*page)->phase.load(), RankPhase::kStarting);
  EXPECT_EQ((*page)->interval.load(), 0U);
}

TEST_F(RankStatusTest, ANewEpochReplacesThePage) {
  const std::unique_ptr<RankStatusPage> old = Create(1);
  (*old)->interval = 55;
  const std::unique_ptr<RankStatusPage> page = Create(2);
  EXPECT_EQ((*page)->interval.load(), 0U);
  EXPECT_EQ((*Open())->epoch, 2U);
  EXPECT_EQ((*old)->interval.load(), 55U);  // who has the old one mapped keeps it
  EXPECT_THAT(directory_.Names(), ElementsAre("rank-7.status"));
}

TEST_F(RankStatusTest, ForeignPagesAreRefused) {
  EXPECT_THAT(ErrorOf([&] { Open(); }), HasSubstr(path_ + ": No such file"));
  Create();
  EXPECT_THAT(ErrorOf([&] { RankStatusPage::Open(environment_, path_, 1, 7); }),
              HasSubstr("belongs to job 4660, not to job 1"));
  EXPECT_THAT(ErrorOf([&] { RankStatusPage::Open(environment_, path_, 0x1234, 8); }),
              HasSubstr("belongs to rank 7, not to rank 8"));
  WriteBytes(path_, std::vector<char>(4096, 'x'));
  EXPECT_THAT(ErrorOf([&] { Open(); }), HasSubstr("no status page"));
}

TEST_F(RankStatusTest, TruncationAnywhere) {
  Create();
  const std::vector<char> bytes = ReadBytes(path_);
  ASSERT_EQ(bytes.size(), 4096U);
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    WriteBytes(path_, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    ASSERT_THAT(ErrorOf([&] { Open(); }), HasSubstr(path_)) << size;
  }
}

TEST_F(RankStatusTest, AFlippedBitInTheIdentity) {
  Create();
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t at = 0; at < offsetof(RankStatus, phase); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteBytes(path_, damaged);
      ASSERT_THAT(ErrorOf([&] { Open(); }), HasSubstr(path_)) << at;
    }
  }
  std::vector<char> damaged = bytes;
  damaged[offsetof(RankStatus, phase)] = 77;
  WriteBytes(path_, damaged);
  EXPECT_THAT(ErrorOf([&] { Open(); }), HasSubstr("phase 77"));
}

TEST_F(RankStatusTest, CreationFailsCleanly) {
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 100U);
    directory_.Clear();
    FaultEnvironment faults(environment_);
    faults.FailAt(FaultPoint::kAny, n, ENOSPC);
    try {
      RankStatusPage::Create(&faults, path_, {0x1234, 7, 1, 4711, 8899}, 0, 0);
      EXPECT_GT(n, 3U);
      break;
    } catch (const LogError&) {
      EXPECT_TRUE(directory_.Names().empty()) << n;
    }
  }
}

TEST_F(RankStatusTest, StartTimesTellProcessesApart) {
  const std::optional<std::uint64_t> self = ProcessStartTime(environment_, ::getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_EQ(ProcessStartTime(environment_, ::getpid()), self);
  const std::optional<std::uint64_t> first = ProcessStartTime(environment_, 1);
  ASSERT_TRUE(first.has_value());
  EXPECT_LE(*first, *self);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(ProcessStartTime(environment_, child), std::nullopt);
  EXPECT_EQ(ProcessStartTime(environment_, 0), std::nullopt);
  EXPECT_EQ(ProcessStartTime(environment_, -1), std::nullopt);
}

}  // namespace
}  // namespace ftmpi::logging
