// np: 4
// Graphs and distributed graphs, with and without weights.
#include "comm_check.h"

static int Same(int count, const int* got, const int* wanted) {
  return count == 0 || memcmp(got, wanted, (size_t)count * sizeof(int)) == 0;
}

static int Less(const void* left, const void* right) {
  const int* a = left;
  const int* b = right;
  return a[0] != b[0] ? (a[0] > b[0]) - (a[0] < b[0]) : (a[1] > b[1]) - (a[1] < b[1]);
}

// MPI-3.1, 7.5.3: adjacency 0: 1 3, 1: 0, 2: 3, 3: 0 2.
static void Graph(void) {
  const int index[4] = {2, 3, 4, 6};
  const int edges[6] = {1, 3, 0, 3, 0, 2};
  MPI_Comm graph;
  MPI_Graph_create(MPI_COMM_WORLD, 4, index, edges, 0, &graph);
  CheckMembers(graph, 4, (const int[]){0, 1, 2, 3});
  int status = -1;
  MPI_Topo_test(graph, &status);
  CHECK_EQUAL(status, MPI_GRAPH);
  int nodes = 0;
  int count = 0;
  MPI_Graphdims_get(graph, &nodes, &count);
  CHECK(nodes == 4 && count == 6);
  int got_index[4];
  int got_edges[6];
  MPI_Graph_get(graph, 4, 6, got_index, got_edges);
  CHECK(Same(4, got_index, index) && Same(6, got_edges, edges));
  const int degrees[4] = {2, 1, 1, 2};
  for (int node = 0; node < 4; ++node) {
    MPI_Graph_neighbors_count(graph, node, &count);
    CHECK_EQUAL(count, degrees[node]);
    int neighbors[2];
    MPI_Graph_neighbors(graph, node, 2, neighbors);
    CHECK(Same(count, neighbors, edges + (node == 0 ? 0 : index[node - 1])));
  }
  int in[2] = {-1, -1};
  MPI_Neighbor_allgather(&world_rank, 1, MPI_INT, in, 1, MPI_INT, graph);
  CHECK(Same(degrees[world_rank], in, edges + (world_rank == 0 ? 0 : index[world_rank - 1])));
  MPI_Comm_free(&graph);

  // Fewer nodes than processes.
  MPI_Graph_create(MPI_COMM_WORLD, 2, (const int[]){1, 2}, (const int[]){1, 0}, 0, &graph);
  if (world_rank < 2) {
    CheckMembers(graph, 2, (const int[]){0, 1});
    MPI_Comm_free(&graph);
  } else {
    CHECK(graph == MPI_COMM_NULL);
  }
  int new_rank = -1;
  MPI_Graph_map(MPI_COMM_WORLD, 4, index, edges, &new_rank);
  CHECK(new_rank >= 0 && new_rank < 4);
}

// rank -> rank + 1 and rank -> rank + 2, weights 10 * source + destination.
static void Adjacent(int weighted) {
  const int sources[2] = {(world_rank + 3) % 4, (world_rank + 2) % 4};
  const int destinations[2] = {(world_rank + 1) % 4, (world_rank + 2) % 4};
  int in_weights[2];
  int out_weights[2];
  for (int i = 0; i < 2; ++i) {
    in_weights[i] = 10 * sources[i] + world_rank;
    out_weights[i] = 10 * world_rank + destinations[i];
  }
  MPI_Comm graph;
  MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, 2, sources, weighted ? in_weights : MPI_UNWEIGHTED,
                                 2, destinations, weighted ? out_weights : MPI_UNWEIGHTED,
                                 MPI_INFO_NULL, 0, &graph);
  int status = -1;
  MPI_Topo_test(graph, &status);
  CHECK_EQUAL(status, MPI_DIST_GRAPH);
  int in = -1;
  int out = -1;
  int has_weights = -1;
  MPI_Dist_graph_neighbors_count(graph, &in, &out, &has_weights);
  CHECK(in == 2 && out == 2);
  CHECK_EQUAL(has_weights != 0, weighted);
  int s[2] = {-1, -1};
  int sw[2] = {-1, -1};
  int d[2] = {-1, -1};
  int dw[2] = {-1, -1};
  MPI_Dist_graph_neighbors(graph, 2, s, weighted ? sw : MPI_UNWEIGHTED, 2, d,
                           weighted ? dw : MPI_UNWEIGHTED);
  CHECK(Same(2, s, sources) && Same(2, d, destinations));
  if (weighted) CHECK(Same(2, sw, in_weights) && Same(2, dw, out_weights));
  int values[2] = {-1, -1};
  MPI_Neighbor_allgather(&world_rank, 1, MPI_INT, values, 1, MPI_INT, graph);
  CHECK(Same(2, values, sources));
  MPI_Comm copy;
  MPI_Comm_dup(graph, &copy);
  MPI_Dist_graph_neighbors_count(copy, &in, &out, &has_weights);
  CHECK(in == 2 && out == 2);
  MPI_Comm_free(&copy);
  MPI_Comm_free(&graph);
}

// The same edges and one more (0 -> 0, twice), all named by rank 3 but for those of rank 1, which
// rank 2 names. Ranks 0 and 1 name none.
static void General(int weighted) {
  int nodes[4];
  int degrees[4];
  int targets[16];
  int weights[16];
  int n = 0;
  int edges = 0;
  for (int source = 0; source < 4; ++source) {
    if (world_rank != (source == 1 ? 2 : 3)) continue;
    const int first = edges;
    for (int step = 1; step <= 2; ++step) {
      targets[edges] = (source + step) % 4;
      weights[edges] = 10 * source + targets[edges];
      ++edges;
    }
    for (int i = 0; source == 0 && i < 2; ++i, ++edges) {
      targets[edges] = 0;
      weights[edges] = 77 + i;
    }
    nodes[n] = source;
    degrees[n] = edges - first;
    ++n;
  }
  const int* given = MPI_UNWEIGHTED;
  if (weighted) given = edges == 0 ? MPI_WEIGHTS_EMPTY : weights;
  MPI_Comm graph;
  MPI_Dist_graph_create(MPI_COMM_WORLD, n, nodes, degrees, targets, given, MPI_INFO_NULL, 0,
                        &graph);
  const int extra = world_rank == 0 ? 2 : 0;
  int in = -1;
  int out = -1;
  int has_weights = -1;
  MPI_Dist_graph_neighbors_count(graph, &in, &out, &has_weights);
  CHECK_EQUAL(in, 2 + extra);
  CHECK_EQUAL(out, 2 + extra);
  CHECK_EQUAL(has_weights != 0, weighted);
  int s[4];
  int sw[4];
  int d[4];
  int dw[4];
  MPI_Dist_graph_neighbors(graph, in, s, weighted ? sw : MPI_UNWEIGHTED, out, d,
                           weighted ? dw : MPI_UNWEIGHTED);
  // MPI leaves the order open: compared as sets of (neighbour, weight).
  int got_in[4][2];
  int got_out[4][2];
  int want_in[4][2];
  int want_out[4][2];
  for (int i = 0; i < in; ++i) {
    got_in[i][0] = s[i];
    got_in[i][1] = weighted ? sw[i] : 0;
    got_out[i][0] = d[i];
    got_out[i][1] = weighted ? dw[i] : 0;
  }
  for (int i = 0; i < 2; ++i) {
    const int from = (world_rank + 3 - i) % 4;
    const int to = (world_rank + 1 + i) % 4;
    want_in[i][0] = from;
    want_in[i][1] = weighted ? 10 * from + world_rank : 0;
    want_out[i][0] = to;
    want_out[i][1] = weighted ? 10 * world_rank + to : 0;
  }
  for (int i = 2; i < 2 + extra; ++i) {
    want_in[i][0] = want_out[i][0] = 0;
    want_in[i][1] = want_out[i][1] = weighted ? 75 + i : 0;
  }
  qsort(got_in, (size_t)in, sizeof got_in[0], Less);
  qsort(got_out, (size_t)out, sizeof got_out[0], Less);
  qsort(want_in, (size_t)in, sizeof want_in[0], Less);
  qsort(want_out, (size_t)out, sizeof want_out[0], Less);
  CHECK(memcmp(got_in, want_in, (size_t)in * sizeof got_in[0]) == 0);
  CHECK(memcmp(got_out, want_out, (size_t)out * sizeof got_out[0]) == 0);
  int values[4] = {-1, -1, -1, -1};
  MPI_Neighbor_allgather(&world_rank, 1, MPI_INT, values, 1, MPI_INT, graph);
  CHECK(Same(in, values, s));
  MPI_Comm_free(&graph);
}

int main(int argc, char** argv) {
  Begin(&argc, &argv);
  Graph();
  Adjacent(0);
  Adjacent(1);
  General(0);
  General(1);
  return End("comm_graph");
}
