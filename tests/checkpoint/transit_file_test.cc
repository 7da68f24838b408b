// Files of messages in transit: what is written comes back, and nothing else does.
#include "checkpoint/transit_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/store_test_util.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using logging::Environment;
using ::testing::HasSubstr;

constexpr TransitOwner kOwner{kTestJob, 7, 2, 3};

TransitMessage Message(int source, std::uint64_t number, std::size_t bytes) {
  TransitMessage message;
  message.source = source;
  message.number = number;
  message.header.ssn = number + 100;
  message.header.payload_length = bytes;
  message.payload = Noise(bytes, number);
  return message;
}

class TransitFileTest : public ::testing::Test {
 protected:
  TransitFileTest() {
    for (const TransitMessage& each : messages_) AppendTransitMessage(each, &records_);
  }
  void Write() { WriteTransitFile(Environment::Posix(), path_, kOwner, records_); }
  std::vector<TransitMessage> Read(const TransitOwner& owner = kOwner) {
    return ReadTransitFile(Environment::Posix(), path_, owner);
  }

  logging::TemporaryDirectory directory_;
  const std::string path_ = directory_ / TransitFileName(3);
  const std::vector<TransitMessage> messages_ = {Message(0, 41, 10), Message(1, 5, 0),
                                                 Message(0, 42, 3000), Message(0, 44, 1)};
  std::vector<std::byte> records_;
};

TEST_F(TransitFileTest, RoundTrip) {
  EXPECT_TRUE(Read().empty());  // no file
  Write();
  const std::vector<TransitMessage> read = Read();
  ASSERT_EQ(read.size(), messages_.size());
  for (std::size_t n = 0; n < read.size(); ++n) {
    EXPECT_EQ(read[n].source, messages_[n].source);
    EXPECT_EQ(read[n].number, messages_[n].number);
    EXPECT_EQ(read[n].header.ssn, messages_[n].header.ssn);
    EXPECT_EQ(read[n].payload, messages_[n].payload);
  }
  EXPECT_EQ(SavedFrom(read, 0, 41), 2U);  // 43 is missing
  EXPECT_EQ(SavedFrom(read, 0, 44), 1U);
  EXPECT_EQ(SavedFrom(read, 0, 40), 0U);
  EXPECT_EQ(SavedFrom(read, 1, 5), 1U);
  EXPECT_EQ(SavedFrom(read, 2, 1), 0U);
}

TEST_F(TransitFileTest, DamageAnywhereIsSeen) {
  Write();
  const std::vector<char> good = logging::ReadBytes(path_);
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::vector<char> bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << (byte % 8)));
    logging::WriteBytes(path_, bad);
    EXPECT_THAT(ErrorOf([&] { Read(); }), HasSubstr(path_)) << byte;
    logging::WriteBytes(path_, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(byte)});
    EXPECT_THAT(ErrorOf([&] { Read(); }), HasSubstr(path_)) << byte;
  }
}

TEST_F(TransitFileTest, WhoseItIsIsChecked) {
  Write();
  for (const TransitOwner& other : {TransitOwner{1, 7, 2, 3}, TransitOwner{kTestJob, 6, 2, 3},
                                    TransitOwner{kTestJob, 7, 2, 4}}) {
    EXPECT_THAT(ErrorOf([&] { Read(other); }), HasSubstr("files were mixed"));
  }
  // Left by a checkpoint of that number that an earlier epoch did not finish.
  EXPECT_TRUE(Read({kTestJob, 7, 3, 3}).empty());
}

TEST_F(TransitFileTest, AFullDiskIsAnErrorThatNamesTheFile) {
  logging::FaultEnvironment faults(Environment::Posix());
  faults.LimitDisk(1000);
  EXPECT_THAT(ErrorOf([&] { WriteTransitFile(&faults, path_, kOwner, records_); }),
              HasSubstr("No space left on device"));
  EXPECT_TRUE(Read().empty());
}

}  // namespace
}  // namespace ftmpi::checkpoint
