// The file of messages in transit: what was written comes back, damage is found.
#include "checkpoint/in_transit_file.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ftmpi::checkpoint {
namespace {

constexpr InTransitIdentity kIdentity{0x1234567890abcdef, 7, 2, 1};

logging::WireHeader Header(std::uint64_t ssn, std::uint64_t length) {
  logging::WireHeader header{};
  header.version = logging::kWireVersion;
  header.kind = logging::MessageKind::kInline;
  header.ssn = ssn;
  header.tag = -5;
  header.payload_length = length;
  return header;
}

std::vector<std::byte> Example() {
  InTransitWriter writer(kIdentity);
  const std::byte payload[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  writer.Add(2, Header(11, 3), payload);
  writer.Add(0, Header(4, 0), nullptr);
  EXPECT_EQ(writer.count(), 2U);
  return writer.File();
}

TEST(InTransitFile, ComesBackInOrder) {
  InTransitContent content;
  ASSERT_EQ(DecodeInTransit(Example(), 3, &content), "");
  EXPECT_EQ(content.identity, kIdentity);
  ASSERT_EQ(content.messages.size(), 2U);
  EXPECT_EQ(content.messages[0].source, 2);
  EXPECT_EQ(content.messages[0].header.ssn, 11U);
  EXPECT_EQ(content.messages[0].header.tag, -5);
  EXPECT_EQ(content.messages[0].payload,
            (std::vector<std::byte>{std::byte{1}, std::byte{2}, std::byte{3}}));
  EXPECT_EQ(content.messages[1].source, 0);
  EXPECT_TRUE(content.messages[1].payload.empty());
}

TEST(InTransitFile, GrowsMessageByMessage) {
  InTransitWriter writer(kIdentity);
  InTransitContent content;
  ASSERT_EQ(DecodeInTransit(writer.File(), 1, &content), "");
  EXPECT_TRUE(content.messages.empty());
  writer.Add(0, Header(1, 0), nullptr);
  ASSERT_EQ(DecodeInTransit(writer.File(), 1, &content), "");
  EXPECT_EQ(content.messages.size(), 1U);
}

TEST(InTransitFile, DamageIsFound) {
  const std::vector<std::byte> good = Example();
  InTransitContent content;
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(DecodeInTransit({good.data(), length}, 3, &content), "") << length;
  }
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::vector<std::byte> flipped = good;
    flipped[byte] ^= std::byte{16};
    EXPECT_NE(DecodeInTransit(flipped, 3, &content), "") << byte;
  }
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  EXPECT_NE(DecodeInTransit(longer, 3, &content), "");
}

TEST(InTransitFile, ASenderOutsideOfTheJobIsRefused) {
  InTransitContent content;
  EXPECT_NE(DecodeInTransit(Example(), 2, &content), "");
}

TEST(InTransitFile, Name) {
  EXPECT_EQ(InTransitPath("/jobs/a", 12, 3), "/jobs/a/checkpoint-12/rank-3.in-transit");
}

}  // namespace
}  // namespace ftmpi::checkpoint
