// Commit, abort, numbers of messages, rollback: the two pseudo-codes of 4.2.3.
#include "tests/checkpoint/coordination_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using Calls = std::vector<std::string>;

TEST(CoordinatorTest, OneRoundWhenNothingIsInTransit) {
  for (const auto& configuration :
       {WithMtv(MtvStrategy::kPessimistic), WithMtv(MtvStrategy::kOptimistic), WithAck()}) {
    CoordinationNetwork net(7, configuration);
    net.Start();
    net.Move();
    EXPECT_EQ(net.controls, 6 + 6);
    ASSERT_EQ(net.At(0).outcomes.size(), 1u);
    EXPECT_TRUE(net.At(0).outcomes[0].committed);
    EXPECT_EQ(net.Calls(0), (Calls{"take 1", "record 1", "permanent 1"}));
  }
}

TEST(CoordinatorTest, TheStatusBitWaitsForTheCommitRecord) {
  CoordinationNetwork net(2, WithAck());
  net.At(0).record_at_once = false;
  net.Start();
  net.Move();
  EXPECT_EQ(net.Calls(0).back(), "record 1");
  EXPECT_FALSE(net[0].status());
  net.Tick(~std::uint64_t{0} / 2);  // no timeout can abort what may be decided already
  EXPECT_FALSE(net[0].status());
  net[0].OnCommitRecorded(1, true);
  EXPECT_TRUE(net[0].status());
}

TEST(CoordinatorTest, ACommitRecordThatFailsAborts) {
  CoordinationNetwork net(2, WithAck());
  net.At(0).record_at_once = false;
  net.Start();
  net.Move();
  net[0].OnCommitRecorded(1, false);
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.at(0).why, "the commit record could not be written");
  EXPECT_EQ(net.Calls(1).back(), "discard 1");
}

TEST(CoordinatorTest, PessimisticTwoMoreMessagesForARankWithMessagesInTransit) {
  CoordinationNetwork net(4, WithMtv(MtvStrategy::kPessimistic));
  std::vector<CoordinationNetwork::Sent> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(net.Send(2, 1));
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(net.Arrive(1, sent[i]), Action::kDeliver);
  net.Start();
  net.Move();
  EXPECT_EQ(net.controls, 3 + 3 + 1);
  EXPECT_FALSE(net[0].status());
  for (std::size_t i = 2; i < 5; ++i) {
    EXPECT_EQ(net.Arrive(1, sent[i]), Action::kSave);
    net.Tick(2);
    EXPECT_EQ(net.Calls(1).back(), i < 4 ? "take 1" : "flush 1");
  }
  net.Move();
  EXPECT_EQ(net.controls, 3 + 3 + 2);
  EXPECT_TRUE(net[0].status());
}

TEST(CoordinatorTest, PessimisticMessagesThatCameBeforeTheQuestionCount) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  const auto first = net.Send(2, 1);
  const auto second = net.Send(2, 1);
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(1, first), Action::kSave);
  net.MoveOne(1, 0);
  net.MoveOne(0, 2);
  net.MoveOne(2, 0);
  EXPECT_EQ(net.Arrive(1, second), Action::kSave);
  EXPECT_EQ(net.Waiting(0, 1, ControlType::kExpect), 1u);
  net.Move();
  EXPECT_TRUE(net[0].status());
}

// With senders' logs a message in transit counts as soon as it is there, maybe in the answer
// already.
TEST(CoordinatorTest, PessimisticOneReportWhenSomeCameBeforeTheAnswer) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.keeper = Keeper::kSender;
  CoordinationNetwork net(3, configuration);
  std::vector<CoordinationNetwork::Sent> sent;
  for (int i = 0; i < 4; ++i) sent.push_back(net.Send(2, 1));
  net.At(1).taken_at_once = false;
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(1, sent[0]), Action::kDeliver);
  EXPECT_EQ(net.Arrive(1, sent[1]), Action::kDeliver);
  net[1].OnTentativeTaken(1, true);
  net.Move();
  EXPECT_EQ(net.controls, 2 + 2 + 1);
  EXPECT_EQ(net.Arrive(1, sent[2]), Action::kDeliver);
  EXPECT_EQ(net.controls, 2 + 2 + 1) << "one is still on its way";
  EXPECT_EQ(net.Arrive(1, sent[3]), Action::kDeliver);
  net.Move();
  EXPECT_EQ(net.controls, 2 + 2 + 2);
  EXPECT_TRUE(net[0].status());
}

TEST(CoordinatorTest, OptimisticOneMoreMessageForEachInTransit) {
  CoordinationNetwork net(4, WithMtv(MtvStrategy::kOptimistic));
  std::vector<CoordinationNetwork::Sent> sent;
  for (int i = 0; i < 2; ++i) sent.push_back(net.Send(2, 1));
  net.Start();
  net.Move();
  EXPECT_EQ(net.controls, 3 + 3);
  for (const auto& message : sent) {
    EXPECT_FALSE(net[0].status());
    EXPECT_EQ(net.Arrive(1, message), Action::kSave);
    net.Tick(2);
    net.Move();
  }
  EXPECT_EQ(net.controls, 3 + 3 + 2);
  EXPECT_TRUE(net[0].status());
}

TEST(CoordinatorTest, AcknowledgedMessagesNeedNoSecondRoundWithTheCoordinator) {
  CoordinationNetwork net(3, WithAck());
  const auto first = net.Send(2, 1);
  const auto second = net.Send(2, 1);
  EXPECT_EQ(net[2].Pac(), 2u);
  EXPECT_EQ(net.Arrive(1, first), Action::kDeliver);
  EXPECT_EQ(net.controls, 0);  // nobody waits for an acknowledgement now
  net.Start();
  net.Move();
  EXPECT_EQ(net[2].Pac(), 1u);
  EXPECT_EQ(net[2].Cac(), 0u);
  net.Send(2, 1);
  EXPECT_EQ(net[2].Cac(), 1u);
  EXPECT_FALSE(net[0].status());
  EXPECT_EQ(net.Arrive(1, second), Action::kSave);
  net.Tick(2);
  net.Move();
  EXPECT_TRUE(net[0].status());
  EXPECT_EQ(net.controls, 2 + 2 + 2);  // markers, answers, acknowledgements
  // After the commit PAC is what CAC was.
  EXPECT_EQ(net.Arrive(2, net.Send(0, 2)), Action::kDeliver);
  EXPECT_EQ(net[2].Pac(), 1u);
  EXPECT_EQ(net[2].Cac(), 0u);
}

TEST(CoordinatorTest, AfterAnAbortAllIsAcknowledgedAnew) {
  auto configuration = WithAck();
  configuration.timeout = 100;
  CoordinationNetwork net(3, configuration);
  EXPECT_EQ(net.Arrive(1, net.Send(2, 1)), Action::kDeliver);
  net.Start();
  net.MoveOne(0, 1);
  net.Lose(1, 2);  // the acknowledgement
  net.Move();
  net.Tick(101);
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.at(0).why, "no answer from rank 2 in time");
  net.Start();
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.at(1).committed);
}

TEST(CoordinatorTest, ALongVectorGoesInParts) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.maximum_control = kLeastControlBytes;
  CoordinationNetwork net(60, configuration);
  for (int to = 2; to < 60; ++to) EXPECT_EQ(net.Arrive(to, net.Send(1, to)), Action::kDeliver);
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_GT(net.Waiting(1, 0, ControlType::kTaken), 5u);
  net.Move();
  EXPECT_TRUE(net[0].status());
}

TEST(CoordinatorTest, AFailedCheckpointAbortsAtOnceAndTheNextOneWorks) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.At(2).taken_at_once = false;
  net.Start();
  net.Move();
  net[2].OnTentativeTaken(1, false);
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.at(0).why, "rank 2 could not save its checkpoint");
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "discard 1"}));
  net.At(2).taken_at_once = true;
  net.Start();
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.at(1).committed);
  EXPECT_EQ(net.At(0).outcomes.at(1).csn, 2u);
  // The aborted one was never made permanent on the way.
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "discard 1", "take 2"}));
}

TEST(CoordinatorTest, ARankThatCannotMakeACutRunsOn) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.At(1).defer_cut = true;
  net.Start();
  net.MoveOne(0, 2);
  const auto message = net.Send(2, 1);
  EXPECT_EQ(net.Arrive(1, message), Action::kCheckpointFirst);
  net[1].OnTentativeTaken(1, false);
  EXPECT_EQ(net.Arrive(1, message), Action::kDeliver);
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.at(0).why, "rank 1 could not save its checkpoint");
}

TEST(CoordinatorTest, NoCheckpointStartsBeforeTheAbortIsAnswered) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.timeout = 100;
  configuration.repeat = 10;
  CoordinationNetwork net(3, configuration);
  net.At(2).taken_at_once = false;
  net.Start();
  net.Move();
  net.Tick(200);
  net[0].Request(Reason::kRequest);
  net.MoveOne(0, 1);
  net.MoveOne(1, 0);
  net.Lose(0, 2);
  net.Tick(201);
  EXPECT_EQ(net[0].csn(), 1u);
  net.Tick(212);
  EXPECT_EQ(net.Waiting(0, 2, ControlType::kAbort), 1u) << "repeated";
  EXPECT_EQ(net.Waiting(0, 1, ControlType::kAbort), 0u);
  net.Move();
  EXPECT_EQ(net.Calls(2), (Calls{"take 1", "discard 1"}));
  net.At(2).taken_at_once = true;
  net.Tick(213);
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.at(1).committed);
}

TEST(CoordinatorTest, AbortBeforeTheMarker) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.timeout = 100;
  CoordinationNetwork net(2, configuration);
  net.Start();
  net.Lose(0, 1);
  net.Tick(101);
  net.Move();
  EXPECT_TRUE(net.Calls(1).empty());
  EXPECT_EQ(net[1].csn(), 1u);
  net.Start();
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.at(1).committed);
}

TEST(CoordinatorTest, AbortWhileACutIsDue) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.timeout = 100;
  CoordinationNetwork net(2, configuration);
  net.At(1).defer_cut = true;
  net.Start();
  net.Move();
  net.Tick(101);
  net.Move();
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "discard 1"}));
  EXPECT_EQ(net[1].due(), 0u);
}

TEST(CoordinatorTest, Triggers) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.interval = 1000;
  configuration.every = 3;
  CoordinationNetwork net(2, configuration);
  net.Tick(5000);
  EXPECT_EQ(net[0].csn(), 0u);
  net.Tick(5999);
  EXPECT_EQ(net[0].csn(), 0u);
  net.Tick(6000);
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.size(), 1u);
  net.Tick(6001);
  EXPECT_EQ(net[0].csn(), 1u);
  for (int i = 0; i < 3; ++i) {
    net.Tick(6001);
    net.Move();
    EXPECT_EQ(net[0].csn(), 1u);
    EXPECT_EQ(net.Arrive(0, net.Send(1, 0)), Action::kDeliver);
  }
  net.Tick(6002);  // rank 1 has sent three, and asks
  net.Move();
  net.Tick(6003);
  net.Move();
  EXPECT_EQ(net[0].csn(), 2u);
  net[1].Request(Reason::kOutput);
  net.Move();
  net.Tick(6004);
  net.Move();
  EXPECT_EQ(net[0].csn(), 3u);
  EXPECT_EQ(net.At(0).outcomes.size(), 3u);
}

TEST(CoordinatorTest, ARankAsksAgainAfterAnAbort) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.every = 1;
  CoordinationNetwork net(2, configuration);
  net.At(1).taken_at_once = false;
  net.Start();
  net.Move();
  EXPECT_EQ(net.Arrive(0, net.Send(1, 0)), Action::kDeliver);
  net[1].OnTick(1);
  net.Move();  // the coordinator is busy: the request counts as met
  net[1].OnTentativeTaken(1, false);
  net.Move();
  net.At(1).taken_at_once = true;
  net[1].OnTick(2);
  net.Move();
  net[0].OnTick(2);
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.at(1).committed);
}

TEST(CoordinatorTest, ARequestDuringACheckpointMeansTheNext) {
  CoordinationNetwork net(2, WithAck());
  net.Start();
  net[0].Request(Reason::kRequest);
  net.Move();
  EXPECT_EQ(net[0].csn(), 1u);
  net.Tick(10);
  EXPECT_EQ(net[0].csn(), 2u);
}

// Rank 1 has not made its cut: the checkpoint under way will hold what it has done.
TEST(CoordinatorTest, RanksThatAskAtOnceGetOneCheckpoint) {
  CoordinationNetwork net(2, WithAck());
  net.Start();
  net[1].Request(Reason::kRequest);
  net.Move();
  EXPECT_EQ(net[1].csn(), 1u);
  net.Tick(10);
  net.Move();
  EXPECT_EQ(net[0].csn(), 1u);
  EXPECT_EQ(net.At(0).outcomes.size(), 1u);
}

TEST(CoordinatorTest, AnnouncedCommit) {
  CoordinationNetwork net(3, WithAck());
  net[0].AnnounceCommit();
  EXPECT_EQ(net.controls, 0);
  net.Start();
  net.Move();
  net[0].AnnounceCommit();
  net.Move();
  EXPECT_TRUE(net[1].status());
  EXPECT_TRUE(net[2].status());
  auto configuration = WithAck();
  configuration.announce_commit = true;
  CoordinationNetwork eager(3, configuration);
  eager.Start();
  eager.Move();
  EXPECT_EQ(eager.controls, 2 + 2 + 2);
  EXPECT_TRUE(eager[2].status());
}

TEST(CoordinatorTest, SendersLogIsTrimmedByOneCheckpointLessWithVectors) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.keeper = Keeper::kSender;
  configuration.announce_commit = true;
  CoordinationNetwork net(2, configuration);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  net.Start();
  net.Move();
  EXPECT_EQ(net.Calls(0), (Calls{"take 1", "record 1", "permanent 1"}));
  EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  net.Calls(0).clear();
  net.Start();
  net.Move();
  EXPECT_EQ(net.Calls(0), (Calls{"take 2", "record 2", "permanent 2", "discard 1", "trim 1 4"}));
}

TEST(CoordinatorTest, SendersLogIsTrimmedToTheReceiversCutWithAcknowledgements) {
  auto configuration = WithAck();
  configuration.keeper = Keeper::kSender;
  configuration.announce_commit = true;
  CoordinationNetwork net(2, configuration);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  const auto in_transit = net.Send(0, 1);
  net.Start();
  net.Move();
  EXPECT_EQ(net.Arrive(1, in_transit), Action::kDeliver);
  net.Move();
  // Message 5 is in transit: it stays.
  EXPECT_EQ(net.Calls(0), (Calls{"take 1", "record 1", "permanent 1", "trim 1 4"}));
}

TEST(CoordinatorTest, MessagesThatNobodySentAreFoundOut) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  const auto message = net.Send(2, 1);
  EXPECT_EQ(net.Arrive(1, message), Action::kDeliver);
  EXPECT_EQ(net.Arrive(1, message), Action::kDeliver);
  net.Start();
  net.Move();
  EXPECT_EQ(net.At(0).outcomes.at(0).why, "rank 1 has received 1 messages that nobody has sent");
}

TEST(CoordinatorTest, DamagedAndMisplacedControlMessagesAreRefused) {
  CoordinationNetwork net(3, WithAck());
  ControlMessage message;
  message.type = ControlType::kMarker;
  message.csn = 1;
  std::vector<std::byte> bytes;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(net[1].OnControl(2, bytes));
  EXPECT_EQ(net[1].refusal(), "only rank 0 coordinates checkpoints");
  message.csn = 2;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(net[1].OnControl(0, bytes));
  message.type = ControlType::kTaken;
  message.mechanism = 2;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(net[1].OnControl(0, bytes));
  EXPECT_FALSE(net[0].OnControl(1, bytes));
  message = {};
  message.type = ControlType::kAcknowledge;
  message.received = 1;
  EncodeControl(message, &bytes);
  EXPECT_FALSE(net[1].OnControl(2, bytes));
  EXPECT_EQ(net[1].refusal(), "rank 2 acknowledges 1 messages of 0");
  bytes[0] = std::byte{9};
  EXPECT_FALSE(net[1].OnControl(2, bytes));
  EXPECT_FALSE(net[1].OnControl(2, {}));
}

TEST(CoordinatorTest, ConfigurationsThatContradictThemselves) {
  CoordinationNetwork net(1, WithAck());
  CoordinationNetwork::Host host(&net, 0);
  CoordinationConfiguration configuration;
  configuration.rank = 1;
  EXPECT_THROW(Participant(configuration, &host), std::invalid_argument);
  configuration = {};
  configuration.maximum_control = kLeastControlBytes - 1;
  EXPECT_THROW(Participant(configuration, &host), std::invalid_argument);
  configuration = {};
  configuration.timeout = 0;
  EXPECT_THROW(Participant(configuration, &host), std::invalid_argument);
}

TEST(CoordinatorTest, OneRankAlone) {
  for (const auto& configuration : {WithMtv(MtvStrategy::kPessimistic), WithAck()}) {
    CoordinationNetwork net(1, configuration);
    const auto to_itself = net.Send(0, 0);
    net.Start();
    EXPECT_FALSE(net[0].status()) << "a message to itself is in transit";
    EXPECT_EQ(net.Arrive(0, to_itself), Action::kSave);
    net.Tick(3);
    EXPECT_TRUE(net[0].status());
    EXPECT_EQ(net.controls, 0);
  }
}

}  // namespace
}  // namespace ftmpi::checkpoint
