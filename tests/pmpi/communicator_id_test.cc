#include "pmpi/communicator_id.h"

#include <gtest/gtest.h>

#include <unordered_set>
#include <vector>

namespace ftmpi {
namespace {

TEST(CommunicatorId, DependsOnEveryPart) {
  const std::uint64_t id = DeriveCommunicatorId(kWorldId, Derivation::kSplit, 3, 7);
  EXPECT_EQ(id, DeriveCommunicatorId(kWorldId, Derivation::kSplit, 3, 7));
  EXPECT_NE(id, DeriveCommunicatorId(kSelfId, Derivation::kSplit, 3, 7));
  EXPECT_NE(id, DeriveCommunicatorId(kWorldId, Derivation::kCreate, 3, 7));
  EXPECT_NE(id, DeriveCommunicatorId(kWorldId, Derivation::kSplit, 4, 7));
  EXPECT_NE(id, DeriveCommunicatorId(kWorldId, Derivation::kSplit, 3, 8));
}

// Members on machines of other kinds, and of a restart with a newer build, must agree: the value is
// part of the log format. Computed with the reference implementation of XXH3 (xxhsum -H3) over the
// four little-endian words 1, 3, 0, 0.
TEST(CommunicatorId, IsStable) {
  EXPECT_EQ(DeriveCommunicatorId(1, Derivation::kSplit, 0, 0), 0x0825c8a57090ca57ULL);
}

TEST(CommunicatorId, BothSidesCombineToTheSame) {
  EXPECT_EQ(CombineCommunicatorIds(11, 23), CombineCommunicatorIds(23, 11));
  EXPECT_NE(CombineCommunicatorIds(11, 23), CombineCommunicatorIds(11, 24));
}

TEST(CommunicatorId, NoCollisionsInAFamily) {
  std::unordered_set<std::uint64_t> seen = {kWorldId, kSelfId};
  std::vector<std::uint64_t> parents = {kWorldId};
  for (int generation = 0; generation < 3; ++generation) {
    std::vector<std::uint64_t> children;
    for (const std::uint64_t parent : parents) {
      for (std::uint64_t kind = 1; kind <= 8; ++kind) {
        for (std::uint64_t sequence = 0; sequence < 4; ++sequence) {
          const std::uint64_t id =
              DeriveCommunicatorId(parent, static_cast<Derivation>(kind), sequence, 0);
          EXPECT_TRUE(seen.insert(id).second);
          children.push_back(id);
        }
      }
    }
    parents = children;
  }
  EXPECT_EQ(seen.size(), 2U + 32U + 1024U + 32768U);
}

}  // namespace
}  // namespace ftmpi
