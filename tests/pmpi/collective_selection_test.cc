// The table of thresholds: what is chosen on both sides of each, what can't be used is not chosen,
// and how a choice is forced.
#include "pmpi/collective_selection.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace ftmpi {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

class CollectiveSelection : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("FT_COLLECTIVE_BCAST");
    unsetenv("FT_COLLECTIVE_ALLREDUCE");
    unsetenv("FT_COLLECTIVE_ALLGATHER");
    std::string error;
    ReadCollectiveSelection(&error);
  }
  static bool Force(const char* variable, const char* value, std::string* error) {
    setenv(variable, value, 1);
    return ReadCollectiveSelection(error);
  }
};

TEST_F(CollectiveSelection, BarrierByPowerOfTwo) {
  EXPECT_EQ(SelectBarrier(8), Algorithm::kRecursiveDoubling);
  EXPECT_EQ(SelectBarrier(6), Algorithm::kDissemination);
}

TEST_F(CollectiveSelection, BcastBySizeAndRanks) {
  EXPECT_EQ(SelectBcast(4, 64 * kMiB), Algorithm::kBinomial);
  EXPECT_EQ(SelectBcast(5, 256 * kKiB - 1), Algorithm::kBinomial);
  EXPECT_EQ(SelectBcast(5, 256 * kKiB), Algorithm::kScatterRing);
  EXPECT_EQ(SelectBcast(7, 8 * kMiB), Algorithm::kScatterRing);
  EXPECT_EQ(SelectBcast(8, 8 * kMiB), Algorithm::kChain);
}

TEST_F(CollectiveSelection, AllgatherByWholeResult) {
  EXPECT_EQ(SelectAllgather(2, 64 * kMiB), Algorithm::kRecursiveDoubling);
  EXPECT_EQ(SelectAllgather(4, 128 * kKiB), Algorithm::kRecursiveDoubling);
  EXPECT_EQ(SelectAllgather(4, 128 * kKiB + 1), Algorithm::kRing);
  EXPECT_EQ(SelectAllgather(3, 20 * kKiB), Algorithm::kBruck);
  EXPECT_EQ(SelectAllgather(3, 22 * kKiB), Algorithm::kRing);
}

TEST_F(CollectiveSelection, AlltoallByBlockAndRanks) {
  EXPECT_EQ(SelectAlltoall(8, 256), Algorithm::kBruck);
  EXPECT_EQ(SelectAlltoall(7, 256), Algorithm::kLinear);
  EXPECT_EQ(SelectAlltoall(8, 257), Algorithm::kLinear);
  EXPECT_EQ(SelectAlltoall(15, kMiB), Algorithm::kLinear);
  EXPECT_EQ(SelectAlltoall(16, 256 * kKiB), Algorithm::kPairwise);
}

TEST_F(CollectiveSelection, AllreduceBySizeAndWhatTheOperationAllows) {
  EXPECT_EQ(SelectAllreduce(4, 32 * kKiB, 4096, true), Algorithm::kRecursiveDoubling);
  EXPECT_EQ(SelectAllreduce(4, 32 * kKiB + 8, 4097, true), Algorithm::kRabenseifner);
  EXPECT_EQ(SelectAllreduce(4, 4 * kMiB, 524288, true), Algorithm::kRabenseifner);
  EXPECT_EQ(SelectAllreduce(6, 4 * kMiB, 524288, true), Algorithm::kRing);
  EXPECT_EQ(SelectAllreduce(6, 4 * kMiB, 524288, false), Algorithm::kRabenseifner);
  // One huge element can't be cut into blocks.
  EXPECT_EQ(SelectAllreduce(6, 4 * kMiB, 1, true), Algorithm::kRecursiveDoubling);
}

TEST_F(CollectiveSelection, ForcedChoiceHoldsWhereItCanBeUsed) {
  std::string error;
  ASSERT_TRUE(Force("FT_COLLECTIVE_ALLREDUCE", "ring", &error)) << error;
  ASSERT_TRUE(Force("FT_COLLECTIVE_ALLGATHER", "recursive_doubling", &error)) << error;
  EXPECT_EQ(ForcedCollectives(),
            "FT_COLLECTIVE_ALLGATHER=recursive_doubling FT_COLLECTIVE_ALLREDUCE=ring");
  EXPECT_EQ(SelectAllreduce(4, 64, 8, true), Algorithm::kRing);
  EXPECT_EQ(SelectAllreduce(4, 64, 8, false), Algorithm::kRabenseifner);
  EXPECT_EQ(SelectAllgather(8, kMiB), Algorithm::kRecursiveDoubling);
  EXPECT_EQ(SelectAllgather(3, kMiB), Algorithm::kRing);
}

TEST_F(CollectiveSelection, UnknownAlgorithmIsNamedWithWhatThereIs) {
  std::string error;
  EXPECT_FALSE(Force("FT_COLLECTIVE_BCAST", "fast", &error));
  EXPECT_EQ(error,
            "FT_COLLECTIVE_BCAST=fast: no such algorithm; one of binomial, scatter_ring, chain, or "
            "unset it for the choice by size");
}

}  // namespace
}  // namespace ftmpi
