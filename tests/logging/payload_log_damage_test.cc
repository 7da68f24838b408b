// Damaged files, failing operations, a process that ends between any two operations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "logging/payload_log.h"
#include "logging/payload_log_format.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kNoCut = std::numeric_limits<std::uint64_t>::max();

class PayloadLogDamageTest : public ::testing::Test {
 protected:
  PayloadLogDamageTest() {
    options_.directory = memory_.path();
    options_.spill_directory = spill_.path();
    options_.rank = 3;
    options_.job = 0x1234;
    options_.memory = 96 << 10;
    options_.segment_size = 16 << 10;
  }

  // Records of 100 bytes in two segments in memory; the first is closed.
  std::vector<Message> WriteTwoSegments() {
    std::vector<Message> messages;
    const std::unique_ptr<PayloadLog> log = PayloadLog::Create(environment_, options_);
    for (const std::uint64_t length : {100U, 40U, 11700U, 100U, 0U}) {
      messages.push_back({1, messages.size() + 1, length, 0});
      Append(log.get(), messages.back());
    }
    EXPECT_EQ(memory_.Names().size(), 2U);
    return messages;
  }

  // Recovers; a LogError or a prefix of `messages` is right. `payloads`: compare those too. Returns
  // the number of messages, or -1 for an error.
  int RecoverPrefix(const std::vector<Message>& messages, bool payloads) {
    std::vector<Message> found;
    std::string damage;
    try {
      const std::unique_ptr<PayloadLog> log = PayloadLog::Recover(environment_, options_, kNoCut);
      log->ForEach([&](LogRecord& record, std::uint64_t) {
        found.push_back(HeaderOf(record));
        EXPECT_TRUE(!payloads || PayloadIs(record, found.back()));
        return true;
      });
      EXPECT_EQ(log->record_count(), found.size());
    } catch (const LogError& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank-3"));
      return -1;
    }
    EXPECT_LE(found.size(), messages.size());
    for (std::size_t i = 0; i < std::min(found.size(), messages.size()); ++i) {
      EXPECT_EQ(found[i], messages[i]) << i;
    }
    return static_cast<int>(found.size());
  }

  // All files, to put them back before each attempt.
  using Files = std::vector<std::pair<std::string, std::vector<char>>>;
  Files Snapshot() {
    Files files;
    for (const TemporaryDirectory* directory : {&memory_, &spill_}) {
      for (const std::string& name : directory->Names()) {
        files.emplace_back(*directory / name, ReadBytes(*directory / name));
      }
    }
    return files;
  }
  void Restore(const Files& files) {
    memory_.Clear();
    spill_.Clear();
    for (const auto& [path, bytes] : files) WriteBytes(path, bytes);
  }

  TemporaryDirectory memory_;
  TemporaryDirectory spill_;
  Environment* environment_ = Environment::Posix();
  PayloadLogOptions options_;
};

TEST_F(PayloadLogDamageTest, TruncationAnywhere) {
  const std::vector<Message> messages = WriteTwoSegments();
  const Files files = Snapshot();
  for (std::size_t which = 0; which < files.size(); ++which) {
    const std::vector<char>& bytes = files[which].second;
    for (std::size_t size = 0; size < bytes.size();
         size += size < 80 || (size > 4090 && size < 4600) ? 1 : 43) {
      Restore(files);
      WriteBytes(files[which].first,
                 {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
      const int found = RecoverPrefix(messages, true);
      // The first segment's three records count only with the whole segment header there; a closed
      // segment that is cut is dropped.
      if (which == 1) {
        ASSERT_GE(found, 3) << size;
        if (size < kSegmentHeaderSize + 192) {
          ASSERT_EQ(found, 3) << size;
        }
      }
      ASSERT_FALSE(HasFailure()) << files[which].first << " cut to " << size;
    }
  }
}

TEST_F(PayloadLogDamageTest, AFlippedBitAnywhereInMemory) {
  const std::vector<Message> messages = WriteTwoSegments();
  const Files files = Snapshot();
  int errors = 0;
  int prefixes = 0;
  for (std::size_t which = 0; which < files.size(); ++which) {
    const std::vector<char>& bytes = files[which].second;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      if (at == 88) at = kSegmentHeaderSize;                 // zeros that mean nothing
      if (at == kSegmentHeaderSize + 192 + 128 + 88) break;  // and a long payload
      for (int bit = 0; bit < 8; ++bit) {
        Restore(files);
        std::vector<char> damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        WriteBytes(files[which].first, damaged);
        // In memory payloads have no checksum: only the headers are compared.
        const int found = RecoverPrefix(messages, false);
        errors += found < 0;
        prefixes += found >= 0 && found < 5;
        ASSERT_FALSE(HasFailure()) << files[which].first << " byte " << at << " bit " << bit;
      }
    }
  }
  EXPECT_EQ(errors, 2 * 12 * 8);  // magic and version of each
  EXPECT_GT(prefixes, 2000);
}

TEST_F(PayloadLogDamageTest, AFlippedBitAnywhereInASpilledSegment) {
  std::vector<Message> messages;
  options_.memory = 40 << 10;  // segments of 8 KiB
  options_.segment_size = 8 << 10;
  {
    const std::unique_ptr<PayloadLog> log = PayloadLog::Create(environment_, options_);
    for (const std::uint64_t length : {100U, 40U}) {
      messages.push_back({1, messages.size() + 1, length, 0});
      Append(log.get(), messages.back());
    }
    while (log->bytes_spilled() == 0) {
      messages.push_back({1, messages.size() + 1, 3700, 0});
      Append(log.get(), messages.back());
    }
  }
  const Files files = Snapshot();
  const std::string path = spill_ / SpillFileName(0x1234, 3, 1);
  const std::vector<char> bytes = ReadBytes(path);
  ASSERT_EQ(bytes.size(), kSegmentHeaderSize + 192 + 128 + 2 * 16 + 8);
  int cut_at[3] = {0, 0, 0};
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (at == 88) at = kSegmentHeaderSize;
    for (int bit = 0; bit < 8; ++bit) {
      Restore(files);
      std::vector<char> damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteBytes(path, damaged);
      const int found = RecoverPrefix(messages, true);
      if (found >= 0 && found < 3) ++cut_at[found];
      // A payload's bit is never let pass.
      if (at >= kSegmentHeaderSize + 88 && at < kSegmentHeaderSize + 188) {
        ASSERT_EQ(found, 0);
      }
      if (at >= kSegmentHeaderSize + 192 + 88 && at < kSegmentHeaderSize + 192 + 128) {
        ASSERT_EQ(found, 1);
      }
      ASSERT_FALSE(HasFailure()) << "byte " << at << " bit " << bit;
    }
  }
  EXPECT_GE(cut_at[0], 100 * 8);
  EXPECT_GE(cut_at[1], 40 * 8);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Restore(files);
    WriteBytes(path, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    ASSERT_EQ(RecoverPrefix(messages, true), 0) << size;
  }
}

// The scenario of the sweeps: messages enough to open, spill, trim and drop segments, then
// recovery, then more messages, then Remove.
struct Scenario {
  std::vector<Message> committed;
  std::uint64_t trimmed = 0;  // SSNs of destination 1 that are not needed
  bool removing = false;

  void Run(Environment* environment, const PayloadLogOptions& options) {
    std::unique_ptr<PayloadLog> log = PayloadLog::Create(environment, options);
    const auto append = [&](int destination, int count) {
      for (int i = 0; i < count; ++i) {
        const Message message{destination, committed.size() + 1, 1500, committed.size()};
        // Counted first: a crash in the middle may leave it committed or not.
        Append(log.get(), message);
        committed.push_back(message);
      }
    };
    append(1, 25);
    append(2, 1);
    append(1, 25);
    trimmed = 20;
    log->Trim(1, 20);
    append(1, 10);
    trimmed = 45;  // drops a segment between others
    log->Trim(1, 45);
    append(1, 5);
    log.reset();
    log = PayloadLog::Recover(environment, options, kNoCut);
    append(1, 30);
    removing = true;
    log->Remove();
  }

  // What a later recovery must find: everything committed but what was trimmed, in order.
  void Check(PayloadLog* log) const {
    const std::vector<Message> found = ReadAll(log);
    std::size_t next = 0;
    for (const Message& message : committed) {
      if (next < found.size() && found[next] == message) {
        ++next;
      } else {
        EXPECT_TRUE(message.destination == 1 && message.ssn <= trimmed)
            << "message " << message.ssn << " is lost";
      }
    }
    EXPECT_LE(found.size() - next, 1U);  // one that was committed as the process ended
  }
};

TEST_F(PayloadLogDamageTest, AnyOperationMayFail) {
  // Every operation as one that finds the disk full, every third as one that finds it broken.
  for (const int error : {EIO, ENOSPC}) {
    for (std::uint64_t n = 1;; n += error == EIO ? 3 : 1) {
      ASSERT_LT(n, 5000U);
      memory_.Clear();
      spill_.Clear();
      FaultEnvironment faults(environment_);
      faults.FailAt(FaultPoint::kAny, n, error);
      Scenario scenario;
      bool threw = false;
      try {
        scenario.Run(&faults, options_);
      } catch (const LogError& thrown) {
        threw = true;
        EXPECT_THAT(thrown.what(), HasSubstr("/"));
      }
      if (!faults.failed()) {
        EXPECT_GT(n, 100U);
        EXPECT_FALSE(threw);
        break;
      }
      if (!scenario.removing && PayloadLogExists(environment_, options_.directory, 3)) {
        scenario.Check(PayloadLog::Recover(environment_, options_, kNoCut).get());
      } else if (!scenario.removing) {
        EXPECT_TRUE(scenario.committed.empty());
      }
      ASSERT_FALSE(HasFailure()) << "operation " << n;
    }
  }
}

TEST_F(PayloadLogDamageTest, AnyWriteMayBeCutShort) {
  for (const std::uint64_t bytes : {0U, 1U, 100U, 4095U, 5000U}) {
    for (std::uint64_t n = 1;; ++n) {
      ASSERT_LT(n, 5000U);
      memory_.Clear();
      spill_.Clear();
      FaultEnvironment faults(environment_);
      faults.CutWriteAt(n, bytes);
      Scenario scenario;
      bool threw = false;
      try {
        scenario.Run(&faults, options_);
      } catch (const LogError&) {
        threw = true;
      }
      if (!faults.failed()) {
        EXPECT_FALSE(threw);
        if (faults.count(FaultPoint::kWrite) >= n) continue;  // shorter than the cut
        EXPECT_GT(n, 20U);
        break;
      }
      if (!threw) {  // the stub of a dropped segment, which can wait
        EXPECT_TRUE(scenario.removing);
        EXPECT_TRUE(memory_.Names().empty());
        continue;
      }
      scenario.Check(PayloadLog::Recover(environment_, options_, kNoCut).get());
      ASSERT_FALSE(HasFailure()) << "write " << n << " cut to " << bytes;
    }
  }
}

TEST_F(PayloadLogDamageTest, TheProcessMayEndBetweenAnyTwoOperations) {
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 5000U);
    memory_.Clear();
    spill_.Clear();
    FaultEnvironment faults(environment_);
    faults.CrashAt(n);
    Scenario scenario;
    bool crashed = false;
    try {
      scenario.Run(&faults, options_);
    } catch (const SimulatedCrash&) {
      crashed = true;
    }
    if (!crashed) {
      EXPECT_GT(n, 100U);
      break;
    }
    if (scenario.removing) {
      // Whatever is left can be removed.
      RemovePayloadLog(environment_, options_);
      EXPECT_TRUE(memory_.Names().empty());
      EXPECT_TRUE(spill_.Names().empty());
    } else if (PayloadLogExists(environment_, options_.directory, 3)) {
      std::unique_ptr<PayloadLog> log = PayloadLog::Recover(environment_, options_, kNoCut);
      EXPECT_EQ(log->damage(), "");
      scenario.Check(log.get());
      log->Remove();
      EXPECT_TRUE(memory_.Names().empty());
      EXPECT_TRUE(spill_.Names().empty());
    } else {
      EXPECT_TRUE(scenario.committed.empty());
    }
    ASSERT_FALSE(HasFailure()) << "crash at operation " << n;
  }
}

// Recovery itself dies at each step, and is done again.
TEST_F(PayloadLogDamageTest, RecoveryMayEndAnywhere) {
  std::vector<Message> messages;
  {
    const std::unique_ptr<PayloadLog> log = PayloadLog::Create(environment_, options_);
    for (std::uint64_t ssn = 1; ssn <= 60; ++ssn) {
      messages.push_back({1, ssn, 1500, ssn});
      Append(log.get(), messages.back());
    }
    ASSERT_GT(log->bytes_spilled(), 0U);
  }
  const Files files = Snapshot();
  for (const std::uint64_t last_interval :
       {std::uint64_t{5}, std::uint64_t{25}, std::uint64_t{55}, kNoCut}) {
    for (std::uint64_t n = 1;; ++n) {
      ASSERT_LT(n, 1000U);
      Restore(files);
      FaultEnvironment faults(environment_);
      faults.CrashAt(n);
      bool crashed = false;
      try {
        PayloadLog::Recover(&faults, options_, last_interval);
      } catch (const SimulatedCrash&) {
        crashed = true;
      }
      const std::unique_ptr<PayloadLog> log =
          PayloadLog::Recover(environment_, options_, last_interval);
      EXPECT_EQ(log->damage(), "");
      std::vector<Message> expected;
      for (const Message& message : messages) {
        if (message.interval <= last_interval) expected.push_back(message);
      }
      EXPECT_EQ(ReadAll(log.get()), expected);
      ASSERT_FALSE(HasFailure()) << "interval " << last_interval << " crash at " << n;
      if (!crashed) break;
    }
  }
}

}  // namespace
}  // namespace ftmpi::logging
