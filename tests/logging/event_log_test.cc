#include "logging/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "logging/event_log_format.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Determinant Event(std::uint64_t index) {
  Determinant determinant;
  determinant.rank = index % 7 == 0 ? 5 : 2;  // some are held for rank 5
  determinant.kind = static_cast<EventKind>(1 + index % 7);
  determinant.index = index;
  determinant.ordinal = index * 3;
  determinant.value = index * 0x9e3779b97f4a7c15U;
  determinant.source = static_cast<int>(index % 4);
  determinant.detail = -static_cast<int>(index % 10);
  return determinant;
}

std::vector<Determinant> Events(std::uint64_t first, std::uint64_t count) {
  std::vector<Determinant> events;
  for (std::uint64_t i = 0; i < count; ++i) events.push_back(Event(first + i));
  return events;
}

class EventLogTest : public ::testing::Test {
 protected:
  EventLogTest() {
    options_.directory = directory_.path();
    options_.rank = 2;
    options_.job = 0x1234;
    options_.epoch = 4;
    options_.base_interval = 17;
    path_ = directory_ / "rank-2.events-4";
  }
  std::unique_ptr<EventLog> Write(std::uint64_t count) {
    std::unique_ptr<EventLog> log = EventLog::Create(environment_, options_);
    for (std::uint64_t i = 1; i <= count; ++i) log->Append(Event(i));
    return log;
  }
  void WriteBlocks(const std::vector<std::uint64_t>& counts) {
    EventBlockWriter writer(environment_, options_);
    std::uint64_t next = 1;
    for (const std::uint64_t count : counts) {
      writer.Append(Events(next, count));
      next += count;
    }
    EXPECT_EQ(writer.record_count(), next - 1);
  }
  void ExpectHeader(const EventLogContents& contents) {
    EXPECT_EQ(contents.job, 0x1234U);
    EXPECT_EQ(contents.rank, 2);
    EXPECT_EQ(contents.epoch, 4U);
    EXPECT_EQ(contents.base_interval, 17U);
  }
  // Reads the file; a LogError or a prefix of events 1, 2, ... is right. -1: error.
  int ReadPrefix() {
    EventLogContents contents;
    try {
      contents = ReadEventLog(environment_, path_);
    } catch (const LogError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path_));
      return -1;
    }
    ExpectHeader(contents);
    EXPECT_EQ(contents.determinants, Events(1, contents.determinants.size()));
    return static_cast<int>(contents.determinants.size());
  }

  TemporaryDirectory directory_;
  Environment* environment_ = Environment::Posix();
  EventLogOptions options_;
  std::string path_;
};

TEST_F(EventLogTest, RoundTrip) {
  for (const std::uint64_t count : {0U, 1U, 1363U, 1364U, 1365U, 1366U, 50000U, 300000U}) {
    const std::unique_ptr<EventLog> log = Write(count);
    EXPECT_EQ(log->record_count(), count);
    const EventLogContents contents = ReadEventLog(environment_, path_);
    ExpectHeader(contents);
    EXPECT_EQ(contents.damaged, "");
    EXPECT_EQ(contents.determinants, Events(1, count));
    log->Remove();
    EXPECT_TRUE(directory_.Names().empty());
  }
}

TEST_F(EventLogTest, ATrimmedLogBeginsLater) {
  const std::unique_ptr<EventLog> log = Write(20000);
  const auto blocks = [&] {
    struct stat file {};
    EXPECT_EQ(stat(path_.c_str(), &file), 0);
    return file.st_blocks;
  };
  const auto before = blocks();
  log->Trim(3000, 2999, 2);
  log->Trim(15000, 14999, 5);
  log->Trim(100, 99, 6);  // nothing new
  EXPECT_LT(blocks(), before / 2);
  for (std::uint64_t i = 20001; i <= 20100; ++i) log->Append(Event(i));
  EventLogContents contents = ReadEventLog(environment_, path_);
  EXPECT_EQ(contents.damaged, "");
  EXPECT_EQ(contents.trim.records, 15000U);
  EXPECT_EQ(contents.trim.interval, 14999U);
  EXPECT_EQ(contents.trim.csn, 5U);
  EXPECT_EQ(contents.determinants, Events(15001, 5100));
  EXPECT_EQ(ReadEventLogRange(environment_, path_, 20050).determinants, Events(20051, 50));

  // Everything may go, and it goes on.
  log->Trim(log->record_count(), 20100, 7);
  EXPECT_TRUE(ReadEventLog(environment_, path_).determinants.empty());
  log->Append(Event(20101));
  EXPECT_EQ(ReadEventLog(environment_, path_).determinants, Events(20101, 1));
  log->Remove();
  EXPECT_THAT(directory_.Names(), ElementsAre());
}

TEST_F(EventLogTest, WhatSaysHowFarItWasTrimmedIsChecked) {
  Write(1000)->Trim(500, 499, 1);
  const std::string base = path_ + ".base";
  const std::vector<char> good = ReadBytes(base);
  ASSERT_EQ(good.size(), 40U);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<char> bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    WriteBytes(base, bad);
    EXPECT_THAT(ErrorOf([&] { ReadEventLog(environment_, path_); }), HasSubstr(base)) << bit;
  }
  WriteBytes(base, {good.begin(), good.end() - 1});
  EXPECT_THAT(ErrorOf([&] { ReadEventLog(environment_, path_); }),
              HasSubstr(base + " has 39 bytes"));
}

TEST_F(EventLogTest, AnExistingFileIsRefused) {
  Write(1);
  EXPECT_THAT(ErrorOf([&] { Write(1); }), HasSubstr(path_ + " exists"));
  ++options_.epoch;
  Write(1);
}

TEST_F(EventLogTest, ReadsRanges) {
  const std::unique_ptr<EventLog> log = Write(10000);
  EXPECT_EQ(ReadEventLogRange(environment_, path_, 0).determinants, Events(1, 10000));
  EXPECT_EQ(ReadEventLogRange(environment_, path_, 9000).determinants, Events(9001, 1000));
  EXPECT_EQ(ReadEventLogRange(environment_, path_, 100, 5000).determinants, Events(101, 5000));
  EXPECT_TRUE(ReadEventLogRange(environment_, path_, 10000).determinants.empty());
  EXPECT_TRUE(ReadEventLogRange(environment_, path_, 1 << 20).determinants.empty());
  EventLogReader reader(environment_, path_);
  ExpectHeader(reader.header());
  log->Append(Event(10001));
  EXPECT_THAT(reader.Read(10000, 10), ElementsAre(Event(10001)));
}

TEST_F(EventLogTest, IsReadWhileItIsWritten) {
  constexpr std::uint64_t kCount = 200000;
  const std::unique_ptr<EventLog> log = EventLog::Create(environment_, options_);
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= kCount; ++i) log->Append(Event(i));
  });
  EventLogReader reader(environment_, path_);
  std::vector<Determinant> read;
  while (read.size() < kCount) {
    const std::vector<Determinant> more = reader.Read(read.size(), 1000);
    read.insert(read.end(), more.begin(), more.end());
  }
  writer.join();
  EXPECT_EQ(read, Events(1, kCount));
}

TEST_F(EventLogTest, AKilledWriterLosesNothingCommitted) {
  auto* const committed = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(committed, MAP_FAILED);
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    directory_.Clear();
    committed->store(0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::unique_ptr<EventLog> log = EventLog::Create(environment_, options_);
      for (std::uint64_t i = 1;; ++i) {
        log->Append(Event(i));
        committed->store(i, std::memory_order_release);
      }
    }
    const std::uint64_t target = 1 + random() % 20000;
    while (committed->load(std::memory_order_acquire) < target &&
           ::waitpid(child, nullptr, WNOHANG) == 0) {
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const EventLogContents contents = ReadEventLog(environment_, path_);
    EXPECT_EQ(contents.damaged, "");
    ASSERT_GE(contents.determinants.size(), committed->load());
    ASSERT_LE(contents.determinants.size(), committed->load() + 1);
    ASSERT_EQ(contents.determinants, Events(1, contents.determinants.size()));
  }
  ::munmap(committed, 4096);
}

TEST_F(EventLogTest, TruncationAnywhere) {
  Write(5);
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t size = 0; size < 500; ++size) {
    WriteBytes(path_, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    const int expected = size < 64 ? -1 : std::min(5, static_cast<int>((size - 64) / 48));
    ASSERT_EQ(ReadPrefix(), expected) << size;
  }
}

TEST_F(EventLogTest, AFlippedBitAnywhere) {
  Write(5);
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t at = 0; at < 64 + 6 * 48; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteBytes(path_, damaged);
      if (at < 64) {
        ASSERT_EQ(ReadPrefix(), -1) << at;
      } else {
        ASSERT_EQ(ReadPrefix(), std::min<int>(5, static_cast<int>((at - 64) / 48))) << at;
        // Behind the last record there is nothing that could be damaged but the place of a
        // checksum.
        if (at < 64 + 5 * 48) {
          ASSERT_THAT(ReadEventLog(environment_, path_).damaged, HasSubstr(path_ + ": record"));
        }
      }
    }
  }
}

TEST_F(EventLogTest, AHoleIsDamage) {
  Write(5);
  std::vector<char> bytes = ReadBytes(path_);
  std::fill_n(bytes.begin() + 64 + 48, 96, '\0');  // records 1 and 2
  WriteBytes(path_, bytes);
  const EventLogContents contents = ReadEventLog(environment_, path_);
  EXPECT_EQ(contents.determinants, Events(1, 1));
  EXPECT_THAT(contents.damaged, HasSubstr("record 3 follows a record that was not committed"));
}

TEST_F(EventLogTest, SwappedRecordsAreDamage) {
  Write(5);
  std::vector<char> bytes = ReadBytes(path_);
  std::swap_ranges(bytes.begin() + 64, bytes.begin() + 64 + 48, bytes.begin() + 64 + 48);
  WriteBytes(path_, bytes);
  EXPECT_EQ(ReadPrefix(), 0);
  EXPECT_THAT(ErrorOf([&] { ReadEventLogRange(environment_, path_, 0); }), HasSubstr("record 0"));
}

TEST_F(EventLogTest, ForeignFilesAreRefused) {
  EXPECT_THAT(ErrorOf([&] { ReadEventLog(environment_, path_); }),
              HasSubstr(path_ + ": No such file"));
  WriteBytes(path_, std::vector<char>(1000, 'x'));
  EXPECT_THAT(ErrorOf([&] { ReadEventLog(environment_, path_); }), HasSubstr("no event log"));
  EventLogHeader header = MakeEventLogHeader(kEventLogMagic, options_);
  header.version = 2;
  header.checksum = XXH3_64bits(&header, offsetof(EventLogHeader, checksum));
  std::vector<char> bytes(sizeof(header));
  std::memcpy(bytes.data(), &header, sizeof(header));
  WriteBytes(path_, bytes);
  EXPECT_THAT(ErrorOf([&] { ReadEventLog(environment_, path_); }), HasSubstr("format version 2"));
}

TEST_F(EventLogTest, AFullDirectoryIsAnErrorAndTheLogGoesOn) {
  FaultEnvironment faults(environment_);
  const std::unique_ptr<EventLog> log = EventLog::Create(&faults, options_);
  faults.LimitDisk(200 << 10);
  std::uint64_t count = 0;
  const std::string error = ErrorOf([&] {
    for (;; ++count) log->Append(Event(count + 1));
  });
  EXPECT_THAT(error, HasSubstr("No space left on device"));
  EXPECT_GT(count, 1000U);
  ErrorOf([&] { log->Append(Event(count + 1)); });
  EXPECT_EQ(log->record_count(), count);
  faults.Clear();
  log->Append(Event(++count));
  EXPECT_EQ(ReadEventLog(environment_, path_).determinants, Events(1, count));
}

TEST_F(EventLogTest, CreationFailsCleanly) {
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 100U);
    directory_.Clear();
    FaultEnvironment faults(environment_);
    faults.FailAt(FaultPoint::kAny, n, EIO);
    try {
      EventLog::Create(&faults, options_);
      EXPECT_GT(n, 4U);
      break;
    } catch (const LogError&) {
      EXPECT_TRUE(directory_.Names().empty()) << n;
    }
  }
}

// --- Event blocks ---

TEST_F(EventLogTest, BlocksRoundTrip) {
  WriteBlocks({1, 5, 1, 3000});
  for (const EventLogContents& contents :
       {ReadEventBlocks(environment_, path_), ReadEventLog(environment_, path_)}) {
    ExpectHeader(contents);
    EXPECT_EQ(contents.damaged, "");
    EXPECT_EQ(contents.determinants, Events(1, 3007));
  }
  EXPECT_THAT(ErrorOf([&] { WriteBlocks({1}); }), HasSubstr("File exists"));
}

TEST_F(EventLogTest, BlocksAreSynced) {
  FaultEnvironment counting(environment_);
  EventBlockWriter writer(&counting, options_);
  const std::uint64_t before = counting.count(FaultPoint::kSync);
  const std::uint64_t writes = counting.count(FaultPoint::kWrite);
  writer.Append(Events(1, 100));
  EXPECT_EQ(counting.count(FaultPoint::kSync), before + 1);
  EXPECT_EQ(counting.count(FaultPoint::kWrite), writes + 1);
}

TEST_F(EventLogTest, BlocksTruncatedAnywhere) {
  WriteBlocks({2, 1, 2});
  const std::vector<char> bytes = ReadBytes(path_);
  ASSERT_EQ(bytes.size(), 64U + 3 * 24 + 5 * 40);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    WriteBytes(path_, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    const int expected = size < 64 ? -1 : size < 168 ? 0 : size < 232 ? 2 : 3;
    ASSERT_EQ(ReadPrefix(), expected) << size;
    if (size > 64 && size != 168 && size != 232) {
      ASSERT_THAT(ReadEventLog(environment_, path_).damaged, HasSubstr("truncated"));
    }
  }
}

TEST_F(EventLogTest, BlocksWithAFlippedBitAnywhere) {
  WriteBlocks({2, 1, 2});
  const std::vector<char> bytes = ReadBytes(path_);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteBytes(path_, damaged);
      ASSERT_EQ(ReadPrefix(), at < 64 ? -1 : at < 168 ? 0 : at < 232 ? 2 : 3) << at;
      if (at >= 64) {
        ASSERT_NE(ReadEventLog(environment_, path_).damaged, "");
      }
    }
  }
}

TEST_F(EventLogTest, ABlockThatFailedIsWrittenAgain) {
  for (int step = 0; step < 3; ++step) {
    directory_.Clear();
    FaultEnvironment faults(environment_);
    EventBlockWriter writer(&faults, options_);
    writer.Append(Events(1, 3));
    if (step == 0) faults.CutWriteAt(1, 50);
    if (step == 1) faults.FailAt(FaultPoint::kSync, 1, EIO);
    if (step == 2) {
      // The cut write can't be undone at once either.
      faults.CutWriteAt(1, 50);
      faults.FailAt(FaultPoint::kAllocate, 1, EIO);
    }
    ErrorOf([&] { writer.Append(Events(4, 3)); });
    EXPECT_EQ(writer.record_count(), 3U);
    EXPECT_EQ(ReadPrefix(), 3) << step;
    writer.Append(Events(4, 5));
    const EventLogContents contents = ReadEventLog(environment_, path_);
    EXPECT_EQ(contents.damaged, "") << step;
    EXPECT_EQ(contents.determinants, Events(1, 8));
  }
}

TEST_F(EventLogTest, AnEmptyBlockIsRefused) {
  EventBlockWriter writer(environment_, options_);
  ErrorOf([&] { writer.Append({}); });
}

RC_GTEST_PROP(EventLogProperty, AnyDeterminantComesBack, ()) {
  const TemporaryDirectory directory;
  EventLogOptions options;
  options.directory = directory.path();
  options.rank = 1;
  const auto events = *rc::gen::container<std::vector<Determinant>>(rc::gen::build<Determinant>(
      rc::gen::set(&Determinant::rank, rc::gen::inRange(0, 1 << 30)),
      rc::gen::set(&Determinant::kind,
                   rc::gen::element(EventKind::kDelivery, EventKind::kPoll, EventKind::kProbe,
                                    EventKind::kValue, EventKind::kDependency)),
      rc::gen::set(&Determinant::index), rc::gen::set(&Determinant::ordinal),
      rc::gen::set(&Determinant::value), rc::gen::set(&Determinant::source),
      rc::gen::set(&Determinant::detail)));
  const std::unique_ptr<EventLog> log = EventLog::Create(Environment::Posix(), options);
  for (const Determinant& event : events) log->Append(event);
  const EventLogContents contents =
      ReadEventLog(Environment::Posix(), directory / EventLog::FileName(1, 0));
  RC_ASSERT(contents.determinants == events);
  RC_ASSERT(contents.damaged.empty());
}

}  // namespace
}  // namespace ftmpi::logging
