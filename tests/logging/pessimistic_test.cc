// Sender-based message logging, rule by rule (thesis ch. 3).
#include "logging/pessimistic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/logging/protocol_test_util.h"

namespace ftmpi::logging {
namespace {

using Network = ProtocolNetwork;

// 3.2.3: the RSN goes to the sender, the sender acknowledges, and until then nothing leaves.
TEST(Pessimistic, NoMessageBeforeTheAcknowledgement) {
  Network network(Mode::kPessimistic, {0, 1, 2});
  EXPECT_FALSE(network[1].sends_held());
  network.Event(1, 0);
  EXPECT_TRUE(network[1].sends_held());
  EXPECT_EQ(network[1].CommittableInterval(), 0u);
  EXPECT_FALSE(network.Send(1, 2));
  EXPECT_FALSE(network.Send(1, 2));  // asked again: nothing is sent twice
  EXPECT_EQ(network.Waiting(1, 0), 1u);
  EXPECT_EQ(network.controls, 1);
  network.MoveChannel(1, 0);
  ASSERT_EQ(network.Held(0).size(), 1u);
  EXPECT_EQ(network.Held(0)[0].rank, 1);
  EXPECT_EQ(network.Held(0)[0].index, 1u);
  EXPECT_EQ(network.Held(0)[0].source, 0);
  EXPECT_FALSE(network.Send(1, 2));
  EXPECT_EQ(network.Waiting(0, 1), 1u);  // acknowledged at once: it was asked for
  network.Move();
  EXPECT_FALSE(network[1].sends_held());
  EXPECT_TRUE(network.Send(1, 2));
  EXPECT_EQ(network[1].CommittableInterval(), 1u);
  EXPECT_EQ(network.controls, 2);
}

// To itself a rank may send always: it depends on itself anyway.
TEST(Pessimistic, MessagesToItself) {
  Network network(Mode::kPessimistic, {0, 1});
  network.Event(0, 0);
  EXPECT_TRUE(network.Send(0, 0));
  EXPECT_FALSE(network[0].piggyback_pending() && !network[0].TakePiggyback(0).empty());
  network[0].Flush();
  EXPECT_EQ(network.Waiting(0, 1), 1u);
}

// An event that is no delivery, or that delivers a message of the own failure unit, is held by the
// rank with the same place in the next unit.
TEST(Pessimistic, AnotherFailureUnitHolds) {
  Network network(Mode::kPessimistic, {0, 0, 0, 1, 1, 1});
  network.Event(1);
  network.Event(1, 0);
  network[1].Flush();
  network.Move();
  EXPECT_EQ(network.Held(4).size(), 2u);
  EXPECT_EQ(network[1].CommittableInterval(), 2u);
  network.Event(1, 5);
  network[1].Flush();
  network.Move();
  EXPECT_EQ(network.Held(5).size(), 1u);
  EXPECT_EQ(network[1].CommittableInterval(), 3u);
  EXPECT_TRUE(network.Held(0).empty());
}

TEST(Pessimistic, OneFailureUnitCostsNothing) {
  Network network(Mode::kPessimistic, {3, 3, 3});
  for (int i = 0; i < 10; ++i) network.Event(0, 1);
  EXPECT_FALSE(network[0].sends_held());
  EXPECT_FALSE(network[0].piggyback_pending());
  EXPECT_EQ(network[0].CommittableInterval(), 10u);
  network[0].Flush();
  network.IdlePolls(0);
  EXPECT_EQ(network.controls, 0);
}

// Figure 3.4: as long as requests and replies go between the same two processes RSNs and
// acknowledgements ride on them; when the sequence ends two packets more are needed.
TEST(Pessimistic, Figure34RequestsAndReplies) {
  Network network(Mode::kPessimistic, {0, 1});
  for (int exchange = 0; exchange < 100; ++exchange) {
    ASSERT_TRUE(network.Send(0, 1));
    network.Event(1, 0);
    ASSERT_TRUE(network.Send(1, 0));
    network.Event(0, 1);
  }
  EXPECT_EQ(network.messages, 200);
  EXPECT_EQ(network.controls, 0);
  network.IdlePolls(0);
  network.Move();
  network.IdlePolls(1);
  network.Move();
  EXPECT_EQ(network.controls, 2);
  EXPECT_EQ(network[0].CommittableInterval(), 100u);
  EXPECT_EQ(network[1].CommittableInterval(), 100u);
  EXPECT_EQ(network.Held(0).size(), 100u);
  EXPECT_EQ(network.Held(1).size(), 100u);
}

// Figure 3.5: a blast of n packets and its reply: two additional packets, instead of 2n.
TEST(Pessimistic, Figure35Blast) {
  Network network(Mode::kPessimistic, {0, 1});
  constexpr int kPackets = 64;
  for (int i = 0; i < kPackets; ++i) ASSERT_TRUE(network.Send(0, 1));
  for (int i = 0; i < kPackets; ++i) network.Event(1, 0);
  std::size_t riding = 0;
  ASSERT_TRUE(network.Send(1, 0, &riding));
  EXPECT_LE(riding, 12u);  // all of the blast's RSNs in one record
  EXPECT_EQ(network.Held(0).size(), static_cast<std::size_t>(kPackets));
  network.Event(0, 1);
  EXPECT_EQ(network.controls, 0);
  network.IdlePolls(0);
  network.Move();
  network.IdlePolls(1);
  network.Move();
  EXPECT_EQ(network.controls, 2);
  EXPECT_EQ(network[1].CommittableInterval(), static_cast<std::uint64_t>(kPackets));
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
}

// 3.2.5: "only when all unacknowledged RSNs ... are destined for the same process".
TEST(Pessimistic, PiggybackOnlyWhereAllGo) {
  Network network(Mode::kPessimistic, {0, 1, 2, 3});
  network.Event(0, 1);
  network.Event(0, 2);
  EXPECT_FALSE(network.Send(0, 1));
  EXPECT_FALSE(network.Send(0, 2));
  network.Move();
  EXPECT_TRUE(network.Send(0, 3));
  // What went out before the message, to the same rank, need not be acknowledged either.
  network.Event(0, 1);
  network[0].Flush();
  network.Event(0, 1);
  std::size_t riding = 0;
  EXPECT_EQ(network.Waiting(0, 1), 1u);
  EXPECT_TRUE(network.Send(0, 1, &riding));
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network.Held(1).size(), 3u);
}

// An acknowledgement that was postponed is asked for when a message waits for it.
TEST(Pessimistic, PostponedAcknowledgementIsDemanded) {
  Network network(Mode::kPessimistic, {0, 1, 2});
  network.Event(0, 1);
  ASSERT_TRUE(network.Send(0, 1));  // the determinant rides
  EXPECT_EQ(network.controls, 0);
  EXPECT_TRUE(network[1].piggyback_pending());
  EXPECT_FALSE(network.Send(0, 2));
  EXPECT_EQ(network.Waiting(0, 1), 1u);
  network.MoveChannel(0, 1);
  EXPECT_EQ(network.Waiting(1, 0), 1u);
  network.MoveChannel(1, 0);
  EXPECT_TRUE(network.Send(0, 2));
}

// A master's determinants go to its workers, which compute: it has them acknowledge at once.
TEST(Pessimistic, MasterDoesNotWaitForWorkersThatCompute) {
  Network network(Mode::kPessimistic, {0, 1, 2});
  network.Event(0, 1);
  ASSERT_TRUE(network.Send(0, 1));
  network.Event(0, 2);
  EXPECT_FALSE(network.Send(0, 2));  // the first time it does
  network.Move();
  ASSERT_TRUE(network.Send(0, 2));
  for (int task = 0; task < 20; ++task) {
    const int worker = 1 + task % 2;
    network.Move();
    network.Event(0, worker);
    ASSERT_TRUE(network.Send(0, worker)) << task;
  }
}

// What was written to stable storage is safe without anybody's acknowledgement.
TEST(Pessimistic, StableStorageCounts) {
  Network network(Mode::kPessimistic, {0, 1, 2});
  network.Event(0, 1);
  network.Event(0, 2);
  network.Event(0, 1);
  network[0].OnStable(2);
  EXPECT_EQ(network[0].CommittableInterval(), 2u);
  EXPECT_TRUE(network.Send(0, 1));
  EXPECT_EQ(network.Held(1).size(), 1u);  // the third alone
  network[0].OnStable(3);
  EXPECT_FALSE(network[0].sends_held());
  EXPECT_TRUE(network.Send(0, 2));
  EXPECT_TRUE(network.Held(2).empty());
  network.Move();
  network[1].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 3u);
}

TEST(Pessimistic, MemoryIsBoundedWithoutMessages) {
  Network network(Mode::kPessimistic, {0, 1});
  for (int i = 0; i < 10000; ++i) {
    network.Event(0, 1);
    network.Move();
  }
  EXPECT_GT(network.controls, 10);
  EXPECT_LT(network.controls, 60);
  EXPECT_GT(network[0].CommittableInterval(), 9000u);
}

// What does not fit on a message goes before it, in parts; nothing is lost.
TEST(Pessimistic, TooMuchToRide) {
  Network network(Mode::kPessimistic, {0, 1}, 1, 100, 64);
  for (int i = 0; i < 300; ++i) network.Event(0);  // values: no ranges
  std::size_t riding = 1;
  ASSERT_TRUE(network.Send(0, 1, &riding));
  EXPECT_EQ(riding, 0u);
  EXPECT_GT(network.controls, 10);
  ASSERT_EQ(network.Held(1).size(), 300u);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(network.Held(1)[i].index, i + 1);
    EXPECT_EQ(network.Held(1)[i].value, (i + 1) * 977);
  }
}

TEST(Pessimistic, RefusesWhatCannotBe) {
  Network network(Mode::kPessimistic, {0, 1, 0});
  network.Event(0, 1);
  network[0].Flush();
  const std::vector<std::byte> good = network.Channel(0, 1).front();
  EXPECT_FALSE(network[2].OnControl(0, good));  // of the same failure unit
  EXPECT_TRUE(network[1].OnControl(0, good));
  EXPECT_FALSE(network[1].OnControl(0, good));  // the same once more
  EXPECT_FALSE(network[1].OnControl(2, good));  // of another rank than its sender
  ProtocolDataWriter writer;
  writer.Begin();
  writer.AddHeld(0, 2);  // more than was ever sent
  EXPECT_FALSE(network[0].OnControl(1, writer.Finish()));
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
}

}  // namespace
}  // namespace ftmpi::logging
