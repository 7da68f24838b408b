#include "checkpoint/checkpoint_interval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace ftmpi::checkpoint {
namespace {

// Expected time lost per unit of work with interval t (Daly's equation 13 without restart time):
// the cost function that the interval is to make small.
double Lost(double t, double cost, double mtbf) { return mtbf * std::expm1((t + cost) / mtbf) / t; }

TEST(IntervalTest, YoungsExample) {
  // Young's first order formula, by hand: sqrt(2 * 8 s * 3600 s) = 240 s.
  EXPECT_DOUBLE_EQ(YoungInterval(8, 3600), 240);
}

TEST(IntervalTest, DalyByHand) {
  // cost / (2 mtbf) = 1/900, its root 1/30: 240 (1 + 1/90 + 1/8100) - 8 = 234.696...
  EXPECT_NEAR(DalyInterval(8, 3600), 234.6963, 1e-4);
  EXPECT_DOUBLE_EQ(DalyInterval(100, 50), 50);
  EXPECT_DOUBLE_EQ(DalyInterval(1000, 50), 50);
}

TEST(IntervalTest, DalyIsNextToTheMinimumOfTheLoss) {
  for (const double cost : {0.01, 1.0, 20.0, 300.0}) {
    const double mtbf = 3600;
    double best = Lost(1, cost, mtbf);
    for (int i = 0; i < 960; ++i) best = std::min(best, Lost(std::pow(1.01, i), cost, mtbf));
    EXPECT_LT(Lost(DalyInterval(cost, mtbf), cost, mtbf), best * 1.002) << cost;
  }
}

TEST(IntervalChooserTest, FollowsTheMeasuredCost) {
  constexpr std::uint64_t kSecond = 1000000000;
  IntervalChooser chooser(3600 * kSecond, 30 * kSecond);
  EXPECT_EQ(chooser.Interval(), 30 * kSecond);
  chooser.OnCheckpoint(8 * kSecond, 8 * kSecond);
  EXPECT_NEAR(static_cast<double>(chooser.Interval()) / kSecond, 234.6963 + 8, 1e-3);
  for (int i = 0; i < 40; ++i) chooser.OnCheckpoint(2 * kSecond, 8 * kSecond);
  // 120 (1 + 1/180 + 1/32400) - 2, and the cost.
  EXPECT_NEAR(static_cast<double>(chooser.Interval()) / kSecond, 120.6704, 1e-3);
  // Written in the background for long: the storage sets the pace.
  for (int i = 0; i < 80; ++i) chooser.OnCheckpoint(kSecond / 100, 100 * kSecond);
  EXPECT_NEAR(static_cast<double>(chooser.Interval()) / kSecond, 200, 1e-3);
  EXPECT_THROW(IntervalChooser(0, 1), std::invalid_argument);
}

TEST(TriggerTest, ByTime) {
  CheckpointTrigger trigger(100, 0);
  EXPECT_FALSE(trigger.Due(1000, 0));
  EXPECT_FALSE(trigger.Due(1099, 0));
  EXPECT_EQ(trigger.Due(1100, 0), Reason::kInterval);
  trigger.OnStart(1150, 0);
  EXPECT_FALSE(trigger.Due(1249, 0));
  EXPECT_FALSE(trigger.Due(900, 0)) << "a clock that goes back";
  EXPECT_EQ(trigger.Due(1250, 0), Reason::kInterval);
  trigger.SetInterval(0);
  EXPECT_FALSE(trigger.Due(1000000, 0));
}

TEST(TriggerTest, ByMessagesAndRequest) {
  CheckpointTrigger trigger(0, 10);
  EXPECT_FALSE(trigger.Due(1, 9));
  EXPECT_EQ(trigger.Due(1, 10), Reason::kMessages);
  trigger.OnStart(1, 12);
  EXPECT_FALSE(trigger.Due(1, 21));
  EXPECT_EQ(trigger.Due(1, 22), Reason::kMessages);
  trigger.Request(Reason::kOutput);
  trigger.Request(Reason::kRequest);
  EXPECT_EQ(trigger.Due(1, 22), Reason::kOutput);
  trigger.OnStart(1, 22);
  EXPECT_FALSE(trigger.Due(1, 22));
  trigger.Request(Reason::kRequest);
  trigger.DropRequests();
  EXPECT_FALSE(trigger.Due(1, 22));
}

}  // namespace
}  // namespace ftmpi::checkpoint
