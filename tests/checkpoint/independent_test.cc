// Independent checkpoints and what Lemmas 2.4 and 2.5 let go.
#include "checkpoint/independent.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/control_message.h"

namespace ftmpi::checkpoint {
namespace {

using Calls = std::vector<std::string>;

class RecordingHost final : public UncoordinatedHost {
 public:
  void SendControl(int destination, std::span<const std::byte> message) override {
    ControlMessage decoded;
    ASSERT_TRUE(DecodeControl(message, 100, &decoded));
    ASSERT_EQ(decoded.type, ControlType::kTrim);
    calls.push_back("tell " + std::to_string(destination) + " " + std::to_string(decoded.received));
  }
  void TakeCheckpoint(std::uint32_t number) override {
    calls.push_back("take " + std::to_string(number));
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
};

UncoordinatedConfiguration Configured(int rank, int size) {
  UncoordinatedConfiguration configuration;
  configuration.rank = rank;
  configuration.size = size;
  return configuration;
}

void Take(IndependentCheckpoints* rank, std::uint32_t number, std::uint64_t interval) {
  rank->Request(Reason::kRequest);
  rank->OnTick(1);
  rank->Cut(interval, interval);
  rank->OnTaken(number, true);
}

TEST(IndependentTest, NothingGoesBeforeTheRecoveryStateHasPassedTheCheckpoint) {
  RecordingHost host;
  IndependentCheckpoints rank(Configured(1, 4), &host);
  for (int i = 0; i < 3; ++i) rank.OnMessage(rank.ChannelOf(2));
  rank.OnMessage(rank.ChannelOf(1));
  Take(&rank, 1, 4);
  rank.OnMessage(rank.ChannelOf(2));
  Take(&rank, 2, 5);
  EXPECT_EQ(host.calls, (Calls{"take 1", "take 2"}));
  host.calls.clear();
  rank.OnCommittable(3);
  EXPECT_EQ(host.calls, Calls{});
  rank.OnCommittable(4);  // checkpoint 1 is the effective one: it stays, what it contains goes
  EXPECT_EQ(host.calls, (Calls{"trim events 4", "trim log 1 1", "tell 2 3"}));
  host.calls.clear();
  rank.OnCommittable(9);
  EXPECT_EQ(host.calls, (Calls{"discard 1", "trim events 5", "tell 2 4"}));
  EXPECT_EQ(rank.kept().size(), 1u);
  // A checkpoint in a state interval that is recoverable already takes effect at once.
  host.calls.clear();
  Take(&rank, 3, 9);
  EXPECT_EQ(host.calls, (Calls{"take 3", "discard 2", "trim events 9"}));
}

TEST(IndependentTest, OlderCheckpointsStayIfThatIsAskedFor) {
  RecordingHost host;
  UncoordinatedConfiguration configuration = Configured(1, 4);
  configuration.keep = 2;
  IndependentCheckpoints rank(configuration, &host);
  rank.OnCommittable(100);
  for (int i = 0; i < 3; ++i) rank.OnMessage(rank.ChannelOf(2));
  Take(&rank, 1, 4);
  rank.OnMessage(rank.ChannelOf(2));
  Take(&rank, 2, 5);
  // With one effective checkpoint the initial state is the second that stays: it needs everything.
  // With two of them the older one is what is needed least far back.
  EXPECT_EQ(host.calls, (Calls{"take 1", "take 2", "trim events 4", "tell 2 3"}));
  EXPECT_EQ(rank.kept().size(), 2u);
  host.calls.clear();
  Take(&rank, 3, 9);
  EXPECT_EQ(host.calls, (Calls{"take 3", "discard 1", "trim events 5", "tell 2 4"}));
  EXPECT_EQ(rank.kept().size(), 2u);
}

TEST(IndependentTest, TheFirstIntervalIsShorterByThePhase) {
  RecordingHost host;
  UncoordinatedConfiguration configuration = Configured(1, 4);
  configuration.interval = 100;
  configuration.phase = 70;
  IndependentCheckpoints rank(configuration, &host);
  rank.OnTick(1000);
  rank.OnTick(1029);
  EXPECT_EQ(host.calls, Calls{});
  rank.OnTick(1030);
  EXPECT_EQ(host.calls, Calls{"take 1"});
  rank.Cut(1, 1);
  rank.OnTaken(1, true);
  rank.OnTick(1129);
  EXPECT_EQ(host.calls, Calls{"take 1"});
  rank.OnTick(1130);
  EXPECT_EQ(host.calls, (Calls{"take 1", "take 2"}));
}

TEST(IndependentTest, AFailedCheckpointLeavesTheOneBefore) {
  RecordingHost host;
  IndependentCheckpoints rank(Configured(1, 4), &host);
  rank.OnCommittable(100);
  Take(&rank, 1, 4);
  host.calls.clear();
  rank.Request(Reason::kRequest);
  rank.OnTick(1);
  rank.Cut(5, 5);
  rank.Request(Reason::kRequest);
  rank.OnTick(2);
  EXPECT_EQ(host.calls, Calls{"take 2"}) << "one at a time";
  rank.OnTaken(2, false);
  EXPECT_EQ(host.calls, (Calls{"take 2", "discard 2"}));
  rank.OnTick(3);
  EXPECT_EQ(host.calls.back(), "take 3");
  rank.OnTaken(3, false);  // without a cut
  EXPECT_FALSE(rank.busy());
  EXPECT_EQ(rank.kept().size(), 1u);
}

TEST(IndependentTest, Triggers) {
  RecordingHost host;
  UncoordinatedConfiguration configuration = Configured(0, 2);
  configuration.interval = 100;
  configuration.every = 3;
  IndependentCheckpoints rank(configuration, &host);
  rank.OnTick(1000);
  rank.OnTick(1099);
  EXPECT_TRUE(host.calls.empty());
  rank.OnTick(1100);
  EXPECT_EQ(host.calls, Calls{"take 1"});
  rank.Cut(0, 0);
  rank.OnTaken(1, true);
  for (int i = 0; i < 3; ++i) {
    rank.OnTick(1101);
    EXPECT_EQ(host.calls.back(), "trim events 0");
    rank.OnMessage(rank.ChannelOf(1));
  }
  rank.OnTick(1101);
  EXPECT_EQ(host.calls.back(), "take 2");
}

TEST(IndependentTest, ASenderDropsWhatItIsTold) {
  RecordingHost host;
  IndependentCheckpoints rank(Configured(0, 2), &host);
  ControlMessage message;
  message.type = ControlType::kTrim;
  message.received = 7;
  std::vector<std::byte> bytes;
  EncodeControl(message, &bytes);
  EXPECT_TRUE(rank.OnControl(1, bytes));
  EXPECT_TRUE(rank.OnControl(1, bytes));
  message.received = 6;
  EncodeControl(message, &bytes);
  EXPECT_TRUE(rank.OnControl(1, bytes));
  EXPECT_EQ(host.calls, Calls{"trim log 1 7"});
  message.type = ControlType::kMarker;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(rank.OnControl(1, bytes));
}

TEST(IndependentTest, Restore) {
  RecordingHost host;
  std::vector<KeptCheckpoint> on_storage(3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::uint64_t number = 3 - i;
    on_storage[i].number = static_cast<std::uint32_t>(number);
    on_storage[i].interval = on_storage[i].position = 10 * number;
    on_storage[i].cut.rank = 1;
    on_storage[i].cut.channels = {{0, 5 * number, 4 * number}};
  }
  IndependentCheckpoints rank(Configured(1, 2), &host);
  rank.Restore(2, on_storage);
  EXPECT_EQ(host.calls, Calls{"discard 3"});
  EXPECT_EQ(rank.ChannelOf(0)->sent, 10u);
  EXPECT_EQ(rank.ChannelOf(0)->received, 8u);
  Take(&rank, 4, 21);  // numbers are not used twice
  EXPECT_EQ(rank.kept().size(), 1u + 1u);
  IndependentCheckpoints other(Configured(1, 2), &host);
  EXPECT_THROW(other.Restore(7, on_storage), std::invalid_argument);
  IndependentCheckpoints wrong(Configured(0, 2), &host);
  EXPECT_THROW(wrong.Restore(2, on_storage), std::invalid_argument);
  EXPECT_THROW(IndependentCheckpoints(Configured(2, 2), &host), std::invalid_argument);
}

}  // namespace
}  // namespace ftmpi::checkpoint
