// Output held back at a cut, on stable storage: the record, and a companion that shows it.
#include "recovery/held_record.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "recovery/durable_file.h"
#include "recovery/job_directory.h"
#include "tests/recovery/companion_test_util.h"

namespace ftmpi::recovery {
namespace {

constexpr std::uint64_t kJob = 0xabcdef0123456789;  // as the fake rank says

const HeldRecord kExample = {{100, "some lines\n"}, {7, "an error\n"}};

TEST(HeldRecord, ComesBack) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/rank-3.held";
  EXPECT_EQ(ReadHeld(path, kJob, 3), std::nullopt);
  WriteHeld(path, kJob, 3, kExample);
  EXPECT_EQ(ReadHeld(path, kJob, 3), kExample);
  EXPECT_THROW((void)ReadHeld(path, kJob + 1, 3), JobDirectoryError);
  EXPECT_THROW((void)ReadHeld(path, kJob, 4), JobDirectoryError);
}

TEST(HeldRecord, DamageIsFound) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/rank-3.held";
  WriteHeld(path, kJob, 3, kExample);
  const std::string good = ReadWholeFile(path).value();
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::string flipped = good;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 1);
    ReplaceFileLoosely(path, flipped);
    EXPECT_THROW((void)ReadHeld(path, kJob, 3), JobDirectoryError) << byte;
    ReplaceFileLoosely(path, good.substr(0, byte));
    EXPECT_THROW((void)ReadHeld(path, kJob, 3), JobDirectoryError) << byte;
  }
}

TEST(HeldRecord, Parts) {
  const HeldPiece piece{100, "abcdef"};
  EXPECT_EQ(piece.Part(100, 106), "abcdef");
  EXPECT_EQ(piece.Part(102, 104), "cd");
  EXPECT_EQ(piece.Part(50, 50), "");
  EXPECT_EQ(piece.Part(60, 50), "");
  EXPECT_EQ(piece.Part(99, 101), std::nullopt);
  EXPECT_EQ(piece.Part(104, 107), std::nullopt);
}

// What is not committable at a sync is written down, and what is goes.
TEST(HeldRecord, ACompanionKeepsWhatItHoldsAtACut) {
  const TemporaryDirectory directory;
  FakeRank::Setting setting;
  setting.job_directory = directory.path() + "/job";
  setting.local_directory = directory.path() + "/local";
  std::filesystem::create_directory(setting.local_directory);
  FakeRank rank(setting, {"start", "attach=coordinated", "out=shown\n", "sync", "interval=1",
                          "out=held\n", "sync", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "shown\n");
  const auto held = ReadHeld(HeldPath(setting.job_directory, 0), kJob, 0);
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->standard_output, (HeldPiece{6, "held\n"}));
  EXPECT_EQ(held->standard_error.bytes, "");
}

TEST(HeldRecord, NothingHeldNothingKept) {
  const TemporaryDirectory directory;
  FakeRank::Setting setting;
  setting.job_directory = directory.path() + "/job";
  setting.local_directory = directory.path() + "/local";
  std::filesystem::create_directory(setting.local_directory);
  FakeRank rank(setting, {"start", "attach=coordinated", "interval=1", "out=held\n", "sync",
                          "committable=1", "nowaiting", "sync", "kill=9"});
  ASSERT_TRUE(rank.ReadAll());
  EXPECT_EQ(rank.out, "held\n");
  EXPECT_EQ(ReadHeld(HeldPath(setting.job_directory, 0), kJob, 0), std::nullopt);
}

}  // namespace
}  // namespace ftmpi::recovery
