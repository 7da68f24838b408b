#include "pmpi/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <vector>

#include "pmpi/communicator.h"

namespace ftmpi {

// Only the fields of a communicator are looked at here: no engine stands behind it.
Communicator::Communicator() = default;
Communicator::~Communicator() = default;

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Topology Grid(std::vector<int> dimensions, std::vector<int> periods) {
  Topology grid;
  grid.kind = MPI_CART;
  grid.dimensions = std::move(dimensions);
  grid.periods = std::move(periods);
  return grid;
}

TEST(Grid, Size) {
  EXPECT_EQ(GridSize(std::vector<int>{2, 3, 4}), 24);
  EXPECT_EQ(GridSize({}), 1);
  EXPECT_EQ(GridSize(std::vector<int>{2, 0}), -1);
  EXPECT_EQ(GridSize(std::vector<int>{-2, -2}), -1);
  EXPECT_EQ(GridSize(std::vector<int>{INT_MAX, 2}), -1);
  EXPECT_EQ(GridSize(std::vector<int>{INT_MAX, INT_MAX, INT_MAX, INT_MAX}), -1);
}

TEST(Grid, RowMajorOrder) {
  const Topology grid = Grid({2, 3, 4}, {0, 0, 0});
  int expected = 0;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k, ++expected) {
        const int coordinates[3] = {i, j, k};
        EXPECT_EQ(GridRank(grid, coordinates), expected);
        int back[3] = {-1, -1, -1};
        GridCoordinates(grid, expected, back);
        EXPECT_THAT(back, ElementsAre(i, j, k));
      }
    }
  }
}

TEST(Grid, RankOutside) {
  const Topology grid = Grid({2, 3}, {0, 1});
  const int wrapped[2] = {1, 4};
  EXPECT_EQ(GridRank(grid, wrapped), 4);
  const int below[2] = {1, -7};
  EXPECT_EQ(GridRank(grid, below), 5);
  const int outside[2] = {2, 0};
  EXPECT_EQ(GridRank(grid, outside), MPI_PROC_NULL);
  const int negative[2] = {-1, 0};
  EXPECT_EQ(GridRank(grid, negative), MPI_PROC_NULL);
}

TEST(Grid, NeighborsOpenAndPeriodic) {
  // 0 1 2
  // 3 4 5   rows are open, columns periodic in dimension 1
  const Topology grid = Grid({2, 3}, {0, 1});
  EXPECT_EQ(GridNeighbor(grid, 0, 0, 1), 3);
  EXPECT_EQ(GridNeighbor(grid, 0, 0, -1), MPI_PROC_NULL);
  EXPECT_EQ(GridNeighbor(grid, 3, 0, 1), MPI_PROC_NULL);
  EXPECT_EQ(GridNeighbor(grid, 3, 0, 0), 3);
  EXPECT_EQ(GridNeighbor(grid, 2, 1, 1), 0);
  EXPECT_EQ(GridNeighbor(grid, 3, 1, -1), 5);
  EXPECT_EQ(GridNeighbor(grid, 4, 1, -5), 5);
  EXPECT_EQ(GridNeighbor(grid, 4, 1, 300), 4);
  EXPECT_EQ(GridNeighbor(grid, 4, 1, INT_MAX), 5);  // 2147483647 = 1 (mod 3)
  EXPECT_EQ(GridNeighbor(grid, 4, 0, INT_MIN), MPI_PROC_NULL);
  EXPECT_EQ(GridNeighbor(grid, 4, 1, -std::int64_t{INT_MIN}), 3);  // 2147483648 = 2 (mod 3)
}

TEST(Grid, Subgrids) {
  const Topology grid = Grid({2, 3, 4}, {1, 0, 1});
  // MPI-3.1, 7.5.6: remain_dims = (true, false, true) gives three grids of 2 x 4.
  const int remains[3] = {1, 0, 1};
  std::vector<std::vector<int>> members(3);
  for (int rank = 0; rank < 24; ++rank) {
    const Subgrid part = MakeSubgrid(grid, remains, rank);
    EXPECT_THAT(part.topology.dimensions, ElementsAre(2, 4));
    EXPECT_THAT(part.topology.periods, ElementsAre(1, 1));
    ASSERT_GE(part.color, 0);
    ASSERT_LT(part.color, 3);
    // Ranks of the subgrid ascend with the ranks of the grid.
    EXPECT_EQ(part.rank, static_cast<int>(members[static_cast<std::size_t>(part.color)].size()));
    members[static_cast<std::size_t>(part.color)].push_back(rank);
  }
  EXPECT_THAT(members[0], ElementsAre(0, 1, 2, 3, 12, 13, 14, 15));
  EXPECT_THAT(members[1], ElementsAre(4, 5, 6, 7, 16, 17, 18, 19));
  EXPECT_THAT(members[2], ElementsAre(8, 9, 10, 11, 20, 21, 22, 23));
}

TEST(Grid, SubgridOfNoDimension) {
  const Topology grid = Grid({2, 2}, {0, 0});
  const int remains[2] = {0, 0};
  for (int rank = 0; rank < 4; ++rank) {
    const Subgrid part = MakeSubgrid(grid, remains, rank);
    EXPECT_THAT(part.topology.dimensions, IsEmpty());
    EXPECT_EQ(part.color, rank);
    EXPECT_EQ(part.rank, 0);
  }
}

TEST(Graph, Check) {
  // MPI-3.1, 7.5.3: four processes, adjacency 0: 1 3, 1: 0, 2: 3, 3: 0 2.
  const int index[4] = {2, 3, 4, 6};
  const int edges[6] = {1, 3, 0, 3, 0, 2};
  EXPECT_EQ(CheckGraph(4, index, edges), MPI_SUCCESS);
  const int falling[4] = {2, 1, 4, 6};
  EXPECT_EQ(CheckGraph(4, falling, edges), MPI_ERR_ARG);
  const int outside[6] = {1, 3, 0, 4, 0, 2};
  EXPECT_EQ(CheckGraph(4, index, outside), MPI_ERR_ARG);
  const int negative[6] = {1, 3, -1, 3, 0, 2};
  EXPECT_EQ(CheckGraph(4, index, negative), MPI_ERR_ARG);
}

TEST(Graph, Neighbors) {
  Topology graph;
  graph.kind = MPI_GRAPH;
  graph.index = {2, 3, 3, 5};
  graph.edges = {1, 3, 0, 0, 2};
  EXPECT_THAT(GraphNeighbors(graph, 0), ElementsAre(1, 3));
  EXPECT_THAT(GraphNeighbors(graph, 1), ElementsAre(0));
  EXPECT_THAT(GraphNeighbors(graph, 2), IsEmpty());
  EXPECT_THAT(GraphNeighbors(graph, 3), ElementsAre(0, 2));
}

TEST(Neighbors, OrderOfEachKind) {
  Communicator communicator;
  communicator.rank = 1;
  std::vector<int> sources;
  std::vector<int> destinations;
  EXPECT_FALSE(Neighbors(communicator, &sources, &destinations));

  communicator.topology = std::make_unique<Topology>(Grid({2, 2}, {0, 1}));
  ASSERT_TRUE(Neighbors(communicator, &sources, &destinations));
  EXPECT_THAT(sources, ElementsAre(MPI_PROC_NULL, 3, 0, 0));
  EXPECT_EQ(destinations, sources);

  communicator.topology = std::make_unique<Topology>();
  communicator.topology->kind = MPI_GRAPH;
  communicator.topology->index = {1, 4};
  communicator.topology->edges = {1, 1, 0, 1};
  ASSERT_TRUE(Neighbors(communicator, &sources, &destinations));
  EXPECT_THAT(sources, ElementsAre(1, 0, 1));
  EXPECT_EQ(destinations, sources);

  communicator.topology = std::make_unique<Topology>();
  communicator.topology->kind = MPI_DIST_GRAPH;
  communicator.topology->sources = {3, 0};
  communicator.topology->destinations = {2};
  ASSERT_TRUE(Neighbors(communicator, &sources, &destinations));
  EXPECT_THAT(sources, ElementsAre(3, 0));
  EXPECT_THAT(destinations, ElementsAre(2));
}

}  // namespace
}  // namespace ftmpi
