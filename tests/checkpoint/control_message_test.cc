// Control messages and cut records as bytes: what COORDINATION.md says, and nothing else.
#include "checkpoint/control_message.h"

#include <gtest/gtest.h>

#include <random>

#include "checkpoint/coordination.h"

namespace ftmpi::checkpoint {
namespace {

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::vector<ControlMessage> Examples() {
  std::vector<ControlMessage> all;
  for (int type = 1; type <= 15; ++type) {
    ControlMessage message;
    message.type = static_cast<ControlType>(type);
    message.epoch = 3;
    message.csn = 300;
    switch (message.type) {
      case ControlType::kTaken: {
        message.mechanism = 2;
        all.push_back(message);
        message.mechanism = 1;
        message.part = 1;
        message.last = false;
        message.received = 1000;
        message.sent = {{0, 5}, {1, 1}, {99, ~std::uint64_t{0}}};
        break;
      }
      case ControlType::kFailed:
      case ControlType::kRequest:
        message.reason = 2;
        break;
      case ControlType::kExpect:
        message.outstanding = 7;
        break;
      case ControlType::kReceived:
      case ControlType::kTrim:
      case ControlType::kIndex:
        message.received = 12;
        break;
      case ControlType::kAcknowledge:
        message.received = 12;
        message.received_at_cut = 11;
        break;
      default:
        break;
    }
    all.push_back(message);
  }
  return all;
}

TEST(ControlMessageTest, BytesAreThoseOfTheDocument) {
  ControlMessage message;
  message.type = ControlType::kTaken;
  message.epoch = 1;
  message.csn = 300;
  message.mechanism = 1;
  message.received = 5;
  message.sent = {{2, 9}, {7, 128}};
  std::vector<std::byte> bytes;
  EncodeControl(message, &bytes);
  //                       ver type epoch csn      mech part last recv n  step sent step sent
  EXPECT_EQ(bytes, Bytes({1, 2, 1, 0xac, 2, 1, 0, 1, 5, 2, 2, 9, 5, 0x80, 1}));
  message = {};
  message.type = ControlType::kAcknowledge;
  message.received = 12;
  message.received_at_cut = 11;
  EncodeControl(message, &bytes);
  EXPECT_EQ(bytes, Bytes({1, 6, 0, 0, 12, 11}));
}

TEST(ControlMessageTest, ThereAndBack) {
  for (const ControlMessage& message : Examples()) {
    std::vector<std::byte> bytes;
    EncodeControl(message, &bytes);
    ControlMessage back;
    ASSERT_TRUE(DecodeControl(bytes, 100, &back)) << static_cast<int>(message.type);
    EXPECT_EQ(back, message);
  }
}

TEST(ControlMessageTest, TruncatedAndLengthened) {
  for (const ControlMessage& message : Examples()) {
    std::vector<std::byte> bytes;
    EncodeControl(message, &bytes);
    ControlMessage back;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(DecodeControl(std::span(bytes).first(length), 100, &back));
    }
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(DecodeControl(bytes, 100, &back));
  }
}

TEST(ControlMessageTest, ValuesOutOfRange) {
  ControlMessage back;
  EXPECT_FALSE(DecodeControl(Bytes({2, 1, 0, 1}), 4, &back)) << "version";
  EXPECT_FALSE(DecodeControl(Bytes({1, 0, 0, 1}), 4, &back)) << "type";
  EXPECT_FALSE(DecodeControl(Bytes({1, 16, 0, 1}), 4, &back)) << "type";
  EXPECT_FALSE(DecodeControl(Bytes({1, 1, 0, 0x80, 0x80, 0x80, 0x80, 4}), 4, &back)) << "CSN 2^30";
  EXPECT_TRUE(DecodeControl(Bytes({1, 1, 0, 0xff, 0xff, 0xff, 0xff, 3}), 4, &back));
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 3}), 4, &back)) << "mechanism";
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 2, 0, 0}), 4, &back)) << "last";
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 1, 4, 1}), 4, &back)) << "rank";
  EXPECT_TRUE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 1, 3, 1}), 4, &back));
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 1, 3, 0}), 4, &back)) << "0 messages";
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 2, 1, 1, 0, 1}), 4, &back)) << "twice";
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 2, 1, 1, 3, 1}), 4, &back)) << "rank";
  EXPECT_FALSE(DecodeControl(Bytes({1, 2, 0, 1, 1, 0, 1, 0, 9, 1, 1}), 4, &back)) << "count";
  EXPECT_FALSE(DecodeControl(Bytes({1, 3, 0, 1, 3}), 4, &back)) << "reason";
  EXPECT_FALSE(DecodeControl(Bytes({1, 4, 0, 1, 0}), 4, &back)) << "nothing outstanding";
  EXPECT_FALSE(DecodeControl(Bytes({1, 6, 0, 1, 1, 2}), 4, &back)) << "more at the cut";
  EXPECT_FALSE(DecodeControl(Bytes({1, 9, 0, 1, 5}), 4, &back)) << "reason";
}

// Whatever is accepted is exactly what would be written: no two spellings of one message.
TEST(ControlMessageTest, DamagedBytesAreRefusedOrMeanSomethingElse) {
  std::mt19937_64 random(7);
  std::uint64_t accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    std::vector<ControlMessage> examples = Examples();
    std::vector<std::byte> bytes;
    EncodeControl(examples[random() % examples.size()], &bytes);
    bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << (random() % 8));
    ControlMessage back;
    if (!DecodeControl(bytes, 100, &back)) continue;
    ++accepted;
    std::vector<std::byte> again;
    EncodeControl(back, &again);
    ASSERT_EQ(again, bytes);
  }
  EXPECT_GT(accepted, 0u);
}

TEST(ControlMessageTest, PartsFit) {
  ControlMessage message;
  message.type = ControlType::kTaken;
  message.mechanism = 1;
  message.epoch = ~std::uint32_t{0};
  message.csn = kMaximumCoordinatedCsn;
  message.received = message.part = ~std::uint64_t{0};
  for (int r = 0; r < 300; ++r) message.sent.emplace_back(r * 7, ~std::uint64_t{0} >> (r % 64));
  for (std::size_t maximum = kLeastControlBytes; maximum < 4000; maximum += 13) {
    const std::size_t count = EntriesThatFit(message, 0, maximum);
    ASSERT_GT(count, 0u);
    ControlMessage part = message;
    part.sent.resize(count);
    std::vector<std::byte> bytes;
    EncodeControl(part, &bytes);
    ASSERT_LE(bytes.size(), maximum);
  }
}

CutRecord ExampleCut() {
  CutRecord record;
  record.epoch = 2;
  record.csn = 9;
  record.rank = 3;
  record.channels = {{1, 10, 0}, {5, 0, 200}, {9, 1, 1}};
  return record;
}

TEST(CutRecordTest, Bytes) {
  EXPECT_EQ(EncodeCut(ExampleCut()), Bytes({1, 2, 9, 3, 3, 1, 10, 0, 4, 0, 0xc8, 1, 4, 1, 1}));
  EXPECT_EQ(DecodeCut(EncodeCut(ExampleCut()), 10), ExampleCut());
}

TEST(CutRecordTest, OthersAreRefused) {
  const auto bytes = EncodeCut(ExampleCut());
  EXPECT_FALSE(DecodeCut(bytes, 9).has_value()) << "a smaller job";
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(DecodeCut(std::span(bytes).first(length), 10).has_value());
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(DecodeCut(longer, 10).has_value());
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    const auto back = DecodeCut(damaged, 10);
    if (back) {
      EXPECT_EQ(EncodeCut(*back), damaged);
    }
  }
}

TEST(CutRecordTest, WhatIsInTransit) {
  CutRecord sender;
  sender.rank = 0;
  sender.channels = {{1, 7, 0}};
  CutRecord receiver;
  receiver.rank = 1;
  receiver.channels = {{0, 0, 4}};
  EXPECT_EQ(InTransit(sender, receiver), (MessageRange{5, 7}));
  EXPECT_EQ(InTransit(sender, receiver).count(), 3u);
  EXPECT_EQ(InTransit(receiver, sender).count(), 0u);
}

// Figure 1: cut a is not consistent, since P1 has recorded a message that P2 has not sent.
TEST(CutRecordTest, Contradictions) {
  std::vector<CutRecord> cuts(2);
  cuts[0].rank = 0;
  cuts[1].rank = 1;
  cuts[0].csn = cuts[1].csn = 4;
  EXPECT_EQ(Contradiction(cuts), "");
  cuts[0].channels = {{1, 0, 1}};
  EXPECT_EQ(Contradiction(cuts),
            "checkpoint 4: rank 0 has received 1 messages of rank 1, which has sent 0");
  cuts[1].channels = {{0, 1, 0}};
  EXPECT_EQ(Contradiction(cuts), "");
  cuts[1].csn = 5;
  EXPECT_EQ(Contradiction(cuts), "rank 1 has checkpoint 5, rank 0 has 4");
  cuts[1].rank = 0;
  EXPECT_EQ(Contradiction(cuts), "the cut of rank 0 stands in place of that of rank 1");
}

}  // namespace
}  // namespace ftmpi::checkpoint
