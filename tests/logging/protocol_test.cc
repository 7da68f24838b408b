// What the three protocols have in common.
#include "logging/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "logging/dependency_vector.h"
#include "logging/protocol_units.h"
#include "logging/rank_map.h"
#include "logging/ring_queue.h"
#include "tests/logging/protocol_test_util.h"

namespace ftmpi::logging {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class NoHost : public ProtocolHost {
 public:
  void SendControl(int, std::span<const std::byte>) override {}
  void Hold(const Determinant&) override {}
};

std::string Refusal(const ProtocolConfiguration& configuration) {
  NoHost host;
  try {
    (void)MakeProtocol(configuration, &host);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(MakeProtocol, RefusesContradictions) {
  ProtocolConfiguration good;
  good.size = 2;
  good.unit = {0, 1};
  EXPECT_EQ(Refusal(good), "");
  ProtocolConfiguration bad = good;
  bad.mode = Mode::kOff;
  EXPECT_THAT(Refusal(bad), HasSubstr("mode 0"));
  bad = good;
  bad.rank = 2;
  EXPECT_THAT(Refusal(bad), HasSubstr("rank 2"));
  bad = good;
  bad.unit = {0};
  EXPECT_THAT(Refusal(bad), HasSubstr("1 of 2 ranks"));
  bad = good;
  bad.causal_f = -1;
  EXPECT_THAT(Refusal(bad), HasSubstr("causal_f is -1"));
  bad = good;
  bad.maximum_control = 10;
  EXPECT_THAT(Refusal(bad), HasSubstr("10 bytes"));
}

TEST(FailureUnits, OneRankOfEachOtherUnit) {
  const std::vector<int> unit = {7, 7, 7, 5, 5, 9};
  EXPECT_THAT(FailureUnits(unit, 0).others(), ElementsAre(5, 3));  // 7, then 9, then 5
  EXPECT_THAT(FailureUnits(unit, 1).others(), ElementsAre(5, 4));
  EXPECT_THAT(FailureUnits(unit, 2).others(), ElementsAre(5, 3));
  EXPECT_THAT(FailureUnits(unit, 4).others(), ElementsAre(1, 5));
  EXPECT_THAT(FailureUnits(unit, 5).others(), ElementsAre(3, 0));
  const FailureUnits units(unit, 4);
  EXPECT_EQ(units.count(), 3);
  EXPECT_TRUE(units.same(3));
  EXPECT_FALSE(units.same(0));
  EXPECT_TRUE(FailureUnits({4, 4}, 1).others().empty());
}

TEST(RankMap, AgainstStdMap) {
  RankMap<int> map;
  std::map<int, int> expected;
  std::uint64_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const int rank = static_cast<int>((state >> 33) % 700) * 64;
    map[rank] = i;
    expected[rank] = i;
    ASSERT_EQ(map.size(), expected.size());
  }
  for (int rank = 0; rank < 700 * 64; ++rank) {
    const int* found = map.Find(rank);
    ASSERT_EQ(found != nullptr, expected.contains(rank));
    if (found != nullptr) {
      ASSERT_EQ(*found, expected[rank]);
    }
  }
}

TEST(RingQueue, WrapsAndGrows) {
  RingQueue<int> queue;
  int next = 0;
  int first = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < round; ++i) queue.push_back(next++);
    for (int i = 0; i < round - 1; ++i) {
      ASSERT_EQ(queue.front(), first++);
      queue.pop_front();
    }
    ASSERT_EQ(queue.size(), static_cast<std::size_t>(next - first));
    for (std::size_t i = 0; i < queue.size(); ++i) ASSERT_EQ(queue[i], first + static_cast<int>(i));
  }
}

TEST(DependencyVector, GreatestOfEach) {
  class DependencyVector vector;
  EXPECT_FALSE(vector.Raise(3, 0));
  EXPECT_TRUE(vector.Raise(3, 5));
  EXPECT_FALSE(vector.Raise(3, 5));
  EXPECT_TRUE(vector.Raise(1, 2));
  EXPECT_EQ(vector[3], 5u);
  EXPECT_EQ(vector[0], 0u);
  EXPECT_THAT(vector.Entries(), ElementsAre(Pair(1, 2), Pair(3, 5)));
}

TEST(WaitingIntervals, OldOnesAreNotKeptWaiting) {
  WaitingIntervals waiting;
  EXPECT_EQ(waiting.first_interval(), WaitingIntervals::kNone);
  for (std::uint64_t i = 1; i <= 100; ++i) waiting.Raise(i, 10 * i, 7 * i);
  EXPECT_EQ(waiting.first_interval(), 1u);
  EXPECT_EQ(waiting.first_position(), 10u);
  EXPECT_EQ(waiting.NeededFor(9), 0u);
  EXPECT_EQ(waiting.NeededFor(25), 14u);
  waiting.Settle(6);
  EXPECT_EQ(waiting.first_interval(), 1u);
  waiting.Settle(7);
  EXPECT_EQ(waiting.first_interval(), 2u);
  waiting.Raise(101, 1010, 707);
  waiting.Settle(21);
  EXPECT_EQ(waiting.first_interval(), 4u);  // 4..100 were widened
  waiting.Settle(700);
  EXPECT_EQ(waiting.first_interval(), 101u);
  waiting.Settle(707);
  EXPECT_EQ(waiting.first_interval(), WaitingIntervals::kNone);
}

class ProtocolsTest : public testing::TestWithParam<Mode> {};

// A recovered rank starts in an interval all of which is stable.
TEST_P(ProtocolsTest, StartsInARecoveredInterval) {
  NoHost host;
  ProtocolConfiguration configuration;
  configuration.mode = GetParam();
  configuration.size = 2;
  configuration.unit = {0, 1};
  configuration.interval = 1000;
  const auto protocol = MakeProtocol(configuration, &host);
  EXPECT_EQ(protocol->CommittableInterval(), 1000u);
  EXPECT_EQ(protocol->CommittablePosition(), protocol->OutputPosition());
  EXPECT_FALSE(protocol->sends_held());
  EXPECT_FALSE(protocol->piggyback_pending());
  Determinant determinant;
  determinant.rank = 0;
  determinant.index = 1001;
  determinant.kind = EventKind::kValue;
  protocol->OnEvent(determinant, -1);
  EXPECT_EQ(protocol->CommittableInterval(), 1000u);
  EXPECT_LT(protocol->CommittablePosition(), protocol->OutputPosition());
}

TEST_P(ProtocolsTest, KnowsItsDependencyVector) {
  ProtocolNetwork network(GetParam(), {0, 1, 2});
  EXPECT_EQ(network[0].known_interval(1), 0u);
  if (GetParam() == Mode::kOptimistic) {
    network.Depend(0, 2, 4);
    network.Depend(0, 1, 9);
  } else {
    network[0].OnDelivery(2, 4);
    network[0].OnDelivery(1, 9);
    network[0].OnDelivery(1, 8);
  }
  EXPECT_EQ(network[0].known_interval(1), 9u);
  EXPECT_THAT(network[0].DependencyVector(), ElementsAre(Pair(1, 9), Pair(2, 4)));
}

TEST_P(ProtocolsTest, RefusesStrangers) {
  ProtocolNetwork network(GetParam(), {0, 1});
  const std::vector<std::byte> empty = {std::byte{1}, std::byte{0}};
  EXPECT_FALSE(network[0].OnControl(2, empty));
  EXPECT_FALSE(network[0].OnControl(-1, empty));
}

TEST_P(ProtocolsTest, CountsEventsWithoutGaps) {
  NoHost host;
  ProtocolConfiguration configuration;
  configuration.mode = GetParam();
  configuration.unit = {0};
  const auto protocol = MakeProtocol(configuration, &host);
  Determinant determinant;
  determinant.rank = 0;
  determinant.index = 2;
  EXPECT_DEATH(protocol->OnEvent(determinant, -1), "without gaps");
}

INSTANTIATE_TEST_SUITE_P(Modes, ProtocolsTest,
                         testing::Values(Mode::kPessimistic, Mode::kOptimistic, Mode::kCausal));

}  // namespace
}  // namespace ftmpi::logging
