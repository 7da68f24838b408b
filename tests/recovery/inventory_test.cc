#include "recovery/inventory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "logging/environment.h"
#include "tests/recovery/recover_test_util.h"

namespace ftmpi::recovery {
namespace {

using logging::Environment;

NodeInventory Sample() {
  NodeInventory inventory;
  inventory.node = "node7";
  inventory.job = kJob;
  inventory.epoch = 3;
  inventory.directory = "/dev/shm/ftmpi-x";
  inventory.remarks = {"a remark", ""};
  RankInventory rank;
  rank.rank = 2;
  rank.status.present = true;
  rank.status.pid = 4711;
  rank.status.pid_start_time = 99;
  rank.status.alive = true;
  rank.status.phase = logging::RankPhase::kAborted;
  rank.status.exit_code = -3;
  rank.status.epoch = 3;
  rank.status.interval = 17;
  rank.status.poll_failures = 5;
  rank.status.stdout_released = 1000;
  rank.status.stderr_released = 2000;
  rank.payload.present = true;
  rank.payload.damaged = "segment 2 is missing";
  rank.payload.records = 12;
  rank.payload.channels = {{0, 5, 100, 4, 9}, {1, 7, 200, 7, 10}};
  rank.events.present = true;
  rank.events.base_interval = 10;
  rank.events.determinants = {Event(2, 11), Event(2, 12), Event(0, 4), Depends(2, 13, 1, 6)};
  inventory.ranks.push_back(rank);
  RankInventory other;
  other.rank = 5;
  other.status.damaged = "no status page";
  inventory.ranks.push_back(other);
  return inventory;
}

TEST(InventoryFile, ComesBackAsItWasWritten) {
  const NodeInventory inventory = Sample();
  EXPECT_EQ(DecodeInventory(EncodeInventory(inventory), "file"), inventory);
}

TEST(InventoryFile, CutOffAtEachByteIsRefused) {
  const std::string whole = EncodeInventory(Sample());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(DecodeInventory(whole.substr(0, length), "file"), InventoryError) << length;
  }
  EXPECT_THROW(DecodeInventory(whole + "x", "file"), InventoryError);
}

TEST(InventoryFile, AlteredAtEachByteIsRefusedWithTheFilesName) {
  const std::string whole = EncodeInventory(Sample());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string altered = whole;
    altered[at] = static_cast<char>(altered[at] ^ 0x40);
    try {
      DecodeInventory(altered, "some/file");
      FAIL() << "byte " << at;
    } catch (const InventoryError& error) {
      EXPECT_NE(std::string(error.what()).find("some/file"), std::string::npos);
    }
  }
}

TEST(InventoryFile, NameHoldsNoSlash) {
  EXPECT_EQ(InventoryFileName("n1"), "inventory-n1");
  EXPECT_EQ(InventoryFileName("a/../b"), "inventory-a_.._b");
}

class CollectTest : public ::testing::Test {
 protected:
  InventoryOptions Options(std::uint32_t epoch = 0) const {
    InventoryOptions options;
    options.directory = directory_.path();
    options.node = "n";
    options.job = kJob;
    options.epoch = epoch;
    options.ranks = 4;
    return options;
  }
  NodeInventory Collect(std::uint32_t epoch = 0) const {
    return CollectInventory(Environment::Posix(), Options(epoch));
  }

  TemporaryDirectory directory_;
};

TEST_F(CollectTest, EmptyOrMissingDirectory) {
  EXPECT_TRUE(Collect().ranks.empty());
  InventoryOptions options = Options();
  options.directory = directory_ / "nothing";
  const NodeInventory inventory = CollectInventory(Environment::Posix(), options);
  EXPECT_TRUE(inventory.reached);
  EXPECT_TRUE(inventory.ranks.empty());
}

TEST_F(CollectTest, FindsWhatARankLeft) {
  WriteEvents(directory_.path(), 1, 0, 0, {Event(1, 1), Event(1, 2), Event(3, 1)});
  WriteMessages(directory_.path(), 1, {{0, 1, 0, "abc"}, {2, 1, 1, "defgh"}, {0, 2, 2, ""}});
  WriteStatus(directory_.path(), 1, 0, 2, 9);
  const NodeInventory inventory = Collect();
  ASSERT_EQ(inventory.ranks.size(), 1U);
  const RankInventory& rank = inventory.ranks[0];
  EXPECT_EQ(rank.rank, 1);
  EXPECT_TRUE(rank.status.present);
  EXPECT_EQ(rank.status.damaged, "");
  EXPECT_FALSE(rank.status.alive);
  EXPECT_EQ(rank.status.interval, 2U);
  EXPECT_EQ(rank.status.poll_failures, 9U);
  EXPECT_TRUE(rank.events.present);
  EXPECT_EQ(rank.events.damaged, "");
  EXPECT_EQ(rank.events.determinants,
            (std::vector<Determinant>{Event(1, 1), Event(1, 2), Event(3, 1)}));
  EXPECT_EQ(rank.payload.damaged, "");
  EXPECT_EQ(rank.payload.records, 3U);
  EXPECT_EQ(rank.payload.channels,
            (std::vector<ChannelInventory>{{0, 2, 3, 2, 2}, {2, 1, 5, 1, 1}}));
}

TEST_F(CollectTest, OnlyEventLogsOfTheEpochCount) {
  WriteEvents(directory_.path(), 0, 0, 0, {Event(0, 1)});
  WriteEvents(directory_.path(), 0, 1, 1, {Event(0, 2)});
  EXPECT_EQ(Collect(1).ranks.at(0).events.base_interval, 1U);
  EXPECT_EQ(Collect(1).ranks.at(0).events.determinants, (std::vector<Determinant>{Event(0, 2)}));
  EXPECT_FALSE(Collect(2).ranks.at(0).events.present);
}

TEST_F(CollectTest, FilesOfAnotherJobAreNotUsed) {
  constexpr std::uint64_t kOther = 5;
  WriteEvents(directory_.path(), 0, 0, 0, {Event(0, 1)}, kOther);
  WriteMessages(directory_.path(), 0, {{1, 1, 0, "x"}}, kOther);
  WriteStatus(directory_.path(), 0, 0, 1, 0, 0, 0, kOther);
  const RankInventory rank = Collect().ranks.at(0);
  EXPECT_NE(rank.events.damaged, "");
  EXPECT_TRUE(rank.events.determinants.empty());
  EXPECT_NE(rank.payload.damaged, "");
  EXPECT_EQ(rank.payload.records, 0U);
  EXPECT_NE(rank.status.damaged, "");
}

TEST_F(CollectTest, RanksThatTheJobDoesNotHaveAreRemarked) {
  WriteEvents(directory_.path(), 4, 0, 0, {});
  const NodeInventory inventory = Collect();
  EXPECT_TRUE(inventory.ranks.empty());
  EXPECT_EQ(inventory.remarks.size(), 1U);
}

// Whatever happens to a payload log: what is counted is a prefix of what was written, and less than
// all of it is called damaged. Nothing is changed by looking.
TEST_F(CollectTest, DamagedPayloadLogIsCountedUpToTheDamage) {
  WriteMessages(directory_.path(), 0,
                {{1, 1, 1, "first"}, {1, 2, 2, "second"}, {1, 3, 3, "third"}});
  std::string path;
  for (const std::string& name : directory_.Names()) {
    if (name.find("payload-") != std::string::npos && name.find("spare") == std::string::npos) {
      path = directory_ / name;
    }
  }
  ASSERT_NE(path, "");
  const std::vector<char> whole = logging::ReadBytes(path);
  constexpr std::size_t kFirstRecord = 4096;
  constexpr std::size_t kRecord = 128;  // 88 bytes and a short payload, in multiples of 64
  for (std::size_t at = 0; at < kFirstRecord + 3 * kRecord; ++at) {
    const bool in_header = at < 80;
    const std::size_t in_record = at < kFirstRecord ? kRecord : (at - kFirstRecord) % kRecord;
    // Bytes behind the checksummed part: state of one transmission, payload, padding.
    const bool checked = in_header ? at < 56 : in_record < 76;
    if (!checked) continue;
    std::vector<char> altered = whole;
    altered[at] = static_cast<char>(altered[at] ^ 0x10);
    logging::WriteBytes(path, altered);
    const PayloadInventory payload = Collect().ranks.at(0).payload;
    const std::size_t before = in_header ? 0 : (at - kFirstRecord) / kRecord;
    EXPECT_EQ(payload.records, before) << at;
    EXPECT_NE(payload.damaged, "") << at;
    EXPECT_EQ(logging::ReadBytes(path), altered);
  }
  logging::WriteBytes(path, whole);
  EXPECT_EQ(Collect().ranks.at(0).payload.records, 3U);
}

TEST_F(CollectTest, MissingSegmentEndsThePayloadLog) {
  std::vector<SentMessage> messages;
  for (std::uint64_t ssn = 1; ssn <= 5; ++ssn)
    messages.push_back({1, ssn, 0, std::string(700000, 'x')});
  WriteMessages(directory_.path(), 0, messages);
  EXPECT_EQ(Collect().ranks.at(0).payload.records, 5U);
  std::filesystem::remove(directory_ / "rank-0.payload-2");
  const PayloadInventory payload = Collect().ranks.at(0).payload;
  EXPECT_EQ(payload.records, 1U);
  EXPECT_NE(payload.damaged.find("2"), std::string::npos);
}

TEST(ProcessRunsTest, TellsProcessesApart) {
  const auto own = logging::ProcessStartTime(Environment::Posix(), getpid());
  ASSERT_TRUE(own.has_value());
  EXPECT_TRUE(ProcessRuns(getpid(), *own));
  EXPECT_FALSE(ProcessRuns(getpid(), *own + 1));
  EXPECT_FALSE(ProcessRuns(0, 0));
}

TEST(ProcessRunsTest, ZombieDoesNotRun) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_GT(child, 0);
  siginfo_t information;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &information, WEXITED | WNOWAIT), 0);
  const auto start = logging::ProcessStartTime(Environment::Posix(), child);
  EXPECT_FALSE(ProcessRuns(child, start.value_or(0)));
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(ProcessRuns(child, start.value_or(0)));
}

}  // namespace
}  // namespace ftmpi::recovery
