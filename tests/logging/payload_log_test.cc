#include "logging/payload_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "logging/payload_log_format.h"
#include "tests/logging/fault_environment.h"
#include "tests/logging/storage_test_util.h"

namespace ftmpi::logging {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kNoCut = std::numeric_limits<std::uint64_t>::max();

class PayloadLogTest : public ::testing::Test {
 protected:
  PayloadLogTest() {
    options_.directory = memory_.path();
    options_.rank = 3;
    options_.job = 0x1234;
    options_.memory = 1 << 20;
    options_.segment_size = 64 << 10;
  }
  std::unique_ptr<PayloadLog> Create() { return PayloadLog::Create(environment_, options_); }
  std::unique_ptr<PayloadLog> Recover(std::uint64_t last_interval = kNoCut) {
    return PayloadLog::Recover(environment_, options_, last_interval);
  }
  // Appends messages to destination 1 until a segment with that number is open.
  std::vector<Message> FillUntilSegment(PayloadLog* log, std::uint32_t segment,
                                        std::uint64_t length = 1000) {
    std::vector<Message> messages;
    for (;;) {
      const Message message{1, messages.size() + 1, length, messages.size() / 10};
      messages.push_back(message);
      if (Append(log, message)->segment >= segment) return messages;
    }
  }

  TemporaryDirectory memory_;
  TemporaryDirectory spill_;
  Environment* environment_ = Environment::Posix();
  PayloadLogOptions options_;
};

TEST_F(PayloadLogTest, KeepsMessagesInOrder) {
  const std::unique_ptr<PayloadLog> log = Create();
  std::vector<Message> messages;
  for (const std::uint64_t length :
       {0U, 1U, 7U, 8U, 39U, 40U, 41U, 1000U, 4096U, 65000U, 200000U, 3U, 300000U, 300000U, 12U}) {
    messages.push_back(
        {static_cast<int>(messages.size() % 4), messages.size() + 1, length, messages.size(), 0});
    Append(log.get(), messages.back());
  }
  EXPECT_EQ(ReadAll(log.get()), messages);
  EXPECT_EQ(log->record_count(), messages.size());
  EXPECT_EQ(log->damage(), "");
}

TEST_F(PayloadLogTest, HeaderAndPayloadLieSideBySide) {
  const std::unique_ptr<PayloadLog> log = Create();
  LogRecord* const record = log->Reserve(100, 2);
  EXPECT_EQ(reinterpret_cast<std::byte*>(&record->header) + 56, record->payload());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record) % 64, 0U);
  EXPECT_EQ(record->capacity, 100U);
}

TEST_F(PayloadLogTest, CommitMayUseLessThanReserved) {
  const std::unique_ptr<PayloadLog> log = Create();
  LogRecord* const record = log->Reserve(10000, 1);
  const Message message{1, 1, 10, 0};
  FillHeader(record, message);
  for (std::uint64_t i = 0; i < 10; ++i) {
    record->payload()[i] = static_cast<std::byte>(PayloadByte(message, i));
  }
  log->Commit(record, 20);
  EXPECT_EQ(record->capacity, 20U);
  EXPECT_EQ(record->length, 128U);  // 88 + 20, rounded up to 64
  EXPECT_EQ(log->bytes(), 128U);
  Append(log.get(), {1, 2, 5, 0});
  EXPECT_THAT(ReadAll(log.get()), ElementsAre(message, Message{1, 2, 5, 0}));
}

TEST_F(PayloadLogTest, AReservedRecordDoesNotCount) {
  std::unique_ptr<PayloadLog> log = Create();
  Append(log.get(), {1, 1, 50, 0});
  FillHeader(log->Reserve(100, 1), {1, 2, 100, 0});
  EXPECT_EQ(log->record_count(), 1U);
  log.reset();
  EXPECT_THAT(ReadAll(Recover().get()), ElementsAre(Message{1, 1, 50, 0}));
}

TEST_F(PayloadLogTest, WrongUseEndsTheProcess) {
  const std::unique_ptr<PayloadLog> log = Create();
  LogRecord* const record = log->Reserve(100, 1);
  FillHeader(record, {1, 1, 100, 0});
  EXPECT_DEATH(log->Commit(record, 101), "100 were reserved");
  EXPECT_DEATH(log->Commit(record, 99), "99 bytes and a payload of 100");
  log->Commit(record, 100);
  EXPECT_DEATH(log->Commit(record, 100), "not the reserved one");
  EXPECT_DEATH(log->Unpin(record), "unpinned twice");
}

TEST_F(PayloadLogTest, PositionsNameRecords) {
  const std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 4);
  std::vector<std::uint64_t> positions;
  log->ForEach([&](LogRecord& record, std::uint64_t position) {
    EXPECT_EQ(log->PositionOf(&record), position);
    positions.push_back(position);
    return true;
  });
  ASSERT_EQ(positions.size(), messages.size());
  for (std::size_t i = messages.size(); i-- > 0;) {
    LogRecord* const record = log->PinAt(positions[i]);
    EXPECT_EQ(HeaderOf(*record), messages[i]);
    log->Unpin(record);
  }
  ErrorOf([&] { log->PinAt(positions.back() + 64); });
  ErrorOf([&] { log->PinAt(positions.front() + 8); });
  ErrorOf([&] { log->PinAt(0); });
  EXPECT_THAT(ErrorOf([&] { log->PinAt(std::uint64_t{77} << 40); }), HasSubstr("no segment 77"));
}

TEST_F(PayloadLogTest, ForEachStopsWhenAsked) {
  const std::unique_ptr<PayloadLog> log = Create();
  FillUntilSegment(log.get(), 2);
  int visited = 0;
  log->ForEach([&](LogRecord&, std::uint64_t) { return ++visited < 5; });
  EXPECT_EQ(visited, 5);
}

TEST_F(PayloadLogTest, FilesOfAnotherRunAreRefused) {
  Create();
  EXPECT_THAT(ErrorOf([&] { Create(); }), HasSubstr("rank-3.payload-1 exists"));
  options_.rank = 4;  // another rank shares the directory
  Create();
  options_.rank = 5;
  options_.spill_directory = spill_.path();
  WriteBytes(spill_ / SpillFileName(0x1234, 5, 1), {'x'});
  EXPECT_THAT(ErrorOf([&] { Create(); }), HasSubstr(spill_ / SpillFileName(0x1234, 5, 1)));
}

TEST_F(PayloadLogTest, ImpossibleOptionsAreRefused) {
  options_.memory = 1000;
  EXPECT_THAT(ErrorOf([&] { Create(); }), HasSubstr("FT_LOG_MEMORY=1000"));
  options_.memory = 1 << 20;
  options_.directory = memory_ / "missing";
  EXPECT_THAT(ErrorOf([&] { Create(); }), HasSubstr("missing"));
}

TEST_F(PayloadLogTest, TheLimitIsAnErrorWithoutSpillDirectory) {
  const std::unique_ptr<PayloadLog> log = Create();
  std::vector<Message> messages;
  std::string error;
  while (error.empty() && messages.size() < 10000) {
    const Message message{1, messages.size() + 1, 1000, 0};
    try {
      Append(log.get(), message);
      messages.push_back(message);
    } catch (const LogError& thrown) {
      error = thrown.what();
    }
    EXPECT_LE(log->bytes_in_memory(), options_.memory);
  }
  // 1088 bytes become 1152 with header and rounding; most of the limit can be used.
  EXPECT_GT(messages.size() * 1152, options_.memory * 9 / 10);
  EXPECT_THAT(error, HasSubstr(options_.directory));
  EXPECT_THAT(error, HasSubstr("FT_LOG_MEMORY is 1048576"));
  EXPECT_THAT(error, HasSubstr("FT_SPILL_DIR"));
  EXPECT_EQ(ReadAll(log.get()), messages);
  // It goes on when something was given back.
  log->Trim(1, messages.size());
  Append(log.get(), {1, messages.size() + 1, 1000, 0});
}

TEST_F(PayloadLogTest, AMessageLargerThanTheLimitIsRefused) {
  const std::unique_ptr<PayloadLog> log = Create();
  EXPECT_THAT(ErrorOf([&] { log->Reserve(2 << 20, 1); }), HasSubstr("FT_LOG_MEMORY=1048576"));
  ErrorOf([&] { log->Reserve(std::numeric_limits<std::uint64_t>::max(), 1); });
  ErrorOf([&] { log->Reserve(std::numeric_limits<std::uint64_t>::max() - 100, 1); });
  Append(log.get(), {1, 1, 10, 0});
  EXPECT_THAT(ReadAll(log.get()), ElementsAre(Message{1, 1, 10, 0}));
}

TEST_F(PayloadLogTest, SpillsTheOldestAndReadsItBack) {
  options_.spill_directory = spill_.path();
  std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 60);
  EXPECT_LE(log->bytes_in_memory(), options_.memory);
  EXPECT_GT(log->bytes_spilled(), 2U << 20);
  EXPECT_EQ(ReadAll(log.get()), messages);

  std::vector<std::uint64_t> positions;
  log->ForEach([&](LogRecord&, std::uint64_t position) {
    positions.push_back(position);
    return true;
  });
  // Two spilled records pinned at the same time, of different segments.
  LogRecord* const first = log->PinAt(positions[0]);
  LogRecord* const other = log->PinAt(positions[200]);
  LogRecord* const third = log->PinAt(positions[400]);
  EXPECT_EQ(HeaderOf(*first), messages[0]);
  EXPECT_TRUE(PayloadIs(*first, messages[0]));
  EXPECT_EQ(HeaderOf(*other), messages[200]);
  EXPECT_TRUE(PayloadIs(*other, messages[200]));
  EXPECT_TRUE(PayloadIs(*third, messages[400]));
  for (LogRecord* const record : {first, other, third}) log->Unpin(record);

  log.reset();
  log = Recover();
  EXPECT_EQ(log->damage(), "");
  EXPECT_EQ(log->record_count(), messages.size());
  EXPECT_EQ(ReadAll(log.get()), messages);
  log->Remove();
  EXPECT_THAT(memory_.Names(), ElementsAre());
  EXPECT_THAT(spill_.Names(), ElementsAre());
}

TEST_F(PayloadLogTest, PinnedSegmentsStay) {
  options_.spill_directory = spill_.path();
  const std::unique_ptr<PayloadLog> log = Create();
  const Message first{2, 1, 500, 0};
  LogRecord* const pinned = Append(log.get(), first);
  log->Pin(pinned);
  std::uint64_t ssn = 0;
  while (log->bytes_spilled() < 1 << 20) Append(log.get(), {1, ++ssn, 1000, 0});
  EXPECT_EQ(HeaderOf(*pinned), first);
  EXPECT_TRUE(PayloadIs(*pinned, first));
  EXPECT_FALSE(std::filesystem::exists(spill_ / SpillFileName(0x1234, 3, 1)));
  EXPECT_TRUE(std::filesystem::exists(spill_ / SpillFileName(0x1234, 3, 2)));
  log->Unpin(pinned);
  const std::uint64_t spilled = log->bytes_spilled();
  while (log->bytes_spilled() == spilled) Append(log.get(), {1, ++ssn, 1000, 0});
  EXPECT_TRUE(std::filesystem::exists(spill_ / SpillFileName(0x1234, 3, 1)));
}

TEST_F(PayloadLogTest, EverythingPinnedIsAnErrorThatSaysSo) {
  options_.spill_directory = spill_.path();
  const std::unique_ptr<PayloadLog> log = Create();
  const std::string error = ErrorOf([&] {
    for (std::uint64_t ssn = 1; ssn < 10000; ++ssn) log->Pin(Append(log.get(), {1, ssn, 1000, 0}));
  });
  EXPECT_THAT(error, HasSubstr("on their way"));
}

TEST_F(PayloadLogTest, AFullSpillDirectoryIsAnErrorThatNamesIt) {
  options_.spill_directory = spill_.path();
  FaultEnvironment faults(environment_);
  const std::unique_ptr<PayloadLog> log = PayloadLog::Create(&faults, options_);
  std::vector<Message> messages;
  const auto append = [&] {
    const Message message{1, messages.size() + 1, 1000, 0};
    Append(log.get(), message);
    messages.push_back(message);
  };
  while (log->bytes_spilled() == 0) append();
  faults.LimitDisk(10000);
  const std::string error = ErrorOf([&] {
    for (;;) append();
  });
  EXPECT_THAT(error, HasSubstr("spilling failed"));
  EXPECT_THAT(error, HasSubstr(spill_.path()));
  EXPECT_THAT(error, HasSubstr("No space left on device"));
  EXPECT_THAT(error, HasSubstr("FT_LOG_MEMORY"));
  EXPECT_EQ(ReadAll(log.get()), messages);
  EXPECT_EQ(spill_.Names().size(), 1U);  // nothing half-written is left
  faults.Clear();
  append();
  EXPECT_EQ(ReadAll(log.get()), messages);
}

TEST_F(PayloadLogTest, AFullNodeLocalDirectorySpillsEarlier) {
  FaultEnvironment faults(environment_);
  faults.LimitDisk(300 << 10);
  {
    const std::unique_ptr<PayloadLog> log = PayloadLog::Create(&faults, options_);
    const std::string error = ErrorOf([&] { FillUntilSegment(log.get(), 100); });
    EXPECT_THAT(error, HasSubstr("No space left on device"));
    EXPECT_THAT(error, HasSubstr("FT_SPILL_DIR"));
    log->Remove();
  }
}

TEST_F(PayloadLogTest, TrimGivesWholeSegmentsBack) {
  const std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 5);
  const std::uint64_t before = log->bytes();
  log->Trim(2, 1000);  // another destination
  EXPECT_EQ(log->record_count(), messages.size());

  // Up to a message in the third segment: the first two go.
  std::uint64_t kept = 0;
  log->ForEach([&](LogRecord& record, std::uint64_t) {
    if (record.segment < 3) return true;
    kept = record.header.ssn;
    return false;
  });
  log->Trim(1, kept + 3);
  EXPECT_EQ(ReadAll(log.get()),
            std::vector<Message>(messages.begin() + static_cast<std::ptrdiff_t>(kept) - 1,
                                 messages.end()));
  EXPECT_EQ(log->record_count(), messages.size() - kept + 1);
  EXPECT_LT(log->bytes(), before);
  ErrorOf([&] { log->PinAt((std::uint64_t{1} << 40) + kSegmentHeaderSize); });
}

TEST_F(PayloadLogTest, MemoryOfTrimmedSegmentsIsUsedAgain) {
  const std::unique_ptr<PayloadLog> log = Create();
  std::uint64_t ssn = 0;
  // Much more than the limit goes through the log.
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 300; ++i) Append(log.get(), {1, ++ssn, 1000, 0});
    log->Trim(1, ssn);
    EXPECT_LE(log->bytes_in_memory(), options_.memory);
  }
  // Old records in memory that is used again are no records of the new segment.
  const std::vector<Message> left = ReadAll(log.get());
  ASSERT_FALSE(left.empty());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].ssn, ssn - left.size() + 1 + i);
  }
  EXPECT_EQ(log->record_count(), left.size());
}

TEST_F(PayloadLogTest, ADroppedSegmentBetweenOthersLeavesAStub) {
  std::unique_ptr<PayloadLog> log = Create();
  std::vector<Message> messages{{7, 1, 100, 0}};
  Append(log.get(), messages[0]);  // never trimmed: holds the first segment
  std::uint64_t ssn = 0;
  std::uint32_t segment = 0;
  std::vector<Message> expected = messages;
  while (segment < 4) {
    const Message message{1, ++ssn, 1000, 0};
    segment = Append(log.get(), message)->segment;
    if (segment != 2 && segment != 3) expected.push_back(message);
  }
  log->Trim(1, ssn);
  EXPECT_EQ(ReadAll(log.get()), expected);
  EXPECT_EQ(std::filesystem::file_size(memory_ / SegmentFileName(3, 2)), kSegmentHeaderSize);
  EXPECT_EQ(log->record_count(), expected.size());
  ErrorOf([&] { log->PinAt((std::uint64_t{2} << 40) + kSegmentHeaderSize); });

  log.reset();
  log = Recover();
  EXPECT_EQ(log->damage(), "");
  EXPECT_EQ(ReadAll(log.get()), expected);
  EXPECT_EQ(log->record_count(), expected.size());
  // With the first segment the stubs go too.
  log->Trim(7, 1);
  log->Trim(1, ssn);
  EXPECT_FALSE(std::filesystem::exists(memory_ / SegmentFileName(3, 2)));
}

TEST_F(PayloadLogTest, MessagesOfSchedulesAreNotTrimmedBySsn) {
  const std::unique_ptr<PayloadLog> log = Create();
  Append(log.get(), {1, 1, 100, 0, kFlagSchedule | kFlagCollective});
  const std::vector<Message> messages = FillUntilSegment(log.get(), 3);
  const std::uint64_t count = log->record_count();
  log->Trim(1, messages.size());
  EXPECT_GT(log->record_count(), 1U);
  EXPECT_LT(log->record_count(), count);  // the second segment went, the first did not
  std::uint64_t third = 0;
  log->ForEach([&](LogRecord& record, std::uint64_t position) {
    third = position;
    return record.segment < 3;
  });
  log->TrimBefore(third, {});
  EXPECT_EQ(log->record_count(), 1U);
}

TEST_F(PayloadLogTest, TrimBeforeKeepsWhatIsPinned) {
  const std::unique_ptr<PayloadLog> log = Create();
  LogRecord* const record = Append(log.get(), {1, 1, 100, 0});
  log->Pin(record);
  const std::vector<Message> messages = FillUntilSegment(log.get(), 3);
  log->TrimBefore(log->end_position(), {{1, messages.size() + 1}});
  EXPECT_EQ(HeaderOf(*record), (Message{1, 1, 100, 0}));
  EXPECT_EQ(ReadAll(log.get()).front(), (Message{1, 1, 100, 0}));
  log->Unpin(record);
  log->TrimBefore(log->end_position(), {{1, messages.size() + 1}});
  EXPECT_EQ(log->record_count(), 1U);
}

// Messages to two ranks; the numbers of what is left are known, now and to whoever reads later.
TEST_F(PayloadLogTest, NumbersStayKnownWhenACheckpointTrims) {
  options_.spill_directory = spill_.path();
  std::unique_ptr<PayloadLog> log = Create();
  struct Sent {
    int destination;
    std::uint64_t number;
  };
  std::vector<Sent> sent;
  ChannelCounts counts;
  const auto append = [&](int messages) {
    for (int n = 0; n < messages; ++n) {
      const int to = n % 3 == 0 ? 1 : 2;
      const std::uint64_t number = ++counts[to];
      Append(log.get(),
             {to, number, 1000, 0, static_cast<std::uint8_t>(n % 5 == 0 ? kFlagSchedule : 0)});
      sent.push_back({to, number});
    }
  };
  const auto expect_numbers = [&](const char* where) {
    ASSERT_NE(log->before(), nullptr) << where;
    ChannelCounts next = *log->before();
    std::size_t index = sent.size() - log->record_count();
    log->ForEach([&](LogRecord& record, std::uint64_t) {
      EXPECT_EQ(record.destination, sent[index].destination) << where;
      EXPECT_EQ(record.header.ssn, sent[index].number) << where;
      EXPECT_EQ(++next[record.destination], sent[index].number) << where;
      return ++index < sent.size();
    });
    EXPECT_EQ(index, sent.size()) << where;
  };
  append(500);
  log->TrimBefore(0, {});
  EXPECT_TRUE(log->before()->empty());
  const std::uint64_t first_cut = log->end_position();
  const ChannelCounts at_first_cut = counts;
  append(5000);  // most of it is spilled
  ASSERT_GT(spill_.Names().size(), 5U);
  const std::uint64_t second_cut = log->end_position();
  const ChannelCounts at_second_cut = counts;
  append(300);
  log->TrimBefore(first_cut, at_first_cut);
  EXPECT_LE(log->before()->at(1), at_first_cut.at(1));
  EXPECT_GT(log->before()->at(2), 0U);
  expect_numbers("after the first trim");
  log.reset();
  log = Recover();
  EXPECT_EQ(log->damage(), "");
  expect_numbers("after the first trim, recovered");
  log->TrimBefore(second_cut, at_second_cut);
  EXPECT_LE(log->record_count(), 300U + 64U);
  EXPECT_THAT(spill_.Names(), ElementsAre());
  expect_numbers("after the second trim");
  append(10);
  expect_numbers("appended");
  // Everything goes: numbers go on.
  log->TrimBefore(log->end_position(), counts);
  log.reset();
  log = Recover();
  expect_numbers("recovered again");
  append(10);
  expect_numbers("appended again");
  log->Remove();
  EXPECT_THAT(memory_.Names(), ElementsAre());
}

TEST_F(PayloadLogTest, ATrimThatWasInterruptedIsFinishedByRecover) {
  std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 6);
  const std::uint64_t count = messages.size() - 1;
  const std::string first = memory_ / SegmentFileName(3, 1);
  const std::vector<char> content = ReadBytes(first);
  std::uint64_t last = 0;
  log->ForEach([&](LogRecord&, std::uint64_t position) {
    last = position;
    return true;
  });
  log->TrimBefore(last, {{1, count}});
  ASSERT_FALSE(std::filesystem::exists(first));
  const std::vector<Message> left = ReadAll(log.get());
  ASSERT_LT(left.size(), messages.size());
  log.reset();
  WriteBytes(first, content);  // it was not removed yet
  log = Recover();
  EXPECT_EQ(log->damage(), "");
  EXPECT_EQ(ReadAll(log.get()), left);
  EXPECT_EQ(log->before()->at(1), messages.size() - left.size());
  EXPECT_FALSE(std::filesystem::exists(first));
}

TEST_F(PayloadLogTest, ADamagedBaseIsAnError) {
  std::unique_ptr<PayloadLog> log = Create();
  FillUntilSegment(log.get(), 6);
  log->TrimBefore(log->end_position(), {{1, 100000}});
  log.reset();
  const std::string base = memory_ / "rank-3.payload-base";
  const std::vector<char> good = ReadBytes(base);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<char> bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    WriteBytes(base, bad);
    EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr(base)) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    WriteBytes(base, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
    EXPECT_THAT(ErrorOf([&] { Recover(); }), HasSubstr(base)) << size;
  }
}

TEST_F(PayloadLogTest, TrimBySsnForgetsTheNumbers) {
  std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 4);
  log->Trim(1, messages.size());
  EXPECT_EQ(log->before(), nullptr);
  log.reset();
  EXPECT_EQ(Recover()->before(), nullptr);
}

TEST_F(PayloadLogTest, ALogMayBeginBehindACheckpoint) {
  std::unique_ptr<PayloadLog> log = PayloadLog::Create(environment_, options_, {{1, 70}, {4, 2}});
  Append(log.get(), {1, 71, 100, 0});
  log.reset();
  log = Recover();
  EXPECT_EQ(*log->before(), (ChannelCounts{{1, 70}, {4, 2}}));
}

TEST_F(PayloadLogTest, TrimReachesSpilledSegments) {
  options_.spill_directory = spill_.path();
  std::unique_ptr<PayloadLog> log = Create();
  const std::vector<Message> messages = FillUntilSegment(log.get(), 40);
  ASSERT_GT(spill_.Names().size(), 5U);
  for (const bool recovered : {false, true}) {
    if (recovered) {
      log.reset();
      log = Recover();
    }
    const std::size_t before = spill_.Names().size();
    std::uint64_t target = 0;
    int segments = 0;
    std::uint32_t last = 0;
    log->ForEach([&](LogRecord& record, std::uint64_t) {
      if (record.segment != last) {
        last = record.segment;
        if (++segments == 4) return false;
      }
      target = record.header.ssn;
      return true;
    });
    log->Trim(1, target);
    EXPECT_EQ(spill_.Names().size(), before - 3);
  }
  log->Trim(1, messages.size());
  EXPECT_THAT(spill_.Names(), ElementsAre());
}

TEST_F(PayloadLogTest, TheFastPathAsksTheSystemForNothing) {
  FaultEnvironment counting(environment_);
  options_.memory = 64 << 20;
  options_.segment_size = 4 << 20;
  const std::unique_ptr<PayloadLog> log = PayloadLog::Create(&counting, options_);
  log->Prepare(8 << 20);
  Append(log.get(), {1, 1, 8, 0});
  const std::uint64_t before = counting.count(FaultPoint::kAny);
  for (std::uint64_t ssn = 2; ssn < 10000; ++ssn) {  // 128 bytes each: 1.25 MiB
    LogRecord* const record = Append(log.get(), {1, ssn, 8, 0});
    log->Pin(record);
    log->Unpin(record);
  }
  EXPECT_EQ(counting.count(FaultPoint::kAny), before);
}

TEST_F(PayloadLogTest, PrepareAheadStopsAtItsGoalAndAtTheLimit) {
  options_.memory = 128 << 20;
  options_.segment_size = 4 << 20;
  std::unique_ptr<PayloadLog> log = Create();
  int steps = 0;
  while (log->PrepareAhead()) ASSERT_LT(++steps, 10000);
  EXPECT_GE(log->bytes_in_memory(), 4U << 20);
  EXPECT_LE(log->bytes_in_memory(), 16U << 20);
  FillUntilSegment(log.get(), 3, 100000);
  log->Remove();

  options_.memory = 2 << 20;
  log = Create();
  while (log->PrepareAhead()) ASSERT_LT(++steps, 10000);
  EXPECT_LE(log->bytes_in_memory(), options_.memory);
  FillUntilSegment(log.get(), 3, 100000);
  EXPECT_LE(log->bytes_in_memory(), options_.memory);
}

TEST_F(PayloadLogTest, PrepareAheadDoesNotFailWhenTheDirectoryIsFull) {
  FaultEnvironment faults(environment_);
  options_.memory = 64 << 20;
  options_.segment_size = 8 << 20;
  const std::unique_ptr<PayloadLog> log = PayloadLog::Create(&faults, options_);
  faults.LimitDisk(100);
  EXPECT_FALSE(log->PrepareAhead());
  EXPECT_FALSE(log->PrepareAhead());
  Append(log.get(), {1, 1, 100, 0});
}

TEST_F(PayloadLogTest, RemovePayloadLogRemovesThisRanksFilesOnly) {
  options_.spill_directory = spill_.path();
  const std::unique_ptr<PayloadLog> log = Create();
  FillUntilSegment(log.get(), 30);
  PayloadLogOptions other = options_;
  other.rank = 33;
  PayloadLog::Create(environment_, other);
  WriteBytes(spill_ / SpillFileName(0x9999, 3, 1), {'x'});
  EXPECT_TRUE(PayloadLogExists(environment_, options_.directory, 3));
  RemovePayloadLog(environment_, options_);
  EXPECT_FALSE(PayloadLogExists(environment_, options_.directory, 3));
  EXPECT_TRUE(PayloadLogExists(environment_, options_.directory, 33));
  EXPECT_THAT(memory_.Names(), ElementsAre("rank-33.payload-1"));
  EXPECT_THAT(spill_.Names(), ElementsAre(SpillFileName(0x9999, 3, 1)));
}

}  // namespace
}  // namespace ftmpi::logging
