// Entry points for graphs and distributed graphs. Ranks are never reordered (MPI leaves that to the
// library).
#include <algorithm>
#include <numeric>

#include "pmpi/capture.h"
#include "pmpi/communicator_create.h"
#include "pmpi/engine.h"
#include "pmpi/internal_collectives.h"
#include "pmpi/topology.h"

using namespace ftmpi;  // NOLINT: entry points live outside the namespace

namespace {

const Topology* TopologyOf(const Communicator* communicator, int kind) {
  const Topology* topology = communicator->topology.get();
  return topology != nullptr && topology->kind == kind ? topology : nullptr;
}

int CheckNewGraph(const Communicator* communicator, int nodes, const int index[],
                  const int edges[]) {
  if (communicator->inter) return MPI_ERR_COMM;
  if (nodes < 0 || nodes > communicator->size) return MPI_ERR_ARG;
  if (nodes == 0) return MPI_SUCCESS;
  if (index == nullptr || (edges == nullptr && index[nodes - 1] > 0)) return MPI_ERR_ARG;
  return CheckGraph(nodes, index, edges);
}

void CopyUpTo(const std::vector<int>& from, int maximum, int* to) {
  const std::size_t count = std::min(from.size(), static_cast<std::size_t>(maximum));
  std::copy_n(from.begin(), count, to);
}

// Checks `count` neighbours (and weights) of a distributed graph.
bool AreNeighbors(const Communicator* communicator, int count, const int* ranks,
                  const int* weights) {
  if (count < 0 || (count > 0 && ranks == nullptr)) return false;
  for (int i = 0; i < count; ++i) {
    if (ranks[i] < 0 || ranks[i] >= communicator->size) return false;
  }
  if (count == 0 || weights == MPI_UNWEIGHTED) return true;
  if (weights == nullptr || weights == MPI_WEIGHTS_EMPTY) return false;
  return std::all_of(weights, weights + count, [](int weight) { return weight >= 0; });
}

std::unique_ptr<Topology> NewDistributedGraph(bool weighted) {
  auto topology = std::make_unique<Topology>();
  topology->kind = MPI_DIST_GRAPH;
  topology->weighted = weighted;
  return topology;
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): names of variables that the macro declares
#define FTMPI_FIND_GRAPH(communicator, graph, wanted_kind, comm, function, foreign_call) \
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);                                 \
  if (communicator->foreign != MPI_COMM_NULL) {                                          \
    const int foreign_error = (foreign_call);                                            \
    FTMPI_REQUIRE(communicator, foreign_error == MPI_SUCCESS, foreign_error, function);  \
    return MPI_SUCCESS;                                                                  \
  }                                                                                      \
  const Topology* const graph = TopologyOf(communicator, wanted_kind);                   \
  FTMPI_REQUIRE(communicator, graph != nullptr, MPI_ERR_TOPOLOGY, function)
// NOLINTEND(bugprone-macro-parentheses)

FTMPI_EXPORT int MPI_Graph_create(MPI_Comm comm_old, int nnodes, const int index[],
                                  const int edges[], int reorder, MPI_Comm* comm_graph) {
  FTMPI_PASS_THROUGH(PMPI_Graph_create(comm_old, nnodes, index, edges, reorder, comm_graph));
  EngineLock lock;
  const char* const function = "MPI_Graph_create";
  FTMPI_FIND_COMMUNICATOR(parent, comm_old, function);
  FTMPI_REQUIRE(parent, comm_graph != nullptr, MPI_ERR_ARG, function);
  if (parent->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Graph_create(parent->foreign, nnodes, index, edges, reorder, &inner);
    return FinishForeign(parent, error, inner, comm_graph, function);
  }
  const int error = CheckNewGraph(parent, nnodes, index, edges);
  FTMPI_REQUIRE(parent, error == MPI_SUCCESS, error, function);
  std::vector<int> ranks(static_cast<std::size_t>(nnodes));
  std::iota(ranks.begin(), ranks.end(), 0);
  Communicator* made = DeriveSubset(parent, ranks, Derivation::kTopology);
  if (made != nullptr) {
    made->topology = std::make_unique<Topology>();
    made->topology->kind = MPI_GRAPH;
    made->topology->index.assign(index, index + nnodes);
    made->topology->edges.assign(edges, edges + index[nnodes - 1]);
  }
  *comm_graph = HandleOf(made);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Graph_map(MPI_Comm comm, int nnodes, const int index[], const int edges[],
                               int* newrank) {
  FTMPI_PASS_THROUGH(PMPI_Graph_map(comm, nnodes, index, edges, newrank));
  EngineLock lock;
  const char* const function = "MPI_Graph_map";
  FTMPI_FIND_COMMUNICATOR(communicator, comm, function);
  FTMPI_REQUIRE(communicator, newrank != nullptr && nnodes > 0, MPI_ERR_ARG, function);
  const int error = CheckNewGraph(communicator, nnodes, index, edges);
  FTMPI_REQUIRE(communicator, error == MPI_SUCCESS, error, function);
  *newrank = communicator->rank < nnodes ? communicator->rank : MPI_UNDEFINED;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Graphdims_get(MPI_Comm comm, int* nnodes, int* nedges) {
  FTMPI_PASS_THROUGH(PMPI_Graphdims_get(comm, nnodes, nedges));
  EngineLock lock;
  const char* const function = "MPI_Graphdims_get";
  FTMPI_FIND_GRAPH(communicator, graph, MPI_GRAPH, comm, function,
                   PMPI_Graphdims_get(communicator->foreign, nnodes, nedges));
  FTMPI_REQUIRE(communicator, nnodes != nullptr && nedges != nullptr, MPI_ERR_ARG, function);
  *nnodes = static_cast<int>(graph->index.size());
  *nedges = static_cast<int>(graph->edges.size());
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Graph_get(MPI_Comm comm, int maxindex, int maxedges, int index[],
                               int edges[]) {
  FTMPI_PASS_THROUGH(PMPI_Graph_get(comm, maxindex, maxedges, index, edges));
  EngineLock lock;
  const char* const function = "MPI_Graph_get";
  FTMPI_FIND_GRAPH(communicator, graph, MPI_GRAPH, comm, function,
                   PMPI_Graph_get(communicator->foreign, maxindex, maxedges, index, edges));
  FTMPI_REQUIRE(communicator,
                maxindex >= 0 && maxedges >= 0 && (index != nullptr || maxindex == 0) &&
                    (edges != nullptr || maxedges == 0),
                MPI_ERR_ARG, function);
  CopyUpTo(graph->index, maxindex, index);
  CopyUpTo(graph->edges, maxedges, edges);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Graph_neighbors_count(MPI_Comm comm, int rank, int* nneighbors) {
  FTMPI_PASS_THROUGH(PMPI_Graph_neighbors_count(comm, rank, nneighbors));
  EngineLock lock;
  const char* const function = "MPI_Graph_neighbors_count";
  FTMPI_FIND_GRAPH(communicator, graph, MPI_GRAPH, comm, function,
                   PMPI_Graph_neighbors_count(communicator->foreign, rank, nneighbors));
  FTMPI_REQUIRE(communicator, nneighbors != nullptr, MPI_ERR_ARG, function);
  FTMPI_REQUIRE(communicator, rank >= 0 && rank < communicator->size, MPI_ERR_RANK, function);
  *nneighbors = static_cast<int>(GraphNeighbors(*graph, rank).size());
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Graph_neighbors(MPI_Comm comm, int rank, int maxneighbors, int neighbors[]) {
  FTMPI_PASS_THROUGH(PMPI_Graph_neighbors(comm, rank, maxneighbors, neighbors));
  EngineLock lock;
  const char* const function = "MPI_Graph_neighbors";
  FTMPI_FIND_GRAPH(communicator, graph, MPI_GRAPH, comm, function,
                   PMPI_Graph_neighbors(communicator->foreign, rank, maxneighbors, neighbors));
  FTMPI_REQUIRE(communicator, maxneighbors >= 0 && (neighbors != nullptr || maxneighbors == 0),
                MPI_ERR_ARG, function);
  FTMPI_REQUIRE(communicator, rank >= 0 && rank < communicator->size, MPI_ERR_RANK, function);
  const std::span<const int> found = GraphNeighbors(*graph, rank);
  std::copy_n(found.begin(), std::min(found.size(), static_cast<std::size_t>(maxneighbors)),
              neighbors);
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Dist_graph_create_adjacent(MPI_Comm comm_old, int indegree,
                                                const int sources[], const int sourceweights[],
                                                int outdegree, const int destinations[],
                                                const int destweights[], MPI_Info info, int reorder,
                                                MPI_Comm* comm_dist_graph) {
  FTMPI_PASS_THROUGH(PMPI_Dist_graph_create_adjacent(comm_old, indegree, sources, sourceweights,
                                                     outdegree, destinations, destweights, info,
                                                     reorder, comm_dist_graph));
  EngineLock lock;
  const char* const function = "MPI_Dist_graph_create_adjacent";
  FTMPI_FIND_COMMUNICATOR(parent, comm_old, function);
  FTMPI_REQUIRE(parent, comm_dist_graph != nullptr, MPI_ERR_ARG, function);
  if (parent->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Dist_graph_create_adjacent(parent->foreign, indegree, sources,
                                                      sourceweights, outdegree, destinations,
                                                      destweights, info, reorder, &inner);
    return FinishForeign(parent, error, inner, comm_dist_graph, function);
  }
  FTMPI_REQUIRE(parent, !parent->inter, MPI_ERR_COMM, function);
  FTMPI_REQUIRE(parent,
                AreNeighbors(parent, indegree, sources, sourceweights) &&
                    AreNeighbors(parent, outdegree, destinations, destweights),
                MPI_ERR_ARG, function);
  const bool weighted = sourceweights != MPI_UNWEIGHTED || destweights != MPI_UNWEIGHTED;
  FTMPI_REQUIRE(parent,
                !weighted || (sourceweights != MPI_UNWEIGHTED && destweights != MPI_UNWEIGHTED),
                MPI_ERR_ARG, function);
  std::unique_ptr<Topology> topology = NewDistributedGraph(weighted);
  topology->sources.assign(sources, sources + indegree);
  topology->destinations.assign(destinations, destinations + outdegree);
  if (weighted) {
    topology->source_weights.assign(sourceweights, sourceweights + indegree);
    topology->destination_weights.assign(destweights, destweights + outdegree);
  }
  Communicator* made = DeriveWhole(parent, Derivation::kTopology);
  made->topology = std::move(topology);
  *comm_dist_graph = made->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Dist_graph_create(MPI_Comm comm_old, int n, const int nodes[],
                                       const int degrees[], const int targets[],
                                       const int weights[], MPI_Info info, int reorder,
                                       MPI_Comm* newcomm) {
  FTMPI_PASS_THROUGH(PMPI_Dist_graph_create(comm_old, n, nodes, degrees, targets, weights, info,
                                            reorder, newcomm));
  EngineLock lock;
  const char* const function = "MPI_Dist_graph_create";
  FTMPI_FIND_COMMUNICATOR(parent, comm_old, function);
  FTMPI_REQUIRE(parent, newcomm != nullptr, MPI_ERR_ARG, function);
  if (parent->foreign != MPI_COMM_NULL) {
    MPI_Comm inner = MPI_COMM_NULL;
    const int error = PMPI_Dist_graph_create(parent->foreign, n, nodes, degrees, targets, weights,
                                             info, reorder, &inner);
    return FinishForeign(parent, error, inner, newcomm, function);
  }
  FTMPI_REQUIRE(parent, !parent->inter, MPI_ERR_COMM, function);
  FTMPI_REQUIRE(parent, AreNeighbors(parent, n, nodes, MPI_UNWEIGHTED), MPI_ERR_ARG, function);
  FTMPI_REQUIRE(parent, n == 0 || degrees != nullptr, MPI_ERR_ARG, function);
  std::int64_t edge_count = 0;
  for (int i = 0; i < n; ++i) {
    FTMPI_REQUIRE(parent, degrees[i] >= 0, MPI_ERR_ARG, function);
    edge_count += degrees[i];
  }
  FTMPI_REQUIRE(parent, edge_count <= INT32_MAX / 2, MPI_ERR_ARG, function);
  FTMPI_REQUIRE(parent, AreNeighbors(parent, static_cast<int>(edge_count), targets, weights),
                MPI_ERR_ARG, function);

  // Any process may name any edge: each goes to its two ends.
  enum : int { kToDestination = 0, kToSource = 1 };
  const bool weighted = weights != MPI_UNWEIGHTED;
  std::vector<Party::Parcel> parcels;
  int edge = 0;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < degrees[i]; ++j, ++edge) {
      const int weight = weighted ? weights[edge] : 0;
      const int order = 2 * edge;
      parcels.push_back({nodes[i], parent->rank, order, kToSource, {targets[edge], weight}});
      parcels.push_back({targets[edge], parent->rank, order, kToDestination, {nodes[i], weight}});
    }
  }
  std::unique_ptr<Topology> topology = NewDistributedGraph(weighted);
  for (const Party::Parcel& parcel : Party(parent).Exchange(std::move(parcels))) {
    const bool out = parcel.kind == kToSource;
    (out ? topology->destinations : topology->sources).push_back(parcel.value[0]);
    if (weighted) {
      (out ? topology->destination_weights : topology->source_weights).push_back(parcel.value[1]);
    }
  }
  Communicator* made = DeriveWhole(parent, Derivation::kTopology);
  made->topology = std::move(topology);
  *newcomm = made->handle();
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Dist_graph_neighbors_count(MPI_Comm comm, int* inneighbors, int* outneighbors,
                                                int* weighted) {
  FTMPI_PASS_THROUGH(PMPI_Dist_graph_neighbors_count(comm, inneighbors, outneighbors, weighted));
  EngineLock lock;
  const char* const function = "MPI_Dist_graph_neighbors_count";
  FTMPI_FIND_GRAPH(
      communicator, graph, MPI_DIST_GRAPH, comm, function,
      PMPI_Dist_graph_neighbors_count(communicator->foreign, inneighbors, outneighbors, weighted));
  FTMPI_REQUIRE(communicator,
                inneighbors != nullptr && outneighbors != nullptr && weighted != nullptr,
                MPI_ERR_ARG, function);
  *inneighbors = static_cast<int>(graph->sources.size());
  *outneighbors = static_cast<int>(graph->destinations.size());
  *weighted = graph->weighted ? 1 : 0;
  return MPI_SUCCESS;
}

FTMPI_EXPORT int MPI_Dist_graph_neighbors(MPI_Comm comm, int maxindegree, int sources[],
                                          int sourceweights[], int maxoutdegree, int destinations[],
                                          int destweights[]) {
  FTMPI_PASS_THROUGH(PMPI_Dist_graph_neighbors(comm, maxindegree, sources, sourceweights,
                                               maxoutdegree, destinations, destweights));
  EngineLock lock;
  const char* const function = "MPI_Dist_graph_neighbors";
  FTMPI_FIND_GRAPH(
      communicator, graph, MPI_DIST_GRAPH, comm, function,
      PMPI_Dist_graph_neighbors(communicator->foreign, maxindegree, sources, sourceweights,
                                maxoutdegree, destinations, destweights));
  FTMPI_REQUIRE(communicator,
                maxindegree >= 0 && maxoutdegree >= 0 && (sources != nullptr || maxindegree == 0) &&
                    (destinations != nullptr || maxoutdegree == 0),
                MPI_ERR_ARG, function);
  CopyUpTo(graph->sources, maxindegree, sources);
  CopyUpTo(graph->destinations, maxoutdegree, destinations);
  if (graph->weighted) {
    const auto wanted = [](const int* weights) {
      return weights != nullptr && weights != MPI_UNWEIGHTED && weights != MPI_WEIGHTS_EMPTY;
    };
    if (wanted(sourceweights)) CopyUpTo(graph->source_weights, maxindegree, sourceweights);
    if (wanted(destweights)) CopyUpTo(graph->destination_weights, maxoutdegree, destweights);
  }
  return MPI_SUCCESS;
}
