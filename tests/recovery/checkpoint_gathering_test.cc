// Checkpoints that are on the nodes: their record, who has which file, and the way to the job
// directory.
#include "recovery/checkpoint_gathering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_directory.h"
#include "checkpoint/sealed_file.h"
#include "checkpoint/server_start.h"
#include "logging/log_error.h"
#include "recovery/checkpoint_delivery.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::recovery {
namespace {

using checkpoint::FileIdentity;
using checkpoint::Level;
using checkpoint::LevelRecord;
using logging::Environment;
using logging::TemporaryDirectory;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kJob = 77;

template <typename Function>
std::string ErrorOf(Function function) {
  try {
    function();
  } catch (const logging::LogError& error) {
    return error.what();
  }
  return "";
}

class LevelRecordTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "checkpoint-9/level"; }
  static std::optional<LevelRecord> Read(const TemporaryDirectory& directory) {
    return checkpoint::ReadLevelRecord(Environment::Posix(), directory.path(), 9);
  }
  TemporaryDirectory directory_;
  LevelRecord record_{Level::kPartner, kJob, 9, 2, 5, 123456789};
};

TEST_F(LevelRecordTest, ThereAndBack) {
  EXPECT_FALSE(Read(directory_));
  checkpoint::WriteLevelRecord(Environment::Posix(), directory_.path(), record_);
  EXPECT_EQ(std::filesystem::file_size(path()), 56U);
  EXPECT_EQ(Read(directory_), record_);
  const auto listed = checkpoint::ListCheckpoints(Environment::Posix(), directory_.path());
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_TRUE(listed[0].has_level);
  EXPECT_FALSE(listed[0].has_index);
}

TEST_F(LevelRecordTest, EveryBitCounts) {
  checkpoint::WriteLevelRecord(Environment::Posix(), directory_.path(), record_);
  for (int byte = 0; byte < 56; ++byte) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(byte);
    const int before = file.get();
    file.seekp(byte);
    file.put(static_cast<char>(before ^ 4));
    file.close();
    EXPECT_THAT(ErrorOf([&] { Read(directory_); }), HasSubstr(path())) << byte;
    std::fstream back(path(), std::ios::in | std::ios::out | std::ios::binary);
    back.seekp(byte);
    back.put(static_cast<char>(before));
  }
  EXPECT_EQ(Read(directory_), record_);
  std::filesystem::resize_file(path(), 40);
  EXPECT_THAT(ErrorOf([&] { Read(directory_); }), HasSubstr("40 bytes instead of 56"));
}

TEST_F(LevelRecordTest, OfAnotherCheckpoint) {
  checkpoint::WriteLevelRecord(Environment::Posix(), directory_.path(), record_);
  std::filesystem::create_directory(directory_ / "checkpoint-8");
  std::filesystem::copy(path(), directory_ / "checkpoint-8/level");
  EXPECT_THAT(
      ErrorOf([&] { checkpoint::ReadLevelRecord(Environment::Posix(), directory_.path(), 8); }),
      HasSubstr("of checkpoint 9"));
}

TEST(PartnerOf, TheNextNodeInTheOrderOfLowestRanks) {
  const std::vector<std::string> nodes = {"b", "b", "a", "c", "a"};
  EXPECT_EQ(checkpoint::PartnerOf(nodes, "b"), "a");
  EXPECT_EQ(checkpoint::PartnerOf(nodes, "a"), "c");
  EXPECT_EQ(checkpoint::PartnerOf(nodes, "c"), "b");
  EXPECT_EQ(checkpoint::PartnerOf({"a", "a"}, "a"), "a");
}

// Six ranks on three nodes: a a b b c c.
class PlanDeliveryTest : public testing::Test {
 protected:
  PlanDeliveryTest() {
    job_.np = 6;
    for (int rank = 0; rank < 6; ++rank) {
      const std::string node(1, static_cast<char>('a' + rank / 2));
      job_.ranks.push_back({node, 0, 0});
      RankFindings& each = findings_.ranks.emplace_back();
      each.rank = rank;
      each.node = node;
      each.node_reached = true;
    }
  }
  void Lose(const std::string& node, bool comes_back = false) {
    for (RankFindings& each : findings_.ranks) {
      if (each.node != node) continue;
      each.node_reached = comes_back;
      each.files_lost = comes_back;
    }
  }
  [[nodiscard]] DeliveryPlan Plan(Level level) const {
    return PlanDelivery({level, kJob, 4, 0, 6, 1}, job_, findings_);
  }
  JobDescription job_;
  Findings findings_;
};

TEST_F(PlanDeliveryTest, EachNodeItsOwn) {
  const DeliveryPlan plan = Plan(Level::kLocal);
  EXPECT_EQ(plan.obstacle, "");
  ASSERT_EQ(plan.deliveries.size(), 3U);
  EXPECT_EQ(plan.deliveries[1].node, "b");
  EXPECT_THAT(plan.deliveries[1].own, ElementsAre(2, 3));
  EXPECT_THAT(plan.deliveries[1].copied, IsEmpty());
}

TEST_F(PlanDeliveryTest, ALostNodesFilesComeFromItsPartner) {
  for (const bool comes_back : {false, true}) {
    Lose("c", comes_back);
    EXPECT_THAT(Plan(Level::kLocal).obstacle, AllOf(HasSubstr("rank 4"), HasSubstr("node c")));
    const DeliveryPlan plan = Plan(Level::kPartner);
    EXPECT_EQ(plan.obstacle, "");
    ASSERT_EQ(plan.deliveries.size(), 2U);
    EXPECT_EQ(plan.deliveries[0].node, "a");
    EXPECT_THAT(plan.deliveries[0].own, IsEmpty());
    EXPECT_THAT(plan.deliveries[0].copied, ElementsAre(0, 1, 4, 5));
    EXPECT_THAT(plan.deliveries[1].copied, ElementsAre(2, 3));
  }
}

TEST_F(PlanDeliveryTest, NeighboursLostTogether) {
  Lose("b");
  Lose("c", true);
  EXPECT_THAT(Plan(Level::kPartner).obstacle,
              AllOf(HasSubstr("rank 2"), HasSubstr("node b"), HasSubstr("node c")));
}

// A node's stores and a job directory.
class DeliverTest : public testing::Test {
 protected:
  DeliverTest() {
    options_.local_directory = directory_ / "local";
    options_.job_directory = directory_ / "job";
    options_.job = kJob;
    options_.csn = 4;
    options_.epoch = 1;
    options_.np = 6;
    options_.own = {2};
    options_.copied = {5};
    std::filesystem::create_directories(directory_ / "job/checkpoint-4");
    Write(checkpoint::LocalStoreDirectory(options_.local_directory), 2, 1);
    Write(checkpoint::PartnerStoreDirectory(options_.local_directory), 5, 1);
  }
  static void Write(const std::string& root, int rank, std::uint32_t epoch) {
    const std::string path = checkpoint::RankPath(root, 4, rank);
    std::filesystem::create_directories(logging::DirectoryOf(path));
    std::filesystem::remove(path);
    FileIdentity identity;
    identity.job = kJob;
    identity.csn = 4;
    identity.rank = rank;
    identity.np = 6;
    identity.epoch = epoch;
    checkpoint::SealedWriter writer(Environment::Posix(), path);
    writer.WriteAt(0, Content(rank));
    writer.Finish(Content(rank).size(), identity);
  }
  static std::vector<std::byte> Content(int rank) {
    return std::vector<std::byte>(checkpoint::kBlockSize * 5 + 100, static_cast<std::byte>(rank));
  }
  [[nodiscard]] std::string Delivered(int rank) const {
    return checkpoint::RankPath(options_.job_directory, 4, rank);
  }
  [[nodiscard]] std::string Refusal() const {
    return ErrorOf([this] { Deliver(Environment::Posix(), options_); });
  }
  TemporaryDirectory directory_;
  DeliveryOptions options_;
};

TEST_F(DeliverTest, OwnFilesAndCopies) {
  Deliver(Environment::Posix(), options_);
  for (const int rank : {2, 5}) {
    checkpoint::SealedReader file(Environment::Posix(), Delivered(rank));
    EXPECT_EQ(file.identity().rank, rank);
    std::vector<std::byte> content(file.content_length());
    file.ReadAt(0, content);
    EXPECT_EQ(content, Content(rank));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_ / "job/checkpoint-4"),
                          std::filesystem::directory_iterator()),
            2);
}

TEST_F(DeliverTest, WhatIsThereIsLeftAndWhatIsDamagedReplaced) {
  Deliver(Environment::Posix(), options_);
  const auto written = std::filesystem::last_write_time(Delivered(5));
  {
    std::fstream file(Delivered(2), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3000);
    file.put('x');
  }
  Deliver(Environment::Posix(), options_);
  checkpoint::SealedReader(Environment::Posix(), Delivered(2)).CheckAll();
  EXPECT_EQ(std::filesystem::last_write_time(Delivered(5)), written);
}

TEST_F(DeliverTest, FilesThatAreNotTheOnes) {
  Write(checkpoint::LocalStoreDirectory(options_.local_directory), 2, 0);  // of an earlier epoch
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("store/checkpoint-4/rank-2.h5"),
                               HasSubstr("is not of rank 2, checkpoint 4, recovery epoch 1")));
  Write(checkpoint::LocalStoreDirectory(options_.local_directory), 2, 1);
  const std::string copy =
      checkpoint::RankPath(checkpoint::PartnerStoreDirectory(options_.local_directory), 4, 5);
  {
    std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(checkpoint::kBlockSize * 3));
    file.put('x');
  }
  EXPECT_THAT(Refusal(), HasSubstr("rank-5.h5"));
  EXPECT_FALSE(std::filesystem::exists(Delivered(5)));
  std::filesystem::remove(copy);
  EXPECT_THAT(Refusal(), HasSubstr(copy));
}

}  // namespace
}  // namespace ftmpi::recovery
