// Optimistic logging (thesis ch. 4): output commitment by Lemma 2.3.
#include "logging/optimistic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/logging/protocol_test_util.h"

namespace ftmpi::logging {
namespace {

using Network = ProtocolNetwork;

TEST(Optimistic, NothingIsHeldNothingRides) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  network.Event(0, 1);
  network.Depend(0, 1, 3);
  EXPECT_FALSE(network[0].sends_held());
  EXPECT_FALSE(network[0].piggyback_pending());
  EXPECT_TRUE(network[0].MaySend(2));
  EXPECT_TRUE(network[0].TakePiggyback(2).empty());
  network.IdlePolls(0);
  EXPECT_EQ(network.controls, 0);
}

TEST(Optimistic, OwnEventsMustBeStable) {
  Network network(Mode::kOptimistic, {0, 1});
  network.Event(0);
  network.Event(0);
  network[0].Flush();
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network[0].OnStable(1);
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network[0].OnStable(2);
  EXPECT_EQ(network[0].CommittableInterval(), 2u);
  EXPECT_EQ(network.controls, 0);
}

// The sender's interval is asked for, once, and answered when it is stable.
TEST(Optimistic, WaitsForWhatItDependsOn) {
  Network network(Mode::kOptimistic, {0, 1});
  for (int i = 0; i < 5; ++i) network.Event(1);
  network.Depend(0, 1, 4);
  network[0].OnStable(1);
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network[0].Flush();
  network[0].Flush();
  EXPECT_EQ(network.controls, 1);
  network.Move();
  EXPECT_EQ(network.controls, 1);
  EXPECT_TRUE(network[1].stable_wanted());
  network[1].OnStable(3);
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network[1].OnStable(4);
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  EXPECT_FALSE(network[1].stable_wanted());
  EXPECT_EQ(network.controls, 2);
}

// The dependency goes on: rank 2 passes on what it had from rank 1, in an interval of its own.
TEST(Optimistic, TransitiveDependencies) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  network.Event(1);
  network.Depend(2, 1, 1);
  network.Depend(0, 2, 1);
  network[0].OnStable(1);
  network[2].OnStable(1);
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 0u);  // rank 1's event is not stable
  network[1].OnStable(1);
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
}

// Ranks that depend on each other in turn, a thousand times: one question each way, no circle.
TEST(Optimistic, LongPingPong) {
  Network network(Mode::kOptimistic, {0, 1});
  std::uint64_t interval[2] = {0, 0};
  for (int i = 0; i < 1000; ++i) {
    network.Depend(1, 0, interval[0]);
    ++interval[1];
    network.Depend(0, 1, interval[1]);
    ++interval[0];
  }
  network[0].OnStable(1000);
  network[1].OnStable(1000);
  network[0].Flush();
  network[1].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1000u);
  EXPECT_EQ(network[1].CommittableInterval(), 1000u);
  EXPECT_EQ(network.controls, 4);
}

// Output of an interval waits for that interval's dependencies, not for later ones.
TEST(Optimistic, LaterDependenciesDoNotDelay) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  network.Event(1);
  network.Event(2);
  network[1].OnStable(1);
  network.Depend(0, 1, 1);
  network[0].OnStable(1);
  network[0].Flush();
  network.Depend(0, 2, 1);  // never stable
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
}

// What is committed is not asked for again.
TEST(Optimistic, CommittedIntervalsAreRemembered) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  for (int i = 0; i < 10; ++i) network.Event(1);
  network[1].OnStable(10);
  network[1].Flush();
  EXPECT_EQ(network[1].CommittableInterval(), 10u);
  network.Depend(0, 1, 3);
  network[0].OnStable(1);
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network.controls, 2);
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  network.Depend(0, 1, 10);  // told to be committed in the same answer
  network[0].OnStable(2);
  network[0].Flush();
  EXPECT_EQ(network[0].CommittableInterval(), 2u);
  EXPECT_EQ(network.controls, 2);
}

// A round commits the interval that was asked for and no later one.
TEST(Optimistic, CommittedIntervalsAreNotMore) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  for (int i = 0; i < 10; ++i) network.Event(1);
  network[1].OnStable(3);
  network.Depend(0, 1, 3);
  network[0].OnStable(1);
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  network.Depend(0, 1, 4);
  network[0].OnStable(2);
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
}

TEST(Optimistic, MemoryIsBoundedWithoutOutput) {
  Network network(Mode::kOptimistic, {0, 1});
  for (std::uint64_t i = 1; i <= 100000; ++i) {
    network.Event(1);
    network[1].OnStable(i);
    network.Depend(0, 1, i);
    network[0].OnStable(i);
    network.Move();
  }
  EXPECT_GT(network[0].CommittableInterval(), 80000u);
  EXPECT_LT(network.controls, 30);
}

TEST(Optimistic, OneFailureUnitCommitsAtOnce) {
  Network network(Mode::kOptimistic, {1, 1});
  network.Event(0, 1);
  network[0].OnDelivery(1, 7);
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  network[0].Flush();
  EXPECT_EQ(network.controls, 0);
}

TEST(Optimistic, RefusesWhatCannotBe) {
  Network network(Mode::kOptimistic, {0, 1, 2});
  network.Event(0);
  ProtocolDataWriter writer;
  const auto refused = [&] { return !network[0].OnControl(1, writer.Finish()); };
  writer.Begin();
  writer.AddRequest(0, 2);  // an interval that this rank has not reached
  EXPECT_TRUE(refused());
  writer.Begin();
  writer.AddRequest(2, 1);  // meant for another
  EXPECT_TRUE(refused());
  writer.Begin();
  writer.AddStable(2, 1);  // of another
  EXPECT_TRUE(refused());
  writer.Begin();
  writer.AddAnswer(1, 1);  // not asked for
  EXPECT_TRUE(refused());
  writer.Begin();
  writer.AddDependency(2, 1);  // of what?
  EXPECT_TRUE(refused());
  EXPECT_FALSE(network[0].OnPiggyback(1, writer.Finish()));
}

}  // namespace
}  // namespace ftmpi::logging
