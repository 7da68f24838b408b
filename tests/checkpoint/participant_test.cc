// Each rule of the paper at one rank, and the paper's figures 2 and 3.
#include "tests/checkpoint/coordination_test_util.h"

namespace ftmpi::checkpoint {
namespace {

using Calls = std::vector<std::string>;

constexpr std::uint32_t Tentative(Csn csn) { return csn; }
constexpr std::uint32_t Permanent(Csn csn) { return csn | kStatusBit; }

TEST(ParticipantTest, StartsPermanentWithCheckpointZero) {
  CoordinationNetwork net(2, WithMtv(MtvStrategy::kPessimistic));
  EXPECT_EQ(net[1].word(), Permanent(0));
  EXPECT_EQ(net.Send(1, 0).word, Permanent(0));
}

TEST(ParticipantTest, Rule1EqualNumbersDeliver) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  EXPECT_EQ(net.Arrive(1, {2, Permanent(0)}), Action::kDeliver);
  EXPECT_TRUE(net.Calls(1).empty());
}

TEST(ParticipantTest, Rule1StatusBitMakesPermanentAndDeletesThePrevious) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Start();
  net.Move();
  EXPECT_TRUE(net[0].status());
  EXPECT_FALSE(net[1].status());
  const auto message = net.Send(0, 1);
  EXPECT_EQ(message.word, Permanent(1));
  EXPECT_EQ(net.Arrive(1, message), Action::kDeliver);
  EXPECT_TRUE(net[1].status());
  // The one before is the initial state: there is nothing to delete.
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "permanent 1"}));
  net.Start();
  net.Move();
  EXPECT_EQ(net.Arrive(1, net.Send(2, 1)), Action::kDeliver);
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "permanent 1", "take 2"}));
  EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "permanent 1", "take 2", "permanent 2", "discard 1"}));
  // The bit spreads from rank to rank without the coordinator.
  EXPECT_EQ(net.Arrive(2, net.Send(1, 2)), Action::kDeliver);
  EXPECT_TRUE(net[2].status());
}

TEST(ParticipantTest, Rule2LowerNumberIsSavedAndCountsInPreMtv) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  const auto early = net.Send(2, 1);
  const auto also_early = net.Send(2, 1);
  EXPECT_EQ(net.Arrive(1, early), Action::kDeliver);
  EXPECT_EQ(net[1].PreMtv().received, 1u);
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(1, also_early), Action::kSave);
  EXPECT_EQ(net[1].CurMtv().received, 0u);
  // It counts once it is on stable storage.
  EXPECT_EQ(net[1].PreMtv().received, 1u);
  net[1].OnInTransitStable(1, 1, true);
  EXPECT_EQ(net[1].PreMtv().received, 2u);
}

TEST(ParticipantTest, Rule2WithLogsAtTheSenderNothingIsSaved) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.keeper = Keeper::kSender;
  CoordinationNetwork net(3, configuration);
  const auto early = net.Send(2, 1);
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(1, early), Action::kDeliver);
  EXPECT_EQ(net[1].PreMtv().received, 1u);
}

TEST(ParticipantTest, Rule3HigherNumberForcesTheCutBeforeDelivery) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Start();
  net.MoveOne(0, 2);
  EXPECT_EQ(net.Arrive(1, net.Send(2, 1)), Action::kDeliver);
  EXPECT_EQ(net.Calls(1), Calls{"take 1"});
  // The message is behind the cut: Cur_MTV.
  EXPECT_EQ(net.At(1).cuts[1].Channel(2).received, 0u);
  EXPECT_EQ(net[1].CurMtv().received, 1u);
  EXPECT_EQ(net[1].PreMtv().received, 0u);
  // The marker says nothing new then.
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Calls(1), Calls{"take 1"});
}

TEST(ParticipantTest, Rule3MakesATentativeCheckpointPermanentFirst) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Start();
  net.Move();
  net.Start();  // rank 0 alone knows that 1 is committed
  EXPECT_FALSE(net[1].status());
  EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  EXPECT_EQ(net.Calls(1), (Calls{"take 1", "permanent 1", "take 2"}));
}

TEST(ParticipantTest, Rule3WaitsForADeferredCut) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.At(1).defer_cut = true;
  net.Start();
  net.MoveOne(0, 2);
  const auto message = net.Send(2, 1);
  EXPECT_EQ(net.Arrive(1, message), Action::kCheckpointFirst);
  EXPECT_EQ(net.Arrive(1, message), Action::kCheckpointFirst);
  EXPECT_EQ(net.Calls(1), Calls{"take 1"});
  EXPECT_EQ(net[1].due(), 1u);
  EXPECT_EQ(net.Send(1, 2).word, Permanent(0));
  EXPECT_EQ(net[1].Cut().csn, 1u);
  EXPECT_EQ(net.Arrive(1, message), Action::kDeliver);
  EXPECT_EQ(net[1].CurMtv().received, 1u);
}

TEST(ParticipantTest, Rule4SendsCountBeforeOrBehindTheCut) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  net.Send(1, 2);
  net.Send(1, 0);
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Send(1, 2).word, Tentative(1));
  using Entries = std::vector<std::pair<std::int32_t, std::uint64_t>>;
  EXPECT_EQ(net[1].PreMtv().sent, (Entries{{0, 1}, {2, 1}}));
  EXPECT_EQ(net[1].CurMtv().sent, (Entries{{2, 1}}));
  EXPECT_EQ(net.At(1).cuts[1].channels, (std::vector<ChannelCut>{{0, 1, 0}, {2, 1, 0}}));
}

TEST(ParticipantTest, AMessageSentAgainLooksAsItWasSent) {
  auto configuration = WithMtv(MtvStrategy::kPessimistic);
  configuration.keeper = Keeper::kSender;
  CoordinationNetwork net(3, configuration);
  net.Send(2, 1);
  net.Start();
  net.Move();
  EXPECT_EQ(net.Send(2, 1).word, Tentative(1));
  Channel* channel = net[2].ChannelOf(1);
  EXPECT_EQ(net[2].ResendWord(channel, 1), Tentative(0)) << "in front of the cut";
  EXPECT_EQ(net[2].ResendWord(channel, 2), Tentative(1)) << "behind it";
  EXPECT_FALSE(net[0].status());
  EXPECT_EQ(net.Arrive(1, {2, net[2].ResendWord(channel, 1)}), Action::kDeliver);
  EXPECT_EQ(net.Arrive(1, {2, net[2].ResendWord(channel, 2)}), Action::kDeliver);
  net.Move();
  EXPECT_TRUE(net[0].status());
  EXPECT_EQ(net.Arrive(2, net.Send(0, 2)), Action::kDeliver);
  EXPECT_EQ(net[2].ResendWord(channel, 1), Permanent(1));
}

TEST(ParticipantTest, ImpossibleWordsAreRefused) {
  CoordinationNetwork net(3, WithMtv(MtvStrategy::kPessimistic));
  EXPECT_EQ(net.Arrive(1, {2, Tentative(2)}), Action::kRefuse);
  EXPECT_EQ(net[1].refusal(),
            "checkpoint 2 (tentative) at rank 2, checkpoint 0 (permanent) at this rank");
  EXPECT_EQ(net.Arrive(1, {2, Permanent(1)}), Action::kRefuse);
  net.At(1).taken_at_once = false;
  net.Start();
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(1, {2, Permanent(1)}), Action::kRefuse);  // not without this rank's yes
  net[1].OnTentativeTaken(1, true);
  net.Move();
  EXPECT_EQ(net.Arrive(1, net.Send(0, 1)), Action::kDeliver);
  EXPECT_EQ(net.Arrive(1, {2, Permanent(0)}), Action::kRefuse);  // lost by the commit, if it came
  EXPECT_EQ(net[1].refusal(),
            "a message in front of checkpoint 1 (it carries 0) comes after its commit");
}

TEST(ParticipantTest, TheEnginesBitOfTheWordIsIgnored) {
  CoordinationNetwork net(2, WithMtv(MtvStrategy::kPessimistic));
  EXPECT_EQ(net.Arrive(1, {0, Permanent(0) | (1u << 30)}), Action::kDeliver);
}

// Figure 2: P1 (rank 0) coordinates. P2 checkpoints on the marker, P3 on a message of P2, before
// that P3 has sent M to P2. Without account of M the checkpoint would be committed at point j.
class FigureTest : public testing::TestWithParam<int> {
 protected:
  static CoordinationConfiguration Configuration() {
    switch (GetParam()) {
      case 0:
        return WithMtv(MtvStrategy::kPessimistic);
      case 1:
        return WithMtv(MtvStrategy::kOptimistic);
      default:
        return WithAck();
    }
  }
};

TEST_P(FigureTest, Figure2MessageIsPartOfTheCheckpoint) {
  CoordinationNetwork net(3, Configuration());
  net.At(1).flush_at_once = false;
  net.Start();
  const auto m = net.Send(2, 1);  // M
  net.MoveOne(0, 1);              // P2's tentative checkpoint
  EXPECT_EQ(net.Arrive(2, net.Send(1, 2)), Action::kDeliver);
  EXPECT_EQ(net.Calls(2), Calls{"take 1"});  // P3's, before its state changed
  net.Move();
  EXPECT_FALSE(net[0].status()) << "M is in transit";
  EXPECT_EQ(net.Arrive(1, m), Action::kSave);
  net[1].OnTick(2);
  net.Move();
  EXPECT_FALSE(net[0].status()) << "M is received and not safe yet";
  EXPECT_EQ(net.Calls(1).back(), "flush 1");
  net[1].OnInTransitStable(1, 1, true);
  net.Move();
  EXPECT_TRUE(net[0].status());
  EXPECT_EQ(InTransit(net.At(2).cuts[1], net.At(1).cuts[1]), (MessageRange{1, 1}));
  EXPECT_EQ(InTransit(net.At(1).cuts[1], net.At(2).cuts[1]).count(), 0u);
  EXPECT_EQ(Contradiction({net.At(0).cuts[1], net.At(1).cuts[1], net.At(2).cuts[1]}), "");
}

// Figure 3: M is lost. The timeout aborts; the checkpoint before stays.
TEST_P(FigureTest, Figure3LostMessageAborts) {
  auto configuration = Configuration();
  configuration.timeout = 100;
  CoordinationNetwork net(3, configuration);
  net.Start();
  net.Send(2, 1);  // M, never to be seen again
  net.MoveOne(0, 1);
  EXPECT_EQ(net.Arrive(2, net.Send(1, 2)), Action::kDeliver);
  net.Move();
  net.Tick(100);
  net.Move();
  EXPECT_TRUE(net.At(0).outcomes.empty());
  net.Tick(101);
  net.Move();
  ASSERT_EQ(net.At(0).outcomes.size(), 1u);
  EXPECT_FALSE(net.At(0).outcomes[0].committed);
  EXPECT_EQ(net.At(0).outcomes[0].why, configuration.transit == Transit::kMtv
                                           ? "1 messages to rank 1 did not arrive in time"
                                           : "no answer from rank 2 in time");
  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(net.Calls(r).back(), "discard 1");
    EXPECT_EQ(net[r].permanent(), 0u);
    EXPECT_FALSE(net[r].status());
  }
  // The job runs on.
  EXPECT_EQ(net.Arrive(2, net.Send(0, 2)), Action::kDeliver);
}

std::string FigureName(const testing::TestParamInfo<int>& info) {
  return info.param == 0 ? "Pessimistic" : info.param == 1 ? "Optimistic" : "Acknowledged";
}
INSTANTIATE_TEST_SUITE_P(Mechanisms, FigureTest, testing::Values(0, 1, 2), FigureName);

}  // namespace
}  // namespace ftmpi::checkpoint
