// Virtual topologies: Cartesian grids, graphs, distributed graphs (MPI-3.1, ch. 7). Pure arithmetic
// and tables; the entry points are in topology_cartesian.cc and topology_graph.cc.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>
#include <vector>

namespace ftmpi {

struct Communicator;

struct Topology {
  int kind = MPI_UNDEFINED;  // MPI_CART, MPI_GRAPH, MPI_DIST_GRAPH
  // MPI_CART. Ranks are row-major: the last dimension runs fastest.
  std::vector<int> dimensions;
  std::vector<int> periods;  // 0 or 1
  // MPI_GRAPH, as in MPI_Graph_create: index[i] = number of edges of nodes 0..i.
  std::vector<int> index;
  std::vector<int> edges;
  // MPI_DIST_GRAPH: this rank's neighbours. Weights are empty if unweighted.
  std::vector<int> sources;
  std::vector<int> source_weights;
  std::vector<int> destinations;
  std::vector<int> destination_weights;
  bool weighted = false;

  [[nodiscard]] int dimension_count() const { return static_cast<int>(dimensions.size()); }
};

// Number of ranks of a grid, or -1: a dimension is not positive or the product is no int.
int GridSize(std::span<const int> dimensions);
void GridCoordinates(const Topology& grid, int rank, int coordinates[]);
// Rank at these coordinates, wrapped in periodic dimensions; MPI_PROC_NULL: outside.
int GridRank(const Topology& grid, const int coordinates[]);
// Neighbour of `rank` at `displacement` along a dimension, or MPI_PROC_NULL.
int GridNeighbor(const Topology& grid, int rank, int dimension, std::int64_t displacement);
// The grid that MPI_Cart_sub leaves, and for `rank` its colour (which subgrid) and rank in it.
struct Subgrid {
  Topology topology;
  int color;
  int rank;
};
Subgrid MakeSubgrid(const Topology& grid, const int remains[], int rank);

// Checks the arguments of MPI_Graph_create: MPI_SUCCESS, MPI_ERR_ARG or MPI_ERR_TOPOLOGY.
int CheckGraph(int nodes, const int index[], const int edges[]);
// Neighbours of a graph's node.
std::span<const int> GraphNeighbors(const Topology& graph, int node);

// The neighbours in the order in which neighbourhood collectives use them (MPI-3.1, 7.6): for a
// grid and each dimension the one at -1, then the one at +1, MPI_PROC_NULL at the edge, the same
// for sources and destinations (block 2d sent to the neighbour at -1 arrives as its block 2d+1,
// also when both neighbours are the same rank). False: the communicator has no topology.
bool Neighbors(const Communicator& communicator, std::vector<int>* sources,
               std::vector<int>* destinations);

}  // namespace ftmpi
