#include "pmpi/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace ftmpi {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

GroupPointer Make(std::vector<int> ranks) { return Group::FromWorldRanks(std::move(ranks)); }

TEST(Group, WorldNamesEveryRank) {
  const GroupPointer world = Group::World(5);
  EXPECT_EQ(world->size(), 5);
  EXPECT_THAT(world->WorldRanks(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(world->RankOf(4), 4);
  EXPECT_EQ(world->RankOf(5), MPI_UNDEFINED);
  EXPECT_EQ(world->RankOf(-1), MPI_UNDEFINED);
}

TEST(Group, KeepsAnyOrder) {
  // Consecutive, ascending with a gap, descending, mixed: each is stored in its own way.
  for (const std::vector<int>& ranks :
       {std::vector<int>{3, 4, 5}, {1, 4, 9}, {9, 4, 1}, {5, 2, 7, 3}, {6}, {}}) {
    const GroupPointer group = Make(ranks);
    ASSERT_EQ(group->size(), static_cast<int>(ranks.size()));
    EXPECT_EQ(group->WorldRanks(), ranks);
    for (int world_rank = -2; world_rank < 12; ++world_rank) {
      const auto at = std::find(ranks.begin(), ranks.end(), world_rank);
      const int expected = at == ranks.end() ? MPI_UNDEFINED : static_cast<int>(at - ranks.begin());
      EXPECT_EQ(group->RankOf(world_rank), expected) << world_rank;
    }
  }
}

TEST(Group, Compare) {
  EXPECT_EQ(CompareGroups(*Make({1, 2, 5}), *Make({1, 2, 5})), MPI_IDENT);
  EXPECT_EQ(CompareGroups(*Make({1, 2, 5}), *Make({5, 1, 2})), MPI_SIMILAR);
  EXPECT_EQ(CompareGroups(*Make({1, 2, 5}), *Make({1, 2, 6})), MPI_UNEQUAL);
  EXPECT_EQ(CompareGroups(*Make({1, 2}), *Make({1, 2, 5})), MPI_UNEQUAL);
  EXPECT_EQ(CompareGroups(*Make({}), *Make({})), MPI_IDENT);
}

TEST(Group, SetOperationsKeepTheOrderOfTheFirstGroup) {
  const GroupPointer a = Make({4, 1, 7, 2});
  const GroupPointer b = Make({2, 9, 4});
  EXPECT_THAT(UnionGroups(*a, *b)->WorldRanks(), ElementsAre(4, 1, 7, 2, 9));
  EXPECT_THAT(UnionGroups(*b, *a)->WorldRanks(), ElementsAre(2, 9, 4, 1, 7));
  EXPECT_THAT(IntersectGroups(*a, *b)->WorldRanks(), ElementsAre(4, 2));
  EXPECT_THAT(IntersectGroups(*b, *a)->WorldRanks(), ElementsAre(2, 4));
  EXPECT_THAT(SubtractGroups(*a, *b)->WorldRanks(), ElementsAre(1, 7));
  EXPECT_THAT(SubtractGroups(*b, *a)->WorldRanks(), ElementsAre(9));
  EXPECT_THAT(SubtractGroups(*a, *a)->WorldRanks(), IsEmpty());
  EXPECT_TRUE(GroupsOverlap(*a, *b));
  EXPECT_FALSE(GroupsOverlap(*a, *Make({3, 5})));
}

TEST(Group, IncludeAndExclude) {
  const GroupPointer group = Make({10, 11, 12, 20});
  GroupPointer result;
  ASSERT_EQ(IncludeRanks(*group, std::vector<int>{3, 0}, &result), MPI_SUCCESS);
  EXPECT_THAT(result->WorldRanks(), ElementsAre(20, 10));
  ASSERT_EQ(ExcludeRanks(*group, std::vector<int>{3, 0}, &result), MPI_SUCCESS);
  EXPECT_THAT(result->WorldRanks(), ElementsAre(11, 12));
  ASSERT_EQ(IncludeRanks(*group, {}, &result), MPI_SUCCESS);
  EXPECT_EQ(result->size(), 0);
  for (const std::vector<int>& wrong : {std::vector<int>{4}, {-1}, {1, 2, 1}}) {
    EXPECT_EQ(IncludeRanks(*group, wrong, &result), MPI_ERR_RANK);
    EXPECT_EQ(ExcludeRanks(*group, wrong, &result), MPI_ERR_RANK);
  }
}

TEST(Group, Ranges) {
  const GroupPointer group = Group::World(10);
  std::vector<int> ranks;
  // MPI-3.1, 6.3.2: the example of MPI_GROUP_RANGE_INCL.
  const int ranges[][3] = {{6, 7, 1}, {1, 6, 5}, {0, 9, 4}};
  ASSERT_EQ(ExpandRanges(*group, 1, ranges, &ranks), MPI_SUCCESS);
  EXPECT_THAT(ranks, ElementsAre(6, 7));
  ASSERT_EQ(ExpandRanges(*group, 3, ranges, &ranks), MPI_SUCCESS);
  EXPECT_THAT(ranks, ElementsAre(6, 7, 1, 6, 0, 4, 8));
  const int down[][3] = {{9, 0, -3}};
  ASSERT_EQ(ExpandRanges(*group, 1, down, &ranks), MPI_SUCCESS);
  EXPECT_THAT(ranks, ElementsAre(9, 6, 3, 0));
  const int far[][3] = {{2, 2, INT32_MAX}};
  ASSERT_EQ(ExpandRanges(*group, 1, far, &ranks), MPI_SUCCESS);
  EXPECT_THAT(ranks, ElementsAre(2));
}

TEST(Group, WrongRanges) {
  const GroupPointer group = Group::World(10);
  std::vector<int> ranks;
  const int no_stride[][3] = {{1, 4, 0}};
  EXPECT_EQ(ExpandRanges(*group, 1, no_stride, &ranks), MPI_ERR_ARG);
  const int outside[][3] = {{1, 10, 1}};
  EXPECT_EQ(ExpandRanges(*group, 1, outside, &ranks), MPI_ERR_RANK);
  const int negative[][3] = {{-1, 3, 1}};
  EXPECT_EQ(ExpandRanges(*group, 1, negative, &ranks), MPI_ERR_RANK);
  const int wrong_way[][3] = {{4, 1, 1}};
  EXPECT_EQ(ExpandRanges(*group, 1, wrong_way, &ranks), MPI_ERR_ARG);
  const int twice[][3] = {{0, 9, 1}, {0, 9, 1}};
  EXPECT_EQ(ExpandRanges(*group, 2, twice, &ranks), MPI_ERR_RANK);
}

// Random groups against sets and linear searches.
TEST(Group, RandomAgainstOracle) {
  std::mt19937 random(20240917);
  for (int round = 0; round < 300; ++round) {
    const auto make = [&random] {
      std::vector<int> ranks(12);
      for (int i = 0; i < 12; ++i) ranks[static_cast<std::size_t>(i)] = i;
      std::shuffle(ranks.begin(), ranks.end(), random);
      ranks.resize(random() % 13);
      if (random() % 3 == 0) std::sort(ranks.begin(), ranks.end());
      return ranks;
    };
    const std::vector<int> a = make();
    const std::vector<int> b = make();
    const std::set<int> in_a(a.begin(), a.end());
    const std::set<int> in_b(b.begin(), b.end());
    std::vector<int> joined = a;
    std::vector<int> common;
    std::vector<int> only;
    for (const int rank : b) {
      if (in_a.count(rank) == 0) joined.push_back(rank);
    }
    for (const int rank : a) (in_b.count(rank) != 0 ? common : only).push_back(rank);
    EXPECT_EQ(UnionGroups(*Make(a), *Make(b))->WorldRanks(), joined);
    EXPECT_EQ(IntersectGroups(*Make(a), *Make(b))->WorldRanks(), common);
    EXPECT_EQ(SubtractGroups(*Make(a), *Make(b))->WorldRanks(), only);
    EXPECT_EQ(GroupsOverlap(*Make(a), *Make(b)), !common.empty());
    const int expected = a == b ? MPI_IDENT : in_a == in_b ? MPI_SIMILAR : MPI_UNEQUAL;
    EXPECT_EQ(CompareGroups(*Make(a), *Make(b)), expected);
  }
}

}  // namespace
}  // namespace ftmpi
