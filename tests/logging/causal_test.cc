// Causal logging, rule by rule.
#include "logging/causal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/logging/protocol_test_util.h"

namespace ftmpi::logging {
namespace {

using Network = ProtocolNetwork;

// A determinant rides to each rank that does not have it, once, until another unit is known to hold
// it.
TEST(Causal, RidesUntilStable) {
  Network network(Mode::kCausal, {0, 1, 2, 3});
  network.Event(0, 1);
  EXPECT_FALSE(network[0].sends_held());
  std::size_t riding = 0;
  network.Send(0, 1, &riding);
  EXPECT_GT(riding, 0u);
  network.Send(0, 1, &riding);
  EXPECT_EQ(riding, 0u);
  network.Send(0, 2, &riding);  // rank 0 can't know yet that rank 1 holds it
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network.Held(1).size(), 1u);
  EXPECT_EQ(network.Held(2).size(), 1u);
  network.Send(1, 0, &riding);  // the acknowledgement
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  EXPECT_FALSE(network[0].piggyback_pending());
  network.Send(0, 3, &riding);
  EXPECT_EQ(riding, 0u);
  // For f = 1 rank 2 never passes it on: two units hold it.
  network.Send(2, 3, &riding);
  EXPECT_EQ(riding, 0u);
  EXPECT_EQ(network.controls, 0);
}

// Within the creator's failure unit nothing is gained: the determinant is passed on.
TEST(Causal, PassedOnWithinTheUnit) {
  Network network(Mode::kCausal, {0, 0, 1, 1});
  network.Event(0, 2);
  std::size_t riding = 0;
  network.Send(0, 1, &riding);
  EXPECT_GT(riding, 0u);
  EXPECT_TRUE(network.Held(1).empty());  // rank 0's own log is as safe
  EXPECT_LT(network[1].CommittablePosition(), network[1].OutputPosition());
  network.Send(1, 2, &riding);
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network.Held(2).size(), 1u);
  network.Send(2, 1, &riding);  // acknowledged to rank 1
  EXPECT_EQ(network[1].CommittablePosition(), network[1].OutputPosition());
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network.Send(1, 0, &riding);  // which tells rank 0
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  EXPECT_EQ(network.controls, 0);
}

// News of stability needs no other reason to ride; it rides once.
TEST(Causal, StabilityIsToldWithinTheUnit) {
  Network network(Mode::kCausal, {0, 0, 1, 1});
  network.Event(0, 2);
  std::size_t riding = 0;
  network.Send(0, 1, &riding);
  network.Send(1, 0, &riding);  // the acknowledgement
  network.Send(1, 0, &riding);
  EXPECT_EQ(riding, 0u);
  network.Send(1, 2, &riding);
  network.Send(2, 1, &riding);
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
  network.Send(1, 0, &riding);
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  network.Send(1, 0, &riding);
  EXPECT_EQ(riding, 0u);
}

// A determinant of the second unit on the list is pushed to those that are missing, no others.
TEST(Causal, PushOfForeignDeterminants) {
  Network network(Mode::kCausal, {0, 1, 2, 3, 4}, 3);
  network.Event(1, 0);
  network.Send(1, 0);
  network.Event(0, 1);
  network[0].Flush();
  EXPECT_EQ(network.controls, 3);
  network.Move();
  EXPECT_EQ(network[0].CommittablePosition(), network[0].OutputPosition());
  EXPECT_EQ(network.Held(2).size(), 2u);
  EXPECT_EQ(network.Held(3).size(), 2u);
  EXPECT_TRUE(network.Held(4).empty());
}

// f = 2: three units must hold it, so the second passes it on to a third.
TEST(Causal, FTwo) {
  Network network(Mode::kCausal, {0, 1, 2, 3}, 2);
  network.Event(0, 1);
  std::size_t riding = 0;
  network.Send(0, 1, &riding);
  network.Send(1, 2, &riding);
  EXPECT_GT(riding, 0u);
  EXPECT_EQ(network.Held(2).size(), 1u);
  network.Send(2, 3, &riding);  // ranks 0 (its log), 1 and 2: enough
  EXPECT_EQ(riding, 0u);
  EXPECT_TRUE(network.Held(3).empty());
  network.Send(1, 0, &riding);
  EXPECT_EQ(network[0].CommittableInterval(), 0u);  // two that rank 0 knows of
  network[0].Flush();
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
}

// f is at most the number of other units.
TEST(Causal, FBeyondTheUnits) {
  Network network(Mode::kCausal, {0, 1, 2}, 7);
  network.Event(0, 1);
  network[0].Flush();
  EXPECT_EQ(network.controls, 2);
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 1u);
  EXPECT_EQ(network.controls, 4);
}

TEST(Causal, OneFailureUnitOrFZeroCostsNothing) {
  for (const int f : {0, 1, 3}) {
    const std::vector<int> unit = f == 0 ? std::vector<int>{0, 1, 2} : std::vector<int>{5, 5, 5};
    Network network(Mode::kCausal, unit, f);
    for (int i = 0; i < 10; ++i) network.Event(0, 1);
    EXPECT_FALSE(network[0].piggyback_pending());
    EXPECT_EQ(network[0].CommittableInterval(), 10u);
    EXPECT_EQ(network[0].CommittablePosition(), network[0].OutputPosition());
    network[0].Flush();
    EXPECT_EQ(network.controls, 0);
  }
}

// The slides' example: m3 carries #m1, #m2 and m5 carries #m3.
TEST(Causal, SlidesExample) {
  Network network(Mode::kCausal, {0, 1, 2});
  std::size_t riding = 0;
  network.Event(0, 1);          // m1
  network.Event(0, 2);          // m2
  network.Send(0, 1, &riding);  // m3
  ASSERT_EQ(network.Held(1).size(), 2u);
  network.Event(1, 0);          // delivery of m3
  network.Send(1, 2, &riding);  // m5
  ASSERT_EQ(network.Held(2).size(), 1u);
  EXPECT_EQ(network.Held(2)[0].rank, 1);
  EXPECT_EQ(network.Held(2)[0].source, 0);
}

// Output: asked for once, acknowledged, released; nothing is sent again meanwhile.
TEST(Causal, FlushPushesOnce) {
  Network network(Mode::kCausal, {0, 1, 2});
  for (int i = 0; i < 50; ++i) network.Event(0, 2);
  network[0].Flush();
  network[0].Flush();
  EXPECT_EQ(network.controls, 1);
  EXPECT_EQ(network.Waiting(0, 1), 1u);
  network.Move();
  EXPECT_EQ(network[0].CommittableInterval(), 50u);
  EXPECT_EQ(network.controls, 2);
  network[0].Flush();
  EXPECT_EQ(network.controls, 2);
}

TEST(Causal, MemoryIsBoundedWithoutAnswers) {
  Network network(Mode::kCausal, {0, 1, 2});
  for (int i = 0; i < 100000; ++i) {
    network.Event(0, 2);
    network.Send(0, 2);  // which never sends anything
    network.Move();
  }
  EXPECT_GT(network.controls, 10);
  EXPECT_LT(network.controls, 100);
  EXPECT_GT(network[0].CommittableInterval(), 90000u);
}

TEST(Causal, TooMuchToRide) {
  Network network(Mode::kCausal, {0, 1, 2}, 1, 50, 64);
  for (int i = 0; i < 1000; ++i) network.Event(0);
  std::size_t riding = 1;
  network.Send(0, 1, &riding);
  EXPECT_EQ(riding, 0u);
  EXPECT_GT(network.controls, 20);
  ASSERT_EQ(network.Held(1).size(), 1000u);
  EXPECT_EQ(network.Held(1)[999].value, 1000u * 977);
  network.Send(1, 0, &riding);
  EXPECT_LE(riding, 8u);
  EXPECT_EQ(network[0].CommittableInterval(), 1000u);
}

TEST(Causal, RefusesWhatCannotBe) {
  Network network(Mode::kCausal, {0, 1, 2});
  network.Event(0, 1);
  ProtocolDataWriter writer;
  const auto refused = [&] { return !network[0].OnControl(1, writer.Finish()); };
  Determinant determinant;
  determinant.rank = 0;
  determinant.index = 1;
  writer.Begin();
  writer.Add(determinant);  // its own event
  EXPECT_TRUE(refused());
  determinant.rank = 1;
  determinant.index = 5;
  writer.Begin();
  writer.Add(determinant);
  determinant.index = 4;
  writer.Add(determinant);  // out of order
  EXPECT_TRUE(refused());
  EXPECT_TRUE(network.Held(0).empty());
  writer.Begin();
  writer.AddHeld(0, 2);  // an event that did not happen
  EXPECT_TRUE(refused());
  writer.Begin();
  writer.AddRequest(0, 1);
  EXPECT_TRUE(refused());
  EXPECT_EQ(network[0].CommittableInterval(), 0u);
}

}  // namespace
}  // namespace ftmpi::logging
