// Recover: what an earlier incarnation left, in whatever state it died.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <limits>
#include <random>

#include "logging/payload_log.h"
#include "logging/payload_log_format.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kNoCut = std::numeric_limits<std::uint64_t>::max();

class PayloadLogRecoveryTest : public ::testing::Test {
 protected:
  PayloadLogRecoveryTest() {
    options_.directory = memory_.path();
    options_.spill_directory = spill_.path();
    options_.rank = 3;
    options_.job = 0x1234;
    options_.memory = 1 << 20;
    options_.segment_size = 64 << 10;
  }
  std::unique_ptr<PayloadLog> Create() { return PayloadLog::Create(environment_, options_); }
  std::unique_ptr<PayloadLog> Recover(std::uint64_t last_interval = kNoCut) {
    return PayloadLog::Recover(environment_, options_, last_interval);
  }
  // `count` messages of 1000 bytes; message i (from 0) is sent in interval i.
  std::vector<Message> Write(std::size_t count) {
    std::vector<Message> messages;
    const std::unique_ptr<PayloadLog> log = Create();
    for (std::size_t i = 0; i < count; ++i) {
      messages.push_back({static_cast<int>(i % 3), i / 3 + 1, 1000, i});
      Append(log.get(), messages.back());
    }
    return messages;
  }

  TemporaryDirectory memory_;
  TemporaryDirectory spill_;
  Environment* environment_ = Environment::Posix();
  PayloadLogOptions options_;
};

TEST_F(PayloadLogRecoveryTest, NothingToRecoverIsAnError) {
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("no payload log of rank 3"));
}

TEST_F(PayloadLogRecoveryTest, AnEmptyLogIsRecovered) {
  Create();
  const std::unique_ptr<PayloadLog> log = Recover();
  EXPECT_EQ(log->record_count(), 0U);
  EXPECT_EQ(log->damage(), "");
  Append(log.get(), {1, 1, 10, 0});
  EXPECT_EQ(ReadAll(log.get()).size(), 1U);
}

TEST_F(PayloadLogRecoveryTest, AppendingGoesOnBehindTheRest) {
  std::vector<Message> messages = Write(200);
  for (int incarnation = 0; incarnation < 5; ++incarnation) {
    const std::unique_ptr<PayloadLog> log = Recover();
    EXPECT_EQ(log->damage(), "");
    EXPECT_EQ(log->record_count(), messages.size());
    for (int i = 0; i < 100; ++i) {
      messages.push_back({5, messages.size(), 500, messages.size()});
      Append(log.get(), messages.back());
    }
    EXPECT_EQ(ReadAll(log.get()), messages);
  }
}

TEST_F(PayloadLogRecoveryTest, TransmissionFieldsAreCleared) {
  Write(3);
  Recover()->ForEach([&](LogRecord& record, std::uint64_t) {
    EXPECT_EQ(record.header.piggyback_length, 0);
    EXPECT_EQ(record.header.epoch, 0);
    EXPECT_EQ(record.header.transfer, 0U);
    EXPECT_EQ(record.header.csn, 0U);
    return true;
  });
}

TEST_F(PayloadLogRecoveryTest, LaterIntervalsAreDropped) {
  // 3000 messages: some 50 segments, most of them spilled. Cuts fall into spilled segments, into
  // segments in memory, and on borders between them.
  for (const std::uint64_t last :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{55}, std::uint64_t{56}, std::uint64_t{57},
        std::uint64_t{1000}, std::uint64_t{2300}, std::uint64_t{2998}, std::uint64_t{2999},
        std::uint64_t{5000}}) {
    memory_.Clear();
    spill_.Clear();
    std::vector<Message> messages = Write(3000);
    messages.resize(std::min<std::size_t>(messages.size(), last + 1));
    std::unique_ptr<PayloadLog> log = Recover(last);
    EXPECT_EQ(log->damage(), "");
    EXPECT_EQ(ReadAll(log.get()), messages);
    EXPECT_EQ(log->record_count(), messages.size());
    messages.push_back({1, 77, 10, 4000});
    Append(log.get(), messages.back());
    log.reset();
    log = Recover();
    EXPECT_EQ(log->damage(), "");
    EXPECT_EQ(ReadAll(log.get()), messages) << last;
  }
}

TEST_F(PayloadLogRecoveryTest, ACutBeforeEverythingLeavesAnEmptyLog) {
  Append(Create().get(), {1, 1, 10, 9});
  std::unique_ptr<PayloadLog> log = Recover(3);
  EXPECT_EQ(log->record_count(), 0U);
  Append(log.get(), {1, 2, 10, 3});
  log.reset();
  EXPECT_EQ(ReadAll(Recover().get()), (std::vector<Message>{{1, 2, 10, 3}}));
}

TEST_F(PayloadLogRecoveryTest, ForeignFilesAreRefusedAndLeftAlone) {
  Write(500);
  const auto snapshot = [&] {
    std::vector<std::vector<char>> files;
    for (const std::string& name : memory_.Names()) files.push_back(ReadBytes(memory_ / name));
    return files;
  };
  const auto before = snapshot();

  options_.job = 0x9999;
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("belongs to job 4660, not to job 39321"));
  options_.job = 0x1234;
  EXPECT_EQ(snapshot(), before);

  const std::string first = memory_ / SegmentFileName(3, 1);
  // A file of rank 3 under rank 4's name.
  const std::string last = memory_ / SegmentFileName(3, 9);
  ASSERT_TRUE(std::filesystem::exists(last));
  std::filesystem::copy_file(last, memory_ / SegmentFileName(4, 9));
  options_.rank = 4;
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("belongs to rank 3, not to rank 4"));
  options_.rank = 3;
  std::filesystem::remove(memory_ / SegmentFileName(4, 9));

  // A future version, as a future writer would write it: with a right checksum.
  std::vector<char> bytes = ReadBytes(last);
  SegmentHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.version = 3;
  header.checksum = HeaderChecksum(header);
  std::memcpy(bytes.data(), &header, sizeof(header));
  const std::vector<char> good = ReadBytes(last);
  WriteBytes(last, bytes);
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("format version 3"));
  WriteBytes(last, std::vector<char>(10000, 'x'));
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("not a payload log segment"));
  WriteBytes(last, good);
  EXPECT_EQ(snapshot(), before);
  EXPECT_EQ(Recover()->record_count(), 500U);
}

TEST_F(PayloadLogRecoveryTest, AForgottenSpillDirectoryIsAnError) {
  Write(3000);
  const std::size_t files = memory_.Names().size();
  options_.spill_directory = "";
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("FT_SPILL_DIR"));
  TemporaryDirectory other;
  options_.spill_directory = other.path();
  EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr("does not exist"));
  EXPECT_EQ(memory_.Names().size(), files);
  options_.spill_directory = spill_.path();
  EXPECT_EQ(Recover()->record_count(), 3000U);
}

TEST_F(PayloadLogRecoveryTest, AMissingSegmentEndsTheLog) {
  const std::vector<Message> messages = Write(600);
  std::filesystem::remove(memory_ / SegmentFileName(3, 4));
  std::unique_ptr<PayloadLog> log = Recover();
  EXPECT_THAT(log->damage(), HasSubstr("rank-3.payload-4 is missing"));
  const std::vector<Message> left = ReadAll(log.get());
  ASSERT_GT(left.size(), 100U);
  ASSERT_LT(left.size(), 250U);
  EXPECT_EQ(left,
            std::vector<Message>(messages.begin(),
                                 messages.begin() + static_cast<std::ptrdiff_t>(left.size())));
  log.reset();
  log = Recover();  // what was dropped is gone for good
  EXPECT_EQ(log->damage(), "");
  EXPECT_EQ(ReadAll(log.get()), left);
}

TEST_F(PayloadLogRecoveryTest, SwappedSegmentsAreNoticed) {
  const std::vector<Message> messages = Write(300);
  std::filesystem::rename(memory_ / SegmentFileName(3, 2), memory_ / "x");
  std::filesystem::rename(memory_ / SegmentFileName(3, 3), memory_ / SegmentFileName(3, 2));
  std::filesystem::rename(memory_ / "x", memory_ / SegmentFileName(3, 3));
  const std::unique_ptr<PayloadLog> log = Recover();
  EXPECT_THAT(log->damage(), HasSubstr("header is that of segment 3"));
  for (const Message& message : ReadAll(log.get())) EXPECT_LT(message.interval, 60U);
}

// A child writes and says after each Commit how far it is; it is killed at a random moment. Every
// record that it had committed is there, in order, whole, and at most one more.
TEST_F(PayloadLogRecoveryTest, AKilledWriterLosesNothingCommitted) {
  auto* const committed = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(committed, MAP_FAILED);
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto message_of = [](std::uint64_t ssn) {
    const std::uint64_t kind = ssn * 2654435761U % 97;
    const std::uint64_t length = kind == 0 ? 50000 : kind < 10 ? 5000 : kind * 7;
    return Message{static_cast<int>(ssn % 5), ssn, length, ssn / 4};
  };
  for (int round = 0; round < 40; ++round) {
    memory_.Clear();
    spill_.Clear();
    committed->store(0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        const std::unique_ptr<PayloadLog> log = Create();
        for (std::uint64_t ssn = 1; ssn <= 5000; ++ssn) {
          Append(log.get(), message_of(ssn));
          committed->store(ssn, std::memory_order_release);
        }
        for (;;) ::pause();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "writer: %s\n", error.what());
        ::_exit(1);
      }
    }
    const std::uint64_t target = 1 + random() % 4000;
    while (committed->load(std::memory_order_acquire) < target &&
           ::waitpid(child, nullptr, WNOHANG) == 0) {
    }
    const std::uint64_t known = committed->load(std::memory_order_acquire);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    const std::unique_ptr<PayloadLog> log = Recover();
    EXPECT_EQ(log->damage(), "");
    const std::vector<Message> messages = ReadAll(log.get());
    ASSERT_GE(messages.size(), known);
    ASSERT_LE(messages.size(), committed->load() + 1);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      ASSERT_EQ(messages[i], message_of(i + 1));
    }
  }
  ::munmap(committed, 4096);
}

// A node-local directory that really is full: an error, never a SIGBUS.
TEST_F(PayloadLogRecoveryTest, AFullFileSystemIsAnError) {
  const SmallFileSystem small(memory_ / "small", "1m");
  const SmallFileSystem small_spill(memory_ / "spill", "2m");
  if (!small.mounted() || !small_spill.mounted()) {
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  }
  const std::string& mounted = small.path();
  options_.directory = mounted;
  options_.memory = 16 << 20;
  options_.segment_size = 512 << 10;
  std::vector<Message> messages;
  const auto fill = [&](PayloadLog* log) {
    for (;;) {
      const Message message{1, messages.size() + 1, 1000, 0};
      Append(log, message);
      messages.push_back(message);
    }
  };
  {
    options_.spill_directory = "";
    const std::unique_ptr<PayloadLog> log = Create();
    const std::string error = ErrorOf([&] { fill(log.get()); });
    EXPECT_THAT(error, HasSubstr("No space left on device"));
    EXPECT_THAT(error, HasSubstr(mounted));
    EXPECT_THAT(error, HasSubstr("FT_SPILL_DIR"));
    EXPECT_GT(messages.size(), 400U);
    EXPECT_EQ(ReadAll(log.get()), messages);
  }
  {
    // With a directory to spill to it goes on, until that is full as well.
    options_.spill_directory = small_spill.path();
    const std::unique_ptr<PayloadLog> log = Recover();
    const std::string error = ErrorOf([&] { fill(log.get()); });
    EXPECT_THAT(error, HasSubstr("spilling failed"));
    EXPECT_GT(messages.size(), 1500U);
    EXPECT_EQ(ReadAll(log.get()), messages);
  }
  const std::unique_ptr<PayloadLog> log = Recover();
  EXPECT_EQ(ReadAll(log.get()), messages);
}

}  // namespace
}  // namespace ftmpi::logging
