#include "pmpi/topology.h"

#include <climits>

#include "pmpi/communicator.h"

namespace ftmpi {

int GridSize(std::span<const int> dimensions) {
  std::int64_t size = 1;
  for (const int extent : dimensions) {
    if (extent <= 0) return -1;
    size *= extent;
    if (size > INT_MAX) return -1;
  }
  return static_cast<int>(size);
}

void GridCoordinates(const Topology& grid, int rank, int coordinates[]) {
  for (int i = grid.dimension_count() - 1; i >= 0; --i) {
    const int extent = grid.dimensions[static_cast<std::size_t>(i)];
    coordinates[i] = rank % extent;
    rank /= extent;
  }
}

int GridRank(const Topology& grid, const int coordinates[]) {
  std::int64_t rank = 0;
  for (int i = 0; i < grid.dimension_count(); ++i) {
    const int extent = grid.dimensions[static_cast<std::size_t>(i)];
    int coordinate = coordinates[i];
    if (coordinate < 0 || coordinate >= extent) {
      if (grid.periods[static_cast<std::size_t>(i)] == 0) return MPI_PROC_NULL;
      coordinate %= extent;
      if (coordinate < 0) coordinate += extent;
    }
    rank = rank * extent + coordinate;
  }
  return static_cast<int>(rank);
}

int GridNeighbor(const Topology& grid, int rank, int dimension, std::int64_t displacement) {
  std::int64_t stride = 1;
  for (int i = grid.dimension_count() - 1; i > dimension; --i) {
    stride *= grid.dimensions[static_cast<std::size_t>(i)];
  }
  const int extent = grid.dimensions[static_cast<std::size_t>(dimension)];
  const std::int64_t coordinate = rank / stride % extent;
  std::int64_t wanted = coordinate + displacement;
  if (wanted < 0 || wanted >= extent) {
    if (grid.periods[static_cast<std::size_t>(dimension)] == 0) return MPI_PROC_NULL;
    wanted %= extent;
    if (wanted < 0) wanted += extent;
  }
  return static_cast<int>(rank + (wanted - coordinate) * stride);
}

Subgrid MakeSubgrid(const Topology& grid, const int remains[], int rank) {
  Subgrid result;
  result.topology.kind = MPI_CART;
  result.color = 0;
  result.rank = 0;
  std::vector<int> coordinates(grid.dimensions.size());
  GridCoordinates(grid, rank, coordinates.data());
  for (std::size_t i = 0; i < grid.dimensions.size(); ++i) {
    if (remains[i] != 0) {
      result.topology.dimensions.push_back(grid.dimensions[i]);
      result.topology.periods.push_back(grid.periods[i]);
      result.rank = result.rank * grid.dimensions[i] + coordinates[i];
    } else {
      result.color = result.color * grid.dimensions[i] + coordinates[i];
    }
  }
  return result;
}

int CheckGraph(int nodes, const int index[], const int edges[]) {
  int before = 0;
  for (int node = 0; node < nodes; ++node) {
    if (index[node] < before) return MPI_ERR_ARG;
    before = index[node];
  }
  for (int edge = 0; edge < before; ++edge) {
    if (edges[edge] < 0 || edges[edge] >= nodes) return MPI_ERR_ARG;
  }
  return MPI_SUCCESS;
}

std::span<const int> GraphNeighbors(const Topology& graph, int node) {
  const auto at = static_cast<std::size_t>(node);
  const int begin = node == 0 ? 0 : graph.index[at - 1];
  return std::span<const int>(graph.edges)
      .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(graph.index[at] - begin));
}

bool Neighbors(const Communicator& communicator, std::vector<int>* sources,
               std::vector<int>* destinations) {
  if (communicator.topology == nullptr) return false;
  const Topology& topology = *communicator.topology;
  sources->clear();
  if (topology.kind == MPI_CART) {
    for (int i = 0; i < topology.dimension_count(); ++i) {
      sources->push_back(GridNeighbor(topology, communicator.rank, i, -1));
      sources->push_back(GridNeighbor(topology, communicator.rank, i, 1));
    }
    *destinations = *sources;
  } else if (topology.kind == MPI_GRAPH) {
    const std::span<const int> neighbors = GraphNeighbors(topology, communicator.rank);
    sources->assign(neighbors.begin(), neighbors.end());
    *destinations = *sources;
  } else {
    *sources = topology.sources;
    *destinations = topology.destinations;
  }
  return true;
}

}  // namespace ftmpi
