// Rollback: the two pseudo-codes of section 5.
#include "tests/checkpoint/coordination_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using Calls = std::vector<std::string>;

TEST(RollbackTest, RollbackGoesToTheLastCommittedCheckpoint) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Start();
  net.Move();  // 1 is committed; ranks 1 and 2 don't know
  net.At(2).taken_at_once = false;
  net.Start();
  net.Move();  // 2 is not
  const auto old = net.Send(1, 2);
  net[0].StartRollback();
  EXPECT_EQ(net.At(0).outcomes.at(1).why, "ranks were lost");
  net.Move();
  EXPECT_EQ(net.Calls(0).back(), "in epoch 1");
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "permanent 1", "take 2", "rollback 1 1", "discard 2"}));
  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(net[r].epoch(), 1u);
    EXPECT_EQ(net[r].word(), 1 | kStatusBit);
  }
  EXPECT_EQ(net[2].OnOtherEpoch(0, old.word), EpochAction::kDiscard);
  net.At(2).taken_at_once = true;
  net.Start();
  net.Move();
  EXPECT_EQ(net[0].csn(), 2u);
}

TEST(RollbackTest, AMessageOfTheNewEpochComesBeforeTheOrder) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Start();
  net.Move();
  net[0].StartRollback();
  net.MoveOne(0, 1);
  const auto message = net.Send(1, 2);
  EXPECT_EQ(net[2].OnOtherEpoch(1, message.word), EpochAction::kCurrent);
  EXPECT_EQ(net.Calls(2), (Calls{"take 1", "rollback 1 1", "permanent 1"}));
  EXPECT_EQ(net.Arrive(2, message), Action::kDeliver);
  net.Move();
  EXPECT_EQ(net.Calls(2), (Calls{"take 1", "rollback 1 1", "permanent 1"}));
  EXPECT_EQ(net.Calls(0).back(), "in epoch 1");
}

TEST(RollbackTest, RollbackThatTakesTooLong) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.timeout = 100;
  CoordinationNetwork net(3, configuration);
  net.At(2).roll_back_at_once = false;
  net[0].StartRollback();
  net.Move();
  net.Tick(1);
  net.Tick(101);
  EXPECT_EQ(net.Calls(0).back(), "in epoch 1 without 2");
  net[0].StartRollback();  // rank 2 was replaced again
  net.At(2).roll_back_at_once = true;
  net.Move();
  EXPECT_EQ(net.Calls(0).back(), "in epoch 2");
}

TEST(RollbackTest, RollbackDuringTheCommit) {
  CoordinationNetwork net(2, WithMtv(MtvStrategy::kPessimistic));
  net.At(0).record_at_once = false;
  net.Start();
  net.Move();
  net[0].StartRollback();
  EXPECT_EQ(net.Waiting(0, 1, ControlType::kRollback), 0u) << "where to is not known yet";
  net[0].OnCommitRecorded(1, true);
  net.Move();
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "rollback 1 1", "permanent 1"}));
}

}  // namespace
}  // namespace ftmpi::checkpoint
