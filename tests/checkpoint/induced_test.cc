// Index-based communication-induced checkpoints: the rules by hand.
#include "checkpoint/induced.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/control_message.h"

namespace ftmpi::checkpoint {
namespace {

using Calls = std::vector<std::string>;

UncoordinatedConfiguration Configured(int rank, int size) {
  UncoordinatedConfiguration configuration;
  configuration.rank = rank;
  configuration.size = size;
  return configuration;
}

class RecordingHost final : public UncoordinatedHost {
 public:
  void SendControl(int destination, std::span<const std::byte> message) override {
    ControlMessage decoded;
    ASSERT_TRUE(DecodeControl(message, 100, &decoded));
    calls.push_back("type " + std::to_string(static_cast<int>(decoded.type)) + " to " +
                    std::to_string(destination) + ": " + std::to_string(decoded.csn) + " " +
                    std::to_string(decoded.received));
  }
  void TakeCheckpoint(std::uint32_t number) override {
    calls.push_back("take " + std::to_string(number));
    if (cut_at_once != nullptr) cut_at_once->Cut(0);
  }
  void Discard(std::uint32_t number) override {
    calls.push_back("discard " + std::to_string(number));
  }
  void TrimEvents(std::uint64_t interval) override {
    calls.push_back("trim events " + std::to_string(interval));
  }
  void TrimLog(int destination, std::uint64_t count) override {
    calls.push_back("trim log " + std::to_string(destination) + " " + std::to_string(count));
  }
  Calls calls;
  InducedCheckpoints* cut_at_once = nullptr;
};

TEST(InducedTest, AHigherIndexForcesACheckpointBeforeDelivery) {
  RecordingHost host;
  InducedCheckpoints rank(Configured(1, 3), &host);
  host.cut_at_once = &rank;
  Channel* from2 = rank.ChannelOf(2);
  EXPECT_EQ(rank.OnMessage(from2, 0), Action::kDeliver);
  EXPECT_TRUE(host.calls.empty());
  EXPECT_EQ(rank.OnMessage(from2, 5), Action::kDeliver);
  EXPECT_EQ(host.calls, Calls{"take 5"});
  EXPECT_EQ(rank.index(), 5u);
  EXPECT_EQ(rank.BeforeSend(from2), 5u);
  EXPECT_EQ(rank.OnMessage(from2, 4), Action::kDeliver);
  EXPECT_EQ(host.calls, Calls{"take 5"});
  // It stands for all lines that it jumped over.
  rank.OnTaken(5, true);
  EXPECT_EQ(host.calls, (Calls{"take 5", "type 14 to 0: 5 1"}));
  EXPECT_EQ(rank.kept()[0].cut.Channel(2).received, 1u) << "the message is behind the cut";
}

TEST(InducedTest, MessagesWaitForADeferredCut) {
  RecordingHost host;
  InducedCheckpoints rank(Configured(1, 3), &host);
  Channel* from2 = rank.ChannelOf(2);
  EXPECT_EQ(rank.OnMessage(from2, 2), Action::kCheckpointFirst);
  EXPECT_EQ(rank.OnMessage(from2, 2), Action::kCheckpointFirst);
  EXPECT_EQ(rank.OnMessage(rank.ChannelOf(0), 3), Action::kCheckpointFirst);
  EXPECT_EQ(host.calls, (Calls{"take 2", "take 3"}));
  EXPECT_EQ(rank.Cut(7).csn, 3u);
  EXPECT_EQ(rank.OnMessage(from2, 2), Action::kDeliver);
  EXPECT_EQ(from2->received, 1u);
}

TEST(InducedTest, AFailedCheckpointVoidsItsLines) {
  RecordingHost host;
  InducedCheckpoints rank(Configured(1, 3), &host);
  host.cut_at_once = &rank;
  rank.Request(Reason::kRequest);
  rank.OnTick(1);
  rank.OnTaken(1, false);
  rank.Request(Reason::kRequest);
  rank.OnTick(2);
  rank.OnTaken(2, true);
  EXPECT_EQ(host.calls, (Calls{"take 1", "discard 1", "take 2", "type 14 to 0: 2 2"}));
}

TEST(InducedTest, GreatestLine) {
  EXPECT_EQ(GreatestLine({{{1, 1}, {2, 2}}, {{1, 3}}}), 2u);
  EXPECT_EQ(GreatestLine({{{1, 1}, {3, 3}}, {{1, 2}}}), 1u);
  EXPECT_EQ(GreatestLine({{{1, 1}, {3, 3}}, {{2, 2}}}), 0u);
  EXPECT_EQ(GreatestLine({{{4, 9}}, {{6, 6}, {7, 8}}, {{1, 7}}}), 7u);
  EXPECT_EQ(GreatestLine({{{1, 9}}, {}}), 0u);
}

TEST(InducedTest, ACompleteLineIsAnnouncedAndCollected) {
  RecordingHost host;
  InducedCheckpoints rank(Configured(0, 2), &host);
  host.cut_at_once = &rank;
  for (Csn number = 1; number <= 2; ++number) {
    EXPECT_EQ(rank.OnMessage(rank.ChannelOf(1), number - 1), Action::kDeliver);
    rank.Request(Reason::kRequest);
    rank.OnTick(number);
    rank.OnTaken(number, true);
  }
  host.calls.clear();
  const auto report = [&](Csn first, Csn last) {
    ControlMessage message;
    message.type = ControlType::kIndex;
    message.csn = last;
    message.received = first;
    std::vector<std::byte> bytes;
    EncodeControl(message, &bytes);
    return rank.OnControl(1, bytes);
  };
  EXPECT_TRUE(report(1, 1));
  EXPECT_EQ(host.calls, (Calls{"trim events 0", "type 13 to 1: 1 1", "type 15 to 1: 1 0"}));
  host.calls.clear();
  EXPECT_TRUE(report(2, 4));
  EXPECT_EQ(host.calls,
            (Calls{"discard 1", "trim events 0", "type 13 to 1: 2 2", "type 15 to 1: 2 0"}));
  EXPECT_EQ(rank.line(), 2u);
  EXPECT_FALSE(report(0, 4));
  EXPECT_FALSE(report(5, 4));
}

TEST(InducedTest, LinesThatThisRankHasNotAreRefused) {
  RecordingHost host;
  InducedCheckpoints rank(Configured(1, 2), &host);
  ControlMessage message;
  message.type = ControlType::kLine;
  message.csn = 1;
  std::vector<std::byte> bytes;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(rank.OnControl(0, bytes));
  std::vector<KeptCheckpoint> none;
  EXPECT_THROW(rank.Restore(1, 1, none), std::invalid_argument);
}

}  // namespace
}  // namespace ftmpi::checkpoint
