// The output commit rule of coordinated mode.
#include "logging/coordinated.h"

#include <gtest/gtest.h>

namespace ftmpi::logging {
namespace {

class NoHost : public ProtocolHost {
 public:
  void SendControl(int, std::span<const std::byte>) override { FAIL() << "nobody is to be told"; }
  void Hold(const Determinant&) override { FAIL() << "nothing is logged"; }
};

std::unique_ptr<Protocol> Make(ProtocolHost* host, std::uint64_t checkpoint) {
  ProtocolConfiguration configuration;
  configuration.mode = Mode::kCoordinated;
  configuration.size = 2;
  configuration.unit = {0, 1};
  configuration.interval = checkpoint;
  return MakeProtocol(configuration, host);
}

bool OutputMayGo(const Protocol& protocol) {
  return protocol.CommittablePosition() >= protocol.OutputPosition();
}

Determinant EventBefore(std::uint64_t checkpoint) {
  Determinant determinant;
  determinant.index = checkpoint;
  return determinant;
}

TEST(CoordinatedProtocol, OutputWithoutEventsGoesAtOnce) {
  NoHost host;
  const auto protocol = Make(&host, 0);
  EXPECT_TRUE(OutputMayGo(*protocol));
  protocol->OnDelivery(1, 0);
  EXPECT_TRUE(OutputMayGo(*protocol));
  EXPECT_FALSE(protocol->sends_held());
  EXPECT_FALSE(protocol->piggyback_pending());
}

TEST(CoordinatedProtocol, OutputBehindAnEventWaitsForTheNextCheckpoint) {
  NoHost host;
  const auto protocol = Make(&host, 3);
  EXPECT_TRUE(OutputMayGo(*protocol));
  protocol->OnEvent(EventBefore(4), -1);
  EXPECT_EQ(protocol->OutputPosition(), 4U);
  EXPECT_FALSE(OutputMayGo(*protocol));
  protocol->OnStable(3);  // nothing new
  EXPECT_FALSE(OutputMayGo(*protocol));
  protocol->OnStable(4);
  EXPECT_TRUE(OutputMayGo(*protocol));
}

// Checkpoint 4 was given up: the one after it holds the event as well.
TEST(CoordinatedProtocol, ALaterCheckpointWillDo) {
  NoHost host;
  const auto protocol = Make(&host, 3);
  protocol->OnEvent(EventBefore(4), -1);
  protocol->OnStable(5);
  EXPECT_TRUE(OutputMayGo(*protocol));
}

TEST(CoordinatedProtocol, AMessageBringsItsSendersNeed) {
  NoHost host;
  const auto protocol = Make(&host, 0);
  protocol->OnDelivery(1, 2);
  EXPECT_EQ(protocol->OutputPosition(), 2U);
  protocol->OnStable(1);
  EXPECT_FALSE(OutputMayGo(*protocol));
  protocol->OnDelivery(1, 1);  // does not take it back
  EXPECT_EQ(protocol->OutputPosition(), 2U);
  protocol->OnStable(2);
  EXPECT_TRUE(OutputMayGo(*protocol));
}

TEST(CoordinatedProtocol, ProtocolDataIsRefused) {
  NoHost host;
  const auto protocol = Make(&host, 0);
  const std::byte bytes[4] = {};
  EXPECT_FALSE(protocol->OnPiggyback(1, bytes));
  EXPECT_FALSE(protocol->OnControl(1, bytes));
}

}  // namespace
}  // namespace ftmpi::logging
