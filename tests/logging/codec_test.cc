// Protocol data on the wire: round trips, and whatever else may arrive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "logging/determinant_codec.h"
#include "logging/protocol.h"
#include "logging/protocol_data.h"

namespace ftmpi::logging {
namespace {

using Bytes = std::vector<std::byte>;

Bytes Literal(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

Determinant Make(EventKind kind, int rank, std::uint64_t index, std::uint64_t ordinal,
                 std::uint64_t value, int source, int detail) {
  Determinant determinant;
  determinant.rank = rank;
  determinant.kind = kind;
  determinant.index = index;
  determinant.ordinal = ordinal;
  determinant.value = value;
  determinant.source = source;
  determinant.detail = detail;
  return determinant;
}

TEST(Varint, Bytes) {
  const auto bytes = [](std::uint64_t value) {
    Bytes out;
    AppendBytes<kMaximumVarint>(&out, [&](std::byte* at) { return PutVarint(at, value); });
    return out;
  };
  EXPECT_EQ(bytes(0), Literal({0}));
  EXPECT_EQ(bytes(127), Literal({127}));
  EXPECT_EQ(bytes(128), Literal({0x80, 1}));
  EXPECT_EQ(bytes(300), Literal({0xac, 2}));
  EXPECT_EQ(bytes(~std::uint64_t{0}),
            Literal({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}));
}

TEST(Varint, RefusesWhatIsNotOne) {
  const auto refused = [](const Bytes& bytes) {
    std::span<const std::byte> in = bytes;
    std::uint64_t value = 0;
    return !GetVarint(&in, &value);
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(Literal({0x80})));
  EXPECT_TRUE(refused(Literal({0x80, 0})));  // 0 in two bytes
  EXPECT_TRUE(refused(Literal({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2})));
  EXPECT_TRUE(refused(Literal({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})));
}

// The bytes of WIRE.md's example.
TEST(DeterminantCodec, DocumentedExample) {
  Bytes out;
  DeterminantEncoder encoder(&out);
  for (std::uint64_t i = 0; i < 3; ++i) {
    encoder.Add(Make(EventKind::kDelivery, 2, 300 + i, 40 + i, 7 + i, 1, 0));
  }
  encoder.Add(Make(EventKind::kPoll, 2, 303, 12, 0, -1, -2));
  encoder.Finish();
  EXPECT_EQ(out, Literal({0x31, 2, 0xac, 2, 40, 7, 1, 1,  // three deliveries
                          0xc2, 12, 0, 3}));              // a poll that follows on
}

TEST(DeterminantCodec, RandomRoundTrips) {
  std::mt19937_64 random(5);
  const auto number = [&] { return random() >> (random() % 64); };
  for (int round = 0; round < 2000; ++round) {
    std::vector<Determinant> determinants;
    Determinant next = Make(EventKind::kDelivery, 0, 1, 1, 1, 0, 0);
    const std::size_t count = random() % 30;
    while (determinants.size() < count) {
      switch (random() % 4) {
        case 0:  // another range
          next = Make(static_cast<EventKind>(1 + random() % 6), static_cast<int>(random() % 50),
                      1 + number() % (std::uint64_t{1} << 62), number(), number(),
                      static_cast<int>(random() % 51) - 1, static_cast<int>(number()));
          break;
        case 1:  // the next event, of another kind
          next.kind = static_cast<EventKind>(1 + random() % 6);
          next.value = number();
          break;
        default:
          break;
      }
      determinants.push_back(next);
      ++next.index;
      ++next.ordinal;
      ++next.value;
    }
    Bytes bytes;
    DeterminantEncoder encoder(&bytes);
    for (const Determinant& determinant : determinants) encoder.Add(determinant);
    encoder.Finish();
    std::span<const std::byte> in = bytes;
    DeterminantDecoder decoder(50, 1000);
    std::vector<Determinant> decoded;
    while (!in.empty()) ASSERT_TRUE(decoder.Next(&in, &decoded));
    ASSERT_EQ(decoded, determinants);
    // Each prefix is the beginning of it, or refused; never more.
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      in = std::span(bytes).first(length);
      decoder.Reset();
      decoded.clear();
      while (!in.empty() && decoder.Next(&in, &decoded)) {
      }
      ASSERT_LE(decoded.size(), determinants.size());
    }
  }
}

TEST(DeterminantCodec, Refuses) {
  const auto refused = [](std::initializer_list<int> values, std::size_t maximum = 100) {
    const Bytes bytes = Literal(values);
    std::span<const std::byte> in = bytes;
    DeterminantDecoder decoder(4, maximum);
    std::vector<Determinant> out;
    return !decoder.Next(&in, &out);
  };
  EXPECT_FALSE(refused({0x01, 3, 1, 0, 0}));
  EXPECT_TRUE(refused({0x00, 3, 1, 0, 0}));     // no kind
  EXPECT_TRUE(refused({0x07, 3, 1, 0, 0}));     // kDependency does not travel
  EXPECT_TRUE(refused({0x01, 4, 1, 0, 0}));     // no such rank
  EXPECT_TRUE(refused({0x01, 3, 0, 0, 0}));     // events count from 1
  EXPECT_TRUE(refused({0x81, 0, 0}));           // follows on nothing
  EXPECT_TRUE(refused({0x21, 3, 1, 0, 0, 4}));  // no such source
  EXPECT_TRUE(refused({0x41, 3, 1, 0, 0, 0}));  // a detail of 0 is not written
  EXPECT_TRUE(refused({0x41, 3, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x10}));  // 33 bits
  EXPECT_FALSE(refused({0x11, 3, 1, 0, 0, 98}));
  EXPECT_TRUE(refused({0x11, 3, 1, 0, 0, 99}));  // 101 determinants
  // The index runs over.
  EXPECT_TRUE(refused({0x11, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}));
}

class Collector : public ProtocolHost {
 public:
  void SendControl(int, std::span<const std::byte> message) override {
    parts.emplace_back(message.begin(), message.end());
  }
  void Hold(const Determinant&) override {}
  std::vector<Bytes> parts;
};

TEST(ProtocolData, RoundTripInParts) {
  for (std::uint64_t maximum_control : {64u, 65u, 100u, 4096u}) {
    ProtocolDataWriter writer;
    writer.Begin();
    writer.AddFlag(kAcknowledgeAtOnce);
    std::vector<Determinant> determinants;
    for (std::uint64_t i = 1; i <= 40; ++i) {
      determinants.push_back(Make(EventKind::kValue, 7, i, i, i * i << 20, -1, 0));
      writer.Add(determinants.back());
      if (i % 10 == 0) writer.AddHeld(static_cast<int>(i % 8), i);
    }
    writer.AddStable(3, 1000000);
    writer.AddDependency(4, 77);
    writer.AddRequest(5, 88);
    writer.AddAnswer(6, 99);
    Collector host;
    EXPECT_TRUE(writer.FinishRiding(&host, 1, 30, maximum_control).empty());
    ProtocolDataReader reader(8);
    for (std::size_t i = 0; i < host.parts.size(); ++i) {
      ASSERT_LE(host.parts[i].size(), maximum_control);
      const bool last = i + 1 == host.parts.size();
      ASSERT_EQ(reader.Read(2, host.parts[i]), last ? ProtocolDataReader::Result::kComplete
                                                    : ProtocolDataReader::Result::kPartial);
    }
    EXPECT_EQ(reader.data().determinants, determinants);
    ASSERT_EQ(reader.data().held.size(), 4u);
    EXPECT_EQ(reader.data().held[2].rank, 6);
    EXPECT_EQ(reader.data().held[2].index, 30u);
    EXPECT_EQ(reader.data().stable.at(0).index, 1000000u);
    EXPECT_EQ(reader.data().dependencies.at(0).rank, 4);
    EXPECT_EQ(reader.data().requests.at(0).index, 88u);
    EXPECT_EQ(reader.data().answered.at(0).rank, 6);
    EXPECT_EQ(reader.data().flags, kAcknowledgeAtOnce);
  }
}

TEST(ProtocolData, Refuses) {
  ProtocolDataReader reader(4);
  const auto result = [&reader](std::initializer_list<int> values) {
    return reader.Read(0, Literal(values));
  };
  using Result = ProtocolDataReader::Result;
  EXPECT_EQ(result({1, 0}), Result::kComplete);
  EXPECT_EQ(result({1, 2}), Result::kComplete);
  EXPECT_EQ(result({}), Result::kMalformed);
  EXPECT_EQ(result({1}), Result::kMalformed);
  EXPECT_EQ(result({2, 0}), Result::kMalformed);  // a version to come
  EXPECT_EQ(result({1, 4}), Result::kMalformed);  // unknown flag
  EXPECT_EQ(result({1, 1}), Result::kMalformed);  // an empty part
  EXPECT_EQ(result({1, 0, 8, 3, 9}), Result::kComplete);
  EXPECT_EQ(result({1, 0, 8, 4, 9}), Result::kMalformed);  // no such rank
  EXPECT_EQ(result({1, 0, 8, 3, 0}), Result::kMalformed);  // nothing has index 0
  EXPECT_EQ(result({1, 0, 8, 3}), Result::kMalformed);
  EXPECT_EQ(result({1, 0, 0x18, 3, 9}), Result::kMalformed);  // flags where there are none
  EXPECT_EQ(result({1, 0, 13, 3, 9}), Result::kMalformed);    // unknown record
  // A part, then something malformed: the part is forgotten.
  EXPECT_EQ(result({1, 1, 8}), Result::kPartial);
  EXPECT_EQ(result({9, 0}), Result::kMalformed);
  EXPECT_EQ(result({1, 0, 9, 3, 5}), Result::kComplete);
  EXPECT_TRUE(reader.data().held.empty());
  EXPECT_EQ(reader.data().stable.size(), 1u);
}

// Random bytes, and good messages with a few bits turned, into each protocol: refused or taken, but
// nothing is read out of bounds, nothing aborts (also meant for the sanitizers).
TEST(ProtocolData, DamagedMessages) {
  std::mt19937_64 random(99);
  for (const Mode mode : {Mode::kPessimistic, Mode::kOptimistic, Mode::kCausal}) {
    int taken = 0;
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
      Collector host;
      ProtocolConfiguration configuration;
      configuration.mode = mode;
      configuration.rank = 0;
      configuration.size = 6;
      configuration.unit = {0, 0, 1, 1, 2, 2};
      configuration.causal_f = 2;
      const auto protocol = MakeProtocol(configuration, &host);
      for (std::uint64_t i = 1; i <= 3; ++i) {
        protocol->OnEvent(Make(EventKind::kDelivery, 0, i, i, i, 2, 0), 2);
        if (protocol->piggyback_pending()) (void)protocol->TakePiggyback(2);
      }
      ProtocolDataWriter writer;
      writer.Begin();
      for (std::uint64_t i = 1; i <= 5; ++i)
        writer.Add(Make(EventKind::kDelivery, 2, i, i, i, 3, 0));
      if (mode != Mode::kOptimistic) writer.AddHeld(0, 3);
      if (mode == Mode::kOptimistic) {
        writer.Begin();
        writer.AddRequest(0, 2);
        writer.AddStable(2, 9);
      }
      const auto good = writer.Finish();
      Bytes bytes(good.begin(), good.end());
      if (round % 3 == 0) {
        bytes.resize(random() % 40);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (bytes.size() > 2) {
          bytes[0] = std::byte{1};
          bytes[1] = std::byte{0};
        }
      } else {
        for (std::uint64_t flips = random() % 4; flips > 0; --flips) {
          bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 << (random() % 8));
        }
        if (round % 3 == 1 && random() % 2 == 0) bytes.resize(random() % (bytes.size() + 1));
      }
      if (protocol->OnControl(2, bytes)) {
        ++taken;
      } else {
        ++refused;
      }
      protocol->Flush();
      EXPECT_LE(protocol->CommittableInterval(), 3u);
    }
    EXPECT_GT(taken, 100);
    EXPECT_GT(refused, 100);
  }
}

}  // namespace
}  // namespace ftmpi::logging
