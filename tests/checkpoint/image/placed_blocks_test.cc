// Placements, with the test in malloc's place.
#include "checkpoint/image/placed_blocks.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <vector>

namespace ftmpi::image::placed {
namespace {

// What malloc does for a library (checkpoint/image/malloc.cc).
void* Allocate(std::size_t size) {
  void* block = t_placement == nullptr ? nullptr : t_placement->Take(size);
  if (block != nullptr) return block;
  block = std::malloc(size);
  if (t_placement != nullptr) t_placement->Note(block, size);
  return block;
}
void Free(void* block) {
  if (Owns(block)) {
    Release(block);
  } else {
    std::free(block);
  }
}

class PlacedBlocksTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* reason = nullptr;
    ASSERT_TRUE(Reserve(&reason)) << reason;
  }
};

TEST_F(PlacedBlocksTest, OnlyTheObjectsSizeIsPlaced) {
  void* object = nullptr;
  void* other = nullptr;
  {
    Placement placement(400);
    other = Allocate(401);
    object = Allocate(400);
  }
  EXPECT_TRUE(Owns(object));
  EXPECT_FALSE(Owns(other));
  void* outside = Allocate(400);
  EXPECT_FALSE(Owns(outside));
  for (void* block : {object, other, outside}) Free(block);
}

TEST_F(PlacedBlocksTest, KeptUntilFreed) {
  void* object = nullptr;
  {
    Placement placement(64);
    object = Allocate(64);
  }
  EXPECT_FALSE(Kept(object));
  Keep(object);
  EXPECT_TRUE(Kept(object));
  Free(object);
  EXPECT_FALSE(Kept(object));
}

TEST_F(PlacedBlocksTest, TheOneThatIsMeantGoesToItsAddress) {
  void* wanted = AddressOf(1000);
  std::vector<void*> blocks;
  {
    Placement placement(96, wanted, 2);
    for (int n = 0; n < 4; ++n) {
      blocks.push_back(Allocate(96));
      blocks.push_back(Allocate(97));
    }
  }
  for (std::size_t n = 0; n < blocks.size(); ++n) EXPECT_EQ(Owns(blocks[n]), n == 4) << n;
  EXPECT_EQ(blocks[4], wanted);
  {
    // It is in use.
    Placement placement(96, wanted, 0);
    void* refused = Allocate(96);
    EXPECT_FALSE(Owns(refused));
    Free(refused);
  }
  for (void* block : blocks) Free(block);
}

TEST_F(PlacedBlocksTest, ATrialSaysWhichAllocationBecameTheObject) {
  void* blocks[5];
  {
    Placement trial;
    const std::size_t sizes[] = {80, 40, 80, 80, 16};
    for (int n = 0; n < 5; ++n) blocks[n] = Allocate(sizes[n]);
    EXPECT_EQ(trial.SizeOf(blocks[3]), 80U);
    EXPECT_EQ(trial.CountBefore(blocks[3]), 2U);
    EXPECT_EQ(trial.CountBefore(blocks[1]), 0U);
    EXPECT_EQ(trial.SizeOf(&blocks), 0U);
  }
  for (void* block : blocks) {
    EXPECT_FALSE(Owns(block));
    Free(block);
  }
}

TEST_F(PlacedBlocksTest, WhenAllAreInUseMemoryIsLibcs) {
  std::set<void*> placed;
  void* more = nullptr;
  {
    Placement placement(32);
    for (std::size_t n = 0; n < kBlocks; ++n) placed.insert(Allocate(32));
    more = Allocate(32);
  }
  EXPECT_EQ(placed.size(), kBlocks);
  for (void* block : placed) ASSERT_TRUE(Owns(block));
  EXPECT_FALSE(Owns(more));
  void* one = *placed.begin();
  Free(one);
  {
    Placement placement(32);
    EXPECT_EQ(Allocate(32), one);
  }
  for (void* block : placed) Free(block);
  Free(more);
}

TEST_F(PlacedBlocksTest, TooLargeAnObjectIsNotPlaced) {
  Placement placement(kBlock + 1);
  void* block = Allocate(kBlock + 1);
  EXPECT_FALSE(Owns(block));
  Free(block);
}

TEST_F(PlacedBlocksTest, ThoseInsideOthersEndFirst) {
  Placement outer(48);
  {
    Placement inner(56);
    void* block = Allocate(48);
    EXPECT_FALSE(Owns(block));
    Free(block);
  }
  void* block = Allocate(48);
  EXPECT_TRUE(Owns(block));
  Free(block);
}

}  // namespace
}  // namespace ftmpi::image::placed
