// np: 4
// Neighbourhood collectives on grids (with and without wrap, also with dimensions of one and two
// ranks), graphs and distributed graphs.
#include "collective_common.h"

enum { MOST = 16 };
static int g_blocking;

#define CALL(name, ...)                                 \
  do {                                                  \
    if (g_blocking) {                                   \
      MPI_Neighbor_##name(__VA_ARGS__);                 \
    } else {                                            \
      MPI_Request call_request;                         \
      MPI_Ineighbor_##name(__VA_ARGS__, &call_request); \
      MPI_Wait(&call_request, MPI_STATUS_IGNORE);       \
    }                                                   \
  } while (0)

// `from[i]` is my i-th source, `slot[i]` the place in that rank's list of destinations whose block
// comes to me there; `out` the number of my destinations.
static void exchange(MPI_Comm comm, int in, const int from[], const int slot[], int out, int kind,
                     int count, const char* what) {
  int rank;
  MPI_Comm_rank(comm, &rank);
  MPI_Datatype type = g_kinds[kind].type;
  Buffer own = make_buffer(kind, count);
  Buffer received = make_buffer(kind, (long)count * in);
  Buffer expected = make_buffer(kind, (long)count * in);
  for (long i = 0; i < count; ++i) {
    set(&own, i, number(rank, 1, i));
    for (int s = 0; s < in; ++s) {
      if (from[s] != MPI_PROC_NULL) set(&expected, s * (long)count + i, number(from[s], 1, i));
    }
  }
  CALL(allgather, own.at, count, type, received.at, count, type, comm);
  EXPECT(same(&received, &expected), "allgather on %s: %d %s", what, count, g_kinds[kind].name);
  int counts[MOST];
  int places[MOST];
  clear_buffer(&received);
  clear_buffer(&expected);
  for (int s = 0; s < in; ++s) {  // in the reverse order
    counts[s] = count;
    places[s] = (in - 1 - s) * count;
    for (long i = 0; i < count && from[s] != MPI_PROC_NULL; ++i) {
      set(&expected, places[s] + i, number(from[s], 1, i));
    }
  }
  CALL(allgatherv, own.at, count, type, received.at, counts, places, type, comm);
  EXPECT(same(&received, &expected), "allgatherv on %s: %d %s", what, count, g_kinds[kind].name);
  free_buffer(&own);

  own = make_buffer(kind, (long)count * out);
  for (int d = 0; d < out; ++d) {
    for (long i = 0; i < count; ++i) set(&own, d * (long)count + i, number(rank, 10 + d, i));
  }
  clear_buffer(&received);
  clear_buffer(&expected);
  for (int s = 0; s < in; ++s) {
    for (long i = 0; i < count && from[s] != MPI_PROC_NULL; ++i) {
      set(&expected, s * (long)count + i, number(from[s], 10 + slot[s], i));
    }
  }
  CALL(alltoall, own.at, count, type, received.at, count, type, comm);
  EXPECT(same(&received, &expected), "alltoall on %s: %d %s", what, count, g_kinds[kind].name);
  int out_counts[MOST];
  int out_places[MOST];
  MPI_Aint out_bytes[MOST];
  MPI_Aint in_bytes[MOST];
  MPI_Datatype types[MOST];
  for (int d = 0; d < MOST; ++d) {
    out_counts[d] = counts[d] = count;
    out_places[d] = places[d] = d * count;
    out_bytes[d] = in_bytes[d] = d * count * g_kinds[kind].extent;
    types[d] = type;
  }
  clear_buffer(&received);
  CALL(alltoallv, own.at, out_counts, out_places, type, received.at, counts, places, type, comm);
  EXPECT(same(&received, &expected), "alltoallv on %s: %d %s", what, count, g_kinds[kind].name);
  clear_buffer(&received);
  CALL(alltoallw, own.at, out_counts, out_bytes, types, received.at, counts, in_bytes, types, comm);
  EXPECT(same(&received, &expected), "alltoallw on %s: %d %s", what, count, g_kinds[kind].name);
  free_buffer(&own);
  free_buffer(&received);
  free_buffer(&expected);
}

static void grid(int dimensions, const int sizes[], const int wrap[], int kind, int count,
                 const char* what) {
  MPI_Comm comm;
  MPI_Cart_create(MPI_COMM_WORLD, dimensions, sizes, wrap, 0, &comm);
  if (comm == MPI_COMM_NULL) return;
  int from[MOST];
  int slot[MOST];
  for (int d = 0; d < dimensions; ++d) {
    MPI_Cart_shift(comm, d, 1, &from[2 * d], &from[2 * d + 1]);
    slot[2 * d] = 2 * d + 1;  // what comes from the negative side left in the positive direction
    slot[2 * d + 1] = 2 * d;
  }
  exchange(comm, 2 * dimensions, from, slot, 2 * dimensions, kind, count, what);
  MPI_Comm_free(&comm);
}

int main(int argc, char** argv) {
  start(&argc, &argv);
  make_kinds();
  // gcc takes the macro's small constant for the address of an empty array.
  int* volatile unweighted = MPI_UNWEIGHTED;
  static const int counts[] = {1, 4, 3000};
  for (int turn = 0; turn < 2 * KINDS * 3; ++turn) {
    g_blocking = turn % 2;
    const int kind = turn / 2 % KINDS;
    const int count = counts[turn / 2 / KINDS];
    const int no[3] = {0, 0, 0};
    const int yes[3] = {1, 1, 1};
    const int mixed[2] = {0, 1};
    const int line[1] = {g_size};
    grid(1, line, no, kind, count, "a line");
    // Bare Open MPI 4.1's non-blocking forms mistake the two directions where both neighbours are
    // the same rank; nothing is asked of it there.
    if (g_blocking || library() || g_size > 2) grid(1, line, yes, kind, count, "a ring");
    if (g_size >= 4 && (g_blocking || library())) {
      const int square[2] = {g_size / 2, 2};
      grid(2, square, no, kind, count, "a rectangle");
      grid(2, square, mixed, kind, count, "a cylinder");
      grid(2, square, yes, kind, count, "a torus");
      const int flat[3] = {1, g_size / 2, 2};
      grid(3, flat, yes, kind, count, "a torus with a dimension of one");
    }
    // A star: rank 0 with everybody.
    int index[64];
    int edges[128];
    int n = 0;
    for (int r = 0; r < g_size; ++r) {
      if (r == 0) {
        for (int o = 1; o < g_size; ++o) edges[n++] = o;
      } else {
        edges[n++] = 0;
      }
      index[r] = n;
    }
    MPI_Comm comm;
    int from[MOST];
    int slot[MOST];
    if (g_size > 1) {
      MPI_Graph_create(MPI_COMM_WORLD, g_size, index, edges, 0, &comm);
      const int degree = g_rank == 0 ? g_size - 1 : 1;
      for (int i = 0; i < degree; ++i) {
        from[i] = g_rank == 0 ? i + 1 : 0;
        slot[i] = g_rank == 0 ? 0 : g_rank - 1;
      }
      exchange(comm, degree, from, slot, degree, kind, count, "a star");
      MPI_Comm_free(&comm);
    }
    // Everybody sends to the next rank twice and to the one after it once, and receives so.
    int sources[3] = {(g_rank + g_size - 1) % g_size, (g_rank + 2 * g_size - 2) % g_size,
                      (g_rank + g_size - 1) % g_size};
    int targets[3] = {(g_rank + 1) % g_size, (g_rank + 2) % g_size, (g_rank + 1) % g_size};
    if (g_size > 2) {
      MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, 3, sources, unweighted, 3, targets, unweighted,
                                     MPI_INFO_NULL, 0, &comm);
      const int slots[3] = {0, 1, 2};
      exchange(comm, 3, sources, slots, 3, kind, count, "a directed graph");
      MPI_Comm_free(&comm);
      // Rank 0 sends to all others and receives from nobody.
      const int in = g_rank == 0 ? 0 : 1;
      const int out = g_rank == 0 ? g_size - 1 : 0;
      for (int i = 0; i < out; ++i) edges[i] = i + 1;
      from[0] = 0;
      slot[0] = g_rank - 1;
      MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, in, from, unweighted, out, edges, unweighted,
                                     MPI_INFO_NULL, 0, &comm);
      exchange(comm, in, from, slot, out, kind, count, "a fan");
      MPI_Comm_free(&comm);
    }
  }
  free_kinds();
  return finish("collective_neighbor");
}
